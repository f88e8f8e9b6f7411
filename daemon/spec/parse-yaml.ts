// Parses the text of mesh.yaml into the located tree: follows aliases within limits, and reports what is wrong with the YAML.
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
import type { Entry, Located, LocatedScalar } from "./located.ts";
import type { Origin } from "./spec.ts";

/** mesh.yaml's own language nests eight levels deep, Istio's documents ten. */
export const nestingMax = 32;
/** Nodes that aliases may add to a file: a few lines of aliases of aliases could otherwise make billions. */
export const aliasedNodesMax = 10_000;

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
  const budget: AliasBudget = { aliased: 0, isReported: false };
  for (const document of documents) {
    if (reportErrors(document, at, findings) || document.contents === null) continue;
    const walk: Walk = { at, findings, budget, anchors: new Map(), open: new Set() };
    const root = walkNode(walk, document.contents as Node, { fallback: at(0), depth: 0, isAliased: false });
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

/** What one document's walk knows. */
interface Walk {
  readonly at: (offset: number) => Origin;
  readonly findings: Findings;
  readonly anchors: Map<string, Node>;
  /** Collections that are being read: an alias to one of these contains itself. */
  readonly open: Set<Node>;
  /** Of the whole file. */
  readonly budget: AliasBudget;
}

interface AliasBudget {
  aliased: number;
  isReported: boolean;
}

/** Where in the tree the walk is; below an alias every position is the alias's own. */
interface Place {
  /** Where a value that was left out is shown: at its key. */
  readonly fallback: Origin;
  readonly depth: number;
  readonly isAliased: boolean;
}

function walkNode(walk: Walk, node: Node | null, place: Place): Located {
  if (node === null) return nothing(place.fallback);
  const { findings, budget } = walk;
  const origin = place.isAliased || !node.range ? place.fallback : walk.at(node.range[0]);
  if (isAlias(node)) return followAlias(walk, node.source, { ...place, fallback: origin });
  if (place.isAliased) budget.aliased += 1;
  if (node.anchor !== undefined) walk.anchors.set(node.anchor, node);
  if (isScalar(node)) {
    const isWritten = node.range?.[0] !== node.range?.[1];
    return scalar(node.value, node.source ?? String(node.value), isWritten ? origin : place.fallback);
  }
  if (place.depth >= nestingMax) {
    findings.error("DM1010", origin, `nested more than ${nestingMax} levels deep`);
    return nothing(origin);
  }
  walk.open.add(node);
  const inner = { fallback: origin, depth: place.depth + 1, isAliased: place.isAliased };
  const items = isSeq(node) ? (node.items as readonly Node[]) : [];
  const located: Located = isMap(node)
    ? walkMap(walk, node.items as readonly Pair[], inner)
    : { kind: "list", items: items.map((item) => walkNode(walk, item, inner)), at: origin };
  walk.open.delete(node);
  return located;
}

function walkMap(walk: Walk, pairs: readonly Pair[], place: Place): Located {
  const { findings } = walk;
  const entries = new Map<string, Entry>();
  for (const pair of pairs) {
    const key = pair.key as Node | null;
    const keyAt = place.isAliased || !key?.range ? place.fallback : walk.at(key.range[0]);
    if (isScalar(key) && key.anchor !== undefined) walk.anchors.set(key.anchor, key);
    const name = keyName(key);
    const value = walkNode(walk, pair.value as Node | null, { ...place, fallback: keyAt });
    if (name === null) {
      findings.error("DM1011", keyAt, "a key must be plain text", "quote it, or put a name before the colon");
    } else if (entries.has(name)) {
      const first = entries.get(name)?.keyAt.line ?? 0;
      findings.error("DM1008", keyAt, `${name} is written twice, first on line ${first}`, "keep one of them");
    } else entries.set(name, { keyAt, value });
  }
  return { kind: "map", entries, at: place.fallback };
}

function followAlias(walk: Walk, name: string, place: Place): Located {
  const { findings, budget } = walk;
  const { fallback: origin } = place;
  const target = walk.anchors.get(name);
  if (target === undefined) findings.error("DM1009", origin, `*${name} has no anchor &${name} before it`);
  else if (walk.open.has(target)) findings.error("DM1009", origin, `*${name} contains itself`);
  else if (budget.aliased <= aliasedNodesMax) return walkNode(walk, target, { ...place, isAliased: true });
  else if (!budget.isReported) {
    budget.isReported = true;
    findings.error("DM1009", origin, `aliases add more than ${aliasedNodesMax} values to the file`);
  }
  return nothing(origin);
}

function nothing(at: Origin): Located {
  return { kind: "scalar", value: null, source: "", at };
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
