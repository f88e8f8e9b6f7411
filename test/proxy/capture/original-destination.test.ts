import { once } from "node:events";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  loadOriginalDestination,
  originalDestination,
  parseSockaddr,
} from "../../../proxy/capture/original-destination.ts";

describe("parseSockaddr", () => {
  test.each([
    ["IPv4", "02001f900ad5c8050000000000000000", false, { address: "10.213.200.5", port: 8080 }],
    ["IPv6", "0a0001bb00000000fd120000000000000000000000000003" + "00000000", true, { address: "fd12::3", port: 443 }],
    ["the IPv6 loopback", `0a00005000000000${"0".repeat(31)}100000000`, true, { address: "::1", port: 80 }],
  ])("reads %s", (_why, hex, isIpv6, expected) => {
    expect(parseSockaddr(Buffer.from(hex, "hex"), isIpv6)).toEqual(expected);
  });
});

describe.skipIf(process.platform !== "linux")("originalDestination", () => {
  test("does not answer for a closed socket, nor make up an address where conntrack does not track", async () => {
    expect(() => originalDestination(new net.Socket())).toThrow("loadOriginalDestination");
    await loadOriginalDestination();
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as net.AddressInfo;
    const client = net.connect(port, "127.0.0.1");
    const [socket] = (await once(server, "connection")) as [net.Socket];
    // Tracked only where some rule of this namespace asks for it; then it is the address that was dialled.
    expect([null, JSON.stringify({ address: "127.0.0.1", port })]).toContain(jsonOrNull(originalDestination(socket)));
    client.destroy();
    socket.destroy();
    await once(socket, "close");
    expect(originalDestination(socket)).toBeNull();
  });
});

function jsonOrNull(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}
