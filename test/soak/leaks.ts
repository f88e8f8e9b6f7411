// What a mesh holds of its machine: containers, networks, rules, descriptors, memory. The same before and after, or it leaks.
import { readdirSync, readFileSync } from "node:fs";
import { daemonsOf } from "../support/daemons.ts";
import type { FaultProject } from "../support/fault-project.ts";
import { meshState } from "../support/kill-walk.ts";

export interface Holdings {
  /** Containers, networks, rules, hosts files, status: compared as a whole. */
  readonly state: string;
  readonly processes: readonly Holding[];
}

interface Holding {
  readonly name: string;
  readonly descriptors: number;
  readonly rssMb: number;
}

/**
 * Pools grow with the requests that are open at once: on a machine that stands still for two seconds, by a hundred and more, which
 * idle on for a minute. What leaks with each request or fault is far above it.
 */
const descriptorsMoreMax = 300;
/** Above what it had, where it is more than twice as much: heaps grow until they are collected. */
const rssMoreMbMax = 80;

export async function readHoldings(project: FaultProject, services: readonly string[]): Promise<Holdings> {
  const filter = [
    "--filter",
    `label=dev.devmesh.project=${project.mesh.name}`,
    "--filter",
    "label=dev.devmesh.kind=sidecar",
  ];
  const ids = await project.docker("ps", "-q", ...filter);
  const named = await project.docker("inspect", "-f", "{{.Name}} {{.State.Pid}}", ...ids.split("\n"));
  const sidecars = named.split("\n").map((line) => line.split(" "));
  const daemons = daemonsOf(project.mesh.name).map((pid) => ["daemon", String(pid)]);
  return {
    state: JSON.stringify(await meshState(project.mesh, services)),
    processes: [...daemons, ...sidecars].map(([name = "", pid = ""]) => ({ name, ...holdingOf(pid) })),
  };
}

function holdingOf(pid: string): Omit<Holding, "name"> {
  const [, kb = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, rssMb: Math.round(Number(kb) / 1024) };
}

/** In sentences; nothing, when nothing leaks. */
export function leaksOf(before: Holdings, after: Holdings): string[] {
  const leaks = before.state === after.state ? [] : [`the state was ${before.state} and is ${after.state}`];
  for (const one of after.processes) {
    const was = before.processes.find(({ name }) => name === one.name);
    if (was === undefined) leaks.push(`${one.name} was not there before`);
    else if (one.descriptors > was.descriptors + descriptorsMoreMax)
      leaks.push(`${one.name} had ${was.descriptors} descriptors and has ${one.descriptors}`);
    else if (one.rssMb > Math.max(2 * was.rssMb, was.rssMb + rssMoreMbMax))
      leaks.push(`${one.name} had ${was.rssMb} MB and has ${one.rssMb} MB`);
  }
  if (after.processes.length < before.processes.length) leaks.push("a process is missing");
  return leaks;
}

export function describeHoldings({ processes }: Holdings): string {
  return processes.map(({ name, descriptors, rssMb }) => `${name} ${descriptors} fds ${rssMb} MB`).join(", ");
}
