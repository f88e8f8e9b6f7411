import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSniName, type SniTarget, sniName } from "../../../proxy/tls/sni-name.ts";

describe("sniName", () => {
  it.each<[string, SniTarget, string]>([
    [
      "a subset",
      { service: "payment", namespace: "shop", port: 8080, subset: "v1" },
      "outbound_.8080_.v1_.payment.shop.svc.cluster.local",
    ],
    [
      "no subset",
      { service: "cart", namespace: "shop", port: 80, subset: null },
      "outbound_.80_._.cart.shop.svc.cluster.local",
    ],
    [
      "underscores and dots in names, which compose allows",
      { service: "my_api.v1", namespace: "my_shop", port: 1, subset: "v_1" },
      "outbound_.1_.v_1_.my_api.v1.my_shop.svc.cluster.local",
    ],
  ])("writes and reads a name with %s", (_why, target, name) => {
    expect(sniName(target)).toBe(name);
    expect(parseSniName(name)).toEqual(target);
  });

  it.each([
    ["nothing", ""],
    ["a plain name", "payment.shop.svc.cluster.local"],
    ["another direction", "inbound_.80_._.cart.shop.svc.cluster.local"],
    ["port 0", "outbound_.0_._.cart.shop.svc.cluster.local"],
    ["a port that is too large", "outbound_.65536_._.cart.shop.svc.cluster.local"],
    ["a port with a sign", "outbound_.+80_._.cart.shop.svc.cluster.local"],
    ["no namespace", "outbound_.80_._.cart.svc.cluster.local"],
    ["another suffix", "outbound_.80_._.cart.shop.svc.cluster.localhost"],
    ["a name that is too long", `outbound_.80_._.${"a".repeat(300)}.shop.svc.cluster.local`],
  ])("does not read %s", (_why, name) => {
    expect(parseSniName(name)).toBeNull();
  });

  it("reads back what it wrote", () => {
    const word = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
    const subset = fc.option(word, { nil: null });
    fc.assert(
      fc.property(
        fc.record({ service: word, namespace: word, port: fc.integer({ min: 1, max: 65535 }), subset }),
        (target) => {
          expect(parseSniName(sniName(target))).toEqual(target);
        },
      ),
    );
  });
});
