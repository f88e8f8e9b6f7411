// From `routes:`, `split:` and `retries:` of a service to its RouteSpecs.
import type { RetryConfig, RetryOn } from "../../../proxy/contract/config.ts";
import { defaultRetry } from "../defaults.ts";
import { parseDuration } from "../duration.ts";
import type { Path } from "../located.ts";
import type { RouteSpec, ServiceSpec } from "../spec.ts";
import { checkService, checkVersion, checkWeights, type NativeContext } from "./context.ts";
import { buildMatch } from "./match.ts";
import type { RetriesInput, RouteInput, ServiceInput } from "./schema.ts";

export function buildSplit(context: NativeContext, name: string, service: ServiceInput): ServiceSpec["split"] {
  if (service.split === undefined) return null;
  const path = ["services", name, "split"];
  const split = Object.entries(service.split).map(([version, weight]) => ({ version, weight }));
  for (const { version } of split) {
    checkVersion(context, { service: name, version }, context.keyAt([...path, version]), "split");
  }
  checkWeights(
    context,
    split.map((one) => one.weight),
    path,
  );
  return split;
}

export function buildRoutes(context: NativeContext, name: string, service: ServiceInput): readonly RouteSpec[] {
  const routes = service.routes ?? [];
  const names = new Set<string>();
  let catchAll: number | null = null;
  return routes.map((route, index) => {
    const path: Path = ["services", name, "routes", index];
    if (catchAll !== null) {
      const line = context.keyAt(["services", name, "routes", catchAll]).line;
      context.findings.warning(
        "DM1120",
        context.keyAt(path),
        `no request gets here: the route on line ${line} matches everything`,
      );
    }
    const built = buildRoute(context, { service: name, route, path });
    if (names.has(built.name)) {
      context.findings.error(
        "DM1118",
        context.valueAt([...path, "name"]),
        `${built.name} is the name of two routes of ${name}`,
      );
    }
    names.add(built.name);
    if (catchAll === null && matchesEverything(built)) catchAll = index;
    return built;
  });
}

interface RouteSource {
  readonly service: string;
  readonly route: RouteInput;
  readonly path: Path;
}

function buildRoute(context: NativeContext, { service, route, path }: RouteSource): RouteSpec {
  const { match } = route;
  const matches = match === undefined ? [] : Array.isArray(match) ? match : [match];
  const isList = Array.isArray(match);
  if (isList && matches.length === 0 && context.isEmptyAsWritten([...path, "match"])) {
    context.findings.error(
      "DM1118",
      context.keyAt([...path, "match"]),
      "match is an empty list",
      "leave match out to match every request",
    );
  }
  return {
    origin: context.keyAt(path),
    name: route.name ?? `${service}-${Number(path.at(-1)) + 1}`,
    match: matches.flatMap((one, index) =>
      buildMatch(context, one, isList ? [...path, "match", index] : [...path, "match"]),
    ),
    to: buildDestinations(context, { service, route, path }),
    timeoutMs: route.timeout === undefined ? null : (parseDuration(route.timeout) ?? 0),
    retry: route.retries === undefined ? null : buildRetries(context, route.retries, [...path, "retries"]),
  };
}

function matchesEverything(route: RouteSpec): boolean {
  if (route.match.length === 0) return true;
  return route.match.some(
    ({ path, ...rest }) => Object.keys(rest).length === 0 && path?.kind === "prefix" && path.value === "/",
  );
}

function buildDestinations(context: NativeContext, { service, route, path }: RouteSource): RouteSpec["to"] {
  const at = [...path, "to"];
  if (typeof route.to === "string") return [buildDestination(context, service, { text: route.to, weight: 1 }, at)];
  const entries = Object.entries(route.to);
  checkWeights(
    context,
    entries.map(([, weight]) => weight),
    at,
  );
  return entries.map(([text, weight]) => buildDestination(context, service, { text, weight }, [...at, text]));
}

/** A version of this service comes before a service of the same name; `service/version` says both. */
function buildDestination(
  context: NativeContext,
  own: string,
  { text, weight }: { text: string; weight: number },
  at: Path,
): RouteSpec["to"][number] {
  const [first = "", second] = text.split("/");
  if (second !== undefined) {
    checkService(context, first, at);
    const isChecked = context.services.has(first);
    if (isChecked) checkVersion(context, { service: first, version: second }, destinationAt(context, at), "to");
    return { service: first, version: second, weight };
  }
  const versions = context.services.get(own)?.versions ?? {};
  if (Object.hasOwn(versions, text)) return { service: own, version: text, weight };
  const isService = context.declared.has(text) || (context.known?.includes(text) ?? false);
  if (isService) return { service: text, version: null, weight };
  // Neither is known: with a list of services it is certainly wrong, without one it may be a service that only Docker knows.
  if (context.known !== null || Object.keys(versions).length > 0) {
    checkVersion(context, { service: own, version: text }, destinationAt(context, at), "to");
  }
  return { service: text, version: null, weight };
}

/** A destination is a value (`to: v2`) or a key (`to: { v2: 10 }`). */
function destinationAt(context: NativeContext, at: Path) {
  return at.at(-1) === "to" ? context.valueAt(at) : context.keyAt(at);
}

export function buildRetries(context: NativeContext, input: RetriesInput, path: Path): RetryConfig {
  const attempts = input.attempts ?? defaultRetry.attempts;
  if (attempts === 0 && (input.perTry !== undefined || input.on !== undefined)) {
    const key = input.perTry !== undefined ? "perTry" : "on";
    context.findings.error(
      "DM1118",
      context.keyAt([...path, key]),
      `${key} does nothing with attempts: 0`,
      "take it out",
    );
  }
  if (input.on?.length === 0 && context.isEmptyAsWritten([...path, "on"])) {
    context.findings.error(
      "DM1118",
      context.keyAt([...path, "on"]),
      "the list of conditions is empty",
      "write attempts: 0 for no retries",
    );
  }
  const words = (input.on ?? []).filter(
    (one): one is Exclude<RetryOn, "retriable-status-codes"> => typeof one === "string",
  );
  const statusCodes = (input.on ?? []).filter((one) => typeof one === "number");
  const written: RetryOn[] = statusCodes.length > 0 ? [...words, "retriable-status-codes"] : words;
  return {
    attempts,
    perTryTimeoutMs: input.perTry === undefined ? 0 : (parseDuration(input.perTry) ?? 0),
    on: attempts === 0 ? [] : input.on === undefined ? defaultRetry.on : [...new Set(written)],
    statusCodes: [...new Set(statusCodes)],
  };
}
