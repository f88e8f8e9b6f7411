// Edits of YAML text in place: values are replaced and pairs added by their positions, every other byte stays.
import { isCollection, isMap, isPair, type Node, type Pair, type YAMLMap } from "yaml";

/** Replace what is between two offsets. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Edits must not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = text;
  for (const { start, end, text: inserted } of [...edits].sort((a, b) => b.start - a.start)) {
    result = result.slice(0, start) + inserted + result.slice(end);
  }
  return result;
}

/** Adds `key: value` right behind one of the map's pairs, in the map's own style. */
export function insertAfter(text: string, map: YAMLMap, pair: Pair, added: string): Edit {
  const end = contentEnd(pair);
  if (map.flow === true) return { start: end, end, text: `, ${added}` };
  const key = pair.key as Node;
  const start = key.range?.[0] ?? 0;
  const indent = start - (text.lastIndexOf("\n", start - 1) + 1);
  // Behind the comment of the line that the pair ends on.
  const lineEnd = text.indexOf("\n", end);
  const at = lineEnd < 0 ? text.length : text[lineEnd - 1] === "\r" ? lineEnd - 1 : lineEnd;
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  return { start: at, end: at, text: `${newline}${" ".repeat(indent)}${added}` };
}

/** Where the last character of a node is: a block collection's own range includes the comments after it. */
function contentEnd(node: unknown): number {
  if (isPair(node))
    return node.value === null ? contentEnd(node.key) : Math.max(contentEnd(node.key), contentEnd(node.value));
  const { range, flow } = node as Node & { readonly flow?: boolean };
  const own = range?.[1] ?? 0;
  if (!isCollection(node) || flow === true) return own;
  const last = node.items.at(-1);
  return last === undefined ? own : contentEnd(last);
}

/** The pair of a map whose key is written so, or undefined. */
export function pairOf(map: unknown, name: string): Pair | undefined {
  if (!isMap(map)) return undefined;
  return map.items.find((pair) => keyText(pair) === name);
}

export function keyText(pair: Pair): string {
  const { value, source } = pair.key as { value?: unknown; source?: string };
  return typeof value === "string" ? value : (source ?? String(value));
}
