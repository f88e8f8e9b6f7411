import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Failure } from "../../../proxy/http/failure.ts";
import { Fields } from "../../../proxy/http/fields.ts";
import type { Target } from "../../../proxy/route/routing.ts";
import { Applications } from "../../../proxy/upstream/application.ts";
import { freshAddress } from "../../support/mesh-pair.ts";

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

const outcomeAt = (target: Target | null, port: number): Promise<number | Failure> =>
  new Promise((resolve) => {
    if (target === null) throw new Error("there is no target");
    target.begin();
    const settle = (outcome: number | Failure) => {
      target.end(typeof outcome === "number" ? null : outcome);
      resolve(outcome);
    };
    let status = 0;
    target.upstream({ isUpgrade: false, port }).open(
      { head, hasBody: false, destination: { service: "payment", port, version: null } },
      {
        onInformational: () => undefined,
        onResponse: (response) => {
          status = response.status;
        },
        onData: () => undefined,
        onEnd: () => settle(status),
        onAbort: settle,
        onDrain: () => undefined,
      },
    );
  });

test("an application that is bound to one of the addresses only is found, and asked there first from then on", async () => {
  const [closed, address] = [freshAddress(), freshAddress()];
  const server = http.createServer((_request, response) => response.end()).listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const refused = vi.fn();
  const applications = new Applications(refused);
  onTestFinished(() => {
    applications.close();
    server.closeAllConnections();
    server.close();
  });
  const application = applications.get({ port, addresses: [closed, address], workload: "shop_payment_1" });
  expect(application.retry).toMatchObject({ attempts: 1, on: ["connect-failure"] });
  const first = application.target([]);
  expect(await outcomeAt(first, port)).toMatchObject({ flag: "UF", isUnprocessed: true });
  expect(refused).toHaveBeenCalledTimes(1);
  const second = application.target(first === null ? [] : [first]);
  expect([second?.host, await outcomeAt(second, port)]).toEqual([`${address}:${port}`, 200]);
  expect(application.target([])).toBe(second);
  expect(application.target(second === null ? [] : [second])).toBe(first);
});

test("the same port and addresses are the same application, others are another", () => {
  const applications = new Applications();
  onTestFinished(() => applications.close());
  const workload = "shop_payment_1";
  const one = applications.get({ port: 1, addresses: ["192.0.2.1"], workload });
  expect(applications.get({ port: 1, addresses: ["192.0.2.1"], workload })).toBe(one);
  expect(applications.get({ port: 1, addresses: ["192.0.2.2"], workload })).not.toBe(one);
  expect(applications.get({ port: 1, addresses: [], workload }).target([])).toBe(null);
});
