import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tls from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backDateMs, openAuthority, rootLifetimeMs } from "../../../daemon/ca/authority.ts";
import { isRenewalDue } from "../../../daemon/ca/renewal.ts";

const now = Date.now();
const dayMs = 86_400_000;
const identity = "spiffe://cluster.local/ns/shop/sa/cart";
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ca-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function newKey() {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    spki: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
    pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

test("a workload's certificate is an X509-SVID", async () => {
  const authority = await openAuthority(join(folder, "root.pem"), now);
  const key = newKey();
  const signed = await authority.signWorkload({ spki: key.spki, identity, lifetimeMs: 30 * dayMs, now });
  const leaf = new X509Certificate(signed.chain);
  const root = new X509Certificate(authority.roots);
  expect(leaf.subjectAltName).toBe(`URI:${identity}`);
  expect(leaf.ca).toBe(false);
  expect(leaf.verify(root.publicKey)).toBe(true);
  expect(leaf.checkIssued(root)).toBe(true);
  expect(Buffer.from(leaf.publicKey.export({ type: "spki", format: "der" })).equals(key.spki)).toBe(true);
  expect(new Set(leaf.keyUsage)).toEqual(new Set(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]));
  expect(leaf.validFromDate.getTime()).toBe(Math.floor((now - backDateMs) / 1000) * 1000);
  expect(leaf.validToDate.getTime()).toBe(signed.notAfterMs);
  expect(signed.notAfterMs).toBe(Math.floor((now + 30 * dayMs) / 1000) * 1000);
});

test("a leaf marks basic constraints and key usage as critical and has no signing usage", async () => {
  const authority = await openAuthority(join(folder, "root.pem"), now);
  const { chain } = await authority.signWorkload({ spki: newKey().spki, identity, lifetimeMs: dayMs, now });
  const der = new X509Certificate(chain).raw.toString("hex");
  // BasicConstraints, critical, empty sequence; KeyUsage, critical, bit 0 alone (7 unused bits).
  expect(der).toContain("0603551d130101ff04023000");
  expect(der).toContain("0603551d0f0101ff040403020780");
});

test("the root signs certificates only, for ten years, and its file is the owner's alone", async () => {
  const file = join(folder, "state", "root.pem");
  const authority = await openAuthority(file, now);
  const root = new X509Certificate(authority.roots);
  expect(root.ca).toBe(true);
  expect(root.verify(root.publicKey)).toBe(true);
  expect(root.validToDate.getTime()).toBe(Math.floor((now + rootLifetimeMs) / 1000) * 1000);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(root.raw.toString("hex")).toContain("0603551d0f0101ff040403020106");
});

test("a restarted daemon finds the same root", async () => {
  const file = join(folder, "root.pem");
  const first = await openAuthority(file, now);
  const second = await openAuthority(file, now + 5 * dayMs);
  expect(second.roots).toBe(first.roots);
});

test.each([
  ["damaged", async (file: string) => writeFile(file, "-----BEGIN CERTIFICATE-----\nnonsense")],
  ["empty", async (file: string) => writeFile(file, "")],
  [
    "with another root's key",
    async (file: string) => {
      await openAuthority(`${file}.other`, now);
      const own = (await readFile(file, "utf8")).split("-----BEGIN PRIVATE KEY")[0];
      const other = (await readFile(`${file}.other`, "utf8")).split("-----BEGIN PRIVATE KEY")[1];
      await writeFile(file, `${own}-----BEGIN PRIVATE KEY${other}`);
    },
  ],
])("a root file that is %s is replaced by a new root", async (_why, damage) => {
  const file = join(folder, "root.pem");
  const before = await openAuthority(file, now);
  await damage(file);
  const after = await openAuthority(file, now);
  expect(after.roots).not.toBe(before.roots);
  await expect(after.signWorkload({ spki: newKey().spki, identity, lifetimeMs: dayMs, now })).resolves.toBeDefined();
});

test("a root that is nearly over is replaced", async () => {
  const file = join(folder, "root.pem");
  const before = await openAuthority(file, now);
  expect((await openAuthority(file, now + rootLifetimeMs - 30 * dayMs)).roots).not.toBe(before.roots);
});

