// From a route's `match:` to what the proxy compares.
import type { StringMatch } from "../../../proxy/contract/config.ts";
import { pathText } from "../describe.ts";
import type { Path } from "../located.ts";
import type { MatchSpec } from "../spec.ts";
import type { NativeContext } from "./context.ts";
import type { MatchInput, PathInput, ValueMatchInput } from "./schema.ts";

/** One MatchSpec for each method, since a MatchSpec has one. */
export function buildMatch(context: NativeContext, input: MatchInput, at: Path): readonly MatchSpec[] {
  const { path, method, methods = [], headers, query } = input;
  if (method !== undefined && methods.length > 0) {
    context.findings.error(
      "DM1118",
      context.keyAt([...at, "methods"]),
      "method and methods exclude each other",
      "keep methods",
    );
  }
  if (Object.keys(input).length === 0 && context.isEmptyAsWritten(at)) {
    context.findings.error(
      "DM1118",
      context.valueAt(at),
      "the match is empty",
      "leave match out to match every request",
    );
  }
  const base: MatchSpec = {
    ...(path === undefined ? {} : { path: buildPath(context, path, [...at, "path"]) }),
    ...(headers === undefined ? {} : { headers: buildHeaders(context, headers, [...at, "headers"]) }),
    ...(query === undefined ? {} : { query: buildValues(context, query, [...at, "query"]) }),
  };
  const wanted = method === undefined ? methods : [method];
  if (wanted.length === 0) return [base];
  return [...new Set(wanted)].map((value) => ({ ...base, method: { kind: "exact", value } }));
}

/** `/charge` is exact, `/api/*` is the prefix /api/. */
function buildPath(context: NativeContext, input: PathInput, at: Path): StringMatch {
  if (typeof input === "string") {
    if (input.endsWith("*")) return { kind: "prefix", value: input.slice(0, -1) };
    return { kind: "exact", value: input };
  }
  return only(context, input, at);
}

function buildHeaders(context: NativeContext, input: Readonly<Record<string, ValueMatchInput>>, at: Path) {
  const result = new Map<string, StringMatch>();
  for (const [name, value] of Object.entries(input)) {
    const lower = name.toLowerCase();
    if (result.has(lower)) {
      context.findings.error(
        "DM1118",
        context.keyAt([...at, name]),
        `header ${lower} is matched twice; case does not matter`,
      );
    }
    result.set(lower, buildValue(context, value, [...at, name]));
  }
  return Object.fromEntries(result);
}

function buildValues(context: NativeContext, input: Readonly<Record<string, ValueMatchInput>>, at: Path) {
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [name, buildValue(context, value, [...at, name])]),
  );
}

function buildValue(context: NativeContext, input: ValueMatchInput, at: Path): StringMatch {
  if (typeof input === "string") return { kind: "exact", value: input };
  if (input.present === false) {
    context.findings.error(
      "DM1118",
      context.valueAt([...at, "present"]),
      "present can only be true",
      "match what is there",
    );
  }
  return only(context, input, at);
}

/** Exactly one of the alternatives may be written. */
function only(
  context: NativeContext,
  input: Readonly<Record<string, string | boolean | undefined>>,
  at: Path,
): StringMatch {
  const [first, ...more] = Object.entries(input);
  if (more.length > 0 || (first === undefined && context.isEmptyAsWritten(at))) {
    const found = first === undefined ? "nothing" : Object.keys(input).join(" and ");
    context.findings.error(
      "DM1118",
      context.keyAt(at),
      `${pathText(at)} needs exactly one way to match, but has ${found}`,
    );
  }
  const [kind, value] = first ?? ["present", true];
  if (kind === "exact" || kind === "prefix" || kind === "regex") return { kind, value: String(value) };
  return { kind: "present" };
}
