import { expect, test } from "vitest";
import { establishedIn } from "../../../daemon/docker/connections.ts";

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const row = (local: string, remote: string, state: string) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:0`;

test.each<[string, string, unknown]>([
  [
    "IPv4",
    row("020013AC:1F90", "030013AC:B000", "01"),
    { localPort: 8080, remoteAddress: "172.19.0.3", remotePort: 45056 },
  ],
  [
    "IPv4 in the IPv6 table",
    row(`${"0".repeat(16)}FFFF0000020013AC:1F90`, `${"0".repeat(16)}FFFF0000030013AC:0050`, "01"),
    { localPort: 8080, remoteAddress: "172.19.0.3", remotePort: 80 },
  ],
  [
    "IPv6",
    row(`${"0".repeat(32)}:1F90`, "B80D0120000000000000000001000000:0050", "01"),
    { localPort: 8080, remoteAddress: "2001:db8::1", remotePort: 80 },
  ],
])("reads a connection of %s", (_why, line, expected) => {
  expect(establishedIn(`${head}\n${line}\n`)).toEqual([expected]);
});

test.each([
  ["one that listens", row("00000000:1F90", "00000000:0000", "0A")],
  ["one that is being closed", row("020013AC:1F90", "030013AC:B000", "06")],
  ["one to loopback", row("0100007F:1F90", "0100007F:B000", "01")],
  ["one to loopback of IPv6", row(`${"0".repeat(24)}01000000:1F90`, `${"0".repeat(24)}01000000:0050`, "01")],
  ["nothing", ""],
])("counts no %s", (_why, line) => {
  expect(establishedIn(`${head}\n${line}`)).toEqual([]);
});