test("no leaf outlives its root", async () => {
  const authority = await openAuthority(join(folder, "root.pem"), now);
  const request = { spki: newKey().spki, identity, lifetimeMs: 2 * rootLifetimeMs, now };
  const { notAfterMs } = await authority.signWorkload(request);
  expect(notAfterMs).toBe(new X509Certificate(authority.roots).validToDate.getTime());
});

test.each([
  ["another curve", generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey],
  ["RSA", generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey],
  ["Ed25519", generateKeyPairSync("ed25519").publicKey],
])("a public key of %s is refused", async (_why, publicKey) => {
  const authority = await openAuthority(join(folder, "root.pem"), now);
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  await expect(authority.signWorkload({ spki, identity, lifetimeMs: dayMs, now })).rejects.toThrow();
});

test("a point that is not on the curve is refused", async () => {
  const authority = await openAuthority(join(folder, "root.pem"), now);
  const { spki } = newKey();
  spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
  await expect(authority.signWorkload({ spki, identity, lifetimeMs: dayMs, now })).rejects.toThrow();
});

test.each([
  ["another scheme", "https://cluster.local/ns/shop/sa/cart"],
  ["no path", "spiffe://cluster.local"],
  ["a root path", "spiffe://cluster.local/"],
  ["an empty segment", "spiffe://cluster.local//cart"],
  ["a dot segment", "spiffe://cluster.local/ns/../cart"],
  ["upper case in the trust domain", "spiffe://Cluster.local/ns/shop/sa/cart"],
  ["a query", "spiffe://cluster.local/ns/shop/sa/cart?x"],
  ["a port", "spiffe://cluster.local:80/ns/shop"],
])("an identity with %s is refused", async (_why, bad) => {
  const authority = await openAuthority(join(folder, "root.pem"), now);
  await expect(authority.signWorkload({ spki: newKey().spki, identity: bad, lifetimeMs: dayMs, now })).rejects.toThrow(
    /SPIFFE/,
  );
});

test("two workloads complete a mutual TLS 1.3 handshake, and another mesh's certificate does not", async () => {
  const authority = await openAuthority(join(folder, "root.pem"), now);
  const stranger = await openAuthority(join(folder, "other.pem"), now);
  const [serverKey, clientKey] = [newKey(), newKey()];
  const sign = (from: typeof authority, spki: Uint8Array<ArrayBuffer>, id: string) =>
    from.signWorkload({ spki, identity: id, lifetimeMs: dayMs, now });
  const seen: string[] = [];
  const server = tls.createServer({
    key: serverKey.pem,
    cert: (await sign(authority, serverKey.spki, identity)).chain,
    ca: authority.roots,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.3",
  });
  server.on("secureConnection", (socket) => {
    seen.push(socket.getPeerX509Certificate()?.subjectAltName ?? "nobody");
    socket.on("error", () => socket.destroy());
    socket.end("hello");
  });
  server.on("tlsClientError", () => seen.push("refused"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const dial = async (chain: string): Promise<string> => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port,
      key: clientKey.pem,
      cert: chain,
      ca: authority.roots,
      checkServerIdentity: () => undefined,
    });
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    await new Promise((resolve) => socket.once("error", resolve).once("close", resolve));
    return text;
  };
  const caller = "spiffe://cluster.local/ns/shop/sa/website";
  expect(await dial((await sign(authority, clientKey.spki, caller)).chain)).toBe("hello");
  expect(await dial((await sign(stranger, clientKey.spki, caller)).chain)).toBe("");
  expect(seen).toEqual([`URI:${caller}`, "refused"]);
  server.close();
});

test.each([
  ["fresh", 30 * dayMs, false],
  ["just before half", 15 * dayMs + 1, false],
  ["at half life", 15 * dayMs, true],
  ["after a long sleep, expired", -dayMs, true],
  ["signed in what is the future now", 30 * dayMs + 1, true],
])("a certificate that is %s: renewal due or not", (_why, leftMs, expected) => {
  expect(isRenewalDue({ notAfterMs: now + leftMs, lifetimeMs: 30 * dayMs }, 30 * dayMs, now)).toBe(expected);
});

test("a certificate is renewed when it would get another life now", () => {
  expect(isRenewalDue({ notAfterMs: now + 29 * dayMs, lifetimeMs: 30 * dayMs }, dayMs, now)).toBe(true);
});
