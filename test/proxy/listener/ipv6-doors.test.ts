import type { Socket } from "node:net";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { HeldServer } from "../../../proxy/listener/held-server.ts";
import { isStranger, openIpv6Doors } from "../../../proxy/listener/ipv6-doors.ts";
import { unusedPort } from "../../support/mesh-project.ts";

test.each([
  ["what was redirected came to ::1", "::1", false],
  ["another address is a stranger's", "fd12::2", true],
  ["also one of the link", "fe80::1", true],
  ["IPv4 has its own door, which is bound to loopback", "127.0.0.1", false],
  ["a mapped address is IPv4", "::ffff:127.0.0.1", false],
])("%s", (_why, localAddress, expected) => {
  const socket = new net.Socket();
  Object.defineProperty(socket, "localAddress", { value: localAddress });
  expect(isStranger(socket)).toBe(expected);
});

test("a listener that has IPv4 listens on IPv6 as well, at the same port", async () => {
  const port = await unusedPort();
  const accepted: Socket[] = [];
  const server = new HeldServer({
    accept: (socket) => accepted.push(socket.resume()),
    onConnections: () => undefined,
  });
  onTestFinished(() => server.close());
  await server.listen(port, "127.0.0.1");
  const hasIpv6 = await openIpv6Doors([[server, port]]);
  server.release();
  const dial = (host: string) =>
    new Promise<string>((resolve) => {
      const socket = net.connect({ host, port });
      onTestFinished(() => void socket.destroy());
      socket.once("connect", () => resolve("connected")).once("error", (error) => resolve(String(error)));
    });
  expect(await dial("127.0.0.1")).toBe("connected");
  // A machine without IPv6 says so, and nothing else changes.
  if (hasIpv6) expect(await dial("::1")).toBe("connected");
});
