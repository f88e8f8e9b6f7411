// Connections that are older than the rules flow past them, and the guard resets each at its next packet, which is a request that fails.
// Those that are quiet are closed before, as `ss -K` does it: a pool then finds out at once, and its next request has a new one.
import { BlockList, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import type { CaptureOptions } from "../contract/capture-options.ts";
import { listeningPorts } from "./listening.ts";
import { proxyUid } from "./ports.ts";
import { askForConnections, closeConnection, families, netlink, readAnswer, type TcpConnection } from "./sock-diag.ts";

/** One that speaks is left to the guard: its next packet is there in a moment, and is counted. */
const quietMs = 1000;
/** The kernel's datagrams hold 32 kB at most. */
const answerBytesMax = 64 * 1024;
const answersMax = 4096;
/** For one answer, should the kernel not give any. */
const timeoutS = 1n;

export interface QuietScope {
  readonly capture: CaptureOptions;
  /** The container's own addresses: what it says to itself is not captured. */
  readonly own: ReadonlySet<string>;
  /** Where applications listen; null: not known, and then nothing is closed. */
  readonly listening: ReadonlySet<number> | null;
}

/** Whether the rules capture connections like this one, and nothing is under way on it. */
export function isToBeClosed({ local, remote, uid, ...connection }: TcpConnection, scope: QuietScope): boolean {
  const { capture, own, listening } = scope;
  if (listening === null || uid === proxyUid || connection.quietMs < quietMs) return false;
  if ([local, remote].some(({ address }) => address.startsWith("127.") || address === "::1")) return false;
  if (own.has(remote.address)) return false;
  if (listening.has(local.port)) return isInboundCaptured(local.port, capture);
  return isOutboundCaptured(remote, capture);
}

function isInboundCaptured(port: number, { excludeInboundPorts, includeInboundPorts }: CaptureOptions): boolean {
  return excludeInboundPorts?.includes(port) !== true && includeInboundPorts?.includes(port) !== false;
}

function isOutboundCaptured({ address, port }: TcpConnection["remote"], capture: CaptureOptions): boolean {
  if (capture.excludeOutboundPorts?.includes(port) || isIn(capture.excludeOutboundCidrs ?? [], address)) return false;
  if (capture.includeOutboundCidrs === undefined) return true;
  return capture.includeOutboundPorts?.includes(port) === true || isIn(capture.includeOutboundCidrs, address);
}

function isIn(cidrs: readonly string[], address: string): boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [net = "", bits] = cidr.split("/");
    const family = isIPv4(net) ? "ipv4" : "ipv6";
    list.addSubnet(net, bits === undefined ? (family === "ipv4" ? 32 : 128) : Number(bits), family);
  }
  return list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/**
 * Looks for quiet connections now; `close` closes those that were found, and says how many. Looked for before the rules are loaded, since a later one
 * looks the same and is redirected. Needs CAP_NET_ADMIN and koffi. Throws where the kernel has no such diagnostics.
 */
export async function findQuietConnections(capture: CaptureOptions): Promise<{ close(): number }> {
  const { default: koffi } = await import("koffi");
  const libc = koffi.load(null);
  const socket = libc.func("int socket(int family, int type, int protocol)");
  const setsockopt = libc.func("int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)");
  const send = libc.func("long send(int fd, const uint8_t *bytes, size_t length, int flags)");
  const recv = libc.func("long recv(int fd, _Out_ uint8_t *bytes, size_t length, int flags)");
  const close = libc.func("int close(int fd)");
  const answer = Buffer.alloc(answerBytesMax);

  const ask = (message: Buffer): { readonly connections: readonly TcpConnection[]; readonly errno: number } => {
    const fd = Number(socket(netlink.family, netlink.type, netlink.protocol));
    if (fd < 0) throw new Error(`no netlink socket (errno ${koffi.errno()})`);
    try {
      const timeout = Buffer.alloc(16);
      timeout.writeBigInt64LE(timeoutS, 0);
      setsockopt(fd, solSocket, soRcvTimeo, timeout, timeout.length);
      if (Number(send(fd, message, message.length, 0)) < 0) throw new Error(`errno ${koffi.errno()}`);
      const connections: TcpConnection[] = [];
      for (let n = 0; n < answersMax; n++) {
        const bytes = Number(recv(fd, answer, answer.length, 0));
        if (bytes <= 0) throw new Error(`no answer (errno ${koffi.errno()})`);
        const part = readAnswer(answer.subarray(0, bytes));
        connections.push(...part.connections);
        if (part.isLast) return { connections, errno: part.errno };
      }
      throw new Error(`more than ${answersMax} answers`);
    } finally {
      close(fd);
    }
  };

  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const scope = { capture, own: new Set(interfaces.map(({ address }) => address)), listening: listeningPorts() };
  const found = [families.ipv4, families.ipv6].flatMap((family) => ask(askForConnections(family)).connections);
  const quiet = found.filter((connection) => isToBeClosed(connection, scope));
  return { close: () => quiet.filter((connection) => ask(closeConnection(connection)).errno === 0).length };
}

// asm-generic/socket.h
const solSocket = 1;
const soRcvTimeo = 20;
