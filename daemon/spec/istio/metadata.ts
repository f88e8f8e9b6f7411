// The head that every Istio document has: apiVersion, kind, metadata.
import type { Findings } from "../findings.ts";
import type { Entry, Located } from "../located.ts";
import { isHostName, isLabel } from "../names.ts";
import type { Origin } from "../spec.ts";
import { type FieldTable, readFields, readText, requireField } from "./fields.ts";

export interface Metadata {
  readonly origin: Origin;
  readonly name: string;
  readonly namespace: string | null;
}

/** What Kubernetes keeps there says nothing to a mesh without Kubernetes. */
const table: FieldTable = {
  name: "read",
  namespace: "read",
  labels: "ignored",
  annotations: "ignored",
  creationTimestamp: "ignored",
  deletionTimestamp: "ignored",
  deletionGracePeriodSeconds: "ignored",
  finalizers: "ignored",
  generation: "ignored",
  managedFields: "ignored",
  ownerReferences: "ignored",
  resourceVersion: "ignored",
  selfLink: "ignored",
  uid: "ignored",
  generateName: { noEffect: "nothing is generated; write name" },
};

export function readMetadata(entry: Entry | undefined, document: Located, what: string, findings: Findings): Metadata {
  const origin = document.at;
  if (entry === undefined) {
    findings.error("DM1204", origin, `${what} needs metadata with a name`);
    return { origin, name: "", namespace: null };
  }
  const fields = readFields(entry.value, table, `${what}.metadata`, findings);
  const nameEntry = requireField(fields, "name", entry.keyAt, { what: `${what}.metadata`, findings });
  const name = readText(nameEntry, `${what}.metadata.name`, findings) ?? "";
  if (
    nameEntry?.value.kind === "scalar" &&
    typeof nameEntry.value.value === "string" &&
    (!isHostName(name) || name !== name.toLowerCase())
  ) {
    findings.error("DM1205", nameEntry.value.at, `${what}.metadata.name must be a DNS name, but is "${name}"`);
  }
  const namespaceEntry = fields.get("namespace");
  const namespace = readText(namespaceEntry, `${what}.metadata.namespace`, findings) || null;
  if (namespace !== null && !isLabel(namespace)) {
    findings.error(
      "DM1205",
      namespaceEntry?.value.at ?? origin,
      `${what}.metadata.namespace must be a DNS label, but is "${namespace}"`,
    );
  }
  return { origin, name, namespace };
}
