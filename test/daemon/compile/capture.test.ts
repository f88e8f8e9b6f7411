// What of a container's traffic is captured, from mesh.yaml and from Istio's annotations as labels.
import { describe, expect, test } from "vitest";
import { captureOf, isCapturedInbound, labelFaultsOf } from "../../../daemon/compile/capture.ts";
import { ownPorts } from "../../../proxy/capture/ports.ts";
import { type CaptureOptions, reservedPorts } from "../../../proxy/contract/capture-options.ts";
import { worldOf } from "../../support/world.ts";
import { compiled, origin, service, spec } from "./support.ts";

const istio = (labels: Record<string, string>) =>
  Object.fromEntries(Object.entries(labels).map(([name, text]) => [`traffic.sidecar.istio.io/${name}`, text]));

describe("captureOf", () => {
  test.each<[string, Record<string, string>, CaptureOptions | null, CaptureOptions]>([
    ["nothing said is everything captured", {}, null, {}],
    [
      "mesh.yaml, in order",
      {},
      { excludeInboundPorts: [90, 80, 90], excludeOutboundCidrs: ["::1"] },
      { excludeInboundPorts: [80, 90], excludeOutboundCidrs: ["::1"] },
    ],
    [
      "Istio's lists, with spaces",
      { excludeInboundPorts: " 22, 9100 ", excludeOutboundIPRanges: "192.0.2.0/24,fd00::/8" },
      null,
      { excludeInboundPorts: [22, 9100], excludeOutboundCidrs: ["192.0.2.0/24", "fd00::/8"] },
    ],
    ["an empty include is none", { includeInboundPorts: "" }, null, { includeInboundPorts: [] }],
    ["an empty exclude is nothing", { excludeInboundPorts: "", excludeOutboundPorts: " " }, null, {}],
    ["a star is everything", { includeInboundPorts: "*", includeOutboundIPRanges: " * " }, null, {}],
    [
      "a star takes back what mesh.yaml narrows, and nothing else",
      { includeInboundPorts: "*" },
      { includeInboundPorts: [80], includeOutboundCidrs: ["10.0.0.0/8"] },
      { includeOutboundCidrs: ["10.0.0.0/8"] },
    ],
    [
      "a label comes before mesh.yaml, member by member",
      { excludeInboundPorts: "1" },
      { excludeInboundPorts: [2], excludeOutboundPorts: [3] },
      { excludeInboundPorts: [1], excludeOutboundPorts: [3] },
    ],
    ["included ports add nothing to every address", { includeOutboundPorts: "80" }, null, {}],
    [
      "included ports beside included addresses",
      { includeOutboundPorts: "80", includeOutboundIPRanges: "" },
      null,
      { includeOutboundPorts: [80], includeOutboundCidrs: [] },
    ],
    [
      "what cannot be read leaves mesh.yaml's in force",
      { excludeInboundPorts: "80;90" },
      { excludeInboundPorts: [2] },
      { excludeInboundPorts: [2] },
    ],
  ])("%s", (_why, labels, written, expected) => {
    expect(captureOf(istio(labels), written === null ? null : { origin, ...written })).toEqual(expected);
  });

  test.each<[string, string, string]>([
    ["a semicolon", "80;90", '"80;90": it is not a port from 1 to 65535'],
    ["a star where Istio has none", "*", '"*": it is not a port from 1 to 65535'],
    ["a range", "80-90", '"80-90": it is not a port from 1 to 65535'],
    ["port 0", "0", '"0": it is not a port from 1 to 65535'],
    ["an empty entry", "80,", '"": it is not a port from 1 to 65535'],
    ["the sidecar's own port", "80,15008", '"15008": the sidecar listens there'],
    ["too many", Array.from({ length: 257 }, (_, i) => i + 1).join(), "it has more than 256 entries"],
  ])("reads no ports from %s, and says so", (_why, text, fault) => {
    const labels = istio({ excludeInboundPorts: text });
    expect(captureOf(labels, null)).toEqual({});
    expect(labelFaultsOf(labels)).toEqual([{ name: "traffic.sidecar.istio.io/excludeInboundPorts", fault }]);
  });

  test.each(["10.0.0.0/33", "example.com", "fe80::1%eth0", "10.0.0.0/8 10.1.0.0/8", "*"])(
    "reads no addresses from %s",
    (text) => {
      const labels = istio({ excludeOutboundIPRanges: text });
      expect(captureOf(labels, null)).toEqual({});
      expect(labelFaultsOf(labels)).toHaveLength(1);
    },
  );

  test("says that it does not read an annotation of which it does not know", () => {
    expect(labelFaultsOf(istio({ excludeInterfaces: "eth0" }))).toHaveLength(1);
  });

  test("reserves exactly the ports at which the proxy listens", () => {
    expect(new Set(reservedPorts)).toEqual(ownPorts);
  });
});

