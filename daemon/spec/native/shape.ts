// Checks one native document against its schema: zod's issues become diagnostics with positions, and what is wrong is cut
// out, so that the checks that follow can still report everything else.
import type * as z from "zod";
import { described, pathText } from "../describe.ts";
import { suggest } from "../did-you-mean.ts";
import type { Findings } from "../findings.ts";
import { entryAt, type Located, type Path, toPlain, without } from "../located.ts";
import type { ClosedDetail, IssueDetail } from "./fields.ts";
import { type NativeInput, nativeSchema } from "./schema.ts";

type Issue = z.core.$ZodIssue;

export interface CheckedShape {
  readonly input: NativeInput;
  /** What `input` was made of: without the parts that were wrong. */
  readonly root: Located;
}

/** Each round cuts at least one value out, and a file holds far fewer levels than this. */
const roundsMax = 40;
/** With more than these the file is not mesh.yaml at all; cutting each out of a large map would take quadratic time. */
const cutMax = 200;

export function checkShape(document: Located, findings: Findings): CheckedShape {
  let root = document;
  for (let round = 0; round < roundsMax; round += 1) {
    const result = nativeSchema.safeParse(toPlain(root), { reportInput: true });
    if (result.success) return { input: result.data, root };
    // Later rounds only find what the cutting caused.
    if (round === 0) for (const issue of result.error.issues) report(issue, [], root, findings);
    const bad = result.error.issues.flatMap(badPaths);
    if (bad.length > cutMax || bad.some((path) => path.length === 0)) break;
    // From the back, so that a list's earlier indices stay true.
    for (const path of bad.sort(fromTheBack)) {
      root = without(root, path);
    }
  }
  return { input: {}, root: { kind: "map", entries: new Map(), isCut: true, at: document.at } };
}

function badPaths(issue: Issue): readonly Path[] {
  const path = asPath(issue.path);
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => [...path, key]);
  const inner = chosenBranch(issue);
  if (inner !== null) return inner.flatMap(badPaths).map((rest) => [...path, ...rest]);
  // A missing key cannot be cut out, so what lacks it is.
  if (isMissing(issue)) return [path.slice(0, -1)];
  return [path];
}

function fromTheBack(a: Path, b: Path): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left === right) continue;
    if (typeof left === "number" && typeof right === "number") return right - left;
    return left === undefined ? 1 : right === undefined ? -1 : String(left) < String(right) ? 1 : -1;
  }
  return 0;
}

function report(issue: Issue, base: Path, root: Located, findings: Findings): void {
  const path = [...base, ...asPath(issue.path)];
  const entry = entryAt(root, path);
  if (issue.code === "unrecognized_keys") {
    reportUnknownKeys(issue, path, root, findings);
    return;
  }
  const inner = chosenBranch(issue);
  if (inner !== null) {
    for (const one of inner) report(one, path, root, findings);
    return;
  }
  if (entry === null) {
    const parent = entryAt(root, path.slice(0, -1));
    const key = String(path.at(-1));
    const where = path.length > 1 ? pathText(path.slice(0, -1)) : "mesh.yaml";
    findings.error("DM1104", parent?.value.at ?? root.at, `${where} needs ${key}: ${issue.message}`);
    return;
  }
  if (issue.code === "invalid_key") {
    const [first] = issue.issues;
    const { code, detail, hint } = detailOf(first) ?? { code: "DM1107", detail: "", hint: "" };
    const reason = detail === "" ? "" : `: ${detail}`;
    findings.error(code, entry.keyAt, `${pathText(path)} must be ${first?.message ?? "a name"}${reason}`, hint);
    return;
  }
  const about = detailOf(issue);
  const code = about?.code ?? (isWrongWord(issue, entry.value) ? "DM1112" : "DM1102");
  const reason = about === null || about.detail === "" ? "" : `: ${about.detail}`;
  const message = `${pathText(path)} must be ${issue.message}, but is ${described(entry.value)}${reason}`;
  findings.error(code, entry.value.at, message, about?.hint || hintFor(entry.value, issue));
}

function reportUnknownKeys(
  issue: Issue & { code: "unrecognized_keys" },
  path: Path,
  root: Located,
  findings: Findings,
): void {
  const { known, later } = JSON.parse(issue.message) as ClosedDetail;
  const where = path.length === 0 ? "mesh.yaml" : pathText(path);
  for (const key of issue.keys) {
    const at = entryAt(root, [...path, key])?.keyAt ?? root.at;
    if (later.includes(key)) {
      findings.error("DM1105", at, `${key} is not supported yet`, "take it out: a key that does nothing would mislead");
    } else if (key === "<<") {
      findings.error("DM1101", at, "<< (a merge key) is not read", "use an alias for a whole value instead");
    } else findings.error("DM1101", at, `${where} has no key ${key}`, suggest(key, known, "keys are"));
  }
}

/**
 * The issues of that alternative of a union which was meant: one whose type fits. Null when none fits; then the union says itself
 * what it expects.
 */
function chosenBranch(issue: Issue): readonly Issue[] | null {
  if (issue.code !== "invalid_union") return null;
  const fitting = issue.errors.filter((branch) => !branch.some((one) => one.path.length === 0 && isWrongType(one)));
  return fitting[0] ?? null;
}

const isWrongType = (issue: Issue): boolean =>
  issue.code === "invalid_type" ||
  issue.code === "invalid_value" ||
  (issue.code === "invalid_union" && chosenBranch(issue) === null);

const isMissing = (issue: Issue): boolean =>
  (issue.code === "invalid_type" || issue.code === "invalid_union" || issue.code === "invalid_value") &&
  issue.input === undefined;

function isWrongWord(issue: Issue, node: Located): boolean {
  return node.kind === "scalar" && typeof node.value === "string" && allowedWords(issue).length > 0;
}

/** The words that would have been right, where words are. */
function allowedWords(issue: Issue): readonly string[] {
  if (issue.code === "invalid_value") return issue.values.map(String);
  return issue.code === "invalid_union" ? issue.errors.flat().flatMap(allowedWords) : [];
}

function detailOf(issue: Issue | undefined): IssueDetail | null {
  if (issue?.code !== "custom" || issue.params === undefined) return null;
  return issue.params as unknown as IssueDetail;
}

function hintFor(node: Located, issue: Issue): string {
  if (node.kind !== "scalar") return "";
  if (issue.message.includes("quotes") && typeof node.value !== "string") return `write "${node.source}"`;
  if (issue.message.includes("duration") && typeof node.value === "number")
    return `write ${node.source}s or ${node.source}ms`;
  const words = allowedWords(issue);
  if (words.length > 0 && typeof node.value === "string") return suggest(node.value, words, "words are");
  return "";
}

function asPath(path: readonly PropertyKey[]): Path {
  return path.map((step) => (typeof step === "number" ? step : String(step)));
}
