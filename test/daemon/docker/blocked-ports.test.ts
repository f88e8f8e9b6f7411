// The engines' words for a host port that is taken.
import { expect, test } from "vitest";
import { takenAddress } from "../../../daemon/docker/blocked-ports.ts";

test.each([
  [
    "a container has it",
    "driver failed programming external connectivity on endpoint web (0f): Bind for 127.0.0.1:8080 failed: port is already allocated",
    { host: "127.0.0.1", port: 8080 },
  ],
  [
    "a process has it",
    "driver failed programming external connectivity on endpoint web (0f): Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
    { host: "0.0.0.0", port: 8080 },
  ],
  [
    "a process has it, by IPv6 and UDP",
    "Error starting userland proxy: listen udp6 [::]:53: bind: address already in use",
    { host: "[::]", port: 53 },
  ],
  [
    "without the userland proxy",
    "failed to set up container networking: driver failed programming external connectivity on endpoint web (0f): failed to bind host port for 127.0.0.1:8080:172.18.0.2:80/tcp: address already in use",
    { host: "127.0.0.1", port: 8080 },
  ],
  ["Docker 28", "failed to bind host port 0.0.0.0:8080/tcp: address already in use", { host: "0.0.0.0", port: 8080 }],
  [
    "Docker Desktop",
    "Ports are not available: exposing port TCP 0.0.0.0:8080 -> 127.0.0.1:0: listen tcp 0.0.0.0:8080: bind: address already in use",
    { host: "0.0.0.0", port: 8080 },
  ],
  ["something else", 'exec: "nginx": executable file not found in $PATH', null],
  ["nothing", "", null],
])("%s", (_why, error, expected) => {
  expect(takenAddress(error)).toEqual(expected);
});
