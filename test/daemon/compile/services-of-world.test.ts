import { describe, expect, test } from "vitest";
import { worldOf } from "../../support/world.ts";
import { compiled, service, spec, version } from "./support.ts";

type Containers = Parameters<typeof worldOf>[0]["containers"];

const placesOf = (containers: Containers, services = [] as ReturnType<typeof service>[]) => {
  const result = compiled({ world: worldOf({ containers }), spec: spec({ services }) });
  return result.sidecars.map(({ container, service: name, version: one }) => `${container} ${name} ${one ?? "-"}`);
};

const payment = service("payment", { versions: [version("v1"), version("v2", "payment-v2")] });

describe("the service and version of a container", () => {
  test.each<[string, Containers, ReturnType<typeof service>[], string[]]>([
    ["a compose service that nobody names is a service of its own", [{ service: "cart" }], [], ["shop-cart-1 cart -"]],
    [
      "a version without a container of its own is the compose service of the service's name",
      [{ service: "payment" }, { service: "payment-v2" }],
      [payment],
      ["shop-payment-1 payment v1", "shop-payment-v2-1 payment v2"],
    ],
    [
      "<service>-<version> comes before <service>",
      [{ service: "payment" }, { service: "payment-v1" }],
      [payment],
      ["shop-payment-1 payment -", "shop-payment-v1-1 payment v1"],
    ],
    [
      "labels win over compose",
      [{ service: "x", labels: { "devmesh.service": "payment", "devmesh.version": "v2" } }],
      [payment],
      ["shop-x-1 payment v2"],
    ],
    [
      "two versions may share a compose service when labels tell them apart",
      [
        { service: "payment", labels: { "devmesh.version": "v2" } },
        { service: "payment", number: 2 },
      ],
      [service("payment", { versions: [version("v1"), version("v2")] })],
      ["shop-payment-1 payment v2", "shop-payment-2 payment v1"],
    ],
    [
      "a plain version label that is a declared version counts before the compose service",
      [{ service: "payment", labels: { version: "v2" } }],
      [payment],
      ["shop-payment-1 payment v2"],
    ],
    [
      "a plain version label that is an image's own does not hide the native version",
      [{ service: "payment", labels: { version: "22.04" } }],
      [payment],
      ["shop-payment-1 payment v1"],
    ],
    [
      "a container by the label of this mesh belongs, with the service its label says",
      [{ service: null, name: "stray", labels: { "devmesh.mesh": "shop", "devmesh.service": "cart" } }],
      [],
      ["stray cart -"],
    ],
    [
      "without a service label it is called as the container is",
      [{ service: null, name: "stray", labels: { "devmesh.mesh": "shop" } }],
      [],
      ["stray stray -"],
    ],
    [
      "a service label alone claims nothing",
      [{ service: null, name: "thief", labels: { "devmesh.service": "cart", "devmesh.version": "v1" } }],
      [],
      [],
    ],
    ["a container of another project is none of ours", [{ service: "cart", project: "other" }], [], []],
    ["a label for another mesh takes it out of this", [{ service: "cart", labels: { "devmesh.mesh": "b" } }], [], []],
    [
      "a version that SNI cannot carry is none",
      [{ service: "cart", labels: { "devmesh.version": "a b/c" } }],
      [],
      ["shop-cart-1 cart -"],
    ],
  ])("%s", (_why, containers, services, expected) => {
    expect(placesOf(containers, services)).toEqual(expected);
  });

  test("a service label that is no name leaves the container out, with the reason", () => {
    const labels = { "devmesh.service": "../ns/x" };
    const result = compiled({ world: worldOf({ containers: [{ service: "cart", labels }] }) });
    expect(result.sidecars).toEqual([]);
    expect(result.unmeshed[0]?.reason).toContain("cannot be a service's name");
  });
});

describe("containers that get no sidecar", () => {
  test.each<[string, Containers[number], string, string]>([
    ["host network", { service: "a", networkMode: "host" }, "a", "network_mode host"],
    ["no network", { service: "a", networkMode: "none" }, "a", "network_mode none"],
    ["opted out by label", { service: "a", isOptedOut: true }, "a", "devmesh.inject=false"],
    ["opted out in mesh.yaml", { service: "quiet" }, "quiet", "mesh: false"],
    ["another's network", { service: "a", networkMode: "container:shop-vpn-1-id" }, "a", "network of shop-vpn-1"],
  ])("%s is listed with its reason, and its name is left to Docker", (_why, container, name, reason) => {
    const world = worldOf({ containers: [container, { service: "vpn" }] });
    const result = compiled({ world, spec: spec({ services: [service("quiet", { isMeshed: false })] }) });
    expect(result.unmeshed).toEqual([expect.objectContaining({ service: name })]);
    expect(result.unmeshed[0]?.reason).toContain(reason);
    expect(result.sidecars.map((sidecar) => sidecar.service)).toEqual(["vpn"]);
    expect(result.services.map((one) => one.name)).toEqual(["vpn"]);
  });

  test("one that shares a network namespace is shown with the container it shares it with", () => {
    const world = worldOf({
      containers: [{ service: "app", networkMode: "container:shop-vpn-1-id" }, { service: "vpn" }],
    });
    expect(compiled({ world }).unmeshed[0]?.sharesWith).toBe("shop-vpn-1-id");
  });

  test.each([
    ["running", true],
    ["paused", true],
    ["created", false],
    ["restarting", false],
    ["exited", false],
    ["dead", false],
    ["removing", false],
  ] as const)("a container that is %s gets a sidecar: %s", (state, expected) => {
    const result = compiled({ world: worldOf({ containers: [{ service: "a", state }] }) });
    expect(result.sidecars.length === 1).toBe(expected);
    expect(result.proxies.size === 1).toBe(expected);
    expect(result.services.map(({ name }) => name)).toEqual(["a"]);
  });
});

describe("hold", () => {
  test.each([
    ["a container is paused until its sidecar is ready", {}, true, true],
    ["one with a health check is not, since a pause fails it", { hasHealthcheck: true }, true, false],
    ["none is with hold: false", {}, false, false],
  ])("%s", (_why, options, hold, expected) => {
    const world = worldOf({ containers: [{ service: "a", ...options }] });
    const [sidecar] = compiled({ world, spec: spec({ hold }) }).sidecars;
    expect(sidecar?.hold).toBe(expected);
    expect(sidecar?.holdReason).not.toBe("");
  });

  test("a privileged container is flagged", () => {
    const world = worldOf({ containers: [{ service: "a", isPrivileged: true }, { service: "b" }] });
    const [a, b] = compiled({ world }).sidecars;
    expect(a?.warning).toContain("undo");
    expect(b?.warning).toBeNull();
  });
});
