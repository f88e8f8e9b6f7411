// Names in the native language, held against what runs: services, callers, targets, versions.
import type { Origin, ServiceSpec, Spec } from "../spec/spec.ts";
import { anybody, outside } from "./isolation.ts";
import type { Catalog } from "./model.ts";
import { listed, type Problems } from "./problems.ts";

export interface ReferenceCheck {
  readonly spec: Spec;
  readonly catalog: Catalog;
  readonly composeServices: ReadonlySet<string>;
  /**
   * True when compose's files are known: the loader has then checked every name against them. Else only the World can
   * tell, and since a container may yet come, what is missing is a warning.
   */
  readonly isChecked: boolean;
  readonly problems: Problems;
}

export function checkReferences(check: ReferenceCheck): void {
  for (const service of check.spec.services) {
    if (!check.isChecked) checkExists(check, service);
    for (const rule of service.allow ?? []) {
      for (const from of rule.from) {
        checkCaller(check, service.name, { from, origin: rule.origin });
        checkIdentity(check, service, { from, origin: rule.origin });
      }
    }
    for (const { to, origin } of service.routes) {
      for (const { service: name } of to)
        checkTarget(check, `a route of ${service.name} goes to ${name}`, { name, origin });
    }
  }
  for (const { to, port, origin } of check.spec.gateways) {
    checkTarget(check, `gateway ${port} leads to ${to}`, { name: to, origin });
  }
}

function checkExists({ catalog, composeServices, problems }: ReferenceCheck, service: ServiceSpec): void {
  const { name, origin, versions } = service;
  const workloads = catalog.services.get(name)?.workloads ?? [];
  if (versions.length === 0 && workloads.length === 0 && !composeServices.has(name) && !isExcluded(catalog, name)) {
    const hint = `containers that run: ${listed(composeServices)}`;
    problems.add("warning", "unknownService", origin, { message: `no container of ${name} is there`, hint });
  }
  for (const version of service.isMeshed ? versions : []) {
    if (workloads.some((workload) => workload.version === version.name)) continue;
    const message = `no container of ${name} ${version.name} is there`;
    const hint = "name its compose service with container:, or label one with devmesh.service and devmesh.version";
    problems.add("warning", "missingVersion", version.origin, { message, hint });
  }
}

/** Its containers are there, but none is in the mesh. */
function isExcluded(catalog: Catalog, name: string): boolean {
  return catalog.unmeshed.some(({ service }) => service === name);
}

/** Gateways come with mTLS in any case; everybody else, in plaintext, is nobody. */
function checkIdentity(
  { spec, problems }: ReferenceCheck,
  { name, mtls }: ServiceSpec,
  { from, origin }: { from: string; origin: Origin },
): void {
  if ((mtls ?? spec.mtls) !== "disable" || isNoService(from)) return;
  const message = `${name} takes plaintext (mtls: disable), where ${from} cannot prove who it is: this rule never fits`;
  problems.add("warning", "noEffect", origin, { message, hint: 'write from: "*", or mtls: permissive or strict' });
}

function isNoService(from: string): boolean {
  return from === anybody || from === outside || from === "gateway";
}

function checkCaller(check: ReferenceCheck, service: string, { from, origin }: { from: string; origin: Origin }): void {
  if (isNoService(from)) return;
  if (check.catalog.outsideNames.has(from)) {
    const message = `${service} allows ${from}, which is not in the mesh and so cannot prove who it is`;
    check.problems.add("warning", "notMeshed", origin, { message, hint: reasonOf(check.catalog, from) });
  } else checkTarget(check, `${service} allows ${from}`, { name: from, origin });
}

function checkTarget(check: ReferenceCheck, subject: string, { name, origin }: { name: string; origin: Origin }): void {
  const { catalog, problems, isChecked } = check;
  const version = catalog.versionOf.get(name);
  if (catalog.services.has(name)) return;
  if (catalog.outsideNames.has(name)) {
    const message = `${subject}, which is not in the mesh`;
    problems.add("error", "notMeshed", origin, { message, hint: reasonOf(catalog, name) });
  } else if (version !== undefined) {
    const message = `${subject}, which is ${version.service} ${version.version}`;
    problems.add("error", "unknownService", origin, { message, hint: `write ${version.service}` });
  } else if (!isChecked) {
    const hint = `services that run: ${listed(catalog.services.keys())}`;
    problems.add("warning", "unknownService", origin, { message: `${subject}, and there is no such service`, hint });
  }
}

function reasonOf(catalog: Catalog, name: string): string {
  return catalog.unmeshed.find(({ service }) => service === name)?.reason ?? "it has mesh: false";
}
