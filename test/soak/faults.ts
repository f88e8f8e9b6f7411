// What a soak does to a mesh, one after the other: each says which services may fail requests meanwhile.
import { setTimeout as delay } from "node:timers/promises";
import { daemonsOf } from "../support/daemons.ts";
import { eventually } from "../support/eventually.ts";
import type { FaultProject } from "../support/fault-project.ts";
import type { Forwarder } from "../support/forwarder.ts";
import type { SecondEngine } from "../support/second-engine.ts";
import type { EventTrouble, TroubledEngine } from "../support/troubled-engine.ts";

export type Service = "pay" | "api" | "redis";

export interface Victim {
  readonly project: FaultProject;
  readonly door: TroubledEngine;
  readonly forwarder: Forwarder;
  /** Null: the engine is this machine's own, and is left alone. */
  readonly engine: SecondEngine | null;
}

export interface SoakFault {
  readonly name: string;
  /** Whose requests may fail while it lasts, and until it is recovered from. */
  readonly hits: readonly Service[];
  readonly needsEngine?: boolean;
  run(victim: Victim): Promise<void>;
}

const freezeMs = 5000;
const shortMs = 2000;
const slowCallMs = 1000;

export const soakFaults: readonly SoakFault[] = [
  onContainer("restart a replica", "api", (id) => [["restart", "-t", "2", id]]),
  onContainer("kill a replica and start it", "api", (id) => [
    ["kill", id],
    ["start", id],
  ]),
  onContainer("restart redis", "redis", (id) => [["restart", "-t", "5", id]]),
  {
    name: "freeze a replica for two seconds",
    hits: ["api"],
    run: async ({ project }) => {
      const id = await project.container("api");
      await project.docker("pause", id);
      await delay(shortMs);
      await project.docker("unpause", id);
    },
  },
  onSidecar("kill the sidecar of a replica", (id) => ["kill", id]),
  onSidecar("remove the sidecar of a replica", (id) => ["rm", "-f", id]),
  {
    name: "cut a replica off the mesh's network",
    hits: ["api"],
    run: async ({ project }) => {
      const networks = await project.docker(
        "network",
        "ls",
        "-q",
        "--filter",
        `label=dev.devmesh.project=${project.mesh.name}`,
      );
      const id = await project.container("api");
      await project.docker("network", "disconnect", networks.split("\n")[0] ?? "", id);
    },
  },
  {
    name: "edit mesh.yaml",
    hits: [],
    run: async ({ project }) => void project.edit(),
  },
  {
    name: "kill the daemon and run a command",
    hits: [],
    run: async ({ project }) => {
      for (const pid of daemonsOf(project.mesh.name)) process.kill(pid, "SIGKILL");
      await eventually(() => {
        if (daemonsOf(project.mesh.name).length > 0) throw new Error("the daemon is still there");
      });
      await project.mesh.cli("status");
    },
  },
  {
    name: "stop the daemon for two seconds",
    hits: [],
    run: async ({ project }) => {
      const pids = daemonsOf(project.mesh.name);
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      await delay(shortMs);
      for (const pid of pids) process.kill(pid, "SIGCONT");
    },
  },
  {
    name: "freeze the engine's connection",
    hits: [],
    run: async ({ forwarder }) => {
      forwarder.freeze();
      await delay(freezeMs);
      forwarder.thaw();
    },
  },
  {
    name: "a slow engine while a replica restarts",
    hits: ["api"],
    run: async ({ project, door }) => {
      door.delayMs = slowCallMs;
      await project.docker("restart", "-t", "2", await project.container("api"));
      await delay(shortMs);
      door.delayMs = 0;
    },
  },
  ...(["lose", "repeat", "shuffle", "silence"] as const).map(underEventTrouble),
  {
    name: "restart the engine under its containers",
    hits: [],
    needsEngine: true,
    run: async ({ engine }) => {
      await engine?.stop();
      await engine?.start();
    },
  },
  {
    name: "kill the engine under its containers",
    hits: [],
    needsEngine: true,
    run: async ({ engine }) => {
      await engine?.stop("SIGKILL");
      await engine?.start();
    },
  },
];

function onContainer(name: string, service: Service, commands: (id: string) => readonly string[][]): SoakFault {
  const run = async ({ project }: Victim): Promise<void> => {
    for (const command of commands(await project.container(service))) await project.docker(...command);
  };
  return { name, hits: [service], run };
}

function onSidecar(name: string, command: (id: string) => readonly string[]): SoakFault {
  const run = async ({ project }: Victim): Promise<void> => {
    const owner = await project.container("api");
    const filters = [`label=dev.devmesh.owner=${owner}`, "label=dev.devmesh.kind=sidecar"];
    const id = await project.docker("ps", "-q", ...filters.flatMap((filter) => ["--filter", filter]));
    await project.docker(...command(id));
  };
  return { name, hits: ["api"], run };
}

function underEventTrouble(trouble: EventTrouble): SoakFault {
  const run = async ({ project, door }: Victim): Promise<void> => {
    door.trouble = trouble;
    await project.docker("restart", "-t", "2", await project.container("api"));
    await delay(shortMs);
    door.trouble = "none";
  };
  return { name: `events in trouble (${trouble}) while a replica restarts`, hits: ["api"], run };
}
