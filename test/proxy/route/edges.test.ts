import { describe, expect, test } from "vitest";
import { blackHoleCluster, destinationEdge, passthroughCluster, sourceEdge } from "../../../proxy/route/edges.ts";
import { identityOf } from "../../support/mesh-pair.ts";
import { node, serviceIn, tableOf } from "./config.ts";

const table = tableOf();
const service = serviceIn(table, "payment");
const source = {
  reporter: "source",
  sourceWorkload: "shop_website_1",
  sourceService: "website",
  sourceVersion: "v7",
  sourcePrincipal: identityOf("website"),
};

describe("seen from the caller", () => {
  const reached = { destinationService: "payment", destinationWorkload: "p1", destinationVersion: "v1" };
  test.each<[string, Parameters<typeof sourceEdge>[1], object]>([
    [
      "a container that was reached",
      { service, workload: "p1", version: "v1", flags: "-" },
      { ...reached, destinationPrincipal: identityOf("payment"), security: "mutual_tls", flags: "-" },
    ],
    [
      "one that was reached in plaintext proved nothing",
      { service, workload: "p1", version: "v1", flags: "-", security: "none" },
      { ...reached, destinationPrincipal: "unknown", security: "none" },
    ],
    [
      "a service without a container",
      { service, workload: null, version: "v2", flags: "UH" },
      {
        destinationService: "payment",
        destinationWorkload: "unknown",
        destinationVersion: "v2",
        destinationPrincipal: "unknown",
        security: "unknown",
        flags: "UH",
      },
    ],
    [
      "an address past the mesh",
      { service: passthroughCluster, workload: null, version: null, flags: "-" },
      { destinationService: "PassthroughCluster", destinationVersion: "unknown", security: "none" },
    ],
    [
      "nowhere",
      { service: blackHoleCluster, workload: null, version: null, flags: "NR" },
      { destinationService: "BlackHoleCluster", security: "none", flags: "NR" },
    ],
  ])("%s", (_why, call, expected) => {
    expect(sourceEdge(node, call)).toMatchObject({ ...source, ...expected });
  });
});

describe("seen from the receiver", () => {
  const edge = (address: string, identity: string | null) => destinationEdge(table, { address, identity }, "-");
  const destination = {
    reporter: "destination",
    destinationWorkload: "shop_website_1",
    destinationService: "website",
    destinationPrincipal: identityOf("website"),
  };

  test("a caller with a certificate is who it proves to be, and its address says which container", () => {
    expect(edge("10.99.0.97", identityOf("payment"))).toMatchObject({
      ...destination,
      sourceService: "payment",
      sourceWorkload: "shop_payment_a",
      sourceVersion: "v1",
      sourcePrincipal: identityOf("payment"),
      security: "mutual_tls",
    });
  });

  test("an address that belongs to another service says nothing", () => {
    expect(edge("10.99.0.97", identityOf("cart"))).toMatchObject({ sourceService: "cart", sourceWorkload: "unknown" });
    expect(edge("10.99.9.9", identityOf("cart"))).toMatchObject({ sourceService: "cart", sourceVersion: "unknown" });
  });

  test("plaintext proves nothing about who called, and its address tells which container it was", () => {
    expect(edge("10.99.9.9", null)).toMatchObject({ sourceService: "unknown", sourceWorkload: "unknown" });
    expect(edge("10.99.0.97", null)).toMatchObject({
      ...destination,
      sourceService: "unknown",
      sourceWorkload: "shop_payment_a",
      sourcePrincipal: "unknown",
      security: "none",
    });
  });
});
