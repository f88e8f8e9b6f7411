// What an image gives the containers that are made of it.
import { type Engine, isStatus } from "./engine.ts";
import { withoutClaims } from "./image-claims.ts";
import { asRecord, asString, asStrings, asTexts } from "./json.ts";

export interface ImageFacts {
  readonly id: string;
  /** "8080/tcp" */
  readonly exposed: readonly string[];
  /** Docker's words; empty: none. */
  readonly healthTest: readonly string[];
  /** Without those that only count on a container. */
  readonly labels: Readonly<Record<string, string>>;
}

/** As Docker's API takes it in a path; anything else could name another call. */
const nameOfImage = /^[a-z0-9]+([-._:/@]+[a-z0-9]+)*$/i;

/** Null: it is not on the engine. Throws EngineError. */
export async function readImageFacts(engine: Engine, name: string): Promise<ImageFacts | null> {
  if (!nameOfImage.test(name) || name.includes("..")) return null;
  try {
    const json = asRecord(await engine.call({ method: "GET", path: `/images/${name}/json` }));
    const config = asRecord(json.Config);
    return {
      id: asString(json.Id),
      exposed: Object.keys(asRecord(config.ExposedPorts)),
      healthTest: asStrings(asRecord(config.Healthcheck).Test),
      labels: withoutClaims(asTexts(config.Labels)),
    };
  } catch (error) {
    if (isStatus(error, 404)) return null;
    throw error;
  }
}
