// YAML as a tree in which every key and value knows where it was written, and walks through that tree.
import type { Origin } from "./spec.ts";

export type Located = LocatedScalar | LocatedList | LocatedMap;

export interface LocatedScalar {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** As it is written, for values that lose their form (1.0 is the number 1). */
  readonly source: string;
  readonly at: Origin;
}

export interface LocatedList {
  readonly kind: "list";
  /** Something in it was wrong and was cut out: that it lacks something is then no news. */
  readonly isCut?: true;
  readonly items: readonly Located[];
  readonly at: Origin;
}

export interface LocatedMap {
  readonly kind: "map";
  readonly isCut?: true;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly at: Origin;
}

export interface Entry {
  readonly keyAt: Origin;
  readonly value: Located;
}

export function toPlain(node: Located): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(toPlain);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toPlain(entry.value)]));
}

export type Path = readonly (string | number)[];

/** The key and value at a path, as far as it exists. */
export function entryAt(root: Located, path: Path): Entry | null {
  let entry: Entry = { keyAt: root.at, value: root };
  for (const step of path) {
    const { value } = entry;
    if (value.kind === "map") {
      const next = value.entries.get(String(step));
      if (next === undefined) return null;
      entry = next;
    } else {
      const item = value.kind === "list" ? value.items[Number(step)] : undefined;
      if (item === undefined) return null;
      entry = { keyAt: item.at, value: item };
    }
  }
  return entry;
}

/** The tree without what is at `path`. */
export function without(root: Located, path: Path): Located {
  const [step, ...rest] = path;
  if (step === undefined || root.kind === "scalar") return root;
  if (root.kind === "list") {
    const items = root.items.flatMap((item, index) => {
      if (index !== Number(step)) return [item];
      return rest.length === 0 ? [] : [without(item, rest)];
    });
    return { ...root, items, isCut: true };
  }
  const entries = new Map(root.entries);
  const entry = entries.get(String(step));
  if (entry === undefined) return root;
  if (rest.length === 0) entries.delete(String(step));
  else entries.set(String(step), { ...entry, value: without(entry.value, rest) });
  return { ...root, entries, isCut: true };
}
