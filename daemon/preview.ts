// `up --plan`: looks at Docker and the files, and says what `up` would do. Changes nothing: it only reads, and makes no folder.
import pino from "pino";
import { readOptions } from "./api/options.ts";
import { assertOutsideProject, daemonPaths } from "./api/paths.ts";
import type { PlannedGateway, PlanRequest, PlanView } from "./api/plan-view.ts";
import { Problem } from "./api/problem.ts";
import { allocate } from "./compile/addresses.ts";
import { addressNames, compile } from "./compile/compile.ts";
import { mergeDiagnostics } from "./compile/problems.ts";
import { desiredOf, knownWith } from "./control-plane.ts";
import { openConnections } from "./docker/connections.ts";
import type { Engine } from "./docker/engine.ts";
import { ensureImage } from "./docker/image.ts";
import { type ImageFacts, readImageFacts } from "./docker/image-facts.ts";
import { type MeshIdentity, meshNetworkName } from "./docker/labels.ts";
import { foreseenMeshNetwork, listNetworks } from "./docker/network.ts";
import { planActions } from "./docker/plan.ts";
import { describePortHolder } from "./docker/port-holder.ts";
import type { MeshNetwork, World } from "./docker/world.ts";
import { WorldWatch } from "./docker/world-watch.ts";
import { connectAs, identityFor } from "./docker-parts.ts";
import { firstList } from "./first-list.ts";
import { assertHostPortIsFree } from "./host-port.ts";
import { openKnownServices } from "./mesh-parts.ts";
import { actionOn, plannedRemovals, plannedServices, plannedUnmeshed, type ViewInput } from "./preview-view.ts";
import { chosenPort, imageOf, type PreviewWorld, previewWorld, selectedServices } from "./preview-world.ts";
import { type ComposeConfig, readComposeConfig } from "./spec/compose-config.ts";
import { composeJobsReader } from "./spec/compose-jobs.ts";
import { knownComposeSubnets } from "./spec/compose-subnets.ts";
import { SpecSource } from "./spec-source.ts";
import { SpecRefused } from "./start-reporter.ts";
import { readAddresses } from "./state/addresses.ts";
import { readInForce } from "./state/in-force.ts";

/** Throws Problem, and SpecRefused where mesh.yaml cannot be put in force. */
export async function preview(request: PlanRequest): Promise<PlanView> {
  const { options } = request;
  const paths = daemonPaths({ project: options.project, projectDir: options.projectDir });
  const before = readOptions(paths.options);
  const engine = await connectAs(before ?? options);
  try {
    const source = new SpecSource(options);
    const known = openKnownServices({ options })();
    const named = await source.read(known);
    const inForce = await readInForce(paths.inForce, options.version);
    const name = inForce?.mesh ?? (named.kind === "ok" ? named.spec.name : null) ?? options.project;
    const identity = identityFor({ options, paths }, name);
    const world = await readWorld(engine, identity);
    const loaded = await source.read(knownWith(known, world));
    if (loaded.kind === "invalid") throw new SpecRefused(loaded.diagnostics);
    const problems = new Problems();
    await problems.of(async () => assertOutsideProject(paths, options.projectDir));
    const mesh = await foreseen(engine, identity, { problems, files: options.composeFiles });
    const isImageThere = await problems.of(() => hasImage(engine, options.image));
    const composed = await composedOf({ engine, identity, world: { ...world, mesh }, request });
    const base = { spec: loaded.spec, world: composed.world, project: options.project, meshName: name };
    const input = { ...base, knownServices: known, jobs: composeJobsReader(options.composeFiles)() };
    const addresses = allocate(addressNames(input), await readAddresses(paths.addresses), mesh.subnet);
    const compiled = compile({ ...input, addresses, readySidecars: new Set() });
    const diagnostics = mergeDiagnostics(loaded.warnings, compiled.diagnostics);
    if (diagnostics.some(({ severity }) => severity === "error")) throw new SpecRefused(diagnostics);
    const others = world.own.filter(({ image }) => request.renews && image !== options.image).map(({ id }) => id);
    const rest = { image: options.image, hostsCleaned: new Set<string>(), replaced: new Set(others) };
    const desired = desiredOf(compiled, rest);
    const actions = planActions({ world: composed.world, desired });
    const view: ViewInput = {
      spec: loaded.spec,
      world: composed.world,
      compiled,
      actions,
      containers: composed.containers,
      composeServices: new Map(composed.config?.services.map((service) => [service.name, service])),
      images: await imagesOf(
        engine,
        composed.world.containers.map(({ image }) => image),
      ),
      connections: await connectionsOf(engine, world, compiled.sidecars),
    };
    const gateways = await gatewaysOf(view, engine, problems);
    await checkPublished(view, { engine, problems });
    return {
      mesh: name,
      project: options.project,
      file: source.file,
      isUp: before !== null,
      compose: request.compose && { command: request.compose.command, containers: composed.containers },
      network: { name: mesh.name, subnet: mesh.subnet, action: world.mesh === null ? "create" : "keep" },
      services: plannedServices(view),
      gateways,
      unmeshed: plannedUnmeshed(view),
      removed: plannedRemovals(view),
      problems: problems.list,
      diagnostics,
      notes: [
        ...composed.notes,
        ...(isImageThere === false ? [`the proxy's image ${options.image} is not there yet; up makes it`] : []),
        ...(engine.isLocal ? [] : ["whether host ports are free is not known from here"]),
      ],
    };
  } finally {
    await engine.close();
  }
}

