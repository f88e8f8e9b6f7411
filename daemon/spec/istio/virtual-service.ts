// Istio's VirtualService: hosts, and http routes with match, route, weight, timeout and retries.
import { isIP } from "node:net";
import { described } from "../describe.ts";
import type { Findings } from "../findings.ts";
import type { Entry, Located } from "../located.ts";
import { coversHost, isLabel, isWildcardHost } from "../names.ts";
import type { MatchSpec, Origin, VirtualServiceRouteSpec, VirtualServiceSpec } from "../spec.ts";
import { weightMax, weightsFault } from "../weights.ts";
import { type FieldTable, readDuration, readFields, readInteger, readList, readText, requireField } from "./fields.ts";
import type { Metadata } from "./metadata.ts";
import { readRetries } from "./retries.ts";
import { readMatch, readPort } from "./string-match.ts";

const specTable: FieldTable = {
  hosts: "read",
  gateways: "read",
  http: "read",
  exportTo: { noEffect: "a mesh has one namespace" },
  tls: "later",
  tcp: "later",
};
const routeTable: FieldTable = {
  name: "read",
  match: "read",
  route: "read",
  timeout: "read",
  retries: "read",
  redirect: "later",
  directResponse: "later",
  delegate: "later",
  rewrite: "later",
  fault: "later",
  mirror: "later",
  mirrors: "later",
  mirrorPercentage: "later",
  mirrorPercent: "later",
  corsPolicy: "later",
  headers: "later",
};
const weightedTable: FieldTable = { destination: "read", weight: "read", headers: "later" };
const destinationTable: FieldTable = { host: "read", subset: "read", port: "read" };

export function readVirtualService(metadata: Metadata, spec: Entry, findings: Findings): VirtualServiceSpec {
  const what = "VirtualService";
  const fields = readFields(spec.value, specTable, what, findings);
  const hosts = readHosts(requireField(fields, "hosts", spec.keyAt, { what, findings }), findings);
  checkGateways(fields.get("gateways"), `${what}.gateways`, findings);
  const http = fields.get("http");
  const rules = readList(http, `${what}.http`, findings);
  const hasOthers = spec.value.kind === "map" && (spec.value.entries.has("tls") || spec.value.entries.has("tcp"));
  if (rules.length === 0 && !hasOthers)
    findings.error("DM1204", http?.keyAt ?? spec.keyAt, `${what} needs at least one http route`);
  const routes = rules.map((rule, index) => readRoute(rule, `http[${index}]`, findings));
  // A rule whose match is wrong may look as if it matched everything.
  if (!findings.hasErrors()) reportUnreachable(routes, findings);
  return { ...metadata, hosts, http: routes };
}

function readHosts(entry: Entry | undefined, findings: Findings): VirtualServiceSpec["hosts"] {
  const hosts: { host: string; origin: Origin }[] = [];
  const valid: string[] = [];
  const items = readList(entry, "VirtualService.hosts", findings);
  if (entry !== undefined && entry.value.kind === "list" && items.length === 0) {
    findings.error("DM1206", entry.keyAt, "VirtualService.hosts must name at least one host");
  }
  for (const item of items) {
    const host = readText({ keyAt: item.at, value: item }, "a host", findings);
    if (host === null) continue;
    const twin = valid.find((other) => coversHost(other, host) || coversHost(host, other));
    if (host === "*") findings.error("DM1206", item.at, "the host * is allowed on a gateway only, not on the mesh");
    else if (isIP(host) !== 0) findings.error("DM1206", item.at, `${host} is an address; hosts are names on the mesh`);
    else if (!isWildcardHost(host)) {
      findings.error(
        "DM1206",
        item.at,
        `${described(item)} is not a host name`,
        "* may only be the whole left-most label",
      );
    } else if (twin !== undefined) {
      findings.error("DM1206", item.at, `${host} overlaps with the host ${twin} of the same VirtualService`);
    } else valid.push(host);
    hosts.push({ host, origin: item.at });
  }
  return hosts;
}

/** `mesh` is every sidecar, which is what an absent list means. */
export function checkGateways(entry: Entry | undefined, what: string, findings: Findings): void {
  for (const item of readList(entry, what, findings)) {
    const name = readText({ keyAt: item.at, value: item }, what, findings);
    if (name !== null && name !== "mesh") {
      findings.error(
        "DM1203",
        item.at,
        `${what}: routes for the gateway ${name} are not supported yet`,
        "leave gateways out, or write [mesh]",
      );
    }
  }
}

