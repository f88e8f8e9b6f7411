// What compose itself makes of its files (`config`), as far as a plan needs it: YAML of version 1, JSON of version 2.
import { parse } from "yaml";
import { type Json, recordOf } from "./record.ts";

export interface ComposeConfig {
  readonly services: readonly ComposeService[];
  /** By the name that services use. */
  readonly networks: ReadonlyMap<string, ComposeNetwork>;
}

export interface ComposeNetwork {
  /** Null: compose makes one of the project's name and this one's. */
  readonly name: string | null;
  readonly isInternal: boolean;
}

export interface ComposeService {
  readonly name: string;
  /** Null: it is built, under a name that compose chooses. */
  readonly image: string | null;
  readonly containerName: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** "8080/tcp" */
  readonly exposed: readonly string[];
  readonly published: readonly ComposePort[];
  /** Networks, each with the aliases that somebody wrote; empty with a network mode. */
  readonly networks: ReadonlyMap<string, readonly string[]>;
  /** "host", "none", "service:x", "container:x"; null: networks of its own. */
  readonly networkMode: string | null;
  readonly isPrivileged: boolean;
  readonly capAdd: readonly string[];
  /** Docker's words for the test; null: the image's own. */
  readonly healthTest: readonly string[] | null;
  readonly scale: number;
  readonly dependsOn: readonly string[];
  readonly profiles: readonly string[];
}

export interface ComposePort {
  /** "8080/tcp" */
  readonly containerPort: string;
  readonly hostIp: string;
  /** Null: Docker chooses one. */
  readonly hostPort: number | null;
}

/** A range that is longer is no list of ports that somebody publishes. */
const rangeMax = 1024;

/** Null when the text is none that a compose of ours prints. */
export function readComposeConfig(text: string): ComposeConfig | null {
  const root = recordOf(parsed(text));
  if (Object.keys(recordOf(root.services)).length === 0) return null;
  return {
    services: Object.entries(recordOf(root.services)).map(([name, value]) => serviceOf(name, recordOf(value))),
    networks: new Map(
      Object.entries(recordOf(root.networks)).map(([name, value]) => {
        const network = recordOf(value);
        const external = recordOf(network.external);
        const real = textOf(network.name) ?? textOf(external.name) ?? (network.external === true ? name : null);
        return [name, { name: real, isInternal: network.internal === true }];
      }),
    ),
  };
}

function serviceOf(name: string, service: Json): ComposeService {
  const networkMode = textOf(service.network_mode);
  return {
    name,
    image: textOf(service.image),
    containerName: textOf(service.container_name),
    labels: labelsOf(service.labels),
    exposed: listOf(service.expose).flatMap((port) => rangeOf(String(port))),
    published: listOf(service.ports).flatMap(portsOf),
    networks: networkMode === null ? networksOf(service.networks) : new Map(),
    networkMode,
    isPrivileged: service.privileged === true,
    capAdd: listOf(service.cap_add).map(String),
    healthTest: healthTestOf(service.healthcheck),
    scale: numberOf(service.scale) ?? numberOf(recordOf(service.deploy).replicas) ?? 1,
    dependsOn: namesOf(service.depends_on),
    profiles: listOf(service.profiles).map(String),
  };
}

function networksOf(value: unknown): ReadonlyMap<string, readonly string[]> {
  const names = namesOf(value);
  if (names.length === 0) return new Map([["default", []]]);
  const map = Array.isArray(value) ? {} : recordOf(value);
  return new Map(names.map((name) => [name, listOf(recordOf(map[name]).aliases).map(String)]));
}

function healthTestOf(value: unknown): readonly string[] | null {
  if (value === undefined || value === null) return null;
  const { test, disable } = recordOf(value);
  if (disable === true) return ["NONE"];
  if (typeof test === "string") return ["CMD-SHELL", test];
  return Array.isArray(test) ? test.map(String) : null;
}

/** `[ip:][published:]target[/protocol]`, ranges too, or the long form. */
function portsOf(value: unknown): readonly ComposePort[] {
  if (typeof value !== "object" || value === null) return shortPortsOf(String(value));
  const { target, published, protocol, host_ip } = recordOf(value);
  const hostPort = numberOf(published);
  const containerPort = `${numberOf(target) ?? 0}/${textOf(protocol) ?? "tcp"}`;
  return [{ containerPort, hostIp: textOf(host_ip) ?? "", hostPort: hostPort === 0 ? null : hostPort }];
}

function shortPortsOf(text: string): readonly ComposePort[] {
  const match = /^(?:(\[[^\]]*\]|[\d.]+):)?(?:([\d-]*):)?([\d-]+)(\/\w+)?$/.exec(text);
  if (match === null) return [];
  const [, ip = "", published = "", target = "", protocol = "/tcp"] = match;
  const targets = rangeOf(target + protocol);
  const hostPorts = published === "" ? [] : rangeOf(published).map((port) => Number.parseInt(port, 10));
  // Several host ports for one target: Docker chooses among them.
  const isFixed = hostPorts.length === targets.length;
  const hostIp = ip.replace(/^\[|\]$/g, "");
  return targets.map((containerPort, i) => ({
    containerPort,
    hostIp,
    hostPort: (isFixed ? hostPorts[i] : null) ?? null,
  }));
}

/** "7000-7001/udp" -> "7000/udp", "7001/udp" */
function rangeOf(text: string): readonly string[] {
  const [, first = "", last = first, protocol = "tcp"] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(text) ?? [];
  const length = Number(last) - Number(first) + 1;
  if (first === "" || !(length >= 1 && length <= rangeMax)) return [];
  return Array.from({ length }, (_, i) => `${Number(first) + i}/${protocol}`);
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  if (!Array.isArray(value)) {
    return Object.fromEntries(Object.entries(recordOf(value)).map(([name, text]) => [name, String(text ?? "")]));
  }
  const pairs = value.map((item) => /^([^=]*)=?(.*)$/s.exec(String(item)) ?? []);
  return Object.fromEntries(pairs.map(([, name = "", text = ""]) => [name, text]));
}

/** The names of a list, or the keys of a map. */
function namesOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : Object.keys(recordOf(value));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** Version 2 writes published ports as text. */
function numberOf(value: unknown): number | null {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isInteger(number) ? number : null;
}

function parsed(text: string): unknown {
  try {
    return parse(text, { merge: true, uniqueKeys: false, logLevel: "silent", maxAliasCount: 1000 });
  } catch {
    // Not what compose prints: nothing is known.
    return null;
  }
}