/** What would make `up` fail: told together, instead of the first alone. */
class Problems {
  readonly list: { readonly code: string; readonly message: string; readonly hint: string }[] = [];

  add({ code, message, hint }: Problem): void {
    this.list.push({ code, message, hint });
  }

  /** Waits; a Problem is noted, and gives null. */
  async of<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.add(error);
      return null;
    }
  }
}

/** An image that somebody named is theirs to bring: without it `up` fails, which throws Problem DM0403. Another is made. */
async function hasImage(engine: Engine, tag: string): Promise<boolean> {
  try {
    await ensureImage(engine, tag);
    return true;
  } catch (error) {
    if (!(error instanceof Problem) || process.env.DEVMESH_PROXY_IMAGE) throw error;
    return false;
  }
}

async function readWorld(engine: Engine, identity: MeshIdentity): Promise<World> {
  const watch = new WorldWatch({ engine, identity, log: pino({ level: "silent" }), random: Math.random });
  try {
    await firstList(watch);
    return watch.snapshot();
  } finally {
    await watch.close();
  }
}

/** Where the name is taken by another folder's mesh the plan goes on, as if it were not. */
async function foreseen(
  engine: Engine,
  identity: MeshIdentity,
  { problems, files }: { readonly problems: Problems; readonly files: readonly string[] },
): Promise<MeshNetwork> {
  const found = await problems.of(() => foreseenMeshNetwork(engine, identity, knownComposeSubnets(files)));
  const name = meshNetworkName(identity.mesh);
  return found ?? { id: `new:${name}`, name, subnet: "10.0.0.0/16", gateway: "10.0.0.1" };
}

interface ComposedInput {
  readonly engine: Engine;
  readonly identity: MeshIdentity;
  readonly world: World;
  readonly request: PlanRequest;
}

async function composedOf(input: ComposedInput): Promise<PreviewWorld & { readonly config: ComposeConfig | null }> {
  const { engine, identity, world, request } = input;
  const { compose: intent } = request;
  if (intent === null) return { world, containers: [], notes: [], config: null };
  const config = readComposeConfig(intent.config);
  if (config === null) {
    throw new Problem(
      "DM0404",
      `${intent.command} config prints no services`,
      "devmesh up --plan --no-compose leaves it out",
    );
  }
  const names = selectedServices(config, intent).map((service) => imageOf(service, identity, intent));
  const [images, networks] = await Promise.all([imagesOf(engine, names), listNetworks(engine)]);
  return { ...previewWorld({ world, identity, config, intent, images, networks }), config };
}

async function imagesOf(engine: Engine, names: readonly string[]): Promise<ReadonlyMap<string, ImageFacts | null>> {
  const distinct = [...new Set(names)];
  const facts = await Promise.all(distinct.map((name) => readImageFacts(engine, name)));
  return new Map(distinct.map((name, i) => [name, facts[i] ?? null]));
}

/** Of containers that run now without a sidecar: those alone lose what they have open. */
async function connectionsOf(
  engine: Engine,
  world: World,
  sidecars: ViewInput["compiled"]["sidecars"],
): Promise<ViewInput["connections"]> {
  const meshed = new Set(world.own.filter(({ state }) => state === "running").map(({ owner }) => owner));
  const running = world.containers.filter(({ state }) => state === "running" || state === "paused").map(({ id }) => id);
  const wanted = sidecars.map(({ containerId }) => containerId).filter((id) => running.includes(id) && !meshed.has(id));
  return new Map(await Promise.all(wanted.map(async (id) => [id, await openConnections(engine, id)] as const)));
}

async function gatewaysOf(view: ViewInput, engine: Engine, problems: Problems): Promise<readonly PlannedGateway[]> {
  const gateways: PlannedGateway[] = [];
  for (const { key, host, port, routes } of view.compiled.gateways) {
    const action = actionOn(view.actions, key);
    const busy = action === "create" ? await whoHas(engine, host, port) : null;
    const listen = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    if (busy !== null) {
      const hint = "stop what listens there, or choose another port in mesh.yaml's gateway:";
      problems.add(new Problem("DM0401", `the host port ${listen} is ${busy}`, hint));
    }
    gateways.push({ listen, to: [...new Set(routes.map(({ service }) => service))].join(", "), action, busy });
  }
  return gateways;
}

/** Host ports of containers that compose would make: taken by others, or by one of the gateways. */
async function checkPublished(
  { world, containers, compiled }: ViewInput,
  { engine, problems }: { readonly engine: Engine; readonly problems: Problems },
): Promise<void> {
  const fresh = new Set(containers.filter(({ action }) => action === "create").map(({ container }) => container));
  for (const { name, published } of world.containers.filter((container) => fresh.has(container.name))) {
    for (const { hostIp, hostPort } of published.filter((port) => port.hostPort !== chosenPort)) {
      const gateway = compiled.gateways.find(({ port }) => port === hostPort);
      const busy =
        gateway === undefined
          ? await whoHas(engine, hostIp, hostPort)
          : `wanted by the gateway ${gateway.port} as well`;
      if (busy === null) continue;
      const hint = "stop what listens there, or publish another port in the compose file";
      problems.add(new Problem("DM0401", `the host port ${hostIp}:${hostPort} of ${name} is ${busy}`, hint));
    }
  }
}

/** "in use by nginx (process 812)", or null: it is free, or nobody here can tell. */
async function whoHas(engine: Engine, host: string, port: number): Promise<string | null> {
  if (!engine.isLocal) return null;
  try {
    await assertHostPortIsFree(host, port);
    return null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return `in use${await describePortHolder(engine, port)}`;
  }
}
