// Changes the weights of a service in the text of mesh.yaml: native `split:`, or the catch-all route of its VirtualService.
// Comments, quotes, order and every other byte stay.
import { LineCounter, type Node, parseAllDocuments } from "yaml";
import type { DiagnosticCode } from "./codes.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { suggest } from "./did-you-mean.ts";
import { serviceOfHost } from "./istio/references.ts";
import { loadSpec } from "./load.ts";
import { yamlOptions } from "./parse-yaml.ts";
import { applyEdits } from "./splice.ts";
import { findSplit } from "./split-place.ts";
import { divide, weightMax } from "./weights.ts";

export type EditedSplit =
  | { readonly kind: "ok"; readonly text: string; readonly split: Readonly<Record<string, number>> }
  | { readonly kind: "invalid"; readonly diagnostics: readonly Diagnostic[] };

export interface SplitChange {
  readonly service: string;
  /**
   * By version. Versions that are left out share what is left of 100 in their present proportions; when none is left out,
   * weights are taken as they are.
   */
  readonly weights: Readonly<Record<string, number>>;
  /** As people are shown it. */
  readonly file?: string;
}

/** The text with the new weights. The same change twice is the same text. A file that has errors is not touched. */
export function editSplit(text: string, change: SplitChange): EditedSplit {
  const { service, weights, file = "mesh.yaml" } = change;
  const before = loadSpec(text, { file });
  if (before.kind === "invalid") return before;
  // Positions are counted without a byte order mark, which is put back in the end.
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  const lines = new LineCounter();
  const roots = [...parseAllDocuments(body, { ...yamlOptions, lineCounter: lines })].map(({ contents }) => contents);
  const problem = (code: DiagnosticCode, node: unknown, message: string, hint = ""): EditedSplit => {
    const offset = (node as Node | null)?.range?.[0];
    const { line, col: column } = offset === undefined ? { line: 0, col: 0 } : lines.linePos(offset);
    return { kind: "invalid", diagnostics: [{ severity: "error", code, message, hint, file, line, column }] };
  };
  const place = findSplit(roots, service);
  if (place === null) {
    const services = before.spec.services.map(({ name }) => name);
    const hint = suggest(service, services, "services are");
    return problem("DM1301", null, `${file} has no split and no versions for ${service}`, hint);
  }
  if (place.kind === "blocked") return problem(place.code, place.node, place.message, place.hint);
  const names = [...place.versions.keys()];
  const unknown = Object.keys(weights).find((version) => !place.versions.has(version));
  if (unknown !== undefined) {
    const message = `${service} has no version ${unknown} to give a weight to; it has ${names.join(", ")}`;
    return problem("DM1103", place.node, message, suggest(unknown, names, "versions are"));
  }
  const split = newWeights(place.versions, new Map(Object.entries(weights)));
  if (typeof split === "string") return problem("DM1113", place.node, split);
  const edited = mark + applyEdits(body, place.edits(body, split));
  const diagnostics = verify(edited, { service, split, file });
  if (diagnostics !== null) return { kind: "invalid", diagnostics };
  return { kind: "ok", text: edited, split: Object.fromEntries(split) };
}

/** What was written is read again: an edit in place must mean exactly what was asked, or not happen. */
function verify(
  text: string,
  asked: { service: string; split: ReadonlyMap<string, number>; file: string },
): readonly Diagnostic[] | null {
  const { service, split, file } = asked;
  const after = loadSpec(text, { file });
  if (after.kind === "invalid") return after.diagnostics;
  const native = after.spec.services.find(({ name }) => name === service)?.split;
  const routed = after.spec.virtualServices
    .filter(({ hosts }) => hosts.some(({ host }) => serviceOfHost(host) === service))
    .flatMap(({ http }) => http.map(({ route }) => route))
    .map((route) =>
      route.map(({ host, subset, weight }) => ({ version: subset ?? serviceOfHost(host) ?? host, weight })),
    );
  const isThere = (native ? [native] : routed).some(
    (found) => found.length === split.size && found.every(({ version, weight }) => split.get(version) === weight),
  );
  if (isThere) return null;
  const message = `the split of ${service} is written in a way that cannot be edited in place`;
  return [{ severity: "error", code: "DM1302", message, hint: "edit the file by hand", file, line: 0, column: 0 }];
}

/** The weights of all versions, or what is wrong with the change. */
function newWeights(
  current: ReadonlyMap<string, number>,
  given: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> | string {
  if (given.size === 0) return "no weights are given";
  for (const [version, weight] of given) {
    const isWhole = Number.isInteger(weight) && weight >= 0 && weight <= weightMax;
    if (!isWhole) return `the weight of ${version} must be a whole number from 0, but is ${weight}`;
  }
  const others = [...current].filter(([version]) => !given.has(version));
  const names = others.map(([version]) => version);
  const sum = [...given.values()].reduce((all, weight) => all + weight, 0);
  if (others.length > 0 && sum > 100) {
    return `the weights add up to ${sum}, which leaves less than nothing of 100 for ${names.join(", ")}`;
  }
  const shares = divide(
    Math.max(0, 100 - sum),
    others.map(([, weight]) => weight),
  );
  const rest = new Map(names.map((version, index) => [version, shares[index] ?? 0]));
  return new Map([...current.keys()].map((version) => [version, given.get(version) ?? rest.get(version) ?? 0]));
}
