// The World as it would be after `compose up`: what runs, and what compose would make, start and remove. Pure.
import type { ComposeIntent, PlannedContainer } from "./api/plan-view.ts";
import type { ImageFacts } from "./docker/image-facts.ts";
import { belongsToMesh, composeLabel, type MeshIdentity } from "./docker/labels.ts";
import { type NetworkFacts, readContainer } from "./docker/read-container.ts";
import type { Container, World } from "./docker/world.ts";
import type { ComposeConfig, ComposeService } from "./spec/compose-config.ts";

export interface PreviewInput {
  readonly world: World;
  readonly identity: MeshIdentity;
  readonly config: ComposeConfig;
  readonly intent: ComposeIntent;
  /** Of every image that a service names, by `imageOf`; null: it is not there. */
  readonly images: ReadonlyMap<string, ImageFacts | null>;
  /** What the engine has, by id. */
  readonly networks: ReadonlyMap<string, NetworkFacts>;
}

export interface PreviewWorld {
  readonly world: World;
  readonly containers: readonly PlannedContainer[];
  readonly notes: readonly string[];
}

/** Stands for a host port that Docker will choose: none that there is, so that it meets no other. */
export const chosenPort = 65_536;

/** Later than every start that Docker knows: a sidecar of before sits in another network namespace. */
const startedThen = "9999-01-01T00:00:00Z";

export function imageOf(service: ComposeService, { project }: MeshIdentity, { separator }: ComposeIntent): string {
  return service.image ?? `${project}${separator}${service.name}`;
}

/** Services that compose would start: those that are named, or all without a profile, and what they need. */
export function selectedServices(config: ComposeConfig, intent: ComposeIntent): readonly ComposeService[] {
  const byName = new Map(config.services.map((service) => [service.name, service]));
  const isActive = ({ profiles }: ComposeService) =>
    profiles.length === 0 || profiles.some((profile) => intent.profiles.includes(profile));
  const all = config.services.filter(isActive).map(({ name }) => name);
  const wanted = new Set(intent.services.length > 0 ? intent.services : all);
  for (const name of intent.hasDependencies ? wanted : []) {
    const service = byName.get(name);
    for (const needed of [...(service?.dependsOn ?? []), ...(namespaceOwnerOf(service) ?? [])]) wanted.add(needed);
  }
  return config.services.filter(({ name }) => wanted.has(name));
}

export function previewWorld(input: PreviewInput): PreviewWorld {
  const { world, config, intent } = input;
  const selected = inOrder(selectedServices(config, intent));
  const parts = { ids: new Map<string, string>(), fresh: new Set<string>() };
  const kept = new Map(world.containers.map((container) => [container.id, container]));
  const containers: PlannedContainer[] = [];
  for (const service of selected) {
    for (const step of stepsOf(service, input, parts)) {
      containers.push({ service: service.name, container: step.name, action: step.action, reason: step.reason });
      if (step.before !== null) kept.delete(step.before.id);
      if (step.after !== null) kept.set(step.after.id, step.after);
      if (step.action === "create" || step.action === "recreate") parts.fresh.add(service.name);
      if (step.after !== null && !parts.ids.has(service.name)) parts.ids.set(service.name, step.after.id);
    }
  }
  for (const orphan of intent.removesOrphans ? orphansOf(input) : []) {
    kept.delete(orphan.id);
    const { service, name: container } = orphan;
    containers.push({ service, container, action: "remove", reason: "the compose files do not name it" });
  }
  const sorted = [...kept.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { world: { ...world, containers: sorted }, containers, notes: notesOf(selected, input) };
}

interface Step {
  readonly name: string;
  readonly action: PlannedContainer["action"];
  readonly reason: string;
  readonly before: Container | null;
  readonly after: Container | null;
}

interface Parts {
  /** The first container of each service that is done. */
  readonly ids: ReadonlyMap<string, string>;
  /** Services of which a container is new. */
  readonly fresh: ReadonlySet<string>;
}

function stepsOf(service: ComposeService, input: PreviewInput, parts: Parts): readonly Step[] {
  const { world, identity, intent } = input;
  const existing = world.containers
    .filter(({ labels, isOneOff }) => labels[composeLabel.service] === service.name && !isOneOff)
    .filter(({ labels }) => labels[composeLabel.project] === identity.project)
    .sort((a, b) => a.number - b.number);
  const wanted = intent.scale[service.name] ?? service.scale;
  const steps = existing.map((before, index): Step => {
    const { name } = before;
    if (index >= wanted) return { name, action: "remove", reason: `${wanted} of it are wanted`, before, after: null };
    const why = whyRecreate(before, service, input, parts);
    if (why !== null) {
      const made = containerOf(service, { number: before.number, name }, input, parts);
      return { name, action: "recreate", reason: why, before, after: made };
    }
    if (before.state === "running" || before.state === "paused")
      return { name, action: "keep", reason: "", before: null, after: before };
    const after: Container = { ...before, state: "running", startedAt: startedThen };
    return { name, action: "start", reason: `it is ${before.state}`, before, after };
  });
  const used = new Set(existing.map(({ number }) => number));
  for (let number = 1; steps.length < wanted; number++) {
    if (used.has(number)) continue;
    const name = service.containerName ?? [identity.project, service.name, String(number)].join(intent.separator);
    const after = containerOf(service, { number, name }, input, parts);
    // With `devmesh.mesh` it may be for another mesh.
    const isOurs = belongsToMesh(after.labels, identity);
    steps.push({ name, action: "create", reason: "", before: null, after: isOurs ? after : null });
  }
  return steps;
}

/** Compose's own rule: another configuration (its hash) or another image. */
function whyRecreate(before: Container, service: ComposeService, input: PreviewInput, parts: Parts): string | null {
  const { intent, images, identity } = input;
  if (intent.recreates === "never") return null;
  if (intent.recreates === "always") return "--force-recreate";
  const hash = intent.hashes[service.name];
  if (hash !== undefined && before.labels["com.docker.compose.config-hash"] !== hash)
    return "its configuration changed";
  const image = before.labels["com.docker.compose.image"];
  const now = images.get(imageOf(service, identity, intent))?.id;
  if (image !== undefined && now !== undefined && image !== now) return "its image is another";
  const owner = namespaceOwnerOf(service)?.[0];
  // Version 1 leaves it in the namespace of the container that is gone (measured).
  return intent.separator === "-" && owner !== undefined && parts.fresh.has(owner)
    ? `it is in the network namespace of ${owner}, which is new`
    : null;
}

/** As Docker would describe it, through the same reader as every other container. */
function containerOf(
  service: ComposeService,
  { number, name }: { readonly number: number; readonly name: string },
  input: PreviewInput,
  parts: Parts,
): Container {
  const { identity, intent, images, networks } = input;
  const image = imageOf(service, identity, intent);
  const facts = images.get(image) ?? null;
  const ports = [...(facts?.exposed ?? []), ...service.exposed, ...service.published.map((port) => port.containerPort)];
  const attached = attachmentsOf(service, input);
  const bindings = Map.groupBy(service.published, ({ containerPort }) => containerPort);
  const json = {
    Id: `new:${name}`,
    Name: `/${name}`,
    State: { Status: "running", StartedAt: startedThen },
    Config: {
      Image: image,
      ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])),
      Healthcheck: { Test: service.healthTest ?? facts?.healthTest ?? [] },
      Labels: {
        ...facts?.labels,
        ...service.labels,
        [composeLabel.project]: identity.project,
        [composeLabel.service]: service.name,
        [composeLabel.number]: String(number),
        [composeLabel.oneOff]: "False",
      },
    },
    HostConfig: {
      NetworkMode: networkModeOf(service, attached, parts),
      Privileged: service.isPrivileged,
      CapAdd: service.capAdd,
      PortBindings: Object.fromEntries(
        [...bindings].map(([port, list]) => [
          port,
          list.map(({ hostIp, hostPort }) => ({ HostIp: hostIp, HostPort: String(hostPort ?? chosenPort) })),
        ]),
      ),
    },
    NetworkSettings: {
      Networks: Object.fromEntries(
        attached.map(({ facts: { id, name }, aliases }) => [name, { NetworkID: id, Aliases: aliases }]),
      ),
    },
  };
  const known = new Map([...networks, ...attached.map(({ facts: one }) => [one.id, one] as const)]);
  return readContainer(json, known);
}

