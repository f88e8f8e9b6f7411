// From an entry of `services:` to a ServiceSpec, and which container is which version.
import type { Protocol } from "../../../proxy/contract/config.ts";
import { defaultRetry } from "../defaults.ts";
import { suggest } from "../did-you-mean.ts";
import { parseDuration } from "../duration.ts";
import type { Path } from "../located.ts";
import type { AllowSpec, PortSpec, ServiceSpec, VersionSpec } from "../spec.ts";
import { buildCapture } from "./capture.ts";
import { checkService, type NativeContext } from "./context.ts";
import { buildRetries, buildRoutes, buildSplit } from "./route.ts";
import type { ServiceInput } from "./schema.ts";

/** Words that `allow: from:` takes beside services. */
const callers = ["outside", "gateway", "*"];

export function buildService(context: NativeContext, name: string, service: ServiceInput): ServiceSpec {
  const path: Path = ["services", name];
  if (service.mesh === false) reportIdleKeys(context, name, service);
  return {
    name,
    origin: context.keyAt(path),
    isMeshed: service.mesh ?? true,
    ports: buildPorts(context, service, path),
    versions: buildVersions(context, service, path),
    split: buildSplit(context, name, service),
    routes: buildRoutes(context, name, service),
    timeoutMs: service.timeout === undefined ? 0 : (parseDuration(service.timeout) ?? 0),
    retry: service.retries === undefined ? defaultRetry : buildRetries(context, service.retries, [...path, "retries"]),
    allow: buildAllow(context, service, path),
    mtls: service.mtls ?? null,
    waitForEndpointsMs: service.waitForEndpoints === undefined ? 0 : (parseDuration(service.waitForEndpoints) ?? 0),
    capture: buildCapture(context, service, path),
  };
}

function reportIdleKeys(context: NativeContext, name: string, service: ServiceInput): void {
  for (const key of Object.keys(service)) {
    if (key === "mesh" || key === "versions") continue;
    const at = context.keyAt(["services", name, key]);
    context.findings.warning("DM1121", at, `${key} does nothing: ${name} has mesh: false`);
  }
}

function buildPorts(context: NativeContext, service: ServiceInput, path: Path): readonly PortSpec[] {
  const ports: PortSpec[] = service.port === undefined ? [] : [{ number: service.port, protocol: "http" }];
  for (const [index, input] of (service.ports ?? []).entries()) {
    const port = readPort(input);
    if (ports.some((other) => other.number === port.number)) {
      context.findings.error(
        "DM1122",
        context.valueAt([...path, "ports", index]),
        `port ${port.number} is written twice`,
      );
    } else ports.push(port);
  }
  return ports;
}

function readPort(input: NonNullable<ServiceInput["ports"]>[number]): PortSpec {
  if (typeof input === "string") {
    const [number, protocol] = input.split("/");
    return { number: Number(number), protocol: protocol as Protocol };
  }
  const { number, protocol } = typeof input === "number" ? { number: input, protocol: undefined } : input;
  return { number, protocol: protocol ?? "auto" };
}

function buildVersions(context: NativeContext, service: ServiceInput, path: Path): readonly VersionSpec[] {
  const versions = Object.entries(service.versions ?? {});
  if (service.versions !== undefined && versions.length === 0 && context.isEmptyAsWritten([...path, "versions"])) {
    context.findings.error(
      "DM1118",
      context.keyAt([...path, "versions"]),
      "versions is empty",
      "name at least one, or leave versions out",
    );
  }
  return versions.map(([name, version]) => ({
    name,
    origin: context.keyAt([...path, "versions", name]),
    container: version?.container ?? null,
  }));
}

function buildAllow(context: NativeContext, service: ServiceInput, path: Path): readonly AllowSpec[] | null {
  if (service.allow === undefined) return null;
  return service.allow.map((rule, index) => {
    const at: Path = [...path, "allow", index];
    const from = typeof rule.from === "string" ? [rule.from] : rule.from;
    for (const [place, name] of from.entries()) {
      const where = typeof rule.from === "string" ? [...at, "from"] : [...at, "from", place];
      checkService(context, name, where, callers);
    }
    // An empty list reads as "nobody" or "nothing", while the model's empty list is "any": refused rather than guessed.
    for (const key of ["from", "methods", "paths"] as const) {
      const value = rule[key];
      if (Array.isArray(value) && value.length === 0 && context.isEmptyAsWritten([...at, key])) {
        context.findings.error(
          "DM1118",
          context.keyAt([...at, key]),
          `${key} is an empty list`,
          key === "from" ? 'write "*" for anybody, or take the rule out' : "leave it out for any, or take the rule out",
        );
      }
    }
    return {
      origin: context.keyAt(at),
      from: [...new Set(from)],
      methods: rule.methods ?? [],
      paths: rule.paths ?? [],
    };
  });
}

/** Each container is at most one version of one service, and what mesh.yaml names exists in the compose files. */
export function checkContainers(context: NativeContext): void {
  const owners = new Map<string, string>();
  for (const [name, service] of context.services) {
    const versions = Object.entries(service.versions ?? {});
    const claimed: string[] = [];
    for (const [version, input] of versions) {
      const path = ["services", name, "versions", version];
      const container = input?.container ?? impliedContainer(context, name, version);
      if (input?.container !== undefined) checkContainer(context, input.container, [...path, "container"]);
      else if (container === null) reportMissingContainer(context, name, version);
      if (container === null) continue;
      claimed.push(container);
      const owner =
        owners.get(container) ??
        (container !== name && context.services.has(container) ? `the service ${container}` : null);
      if (owner !== null) {
        const at = input?.container === undefined ? context.keyAt(path) : context.valueAt([...path, "container"]);
        context.findings.error(
          "DM1116",
          at,
          `${container} is ${owner} already`,
          "a container is one version of one service",
        );
      } else owners.set(container, `${version} of ${name}`);
    }
    const isThere = claimed.length > 0 || context.known === null || context.known.includes(name) || versions.length > 0;
    if (!isThere) {
      const hint = suggest(name, context.known ?? [], "services are");
      context.findings.error(
        "DM1114",
        context.keyAt(["services", name]),
        `there is no service ${name} in the compose files`,
        hint,
      );
    }
  }
}

/** `<service>-<version>` where that is known to exist; null where labels or compose's own service decide. */
function impliedContainer(context: NativeContext, service: string, version: string): string | null {
  const own = `${service}-${version}`;
  return context.services.has(own) || (context.known?.includes(own) ?? false) ? own : null;
}

function checkContainer(context: NativeContext, container: string, path: Path): void {
  if (context.known === null || context.known.includes(container)) return;
  const hint = suggest(container, context.known, "services are");
  context.findings.error(
    "DM1117",
    context.valueAt(path),
    `there is no container ${container} in the compose files`,
    hint,
  );
}

/** A warning: a label (`devmesh.version`) on a container that compose does not know may still make it this version. */
function reportMissingContainer(context: NativeContext, service: string, version: string): void {
  if (context.known === null || context.known.includes(service)) return;
  const at = context.keyAt(["services", service, "versions", version]);
  const message = `${version} has no container: the compose files have neither ${service}-${version} nor ${service}`;
  context.findings.warning(
    "DM1123",
    at,
    message,
    "name one with container:, or label one with devmesh.service and devmesh.version",
  );
}
