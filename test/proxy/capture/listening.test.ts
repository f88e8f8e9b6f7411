import { once } from "node:events";
import net from "node:net";
import { expect, test } from "vitest";
import { listeningPorts, portsIn } from "../../../proxy/capture/listening.ts";

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const line = (local: string, state: string): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 123 1 0 100 0 0 10 0\n`;
const line6 = (local: string, state: string): string =>
  `   1: ${local} 00000000000000000000000000000000:0000 ${state} 00000000:00000000 00:00000000 00000000 0 0 1 1 0\n`;

test.for([
  ["an address of its own", line("020070C0:1F90", "0A"), [8080]],
  ["every address", line("00000000:0050", "0A"), [80]],
  ["every IPv6 address, which is every IPv4 one as well", line6("00000000000000000000000000000000:1F90", "0A"), [8080]],
  ["an IPv4 address in IPv6 form", line6("0000000000000000FFFF0000020070C0:1F90", "0A"), [8080]],
  ["loopback, which nobody else reaches", line("0100007F:1F90", "0A"), []],
  ["another address of loopback", line("0B00007F:1F90", "0A"), []],
  ["IPv6 loopback", line6("00000000000000000000000001000000:1F90", "0A"), []],
  ["IPv4 loopback in IPv6 form", line6("0000000000000000FFFF00000100007F:1F90", "0A"), []],
  ["a connection, which is no listener", line("020070C0:1F90", "01"), []],
  ["a connection that waits for its end", line("020070C0:1F90", "06"), []],
  ["text that is none of the kernel's", "nonsense\n", []],
] as const)("the kernel's list names %s", ([_why, text, ports]) => {
  expect(portsIn(head + text)).toEqual(ports);
});

test.runIf(process.platform === "linux")("a real listener is found, and one on loopback is not", async () => {
  const [open, closed] = [net.createServer(), net.createServer()];
  open.listen(0, "0.0.0.0");
  closed.listen(0, "127.0.0.1");
  try {
    await Promise.all([once(open, "listening"), once(closed, "listening")]);
    const found = listeningPorts();
    expect(found?.has((open.address() as net.AddressInfo).port)).toBe(true);
    expect(found?.has((closed.address() as net.AddressInfo).port)).toBe(false);
  } finally {
    open.close();
    closed.close();
  }
});
