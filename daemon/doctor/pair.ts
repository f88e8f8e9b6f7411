// A throw-away application with a sidecar of the real shape in its namespace, and a neighbour that calls it: what they saw.
import { randomBytes } from "node:crypto";
import type { ProbeAnswers, ProbeQuestions, ProbeReport } from "../../proxy/contract/probe.ts";
import { Problem } from "../api/problem.ts";
import {
  createContainer,
  inspectContainer,
  pauseContainer,
  removeContainer,
  startContainer,
  unpauseContainer,
} from "../docker/containers.ts";
import { openControlStream } from "../docker/control-stream.ts";
import { type Engine, EngineError } from "../docker/engine.ts";
import type { EngineFacts } from "../docker/image.ts";
import { asRecord, asString } from "../docker/json.ts";
import { type MeshIdentity, ownLabels } from "../docker/labels.ts";
import { followLogs, readLogTail } from "../docker/logs.ts";
import { connectContainer, ensureMeshNetwork, removeNetwork } from "../docker/network.ts";
import { sidecarSpec } from "../docker/own-spec.ts";
import type { MeshNetwork } from "../docker/world.ts";

/** Any user but the proxy's, with nothing that it may do. */
const nobody = "65534:65534";
/** A sidecar is ready 0.2 s after its creation; a busy machine needs seconds. */
const reportMsMax = 15_000;
const answersMsMax = 15_000;
const changeTimeoutMs = 30_000;

export interface PairContext {
  readonly engine: Engine;
  readonly identity: MeshIdentity;
  readonly image: string;
  readonly facts: EngineFacts;
  /** Aborted when the user has had enough. */
  readonly signal: AbortSignal;
}

export interface Addresses {
  readonly bridge: string;
  /** "" where the engine makes no IPv6 networks. */
  readonly bridge6: string;
  readonly mesh: string;
}

type Part = "application" | "neighbour" | "sidecar";

/** Owns everything that it made, from its first network on. */
export class Pair implements AsyncDisposable {
  readonly #context: PairContext;
  readonly #containers = new Map<Part, string>();
  readonly #networks: string[] = [];
  #mesh: MeshNetwork | null = null;
  /** Why the engine made no IPv6 network; "" when it did. */
  ipv6Failure = "";

  constructor(context: PairContext) {
    this.#context = context;
  }

