// What one document says about another: hosts, subsets, and two that speak for the same host. Istio tolerates most of it, so
// most of it is a warning.
import { suggest } from "../did-you-mean.ts";
import type { Findings } from "../findings.ts";
import type { Spec, VirtualServiceSpec } from "../spec.ts";

/** `payment`, `payment.shop`, `payment.shop.svc`, `payment.shop.svc.cluster.local`: the service's name; null for any other form. */
export function serviceOfHost(host: string): string | null {
  const [service = "", , ...rest] = host.toLowerCase().replace(/\.$/, "").split(".");
  const suffix = rest.join(".");
  const isService = suffix === "" || suffix === "svc" || suffix === "svc.cluster.local";
  return service === "" || service === "*" || !isService ? null : service;
}

export function checkReferences(spec: Spec, known: readonly string[] | null, findings: Findings): void {
  const names = known === null ? null : [...new Set([...known, ...spec.services.map(({ name }) => name)])].sort();
  checkRules(spec, names, findings);
  const seen = new Map<string, VirtualServiceSpec>();
  for (const virtualService of spec.virtualServices) {
    for (const { host, origin } of virtualService.hosts) {
      const key = serviceOfHost(host) ?? host.toLowerCase();
      const first = seen.get(key);
      if (first === undefined) seen.set(key, virtualService);
      else if (first !== virtualService) {
        const message = `${host} is also a host of the VirtualService ${first.name}, which comes first and wins (IST0109)`;
        findings.warning("DM1213", origin, message, "put their routes into one VirtualService");
      }
      if (names !== null) reportUnknownHost({ host, origin, code: "IST0101" }, names, findings);
      checkNativeRouting(spec, virtualService, { host, origin }, findings);
    }
    for (const { route } of virtualService.http) {
      for (const { host, subset, origin } of route) {
        if (names !== null && host !== "") reportUnknownHost({ host, origin, code: "IST0101" }, names, findings);
        if (subset !== null && !hasSubset(spec, host, subset)) {
          const message = `no DestinationRule defines the subset ${subset} of ${host}, so its share fails with 503`;
          findings.warning("DM1211", origin, message, suggest(subset, subsetsOf(spec, host), "subsets are"));
        }
      }
    }
  }
}

function checkRules(spec: Spec, names: readonly string[] | null, findings: Findings): void {
  const defined = new Map<string, string>();
  for (const rule of spec.destinationRules) {
    if (names !== null && rule.host !== "") {
      reportUnknownHost({ host: rule.host, origin: rule.origin, code: "IST0174" }, names, findings);
    }
    for (const { name, origin } of rule.subsets) {
      const key = `${serviceOfHost(rule.host) ?? rule.host} ${name}`;
      const first = defined.get(key);
      if (first !== undefined && first !== rule.name) {
        findings.warning(
          "DM1213",
          origin,
          `the subset ${name} of ${rule.host} is defined by ${first} already, which wins`,
        );
      } else defined.set(key, rule.name);
    }
  }
}

function reportUnknownHost(
  about: { host: string; origin: Spec["virtualServices"][number]["origin"]; code: string },
  names: readonly string[],
  findings: Findings,
): void {
  const { host, origin, code } = about;
  const service = serviceOfHost(host);
  if (host.startsWith("*") || (service !== null && names.includes(service))) return;
  findings.warning(
    "DM1210",
    origin,
    `${host} is no service here (${code})`,
    suggest(service ?? host, names, "services are"),
  );
}

/** Two places that decide where requests go would silently hide one another. */
function checkNativeRouting(
  spec: Spec,
  virtualService: VirtualServiceSpec,
  at: VirtualServiceSpec["hosts"][number],
  findings: Findings,
): void {
  const service = spec.services.find(({ name }) => name === serviceOfHost(at.host));
  if (service === undefined || (service.split === null && service.routes.length === 0)) return;
  // A host of another namespace is another service; where the mesh's name is not written here, compile knows it.
  const namespace = at.host.split(".")[1] ?? virtualService.namespace;
  if (namespace !== null && namespace !== spec.name) return;
  const what = service.split === null ? "routes" : "split";
  const message = `${service.name} is routed twice: by ${what} on line ${service.origin.line}, and by the VirtualService ${virtualService.name}`;
  findings.error("DM1214", at.origin, message, "keep one of them");
}

function hasSubset(spec: Spec, host: string, subset: string): boolean {
  return subsetsOf(spec, host).includes(subset);
}

/** From DestinationRules of that host, and from native versions of that service. */
function subsetsOf(spec: Spec, host: string): readonly string[] {
  const service = serviceOfHost(host) ?? host;
  const rules = spec.destinationRules.filter((rule) => (serviceOfHost(rule.host) ?? rule.host) === service);
  const versions = spec.services.find(({ name }) => name === service)?.versions ?? [];
  return [...new Set([...rules.flatMap((rule) => rule.subsets), ...versions].map(({ name }) => name))];
}
