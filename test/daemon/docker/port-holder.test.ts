import { expect, test } from "vitest";
import { listenersIn } from "../../../daemon/docker/port-holder.ts";

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 31338 1 0000000000000000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21 1 0000000000000000 100 0 0 10 0
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 99 1
`;

test.each([
  ["who listens, on IPv4 and IPv6, and no connection", 8080, ["31337", "99"]],
  ["another port", 22, ["21"]],
  ["a port that nobody has", 81, []],
])("finds %s", (_why, port, inodes) => {
  expect(listenersIn(table, port)).toEqual(inodes);
});