  get mesh(): MeshNetwork {
    if (this.#mesh === null) throw new Error("open() comes first");
    return this.#mesh;
  }

  nameOf(part: Part): string {
    return `devmesh-${this.#context.identity.mesh}-${part}`;
  }

  /** Networks, application and neighbour. Throws Problem or EngineError. */
  async open(): Promise<void> {
    const { engine, identity } = this.#context;
    const [mesh, bridge] = await Promise.allSettled([ensureMeshNetwork(engine, identity), this.#createBridge()]);
    // Both have ended before the first error counts, and what was made is known.
    if (mesh.status === "fulfilled") this.#networks.push(mesh.value.id);
    if (bridge.status === "fulfilled") this.#networks.push(bridge.value);
    if (mesh.status === "rejected") throw mesh.reason;
    if (bridge.status === "rejected") throw bridge.reason;
    this.#mesh = mesh.value;
    this.#context.signal.throwIfAborted();
    const parts = ["application", "neighbour"] as const;
    await settled(parts.map((part) => this.#startApplication(part, bridge.value, mesh.value.id)));
  }

  /** False when Docker cannot pause. */
  async pause(): Promise<boolean> {
    return await pauseContainer(this.#context.engine, this.#id("application"));
  }

  async unpause(): Promise<void> {
    await unpauseContainer(this.#context.engine, this.#id("application"));
  }

  /** Puts the sidecar into the application's namespace, as the mesh would. Throws EngineError. */
  async attach(): Promise<void> {
    const { engine, identity } = this.#context;
    const container = this.nameOf("application");
    const sidecar = { containerId: this.#id("application"), startedAt: "", container };
    const { body } = sidecarSpec(this.#context, sidecar, this.mesh);
    const name = this.nameOf("sidecar");
    const id = await createContainer(engine, name, {
      ...body,
      Cmd: ["probe", "sidecar"],
      Labels: ownLabels(identity),
    });
    this.#containers.set("sidecar", id);
    try {
      await startContainer(engine, id);
    } catch (error) {
      const words = await readLogTail(engine, this.#id("application"));
      if (!/unknown mode/.test(words)) throw error;
      const what = `the image ${this.#context.image} is of another version: it cannot probe`;
      throw new Problem("DM0403", what, "devmesh image build makes the one of this version");
    }
  }

  /** What the sidecar says first. Throws with its last words when it says something else. */
  async report(): Promise<ProbeReport> {
    const { engine, signal } = this.#context;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(reportMsMax)]);
    const said: string[] = [];
    for await (const { line, stream } of followLogs(engine, [this.#id("sidecar")], { follow: true, signal: limit })) {
      if (stream === "stdout" && line.startsWith("{")) return JSON.parse(line) as ProbeReport;
      said.push(line);
    }
    signal.throwIfAborted();
    throw new Error(said.join(" ") || `the sidecar said nothing within ${reportMsMax / 1000} s`);
  }

  async addresses(part: "application" | "neighbour"): Promise<Addresses> {
    const inspected = asRecord(await inspectContainer(this.#context.engine, this.#id(part)));
    const networks = asRecord(asRecord(inspected.NetworkSettings).Networks);
    const own = Object.entries(networks);
    const mesh = asRecord(own.find(([name]) => name === this.mesh.name)?.[1]);
    const bridge = asRecord(own.find(([name]) => name !== this.mesh.name)?.[1]);
    return {
      mesh: asString(mesh.IPAddress),
      bridge: asString(bridge.IPAddress),
      bridge6: asString(bridge.GlobalIPv6Address),
    };
  }

  /** Runs the questions inside of a container, by an exec as the control channel is one. Throws what keeps it from answering. */
  async ask(part: "application" | "neighbour", questions: ProbeQuestions): Promise<ProbeAnswers> {
    const { engine } = this.#context;
    const command = ["node", "/devmesh/proxy.mjs", "probe", "ask", JSON.stringify(questions)];
    const stream = await openControlStream(engine, this.#id(part), { command, user: nobody });
    const timer = setTimeout(() => stream.destroy(new Error("no answer")), answersMsMax);
    try {
      let text = "";
      for await (const chunk of stream) text += String(chunk);
      return JSON.parse(text) as ProbeAnswers;
    } finally {
      clearTimeout(timer);
      stream.destroy();
    }
  }

  /** Removes all of it. Throws when something cannot be. */
  async close(): Promise<void> {
    const { engine } = this.#context;
    await settled([...this.#containers.values()].map((id) => removeContainer(engine, id)));
    await settled(this.#networks.map((id) => removeNetwork(engine, id)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #id(part: Part): string {
    const id = this.#containers.get(part);
    if (id === undefined) throw new Error(`there is no ${part} yet`);
    return id;
  }

  /** An ordinary bridge, as a project's own, with both families of addresses where the engine makes such. */
  async #createBridge(): Promise<string> {
    const { engine, identity } = this.#context;
    const path = "/networks/create";
    const base = { Name: `devmesh_${identity.mesh}`, Driver: "bridge", Labels: ownLabels(identity) };
    const create = async (more: object): Promise<string> => {
      const body = { ...base, ...more };
      return asString(asRecord(await engine.call({ method: "POST", path, body, timeoutMs: changeTimeoutMs })).Id);
    };
    try {
      return await create({ EnableIPv6: true, IPAM: { Driver: "default", Config: [{ Subnet: uniqueLocalSubnet() }] } });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.ipv6Failure = error.message;
      return await create({});
    }
  }

  async #startApplication(part: "application" | "neighbour", bridge: string, mesh: string): Promise<void> {
    const { engine, identity, image } = this.#context;
    const id = await createContainer(engine, this.nameOf(part), {
      Image: image,
      Cmd: ["probe", "application"],
      User: nobody,
      Labels: ownLabels(identity),
      HostConfig: { NetworkMode: bridge, CapDrop: ["ALL"], LogConfig: this.#context.facts.logConfig },
    });
    this.#containers.set(part, id);
    await connectContainer(engine, mesh, id);
    await startContainer(engine, id);
  }
}

/** RFC 4193 3.2: a random prefix that nobody else has. */
function uniqueLocalSubnet(): string {
  const hex = randomBytes(5).toString("hex");
  return `fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6, 10)}::/64`;
}

/** All have ended when the first error is thrown: what they made is then known. */
async function settled(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}
