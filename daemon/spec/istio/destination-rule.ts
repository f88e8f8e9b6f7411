// Istio's DestinationRule: a host and its subsets.

import { isIP } from "node:net";
import type { Findings } from "../findings.ts";
import type { Entry, Located } from "../located.ts";
import { isLabel, isWildcardHost } from "../names.ts";
import type { DestinationRuleSpec } from "../spec.ts";
import { type FieldTable, readEntries, readFields, readList, readText, requireField } from "./fields.ts";
import type { Metadata } from "./metadata.ts";

const specTable: FieldTable = {
  host: "read",
  subsets: "read",
  exportTo: { noEffect: "a mesh has one namespace" },
  trafficPolicy: "later",
  workloadSelector: "later",
};
const subsetTable: FieldTable = { name: "read", labels: "read", trafficPolicy: "later" };
// Kubernetes' label syntax: an optional DNS prefix and a name; a value may be empty.
const labelName = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?)?$/;

export function readDestinationRule(metadata: Metadata, spec: Entry, findings: Findings): DestinationRuleSpec {
  const what = "DestinationRule";
  const fields = readFields(spec.value, specTable, what, findings);
  const hostEntry = requireField(fields, "host", spec.keyAt, { what, findings });
  const host = readText(hostEntry, `${what}.host`, findings) ?? "";
  if (hostEntry !== undefined && host !== "" && !isWildcardHost(host) && isIP(host) === 0) {
    findings.error(
      "DM1206",
      hostEntry.value.at,
      `"${host}" is not a host name`,
      "* may only be the whole left-most label",
    );
  } else if (hostEntry?.value.kind === "scalar" && hostEntry.value.value === "") {
    findings.error("DM1206", hostEntry.value.at, `${what}.host must not be empty`);
  }
  const subsets = readList(fields.get("subsets"), `${what}.subsets`, findings).map((node, index) =>
    readSubset(node, `subsets[${index}]`, findings),
  );
  const names = new Set<string>();
  for (const { name, origin } of subsets) {
    if (name !== "" && names.has(name)) findings.error("DM1205", origin, `the subset ${name} is defined twice`);
    names.add(name);
  }
  return { ...metadata, host, subsets };
}

function readSubset(node: Located, what: string, findings: Findings): DestinationRuleSpec["subsets"][number] {
  const fields = readFields(node, subsetTable, what, findings);
  const nameEntry = requireField(fields, "name", node.at, { what, findings });
  const name = readText(nameEntry, `${what}.name`, findings) ?? "";
  const isBad = nameEntry?.value.kind === "scalar" && typeof nameEntry.value.value === "string" && !isLabel(name);
  if (isBad) findings.error("DM1205", nameEntry.value.at, `${what}.name must be a DNS label, but is "${name}"`);
  const labels: [string, string][] = [];
  for (const [key, entry] of readEntries(fields.get("labels"), `${what}.labels`, findings)) {
    const value = readText(entry, `${what}.labels.${key}`, findings);
    if (!labelName.test(key)) findings.error("DM1205", entry.keyAt, `"${key}" is not a label's name`);
    if (value === null) continue;
    if (!labelValue.test(value)) findings.error("DM1205", entry.value.at, `"${value}" is not a label's value`);
    labels.push([key, value]);
  }
  return { origin: nameEntry?.value.at ?? node.at, name, labels: Object.fromEntries(labels) };
}
