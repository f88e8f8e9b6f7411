// Which TCP ports something in this network namespace listens on, read from the kernel: no connection is made.
import { readFileSync } from "node:fs";

const files = ["/proc/net/tcp", "/proc/net/tcp6"] as const;
/** TCP_LISTEN in include/net/tcp_states.h. */
const listenState = "0A";
/** "  0: 0100007F:1F90 00000000:0000 0A ...": address and port in hex, the address in the machine's byte order by words. */
const form = /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /;

/** Ports bound to loopback alone are left out: nobody else reaches them. Null where the kernel does not tell. */
export function listeningPorts(): ReadonlySet<number> | null {
  const texts = files.flatMap((file) => {
    try {
      return [readFileSync(file, "latin1")];
    } catch {
      return []; // Without IPv6 there is no tcp6.
    }
  });
  return texts.length === 0 ? null : new Set(texts.flatMap(portsIn));
}

/** The ports of one such file. */
export function portsIn(text: string): number[] {
  return text.split("\n").flatMap((line) => {
    const [, address = "", port = "", state] = form.exec(line) ?? [];
    return state === listenState && !isLoopback(address) ? [Number.parseInt(port, 16)] : [];
  });
}

/** On a little-endian machine; on a big-endian one nothing is taken for loopback, which errs towards "it listens". */
function isLoopback(address: string): boolean {
  if (address.length === 8) return address.endsWith("7F");
  if (address === "00000000000000000000000001000000") return true;
  return address.startsWith("0000000000000000FFFF0000") && address.endsWith("7F");
}
