// What the steps after the shape check share: the value, where each part of it was written, and which services there are.

import { pathText } from "../describe.ts";
import { nearest, suggest } from "../did-you-mean.ts";
import type { Findings } from "../findings.ts";
import { entryAt, type Located, type Path } from "../located.ts";
import type { Origin } from "../spec.ts";
import { weightsFault } from "../weights.ts";
import type { NativeInput, ServiceInput } from "./schema.ts";

export interface NativeContext {
  readonly input: NativeInput;
  readonly findings: Findings;
  /** Of mesh.yaml, by name; what is written as nothing is an empty map. */
  readonly services: ReadonlyMap<string, ServiceInput>;
  /** Every name under `services:`, those that were cut out because they were wrong included. */
  readonly declared: ReadonlySet<string>;
  /** Services that exist beside mesh.yaml; null: nobody knows. */
  readonly known: readonly string[] | null;
  /** Services of whose versions some were cut out because they were wrong: nothing more is said about them. */
  readonly hasBrokenVersions: (service: string) => boolean;
  /** Is it empty as it was written, rather than because what was in it was wrong? */
  readonly isEmptyAsWritten: (path: Path) => boolean;
  /** Position of the key (or list item) at a path. */
  readonly keyAt: (path: Path) => Origin;
  /** Position of the value at a path. */
  readonly valueAt: (path: Path) => Origin;
}

export function createContext(
  input: NativeInput,
  trees: { document: Located; root: Located },
  rest: { findings: Findings; known: readonly string[] | null },
): NativeContext {
  const { document, root } = trees;
  const written = entryAt(document, ["services"])?.value;
  const services = new Map(Object.entries(input.services ?? {}).map(([name, service]) => [name, service ?? {}]));
  return {
    input,
    services,
    declared: new Set(written?.kind === "map" ? written.entries.keys() : []),
    findings: rest.findings,
    known: rest.known,
    hasBrokenVersions: (service) => sizeAt(document, service) !== sizeAt(root, service),
    isEmptyAsWritten: (path) => {
      const node = entryAt(root, path)?.value;
      return node !== undefined && (node.kind === "scalar" || node.isCut === undefined);
    },
    keyAt: (path) => entryAt(root, path)?.keyAt ?? root.at,
    valueAt: (path) => entryAt(root, path)?.value.at ?? root.at,
  };
}

/** How many versions a service has; -1 where there is no map of them. */
function sizeAt(root: Located, service: string): number {
  const versions = entryAt(root, ["services", service, "versions"])?.value;
  return versions?.kind === "map" ? versions.entries.size : -1;
}

/** Reports a name that is no service. Where nobody knows all services, only the World can tell, and nothing is said. */
export function checkService(context: NativeContext, name: string, path: Path, words: readonly string[] = []): void {
  const { declared, known, findings } = context;
  if (declared.has(name) || words.includes(name) || known === null || known.includes(name)) return;
  const all = [...new Set([...declared, ...known])].sort();
  findings.error("DM1114", context.valueAt(path), `there is no service ${name}`, suggest(name, all, "services are"));
}

/** Reports a version that the service does not have. */
export function checkVersion(
  context: NativeContext,
  target: { service: string; version: string },
  at: Origin,
  what: string,
): void {
  const { service, version } = target;
  const versions = Object.keys(context.services.get(service)?.versions ?? {});
  if (versions.includes(version) || context.hasBrokenVersions(service)) return;
  const has = versions.length === 0 ? "no versions" : versions.join(", ");
  const near = nearest(
    version,
    what === "split" ? versions : [...versions, ...context.declared, ...(context.known ?? [])],
  );
  const hint = near === null ? `list ${version} under services.${service}.versions` : `did you mean ${near}?`;
  context.findings.error("DM1103", at, `${what} names ${version}, but ${service} has ${has}`, hint);
}

export function checkWeights(context: NativeContext, weights: readonly number[], path: Path): void {
  if (weights.length === 0 && !context.isEmptyAsWritten(path)) return;
  const fault = weights.length === 0 ? "the map of weights is empty" : weightsFault(weights);
  if (fault !== null) context.findings.error("DM1113", context.keyAt(path), `${pathText(path)}: ${fault}`);
}
