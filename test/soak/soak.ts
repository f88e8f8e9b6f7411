// Random faults under load for a given time, with a history of every request and write, and a checker of all of it at the end.
import { seededRandom } from "../../proxy/route/split.ts";
import { eventually } from "../support/eventually.ts";
import { FaultProject } from "../support/fault-project.ts";
import { Forwarder } from "../support/forwarder.ts";
import { type Fault, faultsOf } from "../support/history.ts";
import { describeLoad, type Load } from "../support/load.ts";
import { SecondEngine } from "../support/second-engine.ts";
import { builtImages } from "../support/shop-project.ts";
import { TroubledEngine } from "../support/troubled-engine.ts";
import type { Service, SoakFault, Victim } from "./faults.ts";
import { describeHoldings, leaksOf, readHoldings } from "./leaks.ts";
import { Writes } from "./writes.ts";

export interface SoakOptions {
  readonly seed: number;
  /** Of these, drawn at random until the time is over; at the least each once in their order when `isOneRound`. */
  readonly faults: readonly SoakFault[];
  readonly untilMs: number;
  readonly isOneRound?: boolean;
  /** On an engine of its own, which may be restarted. */
  readonly hasOwnEngine: boolean;
  readonly print: (text: string) => void;
}

/** What was wrong, in sentences; nothing, when all is well. */
export type Verdict = readonly string[];

/** Only bounds a failure: one that takes longer ends the soak. */
const recoverWithinMs = 90_000;
/** A pool's last broken connection may be found after the status says that all is well. */
const settleMs = 2000;
const steadyRequests = 40;
const services = ["client", "api", "pay-v1", "pay-v2", "redis"];
const answersOf = { pay: ["pay-v1", "pay-v2"], api: ["api"] };

export async function soak(options: SoakOptions): Promise<Verdict> {
  const { proxy, shop, redis } = builtImages();
  await using engine = options.hasOwnEngine
    ? await SecondEngine.start({ liveRestore: true, images: [proxy, shop, redis] })
    : null;
  await using door = await TroubledEngine.start(engine?.socket);
  await using forwarder = await Forwarder.start(door.socket);
  const direct = engine?.url ?? "unix:///var/run/docker.sock";
  await using project = new FaultProject({ name: "soak", host: forwarder.url, direct, hasRedis: true });
  await project.up();
  await project.isWell();
  const verdict = await underFire({ project, door, forwarder, engine }, options);
  await project.mesh.down();
  const left = await project.docker("ps", "-aq", "--filter", `label=dev.devmesh.project=${project.mesh.name}`);
  return left === "" ? verdict : [...verdict, `left over after down: ${left}`];
}

async function underFire(victim: Victim, options: SoakOptions): Promise<Verdict> {
  const { project } = victim;
  const { print } = options;
  const problems: string[] = [];
  const faults: Record<Service, Fault[]> = { pay: [], api: [], redis: [] };
  await using writes = await Writes.start(project);
  const [pay, api] = await Promise.all([project.load("pay"), project.load("api")]);
  const steady = async (): Promise<void> => {
    const loads = [pay, api].map((load) => load.successes(steadyRequests, recoverWithinMs));
    await Promise.all([...loads, writes.goOn(10, recoverWithinMs)]);
  };
  await steady();
  // What comes in quiet times is done, and the proxies have warmed up.
  const before = await eventually(() => wellHoldings(project), recoverWithinMs, 500);
  try {
    for (const fault of drawn(options)) {
      const fromMs = Date.now();
      await fault.run(victim);
      const doneMs = Date.now();
      await recovered(project, steady);
      const untilMs = Date.now() + settleMs;
      for (const service of fault.hits) faults[service].push({ names: "", fromMs, untilMs });
      print(`${fault.name}: took ${doneMs - fromMs} ms, all well ${Date.now() - doneMs} ms later`);
    }
    const after = await eventually(
      async () => {
        const now = await wellHoldings(project);
        if (now.state !== before.state) throw new Error(leaksOf(before, now).join("; "));
        return now;
      },
      recoverWithinMs,
      500,
    );
    problems.push(...leaksOf(before, after));
    print(`before: ${describeHoldings(before)}`);
    print(`after: ${describeHoldings(after)}`);
  } catch (error) {
    problems.push(`it did not recover: ${error instanceof Error ? error.message : error}`);
  }
  await Promise.all([pay.stop(), api.stop()]);
  const lost = await writes.lost().catch((error: unknown) => [String(error)]);
  print(`pay: ${describeLoad(pay.sent)}`);
  print(`api: ${describeLoad(api.sent)}`);
  print(`redis: ${writes.acknowledged.size} writes acknowledged, ${lost.length} lost`);
  if (lost.length > 0) problems.push(`acknowledged writes were lost: ${lost.slice(0, 20).join(", ")}`);
  problems.push(...judge(pay, answersOf.pay, faults.pay), ...judge(api, answersOf.api, faults.api));
  return problems;
}

function judge(load: Load, mayAnswer: readonly string[], faults: readonly Fault[]): string[] {
  const found = faultsOf(load.sent, mayAnswer, faults);
  return found.length > 20 ? [...found.slice(0, 20), `and ${found.length - 20} more`] : found;
}

function* drawn({ seed, faults, untilMs, isOneRound = false }: SoakOptions): Generator<SoakFault> {
  if (isOneRound) {
    yield* faults;
    return;
  }
  const random = seededRandom(seed);
  while (Date.now() < untilMs) {
    const fault = faults[Math.floor(random() * faults.length)];
    if (fault !== undefined) yield fault;
  }
}

async function recovered(project: FaultProject, steady: () => Promise<void>): Promise<void> {
  await project.isWell(recoverWithinMs);
  await steady();
}

async function wellHoldings(project: FaultProject) {
  await project.isWell(recoverWithinMs);
  const holdings = await readHoldings(project, services);
  if (holdings.state.includes("one-shot")) throw new Error("a one-shot is still at work");
  return holdings;
}
