// The kernel's socket diagnostics (sock_diag(7)) as bytes: asking for TCP connections, reading the answer, closing one. Pure.
// All numbers are in the machine's order, little-endian on every machine that we run on, but for ports and addresses.

export interface TcpConnection {
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  readonly uid: number;
  /** Since the last data in either direction. */
  readonly quietMs: number;
  readonly family: number;
  /** struct inet_diag_sockid: ports, addresses and the kernel's cookie, which no other socket has. */
  readonly id: Buffer;
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, net/tcp_states.h
export const netlink = { family: 16, type: 3, protocol: 4 } as const;
export const families = { ipv4: 2, ipv6: 10 } as const;
const bySocket = 20;
const destroy = 21;
const messageError = 2;
const messageDone = 3;
const request = 1;
const acknowledged = 4;
const dump = 0x300;
const headBytes = 16;
const requestBytes = 56;
const idBytes = 48;
const answerBytes = 72;
const ipprotoTcp = 6;
const attributeInfo = 2;
/** ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT. A SYN that is under way is sent again, and redirected then. */
const states = (1 << 1) | (1 << 4) | (1 << 5) | (1 << 8);
/** Of struct tcp_info. */
const lastDataSentAt = 44;
const lastDataReceivedAt = 52;

export function askForConnections(family: number): Buffer {
  return message(bySocket, request | dump, { family, id: Buffer.alloc(idBytes) });
}

export function closeConnection(connection: Pick<TcpConnection, "family" | "id">): Buffer {
  return message(destroy, request | acknowledged, connection);
}

function message(type: number, flags: number, { family, id }: Pick<TcpConnection, "family" | "id">): Buffer {
  const bytes = Buffer.alloc(headBytes + requestBytes);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt8(family, headBytes);
  bytes.writeUInt8(ipprotoTcp, headBytes + 1);
  bytes.writeUInt8(1 << (attributeInfo - 1), headBytes + 2);
  bytes.writeUInt32LE(states, headBytes + 4);
  id.copy(bytes, headBytes + 8);
  return bytes;
}

export interface Answer {
  readonly connections: readonly TcpConnection[];
  /** The kernel has said all. */
  readonly isLast: boolean;
  /** 0: it is done as asked. */
  readonly errno: number;
}

/** One datagram of the kernel's, which holds several messages. */
export function readAnswer(bytes: Buffer): Answer {
  const connections: TcpConnection[] = [];
  for (let at = 0; at + headBytes <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    const type = bytes.readUInt16LE(at + 4);
    if (length < headBytes || at + length > bytes.length) break;
    const body = bytes.subarray(at + headBytes, at + length);
    if (type === messageDone) return { connections, isLast: true, errno: 0 };
    if (type === messageError)
      return { connections, isLast: true, errno: body.length < 4 ? 0 : 0 - body.readInt32LE(0) };
    if (type === bySocket && body.length >= answerBytes) connections.push(readConnection(body));
    at += (length + 3) & ~3;
  }
  return { connections, isLast: false, errno: 0 };
}

function readConnection(body: Buffer): TcpConnection {
  const family = body.readUInt8(0);
  const id = Buffer.from(body.subarray(4, 4 + idBytes));
  return {
    family,
    id,
    local: { address: addressOf(family, id.subarray(4, 20)), port: id.readUInt16BE(0) },
    remote: { address: addressOf(family, id.subarray(20, 36)), port: id.readUInt16BE(2) },
    uid: body.readUInt32LE(64),
    quietMs: quietMsOf(body),
  };
}

/** An IPv6 socket that speaks IPv4 has mapped addresses: as IPv4. */
function addressOf(family: number, bytes: Buffer): string {
  if (family === families.ipv4) return bytes.subarray(0, 4).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return bytes.subarray(12, 16).join(".");
  return new URL(`http://[${groups.map((group) => group.toString(16)).join(":")}]`).hostname.slice(1, -1);
}

/** 0 where the kernel does not tell. */
function quietMsOf(body: Buffer): number {
  for (let at = answerBytes; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at);
    const info = body.subarray(at + 4, at + length);
    if (body.readUInt16LE(at + 2) === attributeInfo && info.length >= lastDataReceivedAt + 4) {
      return Math.min(info.readUInt32LE(lastDataSentAt), info.readUInt32LE(lastDataReceivedAt));
    }
    if (length < 4) return 0;
    at += (length + 3) & ~3;
  }
  return 0;
}
