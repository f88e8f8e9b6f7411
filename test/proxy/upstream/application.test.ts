import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { Failure } from "../../../proxy/http/failure.ts";
import { Fields } from "../../../proxy/http/fields.ts";
import { Applications } from "../../../proxy/upstream/application.ts";

const head = {
  method: "GET",
  target: "/",
  authority: "a",
  scheme: "http",
  fields: new Fields(),
  bodyLength: 0,
  upgrade: null,
  expectsContinue: false,
  protocol: "HTTP/1.1",
} as const;

test("a caller that names thousands of ports cuts nobody's request", async () => {
  let answer: () => void = () => undefined;
  const server = http.createServer((_request, response) => {
    answer = () => void response.end("whole");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const applications = new Applications();
  onTestFinished(() => {
    applications.close();
    server.close();
  });
  const workload = "shop_payment_1";
  const target = applications.get({ port, addresses: ["127.0.0.1"], workload }).target([]);
  const asked = once(server, "request");
  const answered = new Promise<string | Failure>((resolve) => {
    let body = "";
    target?.upstream({ isUpgrade: false, port }).open(
      { head, hasBody: false, destination: { service: "payment", port, version: null } },
      {
        onInformational: () => undefined,
        onResponse: () => undefined,
        onData: (chunk) => {
          body += chunk;
        },
        onEnd: () => resolve(body),
        onAbort: resolve,
        onDrain: () => undefined,
      },
    );
  });
  await asked;
  for (let other = 1; other <= 3000; other++) applications.get({ port: other, addresses: ["192.0.2.1"], workload });
  answer();
  expect(await answered).toBe("whole");
});
