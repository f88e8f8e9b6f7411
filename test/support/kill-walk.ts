// Kills the daemon right after each of its calls that change something, one after the other, and says what a mesh looks like then.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { daemonsOf } from "./daemons.ts";
import { eventually } from "./eventually.ts";
import type { MeshProject, Result } from "./mesh-project.ts";
import type { Call, TroubledEngine } from "./troubled-engine.ts";

const run = promisify(execFile);
/** Only bounds a failure. */
const sameWithinMs = 60_000;

export interface Walk {
  readonly project: MeshProject;
  readonly door: TroubledEngine;
  /** What is interrupted, and what is run again after it. */
  act(): Promise<Result>;
  /** Brings the project back to where each interrupted act begins. */
  reset(): Promise<void>;
  /** What must be the same after each. */
  look(): Promise<unknown>;
  /** Before each: its number. */
  onKill?(nth: number): void;
}

/** The calls after which the daemon was killed, in order. Throws when a state differs from the one that no kill had disturbed. */
export async function walkKills({ project, door, act, reset, look, onKill }: Walk): Promise<readonly Call[]> {
  const first = await act();
  if (first.code !== 0) throw new Error(`it fails without a kill, too: ${first.stdout}${first.stderr}`);
  const wanted = await settledLook(look);
  const kills: Call[] = [];
  for (;;) {
    onKill?.(kills.length + 1);
    await reset();
    const killed = armKill(project.name, door, kills.length + 1);
    try {
      await act();
      // Some of its work comes after the command's end.
      await same(look, wanted, () => killed.call !== null);
    } finally {
      door.onAnswered = () => undefined;
    }
    if (killed.call === null) return kills;
    kills.push(killed.call);
    // The command itself may have started another daemon already.
    const again = await act();
    const what = `killed after call ${kills.length}, ${killed.call.method} ${killed.call.path}`;
    if (again.code !== 0) throw new Error(`${what}: run again it fails: ${again.stdout}${again.stderr}`);
    await same(look, wanted, () => false).catch((error: Error) => {
      throw new Error(`${what}: ${error.message}`);
    });
  }
}

function armKill(project: string, door: TroubledEngine, nth: number): { call: Call | null } {
  const killed: { call: Call | null } = { call: null };
  let count = 0;
  door.onAnswered = (call) => {
    if (!["POST", "DELETE"].includes(call.method) || killed.call !== null || ++count < nth) return;
    killed.call = call;
    for (const pid of daemonsOf(project)) process.kill(pid, "SIGKILL");
  };
  return killed;
}

/** Twice the same, with time for what comes in quiet times between. */
async function settledLook(look: Walk["look"]): Promise<string> {
  let last = "";
  let sinceMs = 0;
  return await eventually(
    async () => {
      const text = JSON.stringify(await look());
      if (text !== last) [last, sinceMs] = [text, performance.now()];
      if (performance.now() - sinceMs < 3000) throw new Error("it still changes");
      return text;
    },
    sameWithinMs,
    200,
  );
}

async function same(look: Walk["look"], wanted: string, isOver: () => boolean): Promise<void> {
  await eventually(
    async () => {
      if (isOver()) return;
      const text = JSON.stringify(await look());
      if (text !== wanted && !isOver()) throw new Error(`it is now\n${text}\nand was to be\n${wanted}`);
    },
    sameWithinMs,
    50,
  );
}

/** Containers, networks, rules, the hosts file and the status, without what is drawn or counted anew each time. */
export async function meshState(project: MeshProject, services: readonly string[]): Promise<unknown> {
  const filter = ["--filter", `label=dev.devmesh.project=${project.name}`];
  const [own, networks, applications] = await Promise.all([
    project.docker("ps", "-a", ...filter, "--format", '{{.Label "dev.devmesh.kind"}} {{.Names}} {{.State}}'),
    project.docker("network", "ls", ...filter, "--format", "{{.Name}} {{.Driver}}"),
    Promise.all(services.map((service) => applicationState(project, service))),
  ]);
  const view = own === "" ? null : await project.status();
  const sidecars = view?.services.flatMap(({ name, workloads }) =>
    workloads.map(({ sidecar, isSynced }) => `${name} ${sidecar} ${isSynced}`),
  );
  return {
    own: own.split("\n").sort(),
    networks: networks.split("\n").sort(),
    applications,
    health: view?.health,
    sidecars,
  };
}

async function applicationState(project: MeshProject, service: string): Promise<unknown> {
  const format = "{{.State.Pid}} {{.State.Status}} {{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
  const text = await project.docker("inspect", "-f", format, await project.container(service));
  const [pid = "", ...rest] = text.trim().split(" ");
  const inside = (...command: readonly string[]): Promise<string> =>
    run("nsenter", ["-t", pid, ...command]).then(
      ({ stdout }) => stdout,
      ({ stderr }: { stderr: string }) => stderr,
    );
  const rules = await inside("-n", "nft", "list", "table", "inet", "devmesh");
  return { service, rest, rules: withoutDrawn(rules), hosts: await inside("-m", "cat", "/etc/hosts") };
}

function withoutDrawn(rules: string): string {
  return rules
    .replace(/packets \d+ bytes \d+/g, "counted")
    .replace(/elements = \{[^}]*\}/g, "elements")
    .replace(/(skgid|meta skgid|gid) \S+/g, "$1 drawn")
    .replace(/\d+\.\d+\.\d+\.\d+/g, "address");
}
