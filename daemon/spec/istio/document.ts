// One Istio document: which kind it is, and who reads it.
import { suggest } from "../did-you-mean.ts";
import type { Findings } from "../findings.ts";
import type { LocatedMap } from "../located.ts";
import type { DestinationRuleSpec, VirtualServiceSpec } from "../spec.ts";
import { readDestinationRule } from "./destination-rule.ts";
import { type FieldTable, readFields, readText, requireField } from "./fields.ts";
import { readMetadata } from "./metadata.ts";
import { readVirtualService } from "./virtual-service.ts";

const table: FieldTable = { apiVersion: "read", kind: "read", metadata: "read", spec: "read", status: "ignored" };
const networking = ["v1", "v1beta1", "v1alpha3"].map((version) => `networking.istio.io/${version}`);
const supportedKinds = ["VirtualService", "DestinationRule"];
/** Istio's kinds that a later version reads. */
const laterKinds = [
  ...["Gateway", "ServiceEntry", "WorkloadEntry", "WorkloadGroup", "Sidecar", "EnvoyFilter", "ProxyConfig"],
  ...["PeerAuthentication", "AuthorizationPolicy", "RequestAuthentication", "Telemetry", "WasmPlugin"],
];

export interface IstioSpecs {
  readonly virtualServices: VirtualServiceSpec[];
  readonly destinationRules: DestinationRuleSpec[];
}

/** A document is Istio's when it says what it is; every other one is native. */
export function isIstioDocument(root: LocatedMap): boolean {
  return ["apiVersion", "api_version", "kind"].some((key) => root.entries.has(key));
}

export function readIstioDocument(root: LocatedMap, into: IstioSpecs, findings: Findings): void {
  const kindEntry = root.entries.get("kind");
  const kind = kindEntry === undefined ? null : readText(kindEntry, "kind", findings);
  if (kind === null) {
    if (kindEntry === undefined) findings.error("DM1204", root.at, "a document with apiVersion needs kind");
    return;
  }
  const at = kindEntry?.value.at ?? root.at;
  if (laterKinds.includes(kind)) {
    findings.error("DM1201", at, `the kind ${kind} is not supported yet`, "keep it in another file");
    return;
  }
  if (!supportedKinds.includes(kind)) {
    findings.error(
      "DM1201",
      at,
      `the kind ${kind} is not one of Istio's that devmesh reads`,
      suggest(kind, supportedKinds, "kinds are"),
    );
    return;
  }
  const fields = readFields(root, table, kind, findings);
  const version = requireField(fields, "apiVersion", root.at, { what: kind, findings });
  const versionText = readText(version, "apiVersion", findings);
  if (version !== undefined && versionText !== null && !networking.includes(versionText)) {
    findings.error(
      "DM1201",
      version.value.at,
      `${versionText} has no ${kind}`,
      `apiVersion is one of ${networking.join(", ")}`,
    );
  }
  const metadata = readMetadata(fields.get("metadata"), root, kind, findings);
  const spec = requireField(fields, "spec", root.at, { what: kind, findings });
  if (spec === undefined) return;
  if (kind === "VirtualService") into.virtualServices.push(readVirtualService(metadata, spec, findings));
  else into.destinationRules.push(readDestinationRule(metadata, spec, findings));
}
