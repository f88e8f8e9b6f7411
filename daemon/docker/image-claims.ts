// A container has the labels of its image too, and those are the word of whoever built it: which mesh a container joins, which
// service's identity it gets and what of its traffic is not captured is for whoever runs it to say.
import { type Engine, isStatus } from "./engine.ts";
import { asRecord, asString, asTexts } from "./json.ts";
import { userLabel } from "./labels.ts";
import { readLabels } from "./read-container.ts";

const claims: readonly string[] = [userLabel.mesh, userLabel.service, userLabel.inject, userLabel.istioInject];
const isClaim = (name: string): boolean => claims.includes(name) || name.startsWith(userLabel.istioTraffic);

/** An image's labels as far as they count for a container. */
export function withoutClaims(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !isClaim(name)));
}

/** Images whose labels are remembered. */
const imagesMax = 256;

/** Takes a container's inspect JSON and gives it back without the claims that only its image makes. */
export type DropImageClaims = (inspected: unknown, signal?: AbortSignal) => Promise<unknown>;

/**
 * Asks Docker for an image once, and only where a container has such a label at all. Compose's own labels stay: it puts
 * them on what it builds as well. The result throws EngineError.
 */
export function createDropImageClaims(engine: Engine): DropImageClaims {
  const known = new Map<string, Readonly<Record<string, string>>>();
  const labelsOf = async (image: string, signal?: AbortSignal) => {
    const found = known.get(image) ?? (await readImageLabels(engine, image, signal));
    // An image that is gone says nothing any more; what it said before still counts.
    if (found === null) return null;
    if (known.size >= imagesMax) known.clear();
    known.set(image, found);
    return found;
  };
  return async (inspected, signal) => {
    const labels = readLabels(inspected);
    if (!Object.keys(labels).some(isClaim)) return inspected;
    const ofImage = await labelsOf(asString(asRecord(inspected).Image), signal);
    const isImages = (name: string) => ofImage === null || ofImage[name] === labels[name];
    const kept = Object.entries(labels).filter(([name]) => !isClaim(name) || !isImages(name));
    const json = asRecord(inspected);
    return { ...json, Config: { ...asRecord(json.Config), Labels: Object.fromEntries(kept) } };
  };
}

/** Null: it is gone. */
async function readImageLabels(engine: Engine, image: string, signal?: AbortSignal) {
  try {
    const path = `/images/${encodeURIComponent(image)}/json`;
    const found = await engine.call({ method: "GET", path, ...(signal && { signal }) });
    return asTexts(asRecord(asRecord(found).Config).Labels);
  } catch (error) {
    if (isStatus(error, 404)) return null;
    throw error;
  }
}
