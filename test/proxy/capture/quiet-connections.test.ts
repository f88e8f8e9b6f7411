import { expect, test } from "vitest";
import { isToBeClosed, type QuietScope } from "../../../proxy/capture/quiet-connections.ts";
import {
  askForConnections,
  closeConnection,
  families,
  readAnswer,
  type TcpConnection,
} from "../../../proxy/capture/sock-diag.ts";

const connection = (parts: Partial<TcpConnection> = {}): TcpConnection => ({
  local: { address: "172.20.0.2", port: 40_000 },
  remote: { address: "172.20.0.3", port: 5432 },
  uid: 0,
  quietMs: 5000,
  family: families.ipv4,
  id: Buffer.alloc(48),
  ...parts,
});
const to = (address: string, port = 5432) => connection({ remote: { address, port } });
const at = (port: number) => connection({ local: { address: "172.20.0.2", port } });

test.each<[string, TcpConnection, Partial<QuietScope>, boolean]>([
  ["an idle one", connection(), {}, true],
  ["one that speaks is the guard's", connection({ quietMs: 20 }), {}, false],
  ["one over IPv6", to("fd12::3"), {}, true],
  ["one on loopback", to("127.0.0.1"), {}, false],
  ["one on the IPv6 loopback", to("::1"), {}, false],
  ["one to the container itself", to("172.20.0.2"), {}, false],
  ["one of the proxy's user", connection({ uid: 1337 }), {}, false],
  ["none where it is not known who listens", connection(), { listening: null }, false],
  ["one to an excluded port", connection(), { capture: { excludeOutboundPorts: [5432] } }, false],
  ["one to an excluded network", connection(), { capture: { excludeOutboundCidrs: ["172.20.0.0/16"] } }, false],
  ["one to an excluded address", connection(), { capture: { excludeOutboundCidrs: ["172.20.0.3"] } }, false],
  ["one to an included network", connection(), { capture: { includeOutboundCidrs: ["172.20.0.0/16"] } }, true],
  ["one to another network", to("10.1.0.1"), { capture: { includeOutboundCidrs: ["172.20.0.0/16"] } }, false],
  [
    "one to an included port",
    to("10.1.0.1"),
    { capture: { includeOutboundCidrs: [], includeOutboundPorts: [5432] } },
    true,
  ],
  ["one that came in", at(8080), {}, true],
  ["one that came in at an excluded port", at(8080), { capture: { excludeInboundPorts: [8080] } }, false],
  ["one that came in at a port that is not included", at(8080), { capture: { includeInboundPorts: [9000] } }, false],
  ["one that came in at an included port", at(8080), { capture: { includeInboundPorts: [8080] } }, true],
])("%s", (_why, one, parts, expected) => {
  const scope = { capture: {}, own: new Set(["172.20.0.2"]), listening: new Set([8080]), ...parts };
  expect(isToBeClosed(one, scope)).toBe(expected);
});

/** One message of the kernel's (struct inet_diag_msg and tcp_info): 172.20.0.2:40000 to 172.20.0.3:5432. */
function told(): Buffer {
  const body = Buffer.alloc(72 + 4 + 104);
  body.writeUInt8(families.ipv4, 0);
  body.writeUInt8(1, 1);
  body.writeUInt16BE(40_000, 4);
  body.writeUInt16BE(5432, 6);
  Buffer.from([172, 20, 0, 2]).copy(body, 8);
  Buffer.from([172, 20, 0, 3]).copy(body, 24);
  body.writeUInt32LE(999, 64);
  body.writeUInt16LE(4 + 104, 72);
  body.writeUInt16LE(2, 74);
  body.writeUInt32LE(7000, 76 + 44);
  body.writeUInt32LE(3000, 76 + 52);
  return withHead(20, body);
}

function withHead(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length, 0);
  head.writeUInt16LE(type, 4);
  return Buffer.concat([head, body]);
}

test("an answer has the ends of each connection, its owner and for how long it was quiet", () => {
  const { connections, isLast } = readAnswer(Buffer.concat([told(), told(), withHead(3, Buffer.alloc(4))]));
  expect(isLast).toBe(true);
  expect(connections).toHaveLength(2);
  expect(connections[0]).toMatchObject({
    local: { address: "172.20.0.2", port: 40_000 },
    remote: { address: "172.20.0.3", port: 5432 },
    uid: 999,
    quietMs: 3000,
  });
});

test("a refusal is an errno, success is 0, and what is cut off is not taken", () => {
  const errno = Buffer.alloc(4);
  errno.writeInt32LE(-95, 0);
  expect(readAnswer(withHead(2, errno))).toMatchObject({ isLast: true, errno: 95 });
  expect(readAnswer(withHead(2, Buffer.alloc(4)))).toMatchObject({ isLast: true, errno: 0 });
  expect(readAnswer(told().subarray(0, 60))).toEqual({ connections: [], isLast: false, errno: 0 });
  expect(readAnswer(Buffer.alloc(16))).toEqual({ connections: [], isLast: false, errno: 0 });
});

test("who closes a connection names it as the kernel did", () => {
  const [one] = readAnswer(told()).connections;
  if (one === undefined) return expect.unreachable();
  const message = closeConnection(one);
  expect(message.length).toBe(72);
  expect(message.readUInt16LE(4)).toBe(21);
  expect(message.subarray(24)).toEqual(one.id);
  expect(askForConnections(families.ipv6).readUInt8(16)).toBe(families.ipv6);
});
