// The mesh's certificate authority: one self-signed P-256 root per project, kept with its key in the state folder (0600).
import "./reflect.ts";
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as x509 from "@peculiar/x509";
import { writeFileAtomic } from "../state/store.ts";

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
export const rootLifetimeMs = 3650 * dayMs;
export const workloadLifetimeDefaultMs = 30 * dayMs;
/** The engine's clock is known to a second and may step back; certificates begin this much in the past. */
export const backDateMs = 60 * minuteMs;
/** A root with less than this left is replaced when the daemon starts. */
const rootRemainingMinMs = 90 * dayMs;
/** A root that was made while the clock was wrong must be good when it is right again. */
const rootBackDateMs = 365 * dayMs;

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const rootName = "CN=devmesh root, O=devmesh";

export interface WorkloadRequest {
  /** P-256 public key, SPKI DER. The private key stays with the proxy. */
  readonly spki: Uint8Array<ArrayBuffer>;
  /** spiffe://<trust domain>/ns/<namespace>/sa/<service> */
  readonly identity: string;
  readonly lifetimeMs: number;
  /** Wall clock. */
  readonly now: number;
}

export interface WorkloadCertificate {
  /** PEM. The root signs leaves itself, so the chain is the leaf alone. */
  readonly chain: string;
  readonly notAfterMs: number;
}

export interface Authority {
  /** PEM of what proxies trust. */
  readonly roots: string;
  /** Throws on a key that is not a valid P-256 public key and on an identity that is not a SPIFFE ID with a path. */
  signWorkload(request: WorkloadRequest): Promise<WorkloadCertificate>;
}

/** Reads the root from `file`, or makes one there. A file that cannot be used any more (damaged, expired) is replaced. */
export async function openAuthority(file: string, now: number): Promise<Authority> {
  return (await loadRoot(file, now)) ?? (await createRoot(file, now));
}

async function loadRoot(file: string, now: number): Promise<Authority | null> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (text === null) return null;
  try {
    const certificate = new x509.X509Certificate(pemBlock(text, "CERTIFICATE"));
    const key = createPrivateKey(pemBlock(text, "PRIVATE KEY"));
    const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
    // A pair that does not belong together would sign certificates that no proxy accepts.
    if (!publicKey.equals(Buffer.from(certificate.publicKey.rawData))) return null;
    if (certificate.notAfter.getTime() - now < rootRemainingMinMs) return null;
    const der = key.export({ type: "pkcs8", format: "der" });
    const signingKey = await webcrypto.subtle.importKey("pkcs8", new Uint8Array(der), algorithm, false, ["sign"]);
    return authority(certificate, signingKey);
  } catch {
    return null;
  }
}

function pemBlock(text: string, label: string): string {
  const found = new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`).exec(text);
  if (found === null) throw new Error(`no ${label} block`);
  return found[0];
}

async function createRoot(file: string, now: number): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: rootName,
    // Older than any certificate that it signs.
    notBefore: new Date(now - rootBackDateMs),
    notAfter: new Date(now + rootLifetimeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ type: "pkcs8", format: "pem" });
  await writeFileAtomic(file, `${certificate.toString("pem")}\n${key}`);
  return authority(certificate, keys.privateKey);
}

function authority(root: x509.X509Certificate, signingKey: webcrypto.CryptoKey): Authority {
  return { roots: `${root.toString("pem")}\n`, signWorkload: (request) => signWorkload(root, signingKey, request) };
}

/** An X509-SVID: one URI SAN, no CA, digitalSignature only, both extended usages (SPIFFE X509-SVID sections 2 to 4). */
async function signWorkload(
  root: x509.X509Certificate,
  signingKey: webcrypto.CryptoKey,
  { spki, identity, lifetimeMs, now }: WorkloadRequest,
): Promise<WorkloadCertificate> {
  assertSpiffeId(identity);
  // importKey refuses other algorithms, other curves and points that are not on the curve.
  const publicKey = await webcrypto.subtle.importKey("spki", spki, algorithm, true, ["verify"]);
  const notAfterMs = Math.floor(Math.min(now + lifetimeMs, root.notAfter.getTime()) / 1000) * 1000;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: "O=devmesh",
    issuer: root.subjectName,
    notBefore: new Date(now - backDateMs),
    notAfter: new Date(notAfterMs),
    signingAlgorithm: algorithm,
    publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth], false),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: identity }], false),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
    ],
  });
  return { chain: `${certificate.toString("pem")}\n`, notAfterMs };
}

/** RFC 5280 4.1.2.2: positive and at most 20 octets; 16 random ones with the top bit clear and the next one set. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

/** SPIFFE-ID section 2: lower-case trust domain, a non-empty path of plain segments, at most 2048 bytes. */
function assertSpiffeId(identity: string): void {
  const isValid =
    identity.length <= 2048 && /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/.test(identity);
  if (!isValid) throw new Error(`${JSON.stringify(identity)} is not a SPIFFE ID`);
}