test.each<[string, CaptureOptions, number, boolean]>([
  ["everything", {}, 80, true],
  ["an excluded one", { excludeInboundPorts: [80] }, 80, false],
  ["another than the excluded one", { excludeInboundPorts: [80] }, 81, true],
  ["an included one", { includeInboundPorts: [80] }, 80, true],
  ["another than the included one", { includeInboundPorts: [80] }, 81, false],
  ["one that is included and excluded", { includeInboundPorts: [80], excludeInboundPorts: [80] }, 80, false],
])("of inbound ports, %s is captured or not", (_why, capture, port, expected) => {
  expect(isCapturedInbound(capture, port)).toBe(expected);
});

describe("compile", () => {
  const published = [{ containerPort: 9000, hostIp: "0.0.0.0", hostPort: 1 }];
  const world = worldOf({
    containers: [
      { service: "api", exposedTcp: [8080, 9000], published },
      { service: "typo", labels: { ...istio({ excludeInboundPorts: "x" }), "devmesh.inject": "no" } },
      { service: "plain" },
    ],
  });
  const capture = { origin: { ...origin, line: 7 }, excludeInboundPorts: [9000] };

  test("hands what is captured to the sidecar, and lists an excluded published port as open whatever the rules", () => {
    const api = service("api", { capture, allow: [] });
    const result = compiled({ world, spec: spec({ services: [api] }) });
    const optionsOf = (name: string) => result.sidecars.find(({ service: one }) => one === name)?.options;
    expect([optionsOf("api"), optionsOf("plain")]).toEqual([{ excludeInboundPorts: [9000] }, {}]);
    expect(result.services.find(({ name }) => name === "api")?.openPorts).toEqual([9000]);
  });

  test("tells the sidecars of jobs and one-offs when they started, and no others", () => {
    const networks = { networkMode: "shop_default" };
    const result = compiled({
      world: worldOf({
        containers: [
          { service: "migrate", ...networks },
          { service: "seed", networkMode: "bridge" },
          { service: "shell", isOneOff: true, ...networks },
          { service: "plain", ...networks },
        ],
      }),
      jobs: new Set(["migrate", "seed"]),
    });
    const told = result.sidecars.filter(({ options }) => options.startedAt !== undefined);
    expect(told.map(({ service: one }) => one)).toEqual(["migrate", "shell"]);
  });

  test("warns of labels that are not read with the container's name, and of protection that does not hold", () => {
    const api = service("api", { capture, mtls: "strict" });
    const { diagnostics } = compiled({ world, spec: spec({ services: [api] }) });
    expect(diagnostics.map(({ severity, code, file, line }) => [severity, code, file, line])).toEqual([
      ["warning", "DM1405", "mesh.yaml", 7],
      ["warning", "DM1406", "shop-typo-1", 0],
      ["warning", "DM1406", "shop-typo-1", 0],
    ]);
    expect(diagnostics[0]?.message).toContain("api does not capture 9000");
  });

  test("says nothing about an excluded port of a service that is open anyway", () => {
    const api = service("api", { capture });
    const { diagnostics } = compiled({
      world: worldOf({ containers: [{ service: "api" }] }),
      spec: spec({ services: [api] }),
    });
    expect(diagnostics).toEqual([]);
  });
});
