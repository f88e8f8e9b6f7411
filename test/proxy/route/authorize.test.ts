import { describe, expect, test } from "vitest";
import type { AllowConfig, InboundConfig, NodeConfig } from "../../../proxy/contract/config.ts";
import { admit, authorize, buildAcceptance, isOutside } from "../../../proxy/route/authorize.ts";

const cart = "spiffe://cluster.local/ns/shop/sa/cart";
const website = "spiffe://cluster.local/ns/shop/sa/website";
const node: NodeConfig = {
  kind: "sidecar",
  mesh: "shop",
  namespace: "shop",
  trustDomain: "cluster.local",
  service: "payment",
  version: "v1",
  workload: "shop_payment_1",
  identity: "spiffe://cluster.local/ns/shop/sa/payment",
  meshSubnet: "10.213.0.0/16",
  addresses: ["172.20.0.5", "10.213.0.5"],
  names: {},
};

function acceptance(parts: Partial<InboundConfig>) {
  return buildAcceptance(node, {
    mtls: "strict",
    ports: [{ number: 8080, protocol: "http", aliases: [80] }],
    publishedPorts: [8080],
    networks: {
      gateways: ["172.20.0.1", "fd12:3456::1"],
      subnets: ["172.20.0.0/16", "10.213.0.0/16", "fd12:3456::/64"],
    },
    callers: [cart, website],
    allow: null,
    ...parts,
  });
}

describe("isOutside", () => {
  test.each([
    ["the network's gateway at a published port", "172.20.0.1", 8080, true],
    ["a neighbour on the same network", "172.20.0.9", 8080, false],
    ["a client on the LAN", "192.168.1.20", 8080, true],
    ["the gateway at a port that is not published", "172.20.0.1", 9000, false],
    ["a network's IPv6 gateway", "fd12:3456::1", 8080, true],
    ["a neighbour over IPv6", "fd12:3456::ff:9", 8080, false],
    ["an IPv6 client from elsewhere", "fd99::1", 8080, true],
    ["whoever is on the link, with its own address", "fe80::42:acff:fe14:9", 8080, false],
    ["the same with its zone", "fe80::42:acff:fe14:9%eth0", 8080, false],
    ["no address at all", "unknown", 8080, false],
  ])("%s", (_why, address, port, expected) => {
    expect(isOutside(acceptance({}), { identity: null, address, port })).toBe(expected);
  });
});

describe("admit", () => {
  test.each([
    ["a known caller", "strict", cart, "10.213.0.6", true],
    ["an identity that shares no network", "strict", "spiffe://cluster.local/ns/shop/sa/other", "10.213.0.7", false],
    ["a prefix of a known identity", "strict", cart.slice(0, -1), "10.213.0.7", false],
    ["plaintext from a neighbour, strict", "strict", null, "172.20.0.9", false],
    ["plaintext from a neighbour, permissive", "permissive", null, "172.20.0.9", true],
    ["plaintext from outside, strict", "strict", null, "172.20.0.1", true],
  ] as const)("%s", (_why, mtls, identity, address, isAdmitted) => {
    expect(admit(acceptance({ mtls }), { identity, address, port: 8080 }) === null).toBe(isAdmitted);
  });
});

describe("admit by way of the host", () => {
  const other = "spiffe://cluster.local/ns/shop/sa/other";
  test.each([
    ["a caller of another network at a published port", other, 8080, true],
    ["the same at another port", other, 9000, false],
    ["somebody who is not of the mesh", "spiffe://cluster.local/ns/shop/sa/stranger", 8080, false],
  ] as const)("%s", (_why, identity, port, isAdmitted) => {
    const viaHost = { ports: [8080], callers: [cart, other] };
    const call = { identity, address: "10.213.0.9", port };
    expect(admit(acceptance({ mtls: "strict", viaHost }), call) === null).toBe(isAdmitted);
  });
});

describe("authorize", () => {
  const post: AllowConfig = { from: [cart], methods: ["POST"], paths: ["/charge"] };
  const call = (target: string, method = "POST") => ({ method, target });
  const rows: [
    string,
    readonly AllowConfig[] | null,
    string | null,
    string,
    ReturnType<typeof call> | null,
    boolean,
  ][] = [
    ["no allow list is open", null, website, "10.213.0.6", call("/x"), true],
    ["an empty list is nobody", [], cart, "10.213.0.6", call("/charge"), false],
    ["the caller that is named", [post], cart, "10.213.0.6", call("/charge"), true],
    ["the query is not part of the path", [post], cart, "10.213.0.6", call("/charge?a=1"), true],
    ["another caller", [post], website, "10.213.0.6", call("/charge"), false],
    ["another method", [post], cart, "10.213.0.6", call("/charge", "GET"), false],
    ["another path", [post], cart, "10.213.0.6", call("/refund"), false],
    ["a prefix", [{ ...post, paths: ["/api/*"] }], cart, "10.213.0.6", call("/api/x"), true],
    [
      "dot segments fit no path rule",
      [{ ...post, paths: ["/api/*"] }],
      cart,
      "10.213.0.6",
      call("/api/../admin"),
      false,
    ],
    ["nor do encoded ones", [{ ...post, paths: ["/api/*"] }], cart, "10.213.0.6", call("/api/%2E%2e/admin"), false],
    ["nor does an encoded slash", [{ ...post, paths: ["/api/*"] }], cart, "10.213.0.6", call("/api/..%2fadmin"), false],
    [
      "nor do dots with a path parameter",
      [{ ...post, paths: ["/api/*"] }],
      cart,
      "10.213.0.6",
      call("/api/..;v=1/admin"),
      false,
    ],
    [
      "dots within a name are no segment",
      [{ ...post, paths: ["/api/*"] }],
      cart,
      "10.213.0.6",
      call("/api/a..b"),
      true,
    ],
    ["a suffix", [{ ...post, paths: ["*.png"] }], cart, "10.213.0.6", call("/a/b.png"), true],
    ["outside is not named", [post], null, "172.20.0.1", call("/charge"), false],
    ["outside is named", [{ from: ["outside"], methods: [], paths: [] }], null, "172.20.0.1", call("/x"), true],
    [
      "a neighbour is not outside",
      [{ from: ["outside"], methods: [], paths: [] }],
      null,
      "172.20.0.9",
      call("/x"),
      false,
    ],
    ["anybody", [{ from: ["*"], methods: [], paths: [] }], null, "172.20.0.9", call("/x"), true],
    ["a TCP connection fits no rule with paths", [post], cart, "10.213.0.6", null, false],
    [
      "a TCP connection fits a rule without",
      [{ from: [cart], methods: [], paths: [] }],
      cart,
      "10.213.0.6",
      null,
      true,
    ],
  ];
  test.each(rows)("%s", (_why, allow, identity, address, http, isAllowed) => {
    const denied = authorize(acceptance({ allow, mtls: "permissive" }), { identity, address, port: 8080, http });
    expect(denied === null).toBe(isAllowed);
    if (denied !== null) expect(denied.status).toBe(403);
  });

  test("the reason names caller, call and who may", () => {
    const denied = authorize(acceptance({ allow: [post] }), {
      identity: website,
      address: "10.213.0.6",
      port: 8080,
      http: call("/charge?card=1"),
    });
    expect(denied?.reason).toBe("payment does not allow website to POST /charge; it allows: cart POST /charge");
  });
});
