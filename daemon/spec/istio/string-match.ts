// Istio's StringMatch, and HTTPMatchRequest made of it.
import type { StringMatch } from "../../../proxy/contract/config.ts";
import type { Findings } from "../findings.ts";
import type { Entry, Located } from "../located.ts";
import { isHeaderName, isPort } from "../names.ts";
import { regexFault } from "../regex.ts";
import type { MatchSpec } from "../spec.ts";
import { type Fields, type FieldTable, readEntries, readFields, readFlag, readInteger, readText } from "./fields.ts";

const matchTable: FieldTable = {
  name: "read",
  uri: "read",
  method: "read",
  authority: "read",
  headers: "read",
  withoutHeaders: "read",
  queryParams: "read",
  ignoreUriCase: "read",
  port: "read",
  gateways: "read",
  scheme: "later",
  sourceLabels: "later",
  sourceNamespace: "later",
  statPrefix: { noEffect: "there are no Envoy statistics" },
};
const stringMatchTable: FieldTable = { exact: "read", prefix: "read", regex: "read" };
/** Istio's documentation: these keys of a header map are ignored, since fields of their own match them. */
const ownFields = ["uri", "scheme", "method", "authority"];

export interface NamedMatch {
  readonly name: string | null;
  readonly match: MatchSpec;
  readonly gateways: Entry | undefined;
}

export function readMatch(node: Located, what: string, findings: Findings): NamedMatch {
  const fields = readFields(node, matchTable, what, findings);
  const one = (name: string, isPresenceAllowed = false) => {
    const entry = fields.get(name);
    return entry === undefined
      ? null
      : readStringMatch(entry.value, { what: `${what}.${name}`, isPresenceAllowed }, findings);
  };
  const [path, method, authority] = [one("uri"), one("method"), one("authority")];
  const ignoreUriCase = readFlag(fields.get("ignoreUriCase"), `${what}.ignoreUriCase`, findings);
  const headers = readHeaders(fields, "headers", what, findings);
  const withoutHeaders = readHeaders(fields, "withoutHeaders", what, findings);
  const query = readQuery(fields.get("queryParams"), `${what}.queryParams`, findings);
  const port = readPort(fields.get("port"), `${what}.port`, findings);
  const match: MatchSpec = {
    ...(path === null ? {} : { path }),
    ...(path === null || ignoreUriCase !== true ? {} : { ignoreUriCase }),
    ...(method === null ? {} : { method }),
    ...(authority === null ? {} : { authority }),
    ...(headers === null ? {} : { headers }),
    ...(withoutHeaders === null ? {} : { withoutHeaders }),
    ...(query === null ? {} : { query }),
    ...(port === null ? {} : { port }),
  };
  return { name: readText(fields.get("name"), `${what}.name`, findings), match, gateways: fields.get("gateways") };
}

/** A map of nothing (and, as Istio translates it, the regex `*`) means presence where a name comes with it. */
function readStringMatch(
  node: Located,
  about: { what: string; isPresenceAllowed: boolean },
  findings: Findings,
): StringMatch | null {
  const { what, isPresenceAllowed } = about;
  const isNothing = node.kind === "scalar" && node.value === null;
  const fields = readFields(node, stringMatchTable, what, findings);
  const [first, ...more] = fields;
  if (more.length > 0) {
    findings.error("DM1205", node.at, `${what} can have only one of exact, prefix and regex`);
    return null;
  }
  if (first === undefined) {
    if (isPresenceAllowed) return { kind: "present" };
    const isEmptyMap = isNothing || (node.kind === "map" && node.entries.size === 0);
    if (isEmptyMap) findings.error("DM1205", node.at, `${what} needs one of exact, prefix and regex`);
    return null;
  }
  const [kind, entry] = first;
  const value = readText(entry, `${what}.${kind}`, findings);
  if (value === null) return null;
  if (kind === "exact") return { kind, value };
  if (kind === "prefix") {
    // Envoy takes an empty prefix for paths only.
    if (value === "" && !what.endsWith(".uri"))
      findings.error("DM1205", entry.value.at, `${what}.prefix must not be empty`);
    return { kind, value };
  }
  if (isPresenceAllowed && value === "*") return { kind: "present" };
  const fault = regexFault(value);
  if (fault !== null) findings.error("DM1205", entry.value.at, `${what}.regex is not RE2 syntax: ${fault}`);
  return { kind: "regex", value };
}

function readHeaders(fields: Fields, field: "headers" | "withoutHeaders", within: string, findings: Findings) {
  const entry = fields.get(field);
  if (entry === undefined) return null;
  const what = `${within}.${field}`;
  const result = new Map<string, StringMatch>();
  for (const [written, { keyAt, value }] of readEntries(entry, what, findings)) {
    const name = written.toLowerCase();
    if (written.startsWith("@request.auth.")) {
      findings.error("DM1203", keyAt, `routing by a token's claims (${written}) is not supported yet`);
    } else if (!isHeaderName(written)) findings.error("DM1205", keyAt, `"${written}" is not a header's name`);
    else if (ownFields.includes(name)) {
      findings.warning("DM1209", keyAt, `${name} in ${what} is ignored, as Istio does`, `use the field ${name}`);
    } else if (result.has(name))
      findings.error("DM1205", keyAt, `header ${name} is matched twice; case does not matter`);
    else {
      const match = readStringMatch(value, { what: `${what}.${written}`, isPresenceAllowed: true }, findings);
      if (match !== null) result.set(name, match);
    }
  }
  return result.size === 0 ? null : Object.fromEntries(result);
}

function readQuery(entry: Entry | undefined, what: string, findings: Findings) {
  const result: [string, StringMatch][] = [];
  for (const [name, { value }] of readEntries(entry, what, findings)) {
    const match = readStringMatch(value, { what: `${what}.${name}`, isPresenceAllowed: true }, findings);
    if (match !== null) result.push([name, match]);
  }
  return result.length === 0 ? null : Object.fromEntries(result);
}

/** A port's number; 0 is proto's "not set". */
export function readPort(entry: Entry | undefined, what: string, findings: Findings): number | null {
  const port = readInteger(entry, what, findings);
  if (port === null || port === 0 || entry === undefined) return null;
  if (isPort(port)) return port;
  findings.error("DM1205", entry.value.at, `${what} must be a port from 1 to 65535, but is ${port}`);
  return null;
}
