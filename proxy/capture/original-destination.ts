// Where a redirected connection was going: conntrack's answer, through getsockopt, which Node does not offer.

import type { Socket } from "node:net";
import { constants } from "node:os";

export interface OriginalDestination {
  /** IPv4 in dotted form, IPv6 as the kernel's sixteen bytes in RFC 5952 form. */
  readonly address: string;
  readonly port: number;
}

/** getsockopt(2): five parameters, since C says so. */
type GetSockOpt = (...of: [fd: number, level: number, name: number, value: Buffer, length: Uint32Array]) => number;

// linux/in.h, linux/in6.h, linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h
const solIp = 0;
const solIpv6 = 41;
const soOriginalDst = 80;
const ip6tSoOriginalDst = 80;
const sockaddrIn = 16;
const sockaddrIn6 = 28;

// Used by one synchronous call at a time, so one pair serves all.
const value = Buffer.alloc(sockaddrIn6);
const length = new Uint32Array(1);

let library: { getsockopt: GetSockOpt; errno: () => number } | undefined;

/** Loads koffi, once. Throws a clear error where there is none. `originalDestination` must not be called before. */
export async function loadOriginalDestination(): Promise<void> {
  if (library !== undefined) return;
  if (process.platform !== "linux") throw new Error("the original destination of a connection is only known on Linux");
  try {
    const { default: koffi } = await import("koffi");
    const getsockopt = koffi
      .load(null)
      .func("int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)");
    library = { getsockopt, errno: () => koffi.errno() };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`koffi's native part cannot be loaded on ${process.platform}-${process.arch}: ${why}`, { cause });
  }
}

/**
 * The address and port that the peer dialled, before the redirection. On a connection that was not redirected it is its
 * own local address. Null when the socket is closed already or conntrack does not know the connection.
 */
export function originalDestination(socket: Socket): OriginalDestination | null {
  if (library === undefined) throw new Error("loadOriginalDestination() has not been awaited");
  const fd = descriptor(socket);
  const local = socket.localAddress;
  if (fd === null || local === undefined) return null;
  // A dual-stack listener's IPv4 connection has the form ::ffff:a.b.c.d, and its conntrack entry is an IPv4 one.
  const isIpv6 = local.includes(":") && !local.toLowerCase().startsWith("::ffff:");
  length[0] = isIpv6 ? sockaddrIn6 : sockaddrIn;
  const result = library.getsockopt(
    fd,
    isIpv6 ? solIpv6 : solIp,
    isIpv6 ? ip6tSoOriginalDst : soOriginalDst,
    value,
    length,
  );
  if (result === 0) return parseSockaddr(value, isIpv6);
  const errno = library.errno();
  if (unknownConnection.has(errno)) return null;
  throw new Error(`getsockopt(SO_ORIGINAL_DST) failed with errno ${errno}: is conntrack enabled in this namespace?`);
}

const { ENOENT, ENOTCONN, EBADF, EINVAL } = constants.errno;
/** The entry is gone, or the peer reset the connection before it was asked for. */
const unknownConnection: ReadonlySet<number> = new Set([ENOENT, ENOTCONN, EBADF, EINVAL]);

/** Parses a struct sockaddr_in or sockaddr_in6. */
export function parseSockaddr(bytes: Buffer, isIpv6: boolean): OriginalDestination {
  const port = bytes.readUInt16BE(2);
  if (!isIpv6) return { address: bytes.subarray(4, 8).join("."), port };
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(8 + 2 * i).toString(16));
  // The URL parser compresses zeros as RFC 5952 asks.
  return { address: new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1), port };
}

function descriptor(socket: Socket): number | null {
  const handle = "_handle" in socket ? socket._handle : null;
  if (handle === null || typeof handle !== "object" || !("fd" in handle)) return null;
  return typeof handle.fd === "number" && handle.fd >= 0 ? handle.fd : null;
}
