// Which service and version each container of the World is: the Spec's versions, labels, else the compose service itself.
import type { CaptureOptions } from "../../proxy/contract/capture-options.ts";
import type { Container } from "../docker/world.ts";
import type { ServiceSpec } from "../spec/spec.ts";
import { captureOf } from "./capture.ts";
import { exclusionOf, isMember, isUsableName, labelNames } from "./membership.ts";
import type { Catalog, CompileInput, Service, ServiceVersion, Unmeshed, Workload } from "./model.ts";
import { portsOf } from "./ports.ts";
import { compareText } from "./problems.ts";
import { type Versions, versionsOf } from "./versions.ts";

export type CatalogInput = Pick<CompileInput, "spec" | "world" | "project" | "meshName" | "knownServices">;

interface Place {
  readonly service: string;
  readonly version: string | null;
}

export function catalogOf(input: CatalogInput): Catalog {
  const members = membersOf(input);
  const composeServices = composeServicesOf(input, members);
  const native = versionsOf(input.spec, composeServices);
  const specs = new Map(input.spec.services.map((spec) => [spec.name, spec]));
  const workloads: Workload[] = [];
  const unmeshed: Unmeshed[] = [];
  for (const container of members) {
    const place = placeOf(container, native);
    const exclusion = isUsableName(place.service)
      ? exclusionOf(container, specs.get(place.service) ?? null, input.world)
      : {
          reason: `"${place.service}" cannot be a service's name: use letters, digits, - and _`,
          sharesWith: null,
          isChosen: false,
        };
    const capture = captureOf(container.labels, specs.get(place.service)?.capture ?? null);
    if (exclusion === null) workloads.push(workloadOf({ container, place, capture }, input));
    else unmeshed.push({ containerId: container.id, container: container.name, service: place.service, ...exclusion });
  }
  const versions = withLabelled(native, workloads);
  const present = new Set(members.map(composeServiceOf));
  const absent = [...composeServices].filter((name) => !present.has(name));
  const known = absent.map((name) => versions.versionOf.get(name)?.service ?? name);
  const names = new Set([...specs.keys(), ...known, ...workloads.map(({ service }) => service)]);
  const outsideNames = outsideNamesOf(specs, workloads, unmeshed);
  const byService = Map.groupBy(workloads, ({ service }) => service);
  const services = new Map<string, Service>();
  for (const name of [...names].sort(compareText)) {
    if (outsideNames.has(name) || !isUsableName(name)) continue;
    const parts = { versions: versions.byService.get(name) ?? [], workloads: byService.get(name) ?? [] };
    services.set(name, serviceOf(name, specs.get(name) ?? null, parts));
  }
  return { services, workloads, unmeshed, versionOf: versions.versionOf, outsideNames };
}

/** A compose service whose containers all say by labels that they are one version is that version's name too. */
function withLabelled(native: Versions, workloads: readonly Workload[]): Versions {
  const byService = new Map(native.byService);
  const versionOf = new Map(native.versionOf);
  for (const [composeService, group] of Map.groupBy(workloads, ({ container }) => composeServiceOf(container))) {
    const [{ service, version } = { service: "", version: null }] = group;
    const isOne = group.every((workload) => workload.service === service && workload.version === version);
    if (!isOne || version === null || composeService === service || versionOf.has(composeService)) continue;
    byService.set(service, [...(byService.get(service) ?? []), { name: version, composeService }]);
    versionOf.set(composeService, { service, version });
  }
  return { byService, versionOf };
}

function membersOf({ world, project, meshName }: CatalogInput): readonly Container[] {
  return world.containers
    .filter((container) => isMember(container, { project, meshName }))
    .sort((a, b) => compareText(a.name, b.name) || compareText(a.id, b.id));
}

/** Every compose service there is or should be: what versions and names are looked up in. */
export function composeServicesOf(input: CatalogInput, members = membersOf(input)): ReadonlySet<string> {
  const running = members.filter(({ labels }) => !labels[labelNames.service]).map(composeServiceOf);
  return new Set([...(input.knownServices ?? []), ...running]);
}

function composeServiceOf(container: Container): string {
  const { labels, service, name } = container;
  return labels[labelNames.composeService] || service || name;
}

/** A label wins over compose, since somebody wrote it for the mesh; the plain label `version` may be an image's own. */
function placeOf(container: Container, versions: Versions): Place {
  const composeService = composeServiceOf(container);
  const native = versions.versionOf.get(composeService) ?? null;
  const service = container.labels[labelNames.service] || native?.service || composeService;
  const labelled = usable(container.labels[labelNames.version]);
  const plain = usable(container.version ?? undefined);
  const isDeclared = versions.byService.get(service)?.some(({ name }) => name === plain) ?? false;
  const nativeVersion = native?.service === service ? native.version : null;
  return { service, version: labelled ?? (isDeclared ? plain : null) ?? nativeVersion ?? plain };
}

/** A version travels in SNI, labels of metrics and subset names; what cannot is no version. */
function usable(version: string | undefined): string | null {
  return version !== undefined && isUsableName(version) ? version : null;
}

function workloadOf(
  { container, place, capture }: { container: Container; place: Place; capture: CaptureOptions },
  { world }: CatalogInput,
): Workload {
  const isMesh = (networkId: string) => networkId === world.mesh?.id;
  const attached = container.networks.map(({ networkId }) => networkId);
  return {
    container,
    service: place.service,
    version: place.version,
    labels: labelsOf(container, place),
    networks: new Set(attached.filter((id) => !isMesh(id))),
    meshAddress: container.networks.find(({ networkId }) => isMesh(networkId))?.address ?? "",
    capture,
  };
}

/** Istio selects subsets by labels; a pod always has `app` and `version`, so a container has them too. */
function labelsOf(container: Container, place: Place): Readonly<Record<string, string>> {
  const version = (container.labels[labelNames.version] || container.labels.version || place.version) ?? "latest";
  return { app: place.service, ...container.labels, version };
}

function serviceOf(
  name: string,
  spec: ServiceSpec | null,
  { versions, workloads }: { versions: readonly ServiceVersion[]; workloads: readonly Workload[] },
): Service {
  const lasting = workloads.filter(({ container }) => !container.isOneOff);
  const containers = lasting.map(({ container }) => container);
  return {
    name,
    spec,
    versions,
    workloads,
    ports: portsOf(spec, containers),
    exposesUdp: containers.some(({ exposedUdp }) => exposedUdp.length > 0),
    networks: new Set(lasting.flatMap((workload) => [...workload.networks])),
  };
}

/** A service that has containers, none of which is in the mesh, is Docker's business: its name must not be answered. */
function outsideNamesOf(
  specs: ReadonlyMap<string, ServiceSpec>,
  workloads: readonly Workload[],
  unmeshed: readonly Unmeshed[],
): ReadonlySet<string> {
  const meshed = new Set(workloads.map(({ service }) => service));
  const names = unmeshed.map(({ service }) => service).filter((service) => !meshed.has(service));
  const optedOut = [...specs.values()].filter(({ isMeshed }) => !isMeshed).map(({ name }) => name);
  return new Set([...names, ...optedOut]);
}
