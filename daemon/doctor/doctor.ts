// `devmesh doctor`: every check in its order, each told as soon as it is known. Changes nothing that stays.
import { type ProbeReport, probeName, probePort } from "../../proxy/contract/probe.ts";
import { meshesFolder } from "../api/paths.ts";
import { Problem } from "../api/problem.ts";
import { findEndpoints } from "../docker/endpoint.ts";
import { connectEngine, type Engine } from "../docker/engine.ts";
import { ensureImage, readEngineFacts as readLogFacts } from "../docker/image.ts";
import { checkClock, checkKind, type EngineFacts, readEngineFacts } from "./engine-facts.ts";
import { type CheckId, type Finding, fail, ok, warn } from "./finding.ts";
import { groupHint, ownGroups } from "./groups.ts";
import { checkCompose, checkNode, checkStateFolder } from "./host.ts";
import { doctorIdentity, removeLeftovers } from "./leftovers.ts";
import { Pair } from "./pair.ts";
import {
  checkCapture,
  checkDisk,
  checkDns,
  checkInbound,
  checkIpv6,
  checkPeers,
  checkRules,
  oneLine,
} from "./pair-findings.ts";

export interface Examination {
  readonly env: NodeJS.ProcessEnv;
  /** What the command line knows of compose: "docker compose 2.20.3", or null. */
  readonly compose: Promise<string | null>;
  /** The proxy's image; throws Problem where this devmesh does not know it. */
  readonly image: () => string;
  /** Aborted when the user has had enough. */
  readonly signal: AbortSignal;
  onFinding(finding: Finding): void;
}

/** False when no engine answers; the checks that need none were made all the same. Throws the signal's reason. */
export async function examine({ env, compose, image, signal, onFinding }: Examination): Promise<boolean> {
  onFinding(checkNode(process.version));
  onFinding(checkCompose(await compose));
  onFinding(checkStateFolder(meshesFolder(env)));
  const engine = await connect(env, onFinding);
  if (engine === null) return false;
  try {
    await examineEngine(engine, { image, signal, onFinding });
  } finally {
    await engine.close();
  }
  return true;
}

async function connect(env: NodeJS.ProcessEnv, onFinding: Examination["onFinding"]): Promise<Engine | null> {
  try {
    const [chosen] = await findEndpoints(env);
    const engine = await connectEngine(env);
    onFinding(ok("docker", `Docker ${engine.engineVersion} answers at ${engine.url} (from ${chosen?.source})`));
    onFinding(ok("docker-api", `its API is spoken in version ${engine.apiVersion}`));
    return engine;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const hint = (error.code === "DM0102" ? groupHint(ownGroups(env)) : null) ?? error.hint;
    onFinding(fail(error.code === "DM0103" ? "docker-api" : "docker", error.message, hint));
    return null;
  }
}

type EngineExamination = Pick<Examination, "image" | "signal" | "onFinding">;

async function examineEngine(engine: Engine, examination: EngineExamination): Promise<void> {
  const { image, signal, onFinding } = examination;
  const askedMs = Date.now();
  const info = await engine.call({ method: "GET", path: "/info" });
  const answeredMs = Date.now();
  const facts = readEngineFacts(await engine.call({ method: "GET", path: "/version" }), info);
  onFinding(checkKind(facts));
  onFinding(checkClock(facts, askedMs, answeredMs));
  const isThere = await attempt("image", onFinding, async () => {
    onFinding(ok("image", `the proxy's image ${(await ensureImage(engine, image())).tag} is there`));
  });
  const removed = await removeLeftovers(engine, Number.isNaN(facts.nowMs) ? answeredMs : facts.nowMs);
  if (removed > 0) onFinding(ok("leftovers", `${removed} leftovers of a doctor that was killed are removed`));
  signal.throwIfAborted();
  if (!isThere) return;
  const identity = doctorIdentity();
  const pair = new Pair({ engine, identity, image: image(), facts: await readLogFacts(engine), signal });
  try {
    await attempt("pair", onFinding, () => examinePair(pair, facts, examination));
  } finally {
    await pair.close();
  }
}

/** True when nothing kept it from its end; else the finding says what did. */
async function attempt(id: CheckId, onFinding: Examination["onFinding"], work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    const hint = error instanceof Problem ? error.hint : "journalctl -u docker may say more";
    onFinding(fail(id, oneLine(error instanceof Error ? error.message : String(error)), hint));
    return false;
  }
}

async function examinePair(pair: Pair, facts: EngineFacts, { signal, onFinding }: EngineExamination): Promise<void> {
  await pair.open();
  onFinding(ok("subnet", `networks can be made; a mesh would have ${pair.mesh.subnet}`));
  signal.throwIfAborted();
  await attachPaused(pair, onFinding);
  signal.throwIfAborted();
  const report = await pair.report();
  onFinding(ok("pair", "a sidecar joins an application's namespace"));
  onFinding(checkDisk(report, facts));
  onFinding(checkRules(report, facts));
  if (report.failure === "") await examineTraffic(pair, report, onFinding);
}

/** As the mesh does it: the application stands still until its sidecar is there. */
async function attachPaused(pair: Pair, onFinding: Examination["onFinding"]): Promise<void> {
  const started = performance.now();
  const isPaused = await pair.pause();
  try {
    await pair.attach();
  } finally {
    if (isPaused) await pair.unpause();
  }
  const ms = Math.round(performance.now() - started);
  if (isPaused) onFinding(ok("pause", `an application can be paused until its sidecar is there (${ms} ms)`));
  else {
    const hint = "services start all the same; write hold: false in mesh.yaml to have no such warning";
    onFinding(warn("pause", "this engine cannot pause containers: connections older than a sidecar are cut", hint));
  }
}

async function examineTraffic(pair: Pair, report: ProbeReport, onFinding: Examination["onFinding"]): Promise<void> {
  const [application, neighbour] = await Promise.all([pair.addresses("application"), pair.addresses("neighbour")]);
  // On-link and nobody's, as a service's virtual address is.
  const outgoing = { address: pair.mesh.subnet.replace(/\d+\/\d+$/, "200"), port: 80 };
  const incoming = { address: application.bridge, port: probePort };
  const peer = { address: application.mesh, port: report.peerPort };
  const has6 = application.bridge6 !== "";
  const outgoing6 = { address: neighbour.bridge6, port: probePort };
  const incoming6 = { address: application.bridge6, port: probePort };
  const [out, into] = await Promise.all([
    pair.ask("application", {
      dials: has6 ? [outgoing, outgoing6] : [outgoing],
      names: [probeName, pair.nameOf("neighbour")],
    }),
    pair.ask("neighbour", { dials: has6 ? [incoming, peer, incoming6] : [incoming, peer], names: [] }),
  ]);
  onFinding(checkCapture(outgoing, out.dials[0]));
  onFinding(checkInbound(incoming, into.dials[0]));
  onFinding(checkPeers(into.dials[1]));
  onFinding(checkDns(out.names));
  const asked = {
    outgoing: has6 ? { dialled: outgoing6, answer: out.dials[1] } : null,
    incoming: has6 ? { dialled: incoming6, answer: into.dials[2] } : null,
  };
  onFinding(checkIpv6(report, pair.ipv6Failure, asked));
}