function readRoute(rule: Located, what: string, findings: Findings): VirtualServiceRouteSpec {
  const fields = readFields(rule, routeTable, what, findings);
  const match = readList(fields.get("match"), `${what}.match`, findings).map((node, index) => {
    const { match: built, gateways } = readMatch(node, `${what}.match[${index}]`, findings);
    checkGateways(gateways, `${what}.match[${index}].gateways`, findings);
    return built;
  });
  const route = readDestinations(fields.get("route"), `${what}.route`, findings);
  const isReplaced =
    rule.kind === "map" &&
    ["redirect", "directResponse", "direct_response", "delegate"].some((key) => rule.entries.has(key));
  const isList = fields.get("route")?.value.kind === "list";
  if (route.length === 0 && !isReplaced && (isList || !fields.has("route"))) {
    findings.error(
      "DM1204",
      fields.get("route")?.keyAt ?? rule.at,
      `${what} needs a route with at least one destination`,
    );
  }
  return {
    origin: rule.at,
    name: readText(fields.get("name"), `${what}.name`, findings) ?? "",
    match,
    route,
    timeoutMs: readDuration(fields.get("timeout"), `${what}.timeout`, findings) ?? 0,
    retry: readRetries(fields.get("retries"), `${what}.retries`, findings),
  };
}

type Destination = VirtualServiceRouteSpec["route"][number];

function readDestinations(entry: Entry | undefined, what: string, findings: Findings): readonly Destination[] {
  const items = readList(entry, what, findings);
  const destinations = items.map((item, index) => readDestination(item, `${what}[${index}]`, findings));
  const [only] = destinations;
  // A single destination gets everything, whatever its weight says.
  if (only !== undefined && destinations.length === 1) return [{ ...only, weight: 1 }];
  const weights = destinations.map(({ weight }) => Math.max(0, weight));
  const fault = weights.length === 0 ? null : weightsFault(weights);
  if (fault !== null) findings.error("DM1207", entry?.keyAt ?? { file: "", line: 0, column: 0 }, `${what}: ${fault}`);
  return destinations;
}

function readDestination(item: Located, what: string, findings: Findings): Destination {
  const fields = readFields(item, weightedTable, what, findings);
  const weight = readInteger(fields.get("weight"), `${what}.weight`, findings) ?? 0;
  const weightAt = fields.get("weight")?.value.at ?? item.at;
  if (weight < 0) findings.error("DM1207", weightAt, `${what}.weight cannot be negative`);
  if (weight > weightMax) findings.error("DM1207", weightAt, `${what}.weight is larger than ${weightMax}`);
  const destination = requireField(fields, "destination", item.at, { what, findings });
  const inner =
    destination === undefined ? null : readFields(destination.value, destinationTable, `${what}.destination`, findings);
  if (destination === undefined || inner === null)
    return { origin: item.at, host: "", subset: null, port: null, weight };
  const name = `${what}.destination`;
  const hostEntry = requireField(inner, "host", destination.keyAt, { what: name, findings });
  const host = readText(hostEntry, `${name}.host`, findings) ?? "";
  if (hostEntry !== undefined && (host === "*" || (host !== "" && !isWildcardHost(host)))) {
    findings.error("DM1206", hostEntry.value.at, `${name}.host must be a host name, but is "${host}"`);
  } else if (hostEntry?.value.kind === "scalar" && hostEntry.value.value === "") {
    findings.error("DM1206", hostEntry.value.at, `${name}.host must not be empty`);
  }
  const subset = readText(inner.get("subset"), `${name}.subset`, findings) || null;
  if (subset !== null && !isLabel(subset)) {
    findings.error(
      "DM1205",
      inner.get("subset")?.value.at ?? item.at,
      `${name}.subset must be a DNS label, but is "${subset}"`,
    );
  }
  return {
    origin: hostEntry?.value.at ?? item.at,
    host,
    subset,
    port: readDestinationPort(inner.get("port"), name, findings),
    weight,
  };
}

function readDestinationPort(entry: Entry | undefined, what: string, findings: Findings): number | null {
  if (entry === undefined) return null;
  const fields = readFields(entry.value, { number: "read" }, `${what}.port`, findings);
  const number = requireField(fields, "number", entry.keyAt, { what: `${what}.port`, findings });
  const port = readPort(number, `${what}.port.number`, findings);
  if (port === null && number?.value.kind === "scalar" && number.value.value === 0) {
    findings.error("DM1205", number.value.at, `${what}.port.number must be a port from 1 to 65535, but is 0`);
  }
  return port;
}

/** IST0130: a rule without match takes every request, so what follows it takes none. */
function reportUnreachable(routes: readonly VirtualServiceRouteSpec[], findings: Findings): void {
  const catchAll = routes.findIndex((route) => isCatchAll(route.match));
  if (catchAll < 0) return;
  const line = routes[catchAll]?.origin.line ?? 0;
  for (const route of routes.slice(catchAll + 1)) {
    findings.warning(
      "DM1212",
      route.origin,
      `no request gets here: the rule on line ${line} matches everything (IST0130)`,
    );
  }
}

export function isCatchAll(matches: readonly MatchSpec[]): boolean {
  if (matches.length === 0) return true;
  return matches.some(({ path, ignoreUriCase: _, ...rest }) => {
    const isEveryPath = path === undefined || (path.kind === "prefix" && (path.value === "/" || path.value === ""));
    return isEveryPath && Object.keys(rest).length === 0;
  });
}
