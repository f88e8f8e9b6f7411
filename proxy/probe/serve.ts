// The two long-lived parts of a probe: an application that greets, and a sidecar with the real rules, resolver and privilege drop
// that says where each connection wanted to go.
import { once } from "node:events";
import { statfsSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { release } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { dropPrivileges } from "../capture/drop-privileges.ts";
import { installRules } from "../capture/install-rules.ts";
import { loadOriginalDestination, originalDestination } from "../capture/original-destination.ts";
import { dnsPort, dockerDns, inboundPort, outboundPort, peerPort } from "../capture/ports.ts";
import { newProxyGroup } from "../capture/proxy-group.ts";
import type { RuleOptions } from "../capture/rules.ts";
import { type ProbeReport, probeGreeting, probeLifeMs, probeName, probePort } from "../contract/probe.ts";
import { Resolver } from "../dns/resolver.ts";
import { missingModules } from "./kernel.ts";

/** RFC 5737: an address that nobody has. */
const probeAddress = "192.0.2.1";

export async function serveApplication(): Promise<void> {
  await listen(probePort, ["0.0.0.0", "::"], () => probeGreeting("application"));
  await delay(probeLifeMs);
}

/** Prints one ProbeReport when it serves, or when it knows why it cannot. */
export async function serveSidecar(options: Omit<RuleOptions, "proxyGroup">): Promise<void> {
  await loadOriginalDestination();
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const resolver = new Resolver({ listen: { address: "127.0.0.1", port: dnsPort }, upstream: dockerDns, log });
  resolver.setTable(new Map([[probeName, [probeAddress]]]));
  const [hasIpv6] = await Promise.all([
    listen(outboundPort, ["127.0.0.1", "::1"], redirected("outbound")),
    listen(inboundPort, ["0.0.0.0", "::"], redirected("inbound")),
    listen(peerPort, ["0.0.0.0"], () => probeGreeting("peer")),
    resolver.listen(),
  ]);
  const { failure, missing } = await protect({ ...options, isIpv6Captured: hasIpv6, proxyGroup: newProxyGroup() });
  const { bavail, bsize } = statfsSync("/");
  const report: ProbeReport = {
    kernel: release(),
    freeBytes: bavail * bsize,
    failure,
    missingModules: missing,
    peerPort,
    hasIpv6,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  await delay(probeLifeMs);
}

async function protect(options: RuleOptions): Promise<{ failure: string; missing: readonly string[] }> {
  try {
    await installRules(options);
  } catch (error) {
    return { failure: messageOf(error), missing: await missingModules() };
  }
  try {
    dropPrivileges(options.proxyGroup);
    return { failure: "", missing: [] };
  } catch (error) {
    return { failure: messageOf(error), missing: [] };
  }
}

function redirected(by: "outbound" | "inbound"): (socket: Socket) => string {
  return (socket) => {
    const original = originalDestination(socket);
    return probeGreeting(by, original === null ? "" : `${original.address} ${original.port}`);
  };
}

/** Whether the IPv6 address could be bound too; the IPv4 one must be. */
async function listen(
  port: number,
  addresses: readonly string[],
  greeting: (socket: Socket) => string,
): Promise<boolean> {
  let hasIpv6 = false;
  for (const host of addresses) {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.end(`${greeting(socket)}\n`);
    });
    server.listen({ host, port, ipv6Only: true });
    try {
      await once(server, "listening");
      hasIpv6 = host.includes(":");
    } catch (error) {
      if (!host.includes(":")) throw error;
    }
  }
  return hasIpv6;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
