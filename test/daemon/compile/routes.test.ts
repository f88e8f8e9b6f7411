import { describe, expect, test } from "vitest";
import type { Spec } from "../../../daemon/spec/spec.ts";
import { worldOf } from "../../support/world.ts";
import {
  compiled,
  destinationRule,
  origin,
  route,
  rule,
  service,
  serviceIn,
  spec,
  version,
  virtualService,
} from "./support.ts";

const world = worldOf({
  containers: [
    { service: "payment-v1", exposedTcp: [8080] },
    { service: "payment-v2", exposedTcp: [8080] },
    { service: "cart", exposedTcp: [9000] },
    { service: "search", exposedTcp: [9000, 9001] },
  ],
});
const versions = [version("v1"), version("v2")];
const payment = (parts: Parameters<typeof service>[1] = {}) => service("payment", { versions, ...parts });
const retry = { attempts: 2, perTryTimeoutMs: 0, on: ["connect-failure", "refused-stream"], statusCodes: [] };

/** "name: service/subset:port=weight ..." for each route. */
function routesIn(parts: Partial<Spec>, name = "payment"): string[] {
  const { routes } = serviceIn(compiled({ world, spec: spec(parts) }), name);
  return routes.map(({ name: one, destinations }) => `${one}: ${destinations.map(shown).join(" ")}`);
}

const shown = ({
  service: to,
  subset,
  port,
  weight,
}: {
  service: string;
  subset: string | null;
  port: number | null;
  weight: number;
}) => `${to}/${subset ?? "*"}${port === null ? "" : `:${port}`}=${weight}`;

describe("native routes", () => {
  test.each<[string, Partial<Spec>, string[]]>([
    ["without a split all endpoints are alike", { services: [payment()] }, ["default: payment/*=100"]],
    [
      "a split is by version, zero included",
      {
        services: [
          payment({
            split: [
              { version: "v1", weight: 90 },
              { version: "v2", weight: 0 },
            ],
          }),
        ],
      },
      ["default: payment/v1=90 payment/v2=0"],
    ],
    [
      "routes come before the split, in their order",
      {
        services: [
          payment({
            routes: [
              route({ name: "beta", to: [{ service: "payment", version: "v2", weight: 1 }] }),
              route({
                name: "both",
                to: [
                  { service: "payment", version: "v1", weight: 1 },
                  { service: "payment", version: "v2", weight: 3 },
                ],
              }),
            ],
          }),
        ],
      },
      ["beta: payment/v2=1", "both: payment/v1=1 payment/v2=3", "default: payment/*=100"],
    ],
    [
      "a route to another service goes to that one's only port",
      {
        services: [payment({ routes: [route({ name: "away", to: [{ service: "cart", version: null, weight: 1 }] })] })],
      },
      ["away: cart/*:9000=1", "default: payment/*=100"],
    ],
    [
      "and to the port that was called where it has several",
      {
        services: [
          payment({ routes: [route({ name: "away", to: [{ service: "search", version: null, weight: 1 }] })] }),
        ],
      },
      ["away: search/*=1", "default: payment/*=100"],
    ],
  ])("%s", (_why, parts, expected) => {
    expect(routesIn(parts)).toEqual(expected);
  });

  test("TCP connections follow the split", () => {
    const split = [
      { version: "v1", weight: 1 },
      { version: "v2", weight: 2 },
    ];
    const config = serviceIn(compiled({ world, spec: spec({ services: [payment({ split })] }) }), "payment");
    expect(config.tcp.map(shown)).toEqual(["payment/v1=1", "payment/v2=2"]);
  });

  test("a route has its own timeout and retries, else the service's", () => {
    const own = { attempts: 0, perTryTimeoutMs: 0, on: [], statusCodes: [] };
    const to = [{ service: "payment", version: null, weight: 1 }];
    const routes = [route({ to, timeoutMs: 5, retry: own }), route({ to })];
    const config = serviceIn(
      compiled({ world, spec: spec({ services: [payment({ routes, timeoutMs: 2000 })] }) }),
      "payment",
    );
    expect(config.routes.map(({ timeoutMs }) => timeoutMs)).toEqual([5, 2000, 2000]);
    expect(config.routes.map(({ retry: one }) => one)).toEqual([own, retry, retry]);
  });

  test("a service that nobody wrote about is retried where nothing was processed", () => {
    expect(serviceIn(compiled({ world }), "cart").routes).toEqual([
      {
        name: "default",
        match: [],
        destinations: [{ service: "cart", subset: null, port: null, weight: 100 }],
        timeoutMs: 0,
        retry,
      },
    ]);
  });
});

