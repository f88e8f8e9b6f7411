import { createPublicKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Identity } from "../../../proxy/tls/identity.ts";
import { testCa } from "../../support/certificates.ts";

const cart = "spiffe://cluster.local/ns/shop/sa/cart";

describe("Identity", () => {
  it("makes a P-256 key and shows only its public half", () => {
    const identity = new Identity();
    const key = createPublicKey({ key: Buffer.from(identity.publicKeySpki, "base64"), type: "spki", format: "der" });
    expect(key.asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    expect(JSON.stringify(identity)).not.toContain("PRIVATE");
  });

  it("has no context before its first certificate, and tells when it comes", async () => {
    const identity = new Identity();
    expect(() => identity.serverContext).toThrow("no certificate yet");
    expect(identity.notAfterMs).toBeNull();
    const ca = await testCa();
    const issued = await ca.issue({ publicKey: identity.publicKeySpki, uris: [cart] });
    let renewals = 0;
    identity.onInstalled(() => renewals++);
    identity.install(issued);
    await identity.installed;
    expect(identity).toMatchObject({ id: cart, notAfterMs: issued.notAfterMs });
    expect(renewals).toBe(1);
  });

  it("knows when no peer would take it, and why", async () => {
    const ca = await testCa();
    const identity = new Identity();
    const [from, to] = [Math.floor(Date.now() / 1000) * 1000, Math.floor(Date.now() / 1000) * 1000 + 60_000];
    expect(identity.refusal(from)).toContain("no certificate yet");
    const dates = { notBefore: new Date(from), notAfter: new Date(to) };
    identity.install(await ca.issue({ publicKey: identity.publicKeySpki, uris: [cart], ...dates }));
    expect([identity.refusal(from), identity.refusal(to - 1)]).toEqual([null, null]);
    expect(identity.refusal(to)).toContain("has expired");
    expect(identity.refusal(from - 1)).toContain("stepped back");
  });

  it("keeps the last good certificate when the next one is wrong", async () => {
    const ca = await testCa();
    const other = await testCa("other CA");
    const identity = await ca.identity(cart);
    const { clientContext: context } = identity;
    const publicKey = identity.publicKeySpki;
    const good = await ca.issue({ publicKey });
    const wrong: [object, RegExp][] = [
      [{ ...good, chain: "" }, /0 certificates/],
      [
        { ...good, chain: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" },
        /asn1|PEM|wrong tag|header/i,
      ],
      [{ ...good, roots: "nothing" }, /roots has 0/],
      [{ ...good, roots: other.roots }, /does not lead/],
      [await ca.issue({}), /another key/],
      [await ca.issue({ publicKey, notAfter: new Date(Date.now() - 1000) }), /expired/],
      [await ca.issue({ publicKey, uris: [] }), /no subject alternative name/],
      [await other.issue({ publicKey }).then((issued) => ({ ...issued, roots: ca.roots })), /does not lead/],
    ];
    for (const [certificate, reason] of wrong) {
      expect(() => identity.install(certificate as typeof good)).toThrow(reason);
      expect(identity.clientContext).toBe(context);
    }
    identity.install(good);
    expect(identity.clientContext).not.toBe(context);
  });
});
