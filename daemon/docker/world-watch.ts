// Keeps the World: subscribes, then lists; afterwards inspects again only what an event or a look concerns. Events are hints, the
// look at every second finds what they did not tell, and the list every 15 s is the truth.
import { inspectContainer, listContainerIds } from "./containers.ts";
import { earlyChange, isOfEarlierRun } from "./early-change.ts";
import type { Engine } from "./engine.ts";
import type { EngineEvent } from "./event-lines.ts";
import { EventStream } from "./events.ts";
import { hostAddressesOf, machineAddresses } from "./host-addresses.ts";
import { createDropImageClaims, type DropImageClaims } from "./image-claims.ts";
import { asArray } from "./json.ts";
import { belongsToMesh, composeLabel, isOurs, label, type MeshIdentity, meshNetworkName, userLabel } from "./labels.ts";
import type { Log } from "./log.ts";
import { changedSince, type Look } from "./look.ts";
import { Pulse } from "./pulse.ts";
import { type NetworkFacts, readContainer, readLabels, readNetwork, readOwnContainer } from "./read-container.ts";
import { isOverdue, isUnderWay, type Stop, stopOf } from "./stopping.ts";
import { Untold } from "./untold.ts";
import type { Container, OwnContainer, World } from "./world.ts";

const relistEveryMs = 15_000;
/** A failed list is tried again after this. */
const relistAfterFailureMs = 1000;
const inspectsAtOnceMax = 8;
/** Containers that wait to be inspected after events; beyond this one list replaces them all. */
const refreshQueueMax = 512;

export interface WorldWatchOptions {
  readonly engine: Engine;
  readonly identity: MeshIdentity;
  readonly log: Log;
  readonly random: () => number;
  /** Milliseconds; tests shorten it. */
  readonly relistMs?: number;
  readonly pulseMs?: number;
  /** Milliseconds; tests have their own. */
  readonly now?: () => number;
}

/** What the hold gate and the load balancers want to know before the World does. */
export interface WorldEvent {
  readonly action: string;
  readonly containerId: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since 1970, as text. */
  readonly timeNano: string;
}

interface Known {
  readonly kind: "app" | "own";
  /** Docker's inspect JSON: read again when a network's facts change. */
  readonly raw: unknown;
}

