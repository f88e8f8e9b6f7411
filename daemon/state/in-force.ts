// What the running mesh was last told, for a daemon that is started anew while mesh.yaml happens to be broken.
import * as z from "zod";
import type { Spec } from "../spec/spec.ts";
import { readJson } from "./store.ts";

export interface InForce {
  readonly mesh: string;
  readonly spec: Spec;
}

/** Null when there is none, or another version of devmesh wrote it. */
export async function readInForce(file: string, version: string): Promise<InForce | null> {
  // Our own file of the same version: its Spec was checked when it was written.
  const schema = z.object({ version: z.literal(version), mesh: z.string().min(1), spec: z.custom<Spec>(isObject) });
  return readJson(file, schema);
}

/** What `readInForce` reads. */
export function inForceRecord(version: string, inForce: InForce): object {
  return { version, ...inForce };
}

function isObject(value: unknown): boolean {
  return value !== null && typeof value === "object";
}
