// Containers that Docker could not start because a host port that they publish is taken: which port, and who has it.
import type { BlockedPort } from "../api/messages.ts";
import { inspectContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { asRecord, asString } from "./json.ts";
import { describePortHolder } from "./port-holder.ts";
import type { Container } from "./world.ts";

/** Of those that are told; a project that publishes more at once is told of the first. */
const blockedMax = 16;

export async function listBlockedPorts(engine: Engine, containers: readonly Container[]): Promise<BlockedPort[]> {
  const ended = containers.filter(({ state }) => state === "created" || state === "exited" || state === "dead");
  const found = await Promise.all(
    ended.slice(0, blockedMax).map(async ({ id, service }): Promise<BlockedPort | null> => {
      const { State } = asRecord(await inspectContainer(engine, id));
      const address = takenAddress(asString(asRecord(State).Error));
      if (address === null) return null;
      const { host, port } = address;
      return { service, address: `${host}:${port}`, holder: await describePortHolder(engine, port) };
    }),
  );
  return found.filter((one) => one !== null);
}

/** The engines' own words, of several versions, for a port that is taken; null for every other failure. */
const forms = [
  /Bind for (?<host>\S+):(?<port>\d+) failed: port is already allocated/,
  /(?:listen|bind) (?:tcp|udp)\d? (?<host>\S+):(?<port>\d+): (?:bind: )?address already in use/,
  /bind host port (?:for )?(?<host>\[[^\]]*\]|[\d.]+):(?<port>\d+)\b.*(?:already allocated|already in use)/,
  /Ports are not available: exposing port \w+ (?<host>\S+):(?<port>\d+) ->/,
];

export function takenAddress(error: string): { readonly host: string; readonly port: number } | null {
  for (const form of forms) {
    const { host, port } = form.exec(error)?.groups ?? {};
    if (host !== undefined && port !== undefined) return { host, port: Number(port) };
  }
  return null;
}