export class WorldWatch {
  readonly #options: WorldWatchOptions;
  readonly #events: EventStream;
  readonly #known = new Map<string, Known>();
  readonly #waiting = new Map<string, { promise: Promise<void>; resolve: () => void }>();
  readonly #inspecting = new Set<string>();
  /** What events said of containers since they were last inspected. */
  readonly #early = new Map<string, (container: Container) => Container>();
  /** Containers that were told to stop. */
  readonly #stops = new Map<string, Stop>();
  readonly #changeListeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: WorldEvent) => void>();
  readonly #imageListeners = new Set<() => void>();
  readonly #backListeners = new Set<() => void>();
  readonly #pulse: Pulse;
  readonly #untold = new Untold();
  #look: Look | null = null;
  readonly #firstList = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  readonly #dropImageClaims: DropImageClaims;
  #networks: ReadonlyMap<string, NetworkFacts> = new Map();
  #machineAddresses: readonly string[] = [];
  #world: World = { containers: [], own: [], mesh: null, hostAddresses: [] };
  #worldText = "";
  #isConnected = false;
  #isReady = false;
  #listing: Promise<void> | null = null;
  #isListWanted = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WorldWatchOptions) {
    this.#options = options;
    this.#dropImageClaims = createDropImageClaims(options.engine);
    this.#events = new EventStream({
      engine: options.engine,
      log: options.log,
      random: options.random,
      onEvent: (event) => this.#onEvent(event),
      onConnected: () => {
        this.#isConnected = true;
        void this.relist();
        for (const listener of this.#backListeners) listener();
      },
      onDisconnected: (reason) => {
        if (this.#isConnected) options.log.warn({ reason }, "lost the engine's events, connecting again");
        this.#isConnected = false;
        this.#announce();
      },
    });
    this.#pulse = new Pulse({
      engine: options.engine,
      log: options.log,
      labels: this.#labels(),
      onLook: (look) => this.#onLook(look),
      onSilent: (reason) => this.#events.reopen(reason),
      onBack: () => this.#events.hurry(),
      ...(options.pulseMs !== undefined && { everyMs: options.pulseMs }),
    });
  }

  /** Resolves after the first complete list; never rejects, and never resolves while no engine answers. */
  get ready(): Promise<void> {
    return this.#firstList.promise;
  }

  /** False while the engine does not answer: the snapshot is then the last that was seen. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  snapshot(): World {
    return this.#world;
  }

  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /** Called at once, before anything is inspected, for containers of this mesh and our own. */
  onEvent(listener: (event: WorldEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** Called when an image has come to the engine, or got a name. */
  onImage(listener: () => void): () => void {
    this.#imageListeners.add(listener);
    return () => this.#imageListeners.delete(listener);
  }

  /** Called when the engine's events are there again after they were lost. */
  onBack(listener: () => void): () => void {
    this.#backListeners.add(listener);
    return () => this.#backListeners.delete(listener);
  }

  /** Inspects these again; resolves when the snapshot shows what Docker says now. */
  async refresh(ids: readonly string[]): Promise<void> {
    if (this.#waiting.size + ids.length > refreshQueueMax) return this.relist();
    await this.#refreshAll(ids);
  }

  /** Lists everything again; calls made meanwhile share one further list. */
  async relist(): Promise<void> {
    if (this.#listing !== null) {
      this.#isListWanted = true;
      return this.#listing;
    }
    this.#listing = this.#listUntilDone();
    try {
      await this.#listing;
    } finally {
      this.#listing = null;
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { resolve } of this.#waiting.values()) resolve();
    this.#waiting.clear();
    await Promise.all([this.#events.close(), this.#pulse.close()]);
    await this.#listing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #onEvent(event: EngineEvent): void {
    const { action, containerId, attributes, timeNano } = event;
    if (event.type === "image") {
      for (const listener of this.#imageListeners) listener();
      return;
    }
    this.#untold.told(containerId);
    if (containerId === "") {
      void this.relist(); // A network came or went: rare, and its facts are part of many containers.
      return;
    }
    const isKnown = this.#known.has(containerId);
    if (!isKnown && (event.type !== "container" || !this.#concerns(attributes))) return;
    this.#applyEarly(event);
    for (const listener of this.#eventListeners) listener({ action, containerId, attributes, timeNano });
    void this.refresh([containerId]);
  }

  #onLook(look: Look): void {
    const before = this.#look;
    this.#look = look;
    if (before === null) return;
    const changed = changedSince(before, look);
    if (this.#untold.look(changed)) this.#events.reopen("it did not tell of changes that a list shows");
    const networks = changed.flatMap((id) => look.get(id)?.networkIds ?? []);
    if (networks.some((id) => id !== "" && !this.#networks.has(id))) void this.relist();
    else if (changed.length > 0) void this.refresh(changed);
  }

  #concerns(labels: Readonly<Record<string, string>>): boolean {
    return belongsToMesh(labels, this.#options.identity) || isOurs(labels, this.#options.identity);
  }

  /** The end of an endpoint is shown at once; everything else waits for what Docker says when it is asked. */
  #applyEarly(event: EngineEvent): void {
    const { containerId } = event;
    const known = this.#known.get(containerId);
    if (known?.kind !== "app" || isOfEarlierRun(event, known.raw)) return;
    const change = earlyChange(event);
    const stop = stopOf(event, known.raw, this.#now());
    if (change === null && stop === null) return;
    const before = this.#early.get(containerId);
    if (change !== null) this.#early.set(containerId, (container) => change(before?.(container) ?? container));
    if (stop !== null) this.#stops.set(containerId, stop);
    if (this.#isReady) this.#rebuild();
  }

  #enqueue(id: string): Promise<void> {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) return waiting.promise;
    const entry = Promise.withResolvers<void>();
    this.#waiting.set(id, entry);
    return entry.promise;
  }

  /** One inspect per container at a time, so that an older answer never replaces a newer one. */
  #pump(): void {
    for (const [id, { resolve }] of this.#waiting) {
      if (this.#inspecting.size >= inspectsAtOnceMax) return;
      if (this.#inspecting.has(id)) continue;
      this.#waiting.delete(id);
      this.#inspecting.add(id);
      void this.#inspect(id).finally(() => {
        this.#inspecting.delete(id);
        resolve();
        this.#pump();
      });
    }
  }

  async #inspect(id: string): Promise<void> {
    const early = this.#early.get(id);
    try {
      const { signal } = this.#abort;
      const raw = await this.#dropImageClaims(await inspectContainer(this.#options.engine, id, signal), signal);
      const labels = readLabels(raw);
      const { identity } = this.#options;
      if (raw === null) this.#known.delete(id);
      else if (isOurs(labels, identity)) this.#known.set(id, { kind: "own", raw });
      else if (belongsToMesh(labels, identity)) this.#known.set(id, { kind: "app", raw });
      // What came while Docker answered is newer than the answer.
      if (this.#early.get(id) === early) this.#early.delete(id);
      if (this.#isReady) this.#rebuild();
    } catch (error) {
      // The last known stays; the next list tries again.
      if (!this.#abort.signal.aborted)
        this.#options.log.debug({ id, err: error }, "a container could not be inspected");
    }
  }

  async #listUntilDone(): Promise<void> {
    do {
      this.#isListWanted = false;
      if (this.#timer !== null) clearTimeout(this.#timer);
      const isDone = await this.#list();
      if (this.#abort.signal.aborted) return;
      const inMs = isDone ? (this.#options.relistMs ?? relistEveryMs) : relistAfterFailureMs;
      this.#timer = setTimeout(() => void this.relist(), inMs);
    } while (this.#isListWanted);
  }

  async #list(): Promise<boolean> {
    const { engine, log } = this.#options;
    try {
      // Before the networks, so that each bridge that is seen here is told apart below.
      const machine = machineAddresses(engine);
      const networks = engine.call({ method: "GET", path: "/networks", signal: this.#abort.signal });
      const ids = Promise.all(this.#labels().map((text) => listContainerIds(engine, { label: [text] })));
      // Together: an engine that goes away fails all of them, and one that nobody waits for would end the daemon.
      const [items, lists] = await Promise.all([networks, ids]);
      this.#machineAddresses = machine;
      this.#networks = new Map(asArray(items).map((item) => [readNetwork(item).id, readNetwork(item)]));
      await this.#refreshAll(new Set([...lists.flat(), ...this.#known.keys()]));
      this.#isReady = true;
      this.#forgetStops();
      this.#rebuild();
      this.#firstList.resolve();
      return true;
    } catch (error) {
      if (!this.#abort.signal.aborted) log.debug({ err: error }, "the engine's containers could not be listed");
      return false;
    }
  }

  /** Docker joins several labels by AND, so each is a list of its own. */
  #labels(): readonly string[] {
    const { project, mesh } = this.#options.identity;
    return [`${composeLabel.project}=${project}`, `${userLabel.mesh}=${mesh}`, `${label.mesh}=${mesh}`];
  }

  async #refreshAll(ids: Iterable<string>): Promise<void> {
    const done = [...ids].map((id) => this.#enqueue(id));
    this.#pump();
    await Promise.all(done);
  }

  #rebuild(): void {
    const meshName = meshNetworkName(this.#options.identity.mesh);
    const mesh = [...this.#networks.values()].find(
      (network) => network.name === meshName && isOurs(network.labels, this.#options.identity),
    );
    const containers: Container[] = [];
    const own: OwnContainer[] = [];
    for (const [id, { kind, raw }] of this.#known) {
      if (kind === "app") {
        containers.push(this.#containerOf(id, raw));
      } else own.push(readOwnContainer(raw, mesh?.id ?? ""));
    }
    const byName = (a: { name: string; id: string }, b: { name: string; id: string }) =>
      a.name < b.name || (a.name === b.name && a.id < b.id) ? -1 : 1;
    const attached = new Set(containers.flatMap(({ networks }) => networks.map(({ networkId }) => networkId)));
    this.#publish({
      containers: containers.sort(byName),
      own: own.sort(byName),
      mesh: mesh ? { id: mesh.id, name: mesh.name, subnet: mesh.subnet, gateway: mesh.gateway } : null,
      hostAddresses: hostAddressesOf(this.#networks.values(), this.#machineAddresses, attached),
    });
  }

  #containerOf(id: string, raw: unknown): Container {
    const read = readContainer(raw, this.#networks);
    const container = this.#early.get(id)?.(read) ?? read;
    const stop = this.#stops.get(id);
    return stop !== undefined && isUnderWay(stop, container) ? { ...container, isStopping: true } : container;
  }

  /** After a list: of those that ended, and of those that run on although they should have ended. */
  #forgetStops(): void {
    for (const [id, stop] of this.#stops) {
      const known = this.#known.get(id);
      const isPast = known === undefined || !isUnderWay(stop, readContainer(known.raw, this.#networks));
      if (isPast || isOverdue(stop, this.#now())) this.#stops.delete(id);
    }
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now();
  }

  /** Only a real change is announced: most events and nearly every list bring none. */
  #publish(world: World): void {
    const text = JSON.stringify(world);
    if (text === this.#worldText) return;
    this.#world = world;
    this.#worldText = text;
    this.#announce();
  }

  #announce(): void {
    for (const listener of this.#changeListeners) listener();
  }
}
