// What the throw-away pair saw, as findings. Pure.
import { isIPv4 } from "node:net";
import { type ProbeAnswers, type ProbeReport, probeGreeting } from "../../proxy/contract/probe.ts";
import { type EngineFacts, modulesHint } from "./engine-facts.ts";
import { type Finding, fail, formatBytes, ok, warn } from "./finding.ts";

/** A pull, a build and some logs fit. */
const diskBytesWanted = 2_000_000_000;
const diskBytesMin = 200_000_000;

export function checkDisk({ freeBytes }: ProbeReport, { rootFolder }: EngineFacts): Finding {
  const what = `Docker's disk (${rootFolder || "its root"}) has ${formatBytes(freeBytes)} free`;
  const hint = "docker system df shows what takes it, docker system prune frees what nothing uses";
  if (freeBytes < diskBytesMin) return fail("docker-disk", what, hint);
  return freeBytes < diskBytesWanted ? warn("docker-disk", what, hint) : ok("docker-disk", what);
}

export function checkRules({ failure, missingModules, kernel }: ProbeReport, facts: EngineFacts): Finding {
  if (failure === "") return ok("rules", `the rules of a sidecar load, on kernel ${kernel}`);
  if (missingModules.length === 0) {
    return fail("rules", `the rules of a sidecar do not load: ${oneLine(failure)}`, "this is worth a report");
  }
  const what = `kernel ${kernel} lacks what the rules of a sidecar need: ${missingModules.join(", ")}`;
  return fail("rules", what, modulesHint(facts, missingModules));
}

export interface Dialled {
  readonly address: string;
  readonly port: number;
}

/** The sidecar must have taken the connection, and known where it was to go. */
export function checkCapture(dialled: Dialled, answer: string | undefined): Finding {
  const expected = probeGreeting("outbound", `${dialled.address} ${dialled.port}`);
  if (answer === expected) {
    return ok("capture", `outgoing connections are captured, with their original destination (${shown(dialled)})`);
  }
  const what = `a connection to ${shown(dialled)} was not captured as it should be: ${saw(answer)}`;
  return fail("capture", what, "other software in the way of nftables in containers? docker info names the runtime");
}

export function checkInbound(dialled: Dialled, answer: string | undefined): Finding {
  const expected = probeGreeting("inbound", `${dialled.address} ${dialled.port}`);
  if (answer === expected) return ok("inbound", "incoming connections are captured, with their original destination");
  const what = `a neighbour's connection to ${shown(dialled)} was not captured as it should be: ${saw(answer)}`;
  return fail("inbound", what, firewallHint);
}

export function checkPeers(answer: string | undefined): Finding {
  if (answer === probeGreeting("peer")) return ok("peers", "containers reach each other over the mesh's network");
  return fail("peers", `containers do not reach each other over an internal network: ${saw(answer)}`, firewallHint);
}

const firewallHint = "a firewall on Docker's bridges (ufw, firewalld)? let traffic between containers pass";

export interface Asked {
  /** What a dial within the container's IPv6 network and one of the neighbour's met. */
  readonly outgoing: { readonly dialled: Dialled; readonly answer: string | undefined } | null;
  readonly incoming: { readonly dialled: Dialled; readonly answer: string | undefined } | null;
}

export function checkIpv6({ hasIpv6 }: ProbeReport, networkFailure: string, { outgoing, incoming }: Asked): Finding {
  if (networkFailure !== "" || outgoing === null || incoming === null || !hasIpv6) {
    const why = networkFailure === "" ? "" : `: ${oneLine(networkFailure)}`;
    const what = `this engine makes no IPv6 networks${why}`;
    return warn(
      "ipv6",
      what,
      'for IPv6 between containers: "ip6tables": true in /etc/docker/daemon.json, a recent Docker',
    );
  }
  const isOut = outgoing.answer === probeGreeting("outbound", `${outgoing.dialled.address} ${outgoing.dialled.port}`);
  const isIn = incoming.answer === probeGreeting("inbound", `${incoming.dialled.address} ${incoming.dialled.port}`);
  if (isOut && isIn) return ok("ipv6", "IPv6 connections are captured both ways");
  const [way, met] = isOut ? ["incoming", incoming] : ["outgoing", outgoing];
  const what = `an ${way} IPv6 connection (${shown(met.dialled)}) was not captured: ${saw(met.answer)}`;
  return warn("ipv6", what, "IPv6 TCP of services is then cut; IPv4 is not concerned");
}

/** First the name that the sidecar's resolver alone knows, then one that Docker's knows. */
export function checkDns([own, docker]: ProbeAnswers["names"]): Finding {
  if (own?.every(isIPv4) !== true) {
    const what = `the sidecar's resolver does not answer for the mesh's names: ${own?.join(" ") ?? "nothing"}`;
    return fail("dns", what, "is the resolver in the container Docker's own (127.0.0.11)? see dns in daemon.json");
  }
  if (docker?.every(isIPv4) !== true) {
    const what = `Docker's resolver does not answer behind the sidecar's: ${docker?.join(" ") ?? "nothing"}`;
    return fail("dns", what, "sudo systemctl restart docker");
  }
  return ok("dns", "names of the mesh are answered by the sidecar, others by Docker's resolver");
}

function saw(answer: string | undefined): string {
  switch (answer) {
    case undefined:
    case "silence":
      return "nobody answered";
    case "application":
      return "the application answered, past the sidecar";
    default:
      return answer;
  }
}

function shown({ address, port }: Dialled): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