function networkModeOf(
  service: ComposeService,
  attached: readonly { readonly facts: NetworkFacts }[],
  { ids }: Parts,
): string {
  const { networkMode } = service;
  if (networkMode === null) return attached[0]?.facts.name ?? "bridge";
  const owner = namespaceOwnerOf(service)?.[0];
  return owner === undefined ? networkMode : `container:${ids.get(owner) ?? owner}`;
}

function attachmentsOf(service: ComposeService, { identity, config, networks }: PreviewInput) {
  const names = service.networkMode === "bridge" ? new Map([["bridge", []]]) : service.networks;
  return [...names].map(([key, aliases]) => {
    const written = config.networks.get(key);
    const name = key === "bridge" ? key : (written?.name ?? `${identity.project}_${key}`);
    const found = [...networks.values()].find((network) => network.name === name);
    const isInternal = written?.isInternal ?? false;
    const made: NetworkFacts = {
      id: `new:${name}`,
      name,
      subnet: "",
      gateway: "",
      ipv6: null,
      driver: "bridge",
      isInternal,
      labels: {},
    };
    return { facts: found ?? made, aliases: [service.name, ...aliases] };
  });
}

/** The service whose network namespace it joins, as a list of one. */
function namespaceOwnerOf(service: ComposeService | undefined): readonly [string] | null {
  const [, owner] = /^service:(.+)$/.exec(service?.networkMode ?? "") ?? [];
  return owner === undefined ? null : [owner];
}

/** Those whose network namespace others join come first; else as compose lists them. */
function inOrder(services: readonly ComposeService[]): readonly ComposeService[] {
  const [joining, own] = [
    services.filter((one) => namespaceOwnerOf(one)),
    services.filter((one) => !namespaceOwnerOf(one)),
  ];
  return [...own, ...joining];
}

function orphansOf({ world, identity, config }: PreviewInput): readonly Container[] {
  const named = new Set(config.services.map(({ name }) => name));
  return world.containers.filter(({ labels, isOneOff }) => {
    const isProjects = labels[composeLabel.project] === identity.project && !isOneOff;
    return isProjects && !named.has(labels[composeLabel.service] ?? "");
  });
}

function notesOf(selected: readonly ComposeService[], { images, identity, intent }: PreviewInput): readonly string[] {
  const missing = selected.filter((service) => images.get(imageOf(service, identity, intent)) === null);
  const names = missing.map(({ name }) => name).join(", ");
  return [
    ...(names === "" ? [] : [`not there yet: the image of ${names}; its ports and health check are not known`]),
    ...(intent.builds ? ["--build may give a service another image, and then new containers"] : []),
    ...intent.unread.map((argument) => `the plan does not understand ${argument}`),
  ];
}
