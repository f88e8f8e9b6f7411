// The IPv6 side of a sidecar's listeners. Bound to every address before the privilege drop, wherever the kernel has IPv6: an
// address, and ::1 with it, may come with a network that is connected much later.
import type { Socket } from "node:net";
import type { HeldServer } from "./held-server.ts";

const everywhere = "::";
/** The kernel has no IPv6 at all, or gives this namespace none. */
const withoutIpv6: ReadonlySet<string> = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT"]);

/** True: all of them listen on IPv6 as well. False: there is no IPv6 here, so nothing can come that way. */
export async function openIpv6Doors(doors: readonly (readonly [HeldServer, number])[]): Promise<boolean> {
  try {
    for (const [server, port] of doors) await server.listen(port, everywhere);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && withoutIpv6.has(String(error.code))) return false;
    throw error;
  }
}

/**
 * A container's own IPv6 connections are redirected to ::1. The door is open to every address, since ::1 may not be there yet, so
 * that what comes to another one was not redirected: it is a stranger at the port.
 */
export function isStranger(socket: Socket): boolean {
  const { localAddress = "" } = socket;
  return localAddress.includes(":") && localAddress !== "::1" && !localAddress.startsWith("::ffff:");
}
