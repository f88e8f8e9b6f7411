// YAML as a tree in which every key and value knows where it was written. Aliases are followed here, within limits.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type YAMLError,
} from "yaml";
import type { Findings } from "./findings.ts";
import type { Origin } from "./spec.ts";

/** mesh.yaml's own language nests eight levels deep, Istio's documents ten. */
export const nestingMax = 32;
/** Nodes that aliases may add to a file: a few lines of aliases of aliases could otherwise make billions. */
export const aliasedNodesMax = 10_000;

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

/** What every reader of mesh.yaml passes to the parser: YAML 1.2 whatever a %YAML line says, our own check for double keys (the parser's is quadratic). */
export const yamlOptions = {
  schema: "core",
  version: "1.2",
  resolveKnownTags: false,
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: "silent",
} as const;

/** The documents of a file that could be read; empty ones are left out. Problems go to `findings`, nothing is thrown. */
export function parseLocated(text: string, file: string, findings: Findings): readonly Located[] {
  const lines = new LineCounter();
  const at = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  let documents: readonly Document[];
  try {
    documents = [...parseAllDocuments(text, { ...yamlOptions, lineCounter: lines })];
  } catch (error) {
    // The parser is recursive in places: a file made to exhaust its stack is the user's problem, not a crash of the daemon.
    const reason = error instanceof RangeError ? "it is nested too deeply" : String(error);
    findings.error("DM1006", { file, line: 0, column: 0 }, `the file cannot be parsed: ${reason}`);
    return [];
  }
  const roots: Located[] = [];
  const budget = { aliased: 0, isReported: false };
  for (const document of documents) {
    if (reportErrors(document, at, findings) || document.contents === null) continue;
    const root = createWalker(at, budget, findings)(document.contents as Node);
    if (root.kind === "scalar" && root.value === null) continue;
    roots.push(root);
  }
  return roots;
}

/** One per line: the parser's further errors on a line are echoes of its first. */
function reportErrors(document: Document, at: (offset: number) => Origin, findings: Findings): boolean {
  const lines = new Set<number>();
  for (const error of document.errors) {
    const origin = at(error.pos[0]);
    if (lines.has(origin.line)) continue;
    lines.add(origin.line);
    if (error.code === "TAB_AS_INDENT") {
      findings.error(
        "DM1007",
        origin,
        "a tab is used for indentation",
        "YAML allows only spaces there: use two for each level",
      );
    } else findings.error("DM1006", origin, yamlMessage(error), yamlHints[error.code] ?? "");
  }
  for (const warning of document.warnings) {
    findings.error("DM1011", at(warning.pos[0]), yamlMessage(warning), "leave the tag out, or quote the value");
  }
  return document.errors.length > 0;
}

function yamlMessage(error: YAMLError): string {
  const [first = ""] = error.message.split("\n");
  return first.charAt(0).toLowerCase() + first.slice(1);
}

const yamlHints: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: "quote a value that contains ': ', or put what belongs under the key on lines of its own",
  BAD_INDENT: "line it up with the lines around it, and close every bracket",
  MISSING_CHAR: "check the brackets, quotes and colons of this line",
  UNEXPECTED_TOKEN: "check the brackets, quotes and indentation of this line",
  BAD_SCALAR_START: "quote a value that begins with a special character such as @, ` or %",
  MULTILINE_IMPLICIT_KEY: "is a colon missing after the key?",
};

function createWalker(
  at: (offset: number) => Origin,
  budget: { aliased: number; isReported: boolean },
  findings: Findings,
): (node: Node) => Located {
  const anchors = new Map<string, Node>();
  const open = new Set<Node>();

  const nothing = (origin: Origin): LocatedScalar => ({ kind: "scalar", value: null, source: "", at: origin });

  /** `fallback` is where a value that was left out is shown: at its key. */
  const walk = (node: Node | null, fallback: Origin, place: { depth: number; isAliased: boolean }): Located => {
    if (node === null) return nothing(fallback);
    const origin = place.isAliased || !node.range ? fallback : at(node.range[0]);
    if (isAlias(node)) return follow(node.source, origin, place.depth);
    if (place.isAliased) budget.aliased += 1;
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    if (isScalar(node))
      return scalar(
        node.value,
        node.source ?? String(node.value),
        node.range?.[0] === node.range?.[1] ? fallback : origin,
      );
    if (place.depth >= nestingMax) {
      findings.error("DM1010", origin, `nested more than ${nestingMax} levels deep`);
      return nothing(origin);
    }
    open.add(node);
    const inner = { depth: place.depth + 1, isAliased: place.isAliased };
    const located = isMap(node)
      ? readMap(node.items as readonly Pair[], origin, inner)
      : {
          kind: "list" as const,
          items: isSeq(node) ? node.items.map((item) => walk(item as Node, origin, inner)) : [],
          at: origin,
        };
    open.delete(node);
    return located;
  };

  const readMap = (
    pairs: readonly Pair[],
    origin: Origin,
    inner: { depth: number; isAliased: boolean },
  ): LocatedMap => {
    const entries = new Map<string, Entry>();
    for (const pair of pairs) {
      const key = pair.key as Node | null;
      const keyAt = inner.isAliased || !key?.range ? origin : at(key.range[0]);
      const name = keyName(key);
      const value = walk(pair.value as Node | null, keyAt, inner);
      if (name === null)
        findings.error("DM1011", keyAt, "a key must be plain text", "quote it, or put a name before the colon");
      else if (entries.has(name)) {
        const first = entries.get(name)?.keyAt.line ?? 0;
        findings.error("DM1008", keyAt, `${name} is written twice, first on line ${first}`, "keep one of them");
      } else entries.set(name, { keyAt, value });
    }
    return { kind: "map", entries, at: origin };
  };

  const follow = (name: string, origin: Origin, depth: number): Located => {
    const target = anchors.get(name);
    if (target === undefined) findings.error("DM1009", origin, `*${name} has no anchor &${name} before it`);
    else if (open.has(target)) findings.error("DM1009", origin, `*${name} contains itself`);
    else if (budget.aliased > aliasedNodesMax) {
      if (budget.isReported) return nothing(origin);
      budget.isReported = true;
      findings.error("DM1009", origin, `aliases add more than ${aliasedNodesMax} values to the file`);
    } else return walk(target, origin, { depth, isAliased: true });
    return nothing(origin);
  };

  return (node) => walk(node, at(0), { depth: 0, isAliased: false });
}

function scalar(value: unknown, source: string, at: Origin): LocatedScalar {
  const isPlain = value === null || ["string", "number", "boolean"].includes(typeof value);
  return { kind: "scalar", value: isPlain ? (value as LocatedScalar["value"]) : source, source, at };
}

/** A key is what is written: `1.0:` is "1.0". Null for maps, lists, aliases and nothing as a key. */
function keyName(key: Node | null): string | null {
  if (key === null || !isScalar(key) || key.value === null || key.source === "") return null;
  const name = typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
  // As a plain object's key this one would set the prototype instead.
  return name === "" || name === "__proto__" ? null : name;
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