const even = [
  { host: "payment", subset: "v1", weight: 1 },
  { host: "payment", subset: "v2", weight: 1 },
];
const beta = rule([{ host: "payment", subset: "v2" }], {
  name: "beta",
  match: [{ headers: { x: { kind: "present" } } }],
});
const services = [payment()];

describe("a VirtualService", () => {
  test.each<[string, Partial<Spec>, string[]]>([
    [
      "takes the place of the default",
      { virtualServices: [virtualService(["payment"], [beta, rule(even)])] },
      ["beta: payment/v2=100", "vs.1: payment/v1=1 payment/v2=1"],
    ],
    [
      "has no route for what none of its rules matches",
      { virtualServices: [virtualService(["payment"], [beta])] },
      ["beta: payment/v2=100"],
    ],
    [
      "ends with its first rule without a match",
      { virtualServices: [virtualService(["payment"], [rule(even), beta])] },
      ["vs.0: payment/v1=1 payment/v2=1"],
    ],
    [
      "binds by the full name",
      { virtualServices: [virtualService(["PAYMENT.shop.svc.cluster.local"], [beta])] },
      ["beta: payment/v2=100"],
    ],
    [
      "binds by a wildcard",
      { virtualServices: [virtualService(["*.shop.svc.cluster.local"], [beta])] },
      ["beta: payment/v2=100"],
    ],
    [
      "with the exact host beats one with a wildcard before it",
      { virtualServices: [virtualService(["*.shop"], [rule(even)]), virtualService(["payment"], [beta])] },
      ["beta: payment/v2=100"],
    ],
    [
      "that comes first beats another of the same host",
      {
        virtualServices: [
          virtualService(["payment"], [beta]),
          virtualService(["payment.shop"], [rule(even)], { name: "b" }),
        ],
      },
      ["beta: payment/v2=100"],
    ],
    [
      "in another namespace does not bind",
      { virtualServices: [virtualService(["payment"], [beta], { namespace: "prod" })] },
      ["default: payment/*=100"],
    ],
    [
      "in this namespace does",
      { virtualServices: [virtualService(["payment"], [beta], { namespace: "shop" })] },
      ["beta: payment/v2=100"],
    ],
    [
      "routes to other services, at their only port or the one it says",
      {
        virtualServices: [
          virtualService(
            ["payment"],
            [
              rule([
                { host: "cart", weight: 1 },
                { host: "search", port: 9001, weight: 1 },
              ]),
            ],
          ),
        ],
      },
      ["vs.0: cart/*:9000=1 search/*:9001=1"],
    ],
    [
      "takes the name of a version for that version",
      { virtualServices: [virtualService(["payment"], [rule([{ host: "payment-v2" }])])] },
      ["vs.0: payment/v2=100"],
    ],
    [
      "keeps a destination that is not there, under a name that no service has",
      { virtualServices: [virtualService(["payment.shop"], [rule([{ host: "cart" }])], { namespace: "prod" })] },
      ["vs.0: cart.prod.svc.cluster.local/*=100"],
    ],
  ])("%s", (_why, parts, expected) => {
    expect(routesIn({ services, ...parts })).toEqual(expected);
  });

  test("does not route TCP connections", () => {
    const config = serviceIn(
      compiled({ world, spec: spec({ services, virtualServices: [virtualService(["payment"], [rule(even)])] }) }),
      "payment",
    );
    expect(config.tcp.map(shown)).toEqual(["payment/*=100"]);
  });

  test("has Istio's default retries and its own timeout", () => {
    const own = { attempts: 5, perTryTimeoutMs: 100, on: ["reset" as const], statusCodes: [] };
    const rules = [rule(even, { match: [{ port: 1 }], retry: own, timeoutMs: 50 }), rule(even)];
    const config = serviceIn(
      compiled({ world, spec: spec({ services, virtualServices: [virtualService(["payment"], rules)] }) }),
      "payment",
    );
    expect(config.routes.map(({ retry: one, timeoutMs }) => [one, timeoutMs])).toEqual([
      [own, 50],
      [retry, 0],
    ]);
  });

  test("shows its split as a native one is shown", () => {
    const parts = { services, virtualServices: [virtualService(["payment"], [beta, rule(even)])] };
    const found = compiled({ world, spec: spec(parts) }).services.find(({ name }) => name === "payment");
    expect(found?.split).toEqual([
      { version: "v1", weight: 1, isServed: true },
      { version: "v2", weight: 1, isServed: true },
    ]);
  });

  test("shows a subset of another name as the version that it selects, and whether anything of it takes traffic", () => {
    const subsets = { one: { version: "v1" }, two: { version: "v2" }, none: { version: "v3" } };
    const routes = Object.keys(subsets).map((subset) => ({ host: "payment", subset, weight: 1 }));
    const parts = {
      services,
      virtualServices: [virtualService(["payment"], [rule(routes)])],
      destinationRules: [destinationRule("payment", subsets)],
    };
    const containers = [
      { service: "payment-v1", exposedTcp: [8080] },
      { service: "payment-v2", exposedTcp: [8080], state: "exited" as const },
    ];
    const found = compiled({ world: worldOf({ containers }), spec: spec(parts) }).services;
    expect(found.find(({ name }) => name === "payment")?.split).toEqual([
      { version: "v1", weight: 1, isServed: true },
      { version: "v2", weight: 1, isServed: false },
      { version: "none", weight: 1, isServed: false },
    ]);
  });
});

