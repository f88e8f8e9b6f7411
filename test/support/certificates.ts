// Mints certificates for tests: those that the mesh's CA would sign, and those that it never would.
import "../../daemon/ca/reflect.ts";
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { Identity } from "../../proxy/tls/identity.ts";

x509.cryptoProvider.set(webcrypto as typeof globalThis.crypto);
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
export const keyUsage = x509.KeyUsageFlags;
const hourMs = 3_600_000;

export interface IssueOptions {
  /** One URI name each; "spiffe://cluster.local/ns/shop/sa/cart" by default. */
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly isCa?: boolean;
  readonly usages?: x509.KeyUsageFlags;
  readonly isUsageCritical?: boolean;
  readonly purposes?: readonly string[] | null;
  /** SPKI DER, base64; a new key by default. */
  readonly publicKey?: string;
}

export interface IssuedCertificate {
  readonly chain: string;
  readonly roots: string;
  /** PEM, or "" when the key was somebody else's. */
  readonly key: string;
  readonly der: Buffer;
  readonly notAfterMs: number;
}

export interface TestCa {
  readonly roots: string;
  issue(options?: IssueOptions): Promise<IssuedCertificate>;
  /** An identity with a certificate in place. */
  identity(spiffe: string): Promise<Identity>;
}

export async function testCa(name = "test CA"): Promise<TestCa> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - hourMs),
    notAfter: new Date(Date.now() + 24 * hourMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const roots = root.toString("pem");
  const issue = (options: IssueOptions = {}) => issueLeaf({ root, keys, roots }, options);
  return {
    roots,
    issue,
    async identity(spiffe) {
      const identity = new Identity();
      identity.install(await issue({ uris: [spiffe], publicKey: identity.publicKeySpki }));
      return identity;
    },
  };
}

interface Issuer {
  readonly root: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly roots: string;
}

async function issueLeaf(issuer: Issuer, options: IssueOptions): Promise<IssuedCertificate> {
  const own = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const notAfter = options.notAfter ?? new Date(Date.now() + 12 * hourMs);
  const publicKey =
    options.publicKey === undefined ? own.publicKey : await importPublic(Buffer.from(options.publicKey, "base64"));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "",
    issuer: issuer.root.subject,
    notBefore: options.notBefore ?? new Date(Date.now() - hourMs),
    notAfter,
    signingKey: issuer.keys.privateKey,
    publicKey,
    signingAlgorithm: algorithm,
    extensions: extensionsOf(options),
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", own.privateKey));
  return {
    chain: certificate.toString("pem"),
    roots: issuer.roots,
    key: options.publicKey === undefined ? pem("PRIVATE KEY", pkcs8) : "",
    der: Buffer.from(certificate.rawData),
    notAfterMs: notAfter.getTime(),
  };
}

function extensionsOf(options: IssueOptions): x509.Extension[] {
  const { uris = ["spiffe://cluster.local/ns/shop/sa/cart"], dns = [], ips = [] } = options;
  const usages = options.usages ?? x509.KeyUsageFlags.digitalSignature;
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(options.isCa ?? false, undefined, true),
    new x509.KeyUsagesExtension(usages, options.isUsageCritical ?? true),
  ];
  const purposes =
    options.purposes === undefined
      ? [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]
      : options.purposes;
  if (purposes !== null) extensions.push(new x509.ExtendedKeyUsageExtension([...purposes]));
  const names = [
    ...uris.map((value) => ({ type: "url" as const, value })),
    ...dns.map((value) => ({ type: "dns" as const, value })),
    ...ips.map((value) => ({ type: "ip" as const, value })),
  ];
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(names, true));
  return extensions;
}

async function importPublic(spki: Buffer): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("spki", spki, algorithm, true, ["verify"]);
}

function serial(): string {
  return `01${randomBytes(8).toString("hex")}`;
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
