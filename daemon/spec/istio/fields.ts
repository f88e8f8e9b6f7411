// Reads Istio's messages from YAML: which fields are read, which come later, which have no effect here. Both spellings of
// proto JSON (camelCase and snake_case) are taken.

import { described } from "../describe.ts";
import { nearest } from "../did-you-mean.ts";
import { parseDuration } from "../duration.ts";
import type { Findings } from "../findings.ts";
import type { Entry, Located } from "../located.ts";
import type { Origin } from "../spec.ts";

/** `ignored` says nothing; text is why a field has no effect here, and is shown as a warning. */
export type FieldRule = "read" | "later" | "ignored" | { readonly noEffect: string };
export type FieldTable = Readonly<Record<string, FieldRule>>;
export type Fields = ReadonlyMap<string, Entry>;

const noFields: Fields = new Map();

/** The fields of a message; a field that is written as nothing is absent, as in proto JSON. */
export function readFields(node: Located, table: FieldTable, what: string, findings: Findings): Fields {
  if (node.kind === "scalar" && node.value === null) return noFields;
  if (node.kind !== "map") {
    findings.error("DM1204", node.at, `${what} must be a map, but is ${described(node)}`);
    return noFields;
  }
  const fields = new Map<string, Entry>();
  for (const [written, entry] of node.entries) {
    const name = camelCase(written);
    const rule = Object.hasOwn(table, name) ? table[name] : undefined;
    const isAbsent = entry.value.kind === "scalar" && entry.value.value === null;
    if (rule === undefined) {
      const near = nearest(name, Object.keys(table));
      findings.error(
        "DM1202",
        entry.keyAt,
        `${what} has no field ${written}`,
        near === null ? "" : `did you mean ${near}?`,
      );
    } else if (isAbsent) continue;
    else if (rule === "later") {
      findings.error(
        "DM1203",
        entry.keyAt,
        `${what}.${name} is not supported yet`,
        "take it out, or keep this document in another file",
      );
    } else if (typeof rule === "object") {
      findings.warning("DM1209", entry.keyAt, `${what}.${name} has no effect here: ${rule.noEffect}`);
    } else if (fields.has(name)) {
      findings.error("DM1008", entry.keyAt, `${name} is written twice, in both spellings`, "keep one of them");
    } else if (rule === "read") fields.set(name, entry);
  }
  return fields;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Readers of one value: the value, or null after reporting it. An absent field is null as well. */
export function readText(entry: Entry | undefined, what: string, findings: Findings): string | null {
  if (entry === undefined) return null;
  const { value } = entry;
  if (value.kind === "scalar" && typeof value.value === "string") return value.value;
  const hint = value.kind === "scalar" ? `write "${value.source}"` : "";
  findings.error("DM1204", value.at, `${what} must be text, but is ${described(value)}`, hint);
  return null;
}

export function readInteger(entry: Entry | undefined, what: string, findings: Findings): number | null {
  if (entry === undefined) return null;
  const { value } = entry;
  if (value.kind === "scalar" && typeof value.value === "number" && Number.isInteger(value.value)) return value.value;
  findings.error("DM1204", value.at, `${what} must be a whole number, but is ${described(value)}`);
  return null;
}

export function readFlag(entry: Entry | undefined, what: string, findings: Findings): boolean | null {
  if (entry === undefined) return null;
  const { value } = entry;
  if (value.kind === "scalar" && typeof value.value === "boolean") return value.value;
  findings.error("DM1204", value.at, `${what} must be true or false, but is ${described(value)}`);
  return null;
}

export function readList(entry: Entry | undefined, what: string, findings: Findings): readonly Located[] {
  if (entry === undefined) return [];
  if (entry.value.kind === "list") return entry.value.items;
  findings.error("DM1204", entry.value.at, `${what} must be a list, but is ${described(entry.value)}`);
  return [];
}

export function readEntries(entry: Entry | undefined, what: string, findings: Findings): readonly [string, Entry][] {
  if (entry === undefined) return [];
  if (entry.value.kind === "map") return [...entry.value.entries];
  findings.error("DM1204", entry.value.at, `${what} must be a map, but is ${described(entry.value)}`);
  return [];
}

/** Milliseconds. Istio takes nothing below 1 ms and no fractions of one. */
export function readDuration(entry: Entry | undefined, what: string, findings: Findings): number | null {
  const text = readText(entry, what, findings);
  if (text === null || entry === undefined) return null;
  const milliseconds = parseDuration(text);
  if (milliseconds !== null && milliseconds >= 1) return milliseconds;
  const message = `${what} must be a duration of whole milliseconds from 1ms, such as 2s, but is "${text}"`;
  findings.error("DM1205", entry.value.at, message, text === "0s" ? "leave it out for none" : "");
  return null;
}

export function requireField(
  fields: Fields,
  name: string,
  at: Origin,
  rest: { what: string; findings: Findings },
): Entry | undefined {
  const entry = fields.get(name);
  if (entry === undefined) rest.findings.error("DM1204", at, `${rest.what} needs ${name}`);
  return entry;
}
