// The rules in a real kernel: two "containers" as network namespaces on a project's bridge and on the mesh's bridge.
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { proxyUid } from "../../proxy/capture/ports.ts";
import type { CounterName, RuleOptions } from "../../proxy/capture/rules.ts";
import { type BypassCount, bypassCommand, readBypassCounts } from "../../proxy/contract/bypass.ts";
import { eventually } from "../support/eventually.ts";
import type { Command } from "./capture-agent.ts";

const agentPath = new URL("./capture-agent.ts", import.meta.url).pathname;
const prefix = `dmt${process.pid % 10_000}`;
const proxyGroup = 1_500_000_000;
const rules: RuleOptions = {
  proxyGroup,
  meshSubnet: "10.213.0.0/16",
  excludeInboundPorts: [9100],
  excludeOutboundPorts: [3306],
};
/** Namespaces and rules are root's; the tools are installed by the set-up. */
const isRoot = process.getuid?.() === 0;

function succeeds(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function ip(line: string): void {
  execFileSync("ip", line.split(" "), { stdio: "pipe" });
}

interface Agent {
  readonly ask: (command: Command) => Promise<string>;
  readonly stop: () => Promise<void>;
}

/** A process in the namespace of container `name`, which starts as root with no-new-privileges, as a sidecar does. */
function startAgent(name: string): Agent {
  const child = spawn(
    "ip",
    ["netns", "exec", `${prefix}${name}`, "setpriv", "--no-new-privs", process.execPath, agentPath],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    async ask(command) {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      const { value, done } = await answers.next();
      if (done === true) throw new Error(`the agent in ${name} ended`);
      return JSON.parse(value) as string;
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

function counters(name: string): Record<CounterName, number> {
  const args = ["netns", "exec", `${prefix}${name}`, "nft", "-j", "list", "counters", "table", "inet", "devmesh"];
  const list = JSON.parse(execFileSync("ip", args).toString()) as {
    nftables: { counter?: { name: CounterName; packets: number } }[];
  };
  const entries = list.nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : []));
  return Object.fromEntries(entries) as Record<CounterName, number>;
}

/** What the namespace counted past its proxy, by cause, opener, peer and port. */
function counted(name: string): Record<string, Pick<BypassCount, "bytes" | "connections">> {
  const args = ["netns", "exec", `${prefix}${name}`, ...bypassCommand];
  const { counts, overflow } = readBypassCounts(execFileSync("ip", args).toString());
  expect(overflow.packets).toBe(0);
  return Object.fromEntries(
    counts.map(({ cause, opener, peer, protocol, port, bytes, connections }) => {
      return [`${cause} ${opener} ${peer} ${protocol}/${port}`, { bytes, connections }];
    }),
  );
}

/** Container a is 10.212.0.2 on the project's network and 10.213.0.2 on the mesh's, b is .3; the host is .1 on both. */
function makeNetwork(): void {
  ip(`netns add ${prefix}h`);
  for (const [i, bridge] of ["project", "mesh"].entries()) {
    ip(`-n ${prefix}h link add ${bridge} type bridge`);
    ip(`-n ${prefix}h addr add 10.${212 + i}.0.1/16 dev ${bridge}`);
    ip(`-n ${prefix}h link set ${bridge} up`);
  }
  for (const [i, name] of ["a", "b"].entries()) {
    ip(`netns add ${prefix}${name}`);
    ip(`-n ${prefix}${name} link set lo up`);
    for (const [j, bridge] of ["project", "mesh"].entries()) {
      ip(`-n ${prefix}${name} link add eth${j} type veth peer name ${name}${j} netns ${prefix}h`);
      ip(`-n ${prefix}${name} addr add 10.${212 + j}.0.${2 + i}/16 dev eth${j}`);
      ip(`-n ${prefix}${name} link set eth${j} up`);
      ip(`-n ${prefix}h link set ${name}${j} master ${bridge} up`);
    }
    ip(`-n ${prefix}${name} route add default via 10.212.0.1`);
  }
}

describe.runIf(isRoot)("capture in two network namespaces", () => {
  const agents: Record<"appA" | "appB" | "proxyA" | "proxyB" | "host", Agent> = {} as never;

  beforeAll(async () => {
    makeNetwork();
    const places = { appA: "a", appB: "b", proxyA: "a", proxyB: "b", host: "h" } as const;
    for (const [role, name] of Object.entries(places)) agents[role as keyof typeof places] = startAgent(name);
    const { appA, appB, proxyA, proxyB, host } = agents;
    for (const port of [8080, 9100, 3306]) {
      await appB.ask({ do: "listen", address: "0.0.0.0", port, name: `app ${port}` });
    }
    await appB.ask({ do: "listen", address: "0.0.0.0", port: 8082, name: "idle" });
    await appB.ask({ do: "udp", address: "0.0.0.0", port: 5000 });
    await host.ask({ do: "listen", address: "0.0.0.0", port: 8080, name: "host" });
    await appA.ask({ do: "dial", address: "10.212.0.3", port: 8080, keepAs: "old" });
    await appA.ask({ do: "dial", address: "10.212.0.3", port: 8082, keepAs: "old, with an idle end" });
    await appA.ask({ do: "dial", address: "10.213.0.3", port: 8080, keepAs: "old in the mesh" });
    await appA.ask({ do: "dial", address: "10.212.0.3", port: 3306, keepAs: "old but excluded" });
    for (const proxy of [proxyA, proxyB]) {
      for (const address of ["127.0.0.1:15001", "0.0.0.0:15006", "127.0.0.1:15020"]) {
        const [at = "", port] = address.split(":");
        await proxy.ask({ do: "listen", address: at, port: Number(port), name: "" });
      }
      await proxy.ask({ do: "listen", address: "0.0.0.0", port: 15008, name: "peer" });
      await proxy.ask({ do: "udp", address: "127.0.0.1", port: 15053 });
      expect(await proxy.ask({ do: "install", rules })).toBe("installed");
      expect(await proxy.ask({ do: "install", rules })).toBe("installed");
      expect(await proxy.ask({ do: "drop", group: proxyGroup })).toBe("dropped");
    }
  }, 60_000);

  afterAll(async () => {
    await Promise.all(Object.values(agents).map((agent) => agent.stop()));
    for (const name of ["a", "b", "h"]) succeeds("ip", ["netns", "del", `${prefix}${name}`]);
  }, 60_000);

  describe("what an application dials goes to its own proxy, which learns the destination", () => {
    test.each([
      ["a container's address on the project's network", "10.212.0.3", 8080],
      ["a container's address on the mesh's network", "10.213.0.3", 8080],
      ["a virtual address that nobody holds", "10.213.200.5", 80],
      ["another proxy's peer port", "10.213.0.3", 15008],
      ["the host", "10.212.0.1", 8080],
      ["the internet", "192.0.2.7", 443],
      ["an excluded port at a virtual address, which leads nowhere else", "10.213.200.5", 3306],
    ])("%s", async (_why, address, port) => {
      expect(await agents.appA.ask({ do: "dial", address, port })).toBe(`${address}:${port}`);
    });
  });

  test("its own addresses and loopback stay direct", async () => {
    for (const address of ["127.0.0.1", "10.212.0.3", "10.213.0.3"]) {
      expect(await agents.appB.ask({ do: "dial", address, port: 8080 })).toBe("app 8080");
    }
  });

  test("a query to Docker's resolver reaches the proxy's", async () => {
    expect(await agents.appA.ask({ do: "ask", address: "127.0.0.11", port: 53 })).toBe("hello");
  });

  test("excluded ports are reached directly in both directions", async () => {
    expect(await agents.appA.ask({ do: "dial", address: "10.212.0.3", port: 3306 })).toBe("10.212.0.3:3306");
    expect(await agents.host.ask({ do: "dial", address: "10.212.0.3", port: 9100 })).toBe("app 9100");
  });

  test("a connection from outside, as through a published port, is captured with the container's address", async () => {
    expect(await agents.host.ask({ do: "dial", address: "10.212.0.3", port: 8080 })).toBe("10.212.0.3:8080");
    expect(await agents.proxyA.ask({ do: "dial", address: "10.212.0.3", port: 8080 })).toBe("10.212.0.3:8080");
  });

  test("an application that runs as the proxy's user, and not in the group that was drawn, is captured like any other", async () => {
    const application = startAgent("a");
    expect(await application.ask({ do: "become", uid: proxyUid, gid: proxyUid })).toBe("became");
    expect(await application.ask({ do: "dial", address: "10.212.0.3", port: 8080 })).toBe("10.212.0.3:8080");
    await application.stop();
    const proxy = startAgent("a");
    expect(await proxy.ask({ do: "become", uid: proxyUid, gid: proxyGroup })).toBe("became");
    // Past its own capture, to the other one's.
    expect(await proxy.ask({ do: "dial", address: "10.213.0.3", port: 15008 })).toBe("peer");
    await proxy.stop();
  });

  test("the proxy's own ports are no way in: the original destination tells, or the guard resets", async () => {
    for (const port of [15001, 15020, 15053]) {
      expect(await agents.host.ask({ do: "dial", address: "10.212.0.3", port })).toBe(`10.212.0.3:${port}`);
    }
    const before = counters("b").loop_in;
    expect(await agents.host.ask({ do: "dial", address: "10.212.0.3", port: 15006 })).toBe("ECONNREFUSED");
    expect(counters("b").loop_in).toBeGreaterThan(before);
    // From inside, the connection is not redirected: its destination is its own.
    expect(await agents.appB.ask({ do: "dial", address: "127.0.0.1", port: 15001 })).toBe("127.0.0.1:15001");
    expect(await agents.appB.ask({ do: "dial", address: "10.212.0.3", port: 15006 })).toBe("10.212.0.3:15006");
  });

  describe("the mesh's network joins nobody", () => {
    test("only TCP to 15008 and its replies come in", async () => {
      const before = counters("b").mesh_in;
      expect(await agents.host.ask({ do: "dial", address: "10.213.0.3", port: 15008 })).toBe("peer");
      expect(counters("b").mesh_in).toBe(before);
      for (const port of [8080, 9100, 15001, 15006, 15020]) {
        expect(await agents.host.ask({ do: "dial", address: "10.213.0.3", port })).toBe("ECONNREFUSED");
      }
      expect(await agents.host.ask({ do: "ask", address: "10.213.0.3", port: 5000 })).toBe("silence");
      expect(counters("b").mesh_in).toBeGreaterThanOrEqual(before + 6);
    });

    test("the proxy itself leaves only to 15008", async () => {
      expect(await agents.proxyA.ask({ do: "dial", address: "10.213.0.3", port: 15008 })).toBe("peer");
      const before = counters("a").mesh_out;
      expect(await agents.proxyA.ask({ do: "dial", address: "10.213.0.3", port: 8080 })).toMatch(/^ECONNRE/);
      expect(counters("a").mesh_out).toBeGreaterThan(before);
    });

    test("an application's UDP does not leave, while UDP on the project's network passes and is counted", async () => {
      const before = counters("a");
      expect(await agents.appA.ask({ do: "ask", address: "10.213.0.3", port: 5000 })).toMatch(/^(EPERM|silence)$/);
      expect(counters("a").mesh_out).toBeGreaterThan(before.mesh_out);
      expect(counted("a")["udp out 10.212.0.3 udp/5000"]).toBeUndefined();
      for (let i = 0; i < 2; i++) {
        expect(await agents.appA.ask({ do: "ask", address: "10.212.0.3", port: 5000 })).toBe("hello");
      }
      // Two flows of "hello" and its echo: 5 bytes, 8 of UDP's header and 20 of IP's. Both ends see the same.
      const flows = { bytes: 4 * 33, connections: 2 };
      expect(counted("a")["udp out 10.212.0.3 udp/5000"]).toEqual(flows);
      expect(counted("b")["udp in 10.212.0.2 udp/5000"]).toEqual(flows);
    });

    test("a container that forwards is no router into or out of it", async () => {
      execFileSync("ip", ["netns", "exec", `${prefix}b`, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
      ip(`-n ${prefix}h route add 192.0.2.0/24 via 10.213.0.3`);
      const before = counters("b").mesh_forward;
      expect(await agents.host.ask({ do: "ask", address: "192.0.2.9", port: 5000 })).toBe("silence");
      expect(counters("b").mesh_forward).toBe(before + 1);
      ip(`-n ${prefix}h route replace 192.0.2.0/24 via 10.212.0.3`);
      expect(await agents.host.ask({ do: "ask", address: "192.0.2.9", port: 5000 })).toBe("silence");
      // In the project's network it may, and what it carries for others passes its proxy.
      expect(counted("b")["forwarded out 192.0.2.9 udp/5000"]).toMatchObject({ connections: 1 });
      ip(`-n ${prefix}h route del 192.0.2.0/24`);
    });
  });

  describe("connections older than the rules", () => {
    test.each([
      ["are cut at their next packet, and counted", "old", "guard_out_tcp"],
      ["are cut in the mesh's network too", "old in the mesh", "mesh_out"],
    ] as const)("%s", async (_why, keepAs, counter) => {
      const before = counters("a")[counter];
      expect(await agents.appA.ask({ do: "say", keepAs, text: "still there?" })).toBe("ECONNRESET");
      expect(counters("a")[counter]).toBeGreaterThan(before);
      if (keepAs === "old") expect(counted("a")["older out 10.212.0.3 tcp/8080"]?.connections).toBe(1);
    });

    test("are cut at both ends, also where one only waits", async () => {
      expect(await agents.appB.ask({ do: "count", port: 8082 })).toBe("1");
      const say = { do: "say", keepAs: "old, with an idle end", text: "still there?" } as const;
      expect(await agents.appA.ask(say)).toBe("ECONNRESET");
      await eventually(async () => expect(await agents.appB.ask({ do: "count", port: 8082 })).toBe("0"));
    });

    test("go on where they are excluded", async () => {
      // Excluded on the way out of a; b knows nothing of that, and is told so first.
      const excluded = { ...rules, excludeInboundPorts: [3306, 9100] };
      const root = startAgent("b");
      expect(await root.ask({ do: "install", rules: excluded })).toBe("installed");
      const say = { do: "say", keepAs: "old but excluded", text: "still there?" } as const;
      expect(await agents.appA.ask(say)).toBe("still there?");
      expect(await agents.appA.ask({ do: "dial", address: "10.212.0.3", port: 3306 })).toBe("app 3306");
      // The old one and the new one; b's rules are as young as its counts.
      expect(counted("b")["excluded in 10.212.0.2 tcp/3306"]?.connections).toBe(2);
      expect(counted("a")["excluded out 10.212.0.3 tcp/3306"]?.connections).toBeGreaterThanOrEqual(2);
      await root.stop();
    });
  });

  test("with included CIDRs everything else is reached directly, and dropped UDP still answers", async () => {
    const root = startAgent("a");
    await root.ask({ do: "install", rules: { ...rules, includeOutboundCidrs: ["192.0.2.0/24"] } });
    expect(await agents.appA.ask({ do: "dial", address: "10.212.0.1", port: 8080 })).toBe("host");
    expect(counted("a")["excluded out 10.212.0.1 tcp/8080"]?.connections).toBe(1);
    expect(await agents.appA.ask({ do: "dial", address: "192.0.2.7", port: 80 })).toBe("192.0.2.7:80");
    expect(await agents.appA.ask({ do: "dial", address: "10.213.200.5", port: 80 })).toBe("10.213.200.5:80");
    await root.ask({ do: "install", rules: { ...rules, isUdpDropped: true } });
    expect(await agents.appA.ask({ do: "ask", address: "10.212.0.3", port: 5000 })).toMatch(/^(EPERM|silence)$/);
    expect(counters("a").udp_dropped).toBe(1);
    expect(counted("a")).toEqual({ "refused out 10.212.0.3 udp/5000": { bytes: 33, connections: 1 } });
    await agents.appA.ask({ do: "udp", address: "0.0.0.0", port: 5001 });
    expect(await agents.host.ask({ do: "ask", address: "10.212.0.2", port: 5001 })).toBe("hello");
    await root.ask({ do: "install", rules });
    await root.stop();
  });

  test("IPv6 TCP is reset and counted until the proxy listens on it, then captured with its destination", async () => {
    for (const [name, host] of Object.entries({ a: 2, b: 3 })) {
      ip(`-n ${prefix}${name} addr add fd12::${host}/64 dev eth0 nodad`);
    }
    await agents.appB.ask({ do: "listen", address: "::", port: 8081, name: "app over IPv6" });
    const before = counters("a").guard_out_tcp6;
    expect(await agents.appA.ask({ do: "dial", address: "fd12::3", port: 8081 })).toMatch(/^ECONNRE/);
    expect(counters("a").guard_out_tcp6).toBeGreaterThan(before);
    const root = startAgent("a");
    await root.ask({ do: "listen", address: "::1", port: 15001, name: "" });
    await root.ask({ do: "install", rules: { ...rules, isIpv6Captured: true } });
    expect(await agents.appA.ask({ do: "dial", address: "fd12::3", port: 8081 })).toBe("fd12::3:8081");
    await root.stop();
  });

  test("after the rules are removed the containers reach each other as before", async () => {
    for (const name of ["a", "b"]) {
      const root = startAgent(name);
      expect(await root.ask({ do: "remove" })).toBe("removed");
      expect(await root.ask({ do: "remove" })).toBe("removed");
      await root.stop();
    }
    expect(await agents.appA.ask({ do: "dial", address: "10.212.0.3", port: 8080 })).toBe("app 8080");
    expect(await agents.host.ask({ do: "dial", address: "10.212.0.3", port: 8080 })).toBe("app 8080");
    expect(await agents.appA.ask({ do: "ask", address: "10.213.0.3", port: 5000 })).toBe("hello");
  });
});
