import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { spiffeId } from "../../../proxy/tls/spiffe-id.ts";
import { type IssueOptions, keyUsage, type TestCa, testCa } from "../../support/certificates.ts";

const cart = "spiffe://cluster.local/ns/shop/sa/cart";
let ca: TestCa;

beforeAll(async () => {
  ca = await testCa();
});

describe("spiffeId", () => {
  it.each<[string, IssueOptions]>([
    ["one URI name", {}],
    ["no extended key usage", { purposes: null }],
    ["DNS names beside the one URI name", { dns: ["cart.shop", "cart"] }],
  ])("reads the id of a certificate with %s", async (_why, options) => {
    const { der } = await ca.issue(options);
    expect(spiffeId(der)).toEqual({ kind: "id", id: cart });
  });

  it.each<[string, IssueOptions, RegExp]>([
    ["two URI names", { uris: [cart, "spiffe://cluster.local/ns/shop/sa/payment"] }, /2 URI names/],
    ["the same URI name twice", { uris: [cart, cart] }, /2 URI names/],
    ["no URI name", { uris: [], dns: ["cart"] }, /0 URI names/],
    ["no names at all", { uris: [] }, /no subject alternative name/],
    ["another scheme", { uris: ["https://cluster.local/ns/shop/sa/cart"] }, /no SPIFFE id/],
    ["an upper-case scheme", { uris: ["SPIFFE://cluster.local/ns/shop/sa/cart"] }, /no SPIFFE id/],
    ["no path", { uris: ["spiffe://cluster.local"] }, /no SPIFFE id/],
    ["a root path", { uris: ["spiffe://cluster.local/"] }, /no SPIFFE id/],
    ["a trailing slash", { uris: [`${cart}/`] }, /no SPIFFE id/],
    ["dot segments", { uris: ["spiffe://cluster.local/ns/shop/../sa/cart"] }, /dot segments/],
    ["a query", { uris: [`${cart}?a`] }, /no SPIFFE id/],
    ["user information", { uris: ["spiffe://a@cluster.local/ns/shop/sa/cart"] }, /no SPIFFE id/],
    ["a separator of Node's text form", { uris: [`${cart}, URI:spiffe://cluster.local/ns/shop/sa/x`] }, /no SPIFFE id/],
    ["a name that is too long", { uris: [`${cart}/${"a".repeat(2048)}`] }, /no SPIFFE id/],
    ["CA rights", { isCa: true }, /is a CA's/],
    [
      "a key that signs certificates",
      { usages: keyUsage.digitalSignature | keyUsage.keyCertSign },
      /sign certificates/,
    ],
    ["a key that signs revocations", { usages: keyUsage.digitalSignature | keyUsage.cRLSign }, /sign certificates/],
    ["a key that may not sign", { usages: keyUsage.keyEncipherment }, /may not sign/],
    ["a key usage that is not critical", { isUsageCritical: false }, /no critical key usage/],
    ["server authentication only", { purposes: ["1.3.6.1.5.5.7.3.1"] }, /both client and server/],
  ])("refuses a certificate with %s", async (_why, options, reason) => {
    const { der } = await ca.issue(options);
    expect(spiffeId(der)).toEqual({ kind: "refused", reason: expect.stringMatching(reason) });
  });

  it("answers any bytes, and any mutation of a certificate, without throwing", async () => {
    const { der } = await ca.issue();
    const mutated = fc
      .array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const bytes = Buffer.from(der);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          random,
          fc.nat(der.length).map((length) => der.subarray(0, length)),
        ),
        (bytes) => {
          expect(["id", "refused"]).toContain(spiffeId(bytes).kind);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