describe("what is wrong with Istio documents", () => {
  const problemsIn = (parts: Partial<Spec>) =>
    compiled({ world, spec: spec({ services, ...parts }) }).diagnostics.map(
      ({ severity, code, message, hint }) => `${severity} ${code} ${message}${hint === "" ? "" : ` (${hint})`}`,
    );

  test.each<[string, Partial<Spec>, string[]]>([
    ["a split that native versions know is fine", { virtualServices: [virtualService(["payment"], [rule(even)])] }, []],
    [
      "a host that is no service",
      { virtualServices: [virtualService(["paymnt"], [rule(even)])] },
      ["warning DM1210 VirtualService vs: paymnt is no service of this mesh (services are: cart, payment, search)"],
    ],
    [
      "a host in another namespace says which one this is",
      { virtualServices: [virtualService(["payment"], [], { namespace: "prod" })] },
      [
        "warning DM1210 VirtualService vs: payment is no service of this mesh (this mesh is the namespace shop, not prod)",
      ],
    ],
    [
      "a host that is one version says what to use",
      { virtualServices: [virtualService(["payment-v2"], [])] },
      [
        "warning DM1210 VirtualService vs: payment-v2 is no service of this mesh (payment-v2 is payment v2: use host payment)",
      ],
    ],
    [
      "a destination that is no service",
      { virtualServices: [virtualService(["payment"], [rule([{ host: "nowhere" }])])] },
      [
        "warning DM1210 VirtualService vs routes to nowhere, which is no service of this mesh: 503 (NC) (services are: cart, payment, search)",
      ],
    ],
    [
      "a subset that nothing declares",
      { virtualServices: [virtualService(["payment"], [rule([{ host: "payment", subset: "v9" }])])] },
      [
        "warning DM1211 VirtualService vs routes to subset v9 of payment, which no DestinationRule declares: 503 (its subsets are v1, v2)",
      ],
    ],
    [
      "a subset that selects no container",
      { destinationRules: [destinationRule("payment", { canary: { track: "canary" } })] },
      ["warning DM1403 subset canary of payment selects no container (no container has the label track=canary)"],
    ],
    [
      "a DestinationRule for nobody",
      { destinationRules: [destinationRule("nowhere", { v1: { version: "v1" } })] },
      ["warning DM1210 DestinationRule dr: nowhere is no service of this mesh (services are: cart, payment, search)"],
    ],
    [
      "two VirtualServices for one host",
      {
        virtualServices: [
          virtualService(["payment"], [rule(even)]),
          virtualService(["payment.shop"], [], { name: "late" }),
        ],
      },
      [
        "warning DM1213 VirtualService late has no effect on payment: vs is bound to it already (put the rules of one host into one VirtualService)",
      ],
    ],
    [
      "native routes and a VirtualService, which is an error since one would be lost",
      {
        services: [payment({ split: [{ version: "v1", weight: 1 }] })],
        virtualServices: [virtualService(["payment"], [rule(even)])],
      },
      ["error DM1214 payment is routed twice: by split on line 1, and by the VirtualService vs (keep one of them)"],
    ],
  ])("%s", (_why, parts, expected) => {
    expect(problemsIn(parts)).toEqual(expected);
  });

  test("a service that has no container yet is not said to lack subsets", () => {
    const parts = { destinationRules: [destinationRule("mail", { v1: { version: "v1" } })] };
    expect(compiled({ world, spec: spec(parts), knownServices: ["mail"] }).diagnostics).toEqual([]);
  });

  test("a diagnostic says where", () => {
    const at = { file: "mesh.yaml", line: 12, column: 7 };
    const parts = { destinationRules: [{ ...destinationRule("nowhere", {}), origin: at }] };
    expect(compiled({ world, spec: spec(parts) }).diagnostics[0]).toMatchObject({ ...at, code: "DM1210" });
    expect(origin.line).toBe(1);
  });
});
