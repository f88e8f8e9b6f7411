// Where in the YAML of mesh.yaml the weights of a service stand, and which edits change them.
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from "yaml";
import type { DiagnosticCode } from "./codes.ts";
import { serviceOfHost } from "./istio/references.ts";
import { type Edit, insertAfter, keyText, pairOf } from "./splice.ts";

export interface Editable {
  readonly kind: "editable";
  readonly node: Node;
  /** Present weights; equal ones where nothing is written. */
  readonly versions: ReadonlyMap<string, number>;
  readonly edits: (text: string, split: ReadonlyMap<string, number>) => readonly Edit[];
}

export interface Blocked {
  readonly kind: "blocked";
  readonly code: DiagnosticCode;
  readonly node: unknown;
  readonly message: string;
  readonly hint: string;
}

/** Null: the file says nothing that could be split. A VirtualService comes first, since it replaces what is native. */
export function findSplit(roots: readonly unknown[], service: string): Editable | Blocked | null {
  return findVirtualService(roots, service) ?? findNative(roots, service);
}

function blocked(node: unknown): Blocked {
  const message = "the weights here cannot be edited in place: an alias, an anchor or an unusual form is in the way";
  return { kind: "blocked", code: "DM1302", node, message, hint: "edit the file by hand" };
}

/** A change to what has an anchor, or to an alias, would change other places as well. */
function isShared(node: unknown): boolean {
  return isAlias(node) || (node as { readonly anchor?: string } | null | undefined)?.anchor !== undefined;
}

function findNative(roots: readonly unknown[], service: string): Editable | Blocked | null {
  const root = roots.find((one) => isMap(one) && !pairOf(one, "kind") && !pairOf(one, "apiVersion"));
  const services = pairOf(root, "services")?.value;
  if (isShared(services)) return blocked(services);
  const map = pairOf(services, service)?.value;
  if (isShared(map)) return blocked(map);
  const versionsPair = pairOf(map, "versions");
  if (!isMap(map) || versionsPair === undefined) return null;
  if (isAlias(versionsPair.value)) return blocked(versionsPair.value);
  const names = isMap(versionsPair.value) ? versionsPair.value.items.map(keyText) : [];
  const splitPair = pairOf(map, "split");
  if (splitPair !== undefined) return nativeSplit(names, splitPair);
  return {
    kind: "editable",
    node: versionsPair.key as Node,
    versions: new Map(names.map((name) => [name, 1])),
    edits: (text, split) => [insertAfter(text, map, versionsPair, `split: ${flowMap(split)}`)],
  };
}

function flowMap(split: ReadonlyMap<string, number>): string {
  return `{ ${[...split].map(([name, weight]) => `${name}: ${weight}`).join(", ")} }`;
}

function nativeSplit(names: readonly string[], pair: Pair): Editable | Blocked {
  const map = pair.value;
  if (!isMap(map) || isShared(map)) return blocked(map);
  const bad = map.items.find(({ value }) => !isScalar(value) || isShared(value));
  if (bad !== undefined) return blocked(bad.value);
  const written = new Map(map.items.map((item) => [keyText(item), item]));
  // A version that the split leaves out has the weight 0.
  const all = [...written.keys(), ...names.filter((name) => !written.has(name))];
  return {
    kind: "editable",
    node: pair.key as Node,
    versions: new Map(all.map((name) => [name, numberOf(written.get(name)?.value)])),
    edits: (text, split) => {
      const replaced = [...written].map(([name, item]) => replaceScalar(item.value as Node, split.get(name) ?? 0));
      const added = [...split].filter(([name]) => !written.has(name)).map(([name, weight]) => `${name}: ${weight}`);
      const last = map.items.at(-1);
      if (added.length === 0 || last === undefined) return replaced;
      const inserted = added.map((one) => insertAfter(text, map, last, one));
      // All go to the same place: one edit, in their order.
      const [first] = inserted;
      return first === undefined
        ? replaced
        : [...replaced, { ...first, text: inserted.map((edit) => edit.text).join("") }];
    },
  };
}

function numberOf(node: unknown): number {
  return isScalar(node) ? Number(node.value) : 0;
}

function replaceScalar(node: Node, weight: number): Edit {
  const [start, end] = node.range ?? [0, 0];
  return { start, end, text: String(weight) };
}

function findVirtualService(roots: readonly unknown[], service: string): Editable | Blocked | null {
  for (const root of roots) {
    if (!isMap(root) || root.get("kind") !== "VirtualService") continue;
    const spec = pairOf(root, "spec")?.value;
    const hosts = pairOf(spec, "hosts")?.value;
    const isBound = (host: unknown) => isScalar(host) && serviceOfHost(String(host.value)) === service;
    if (isMap(spec) && isSeq(hosts) && hosts.items.some(isBound)) return catchAllRoute(spec);
  }
  return null;
}

/** The first rule without a match: what most requests take, and what a split of the service means. */
function catchAllRoute(spec: YAMLMap): Editable | Blocked | null {
  const http = pairOf(spec, "http")?.value;
  if (!isSeq(http) || isShared(http)) return blocked(http);
  const rule = http.items.find((one) => isMap(one) && isCatchAll(pairOf(one, "match")?.value));
  if (rule === undefined) return blocked(http);
  const route = pairOf(rule, "route")?.value;
  if (!isSeq(route) || isShared(rule) || isShared(route)) return blocked(rule);
  const targets = new Map<string, YAMLMap>();
  for (const item of route.items) {
    const name = destinationName(pairOf(item, "destination")?.value);
    const isUnusual = !isMap(item) || isShared(item) || isShared(pairOf(item, "weight")?.value);
    if (isUnusual || name === null || targets.has(name)) return blocked(item);
    targets.set(name, item);
  }
  if (targets.size === 1) {
    const message = `the VirtualService sends everything to ${[...targets.keys()].join()}, so there is nothing to split`;
    return {
      kind: "blocked",
      code: "DM1301",
      node: route,
      message,
      hint: "add a second destination with weight: 0 first",
    };
  }
  return {
    kind: "editable",
    node: route,
    versions: new Map([...targets].map(([name, item]) => [name, numberOf(pairOf(item, "weight")?.value)])),
    edits: (text, split) => [...targets].map(([name, item]) => editWeight(text, item, split.get(name) ?? 0)),
  };
}

function editWeight(text: string, destination: YAMLMap, weight: number): Edit {
  const pair = pairOf(destination, "weight");
  if (isScalar(pair?.value) && pair.value.source !== "") return replaceScalar(pair.value, weight);
  const target = pairOf(destination, "destination");
  if (target === undefined) return { start: 0, end: 0, text: "" };
  return insertAfter(text, destination, target, `weight: ${weight}`);
}

function isCatchAll(match: unknown): boolean {
  if (match === undefined || match === null) return true;
  if (isScalar(match)) return match.value === null;
  return isSeq(match) && (match.items.length === 0 || match.items.some((one) => isMap(one) && one.items.length === 0));
}

/** A subset's name; without a subset the service of the host. */
function destinationName(destination: unknown): string | null {
  const [subset, host] = [pairOf(destination, "subset")?.value, pairOf(destination, "host")?.value];
  if (isScalar(subset) && typeof subset.value === "string") return subset.value;
  if (!isScalar(host) || typeof host.value !== "string") return null;
  return serviceOfHost(host.value) ?? host.value;
}
