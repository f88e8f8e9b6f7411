// Creates a container of ours under its fixed name.
import { createContainer, inspectContainer, removeContainer } from "./containers.ts";
import { type Engine, isStatus } from "./engine.ts";
import { missingImage } from "./image.ts";
import { asRecord, asString } from "./json.ts";
import { isOfState } from "./labels.ts";
import type { OwnSpec, SpecContext } from "./own-spec.ts";
import { readLabels } from "./read-container.ts";

export interface PerformContext extends SpecContext {
  readonly engine: Engine;
  /** IPv4 CIDRs of networks that compose makes later. */
  readonly reservedSubnets?: readonly string[];
  /** Before a container of ours is removed: what it alone can tell. */
  readonly beforeRemoval?: (ownId: string) => Promise<void>;
}

/** A container of ours that has the name already is one that an earlier attempt left: it is replaced. */
export async function createOwn({ engine, identity, image }: PerformContext, { name, body }: OwnSpec): Promise<string> {
  try {
    return await createContainer(engine, name, body);
  } catch (error) {
    // The same status as for a container whose namespace is to be joined and that has gone.
    if (isStatus(error, 404) && /no such image/i.test(String(error))) throw missingImage(engine, image);
    if (!isStatus(error, 409)) throw error;
    const existing = await inspectContainer(engine, name);
    if (existing !== null) {
      if (!isOfState(readLabels(existing), identity)) {
        throw new Error(`a container named ${name} is there already, and this mesh did not make it`);
      }
      await removeContainer(engine, asString(asRecord(existing).Id));
    }
    return await createContainer(engine, name, body);
  }
}
