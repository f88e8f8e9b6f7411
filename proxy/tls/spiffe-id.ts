// The SPIFFE id that a certificate proves, read from its DER: Node's subjectAltName is a string, and such strings have been
// forged by names with separators in them (CVE-2021-44532). Rules: the X509-SVID standard, sections 2 to 5.
import { type Element, elements, only, Tag } from "./der.ts";

export type SpiffeId =
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "refused"; readonly reason: string };

const oid = {
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  keyUsage: "551d0f",
  extendedKeyUsage: "551d25",
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
} as const;

const digitalSignature = 0x80;
const keyCertSign = 0x04;
const crlSign = 0x02;
const idBytesMax = 2048;
const idForm = /^spiffe:\/\/[a-z0-9._-]{1,255}((?:\/[A-Za-z0-9._-]+)+)$/;

/** The id of a leaf certificate, or why it has none. Never throws. The chain is somebody else's to verify. */
export function spiffeId(rawDer: Buffer): SpiffeId {
  try {
    return fromExtensions(extensionsOf(rawDer));
  } catch (error) {
    if (error instanceof RangeError) return refused(`the certificate is not DER: ${error.message}`);
    throw error;
  }
}

/** Null when the text is a SPIFFE id of a workload, else what is wrong with it. */
export function wrongSpiffeId(id: string): string | null {
  const path = id.length > idBytesMax ? undefined : idForm.exec(id)?.[1];
  if (path === undefined) return "it is not spiffe://<trust domain>/<path>";
  return path.split("/").some((segment) => segment === "." || segment === "..") ? "its path has dot segments" : null;
}

interface Extension {
  readonly isCritical: boolean;
  readonly value: Buffer;
}

function extensionsOf(rawDer: Buffer): ReadonlyMap<string, Extension> {
  const certificate = elements(only(rawDer, Tag.sequence))[0];
  if (certificate?.tag !== Tag.sequence) throw new RangeError("no TBSCertificate");
  const found = new Map<string, Extension>();
  const wrapper = elements(certificate.content).find((element) => element.tag === Tag.extensions);
  if (wrapper === undefined) return found;
  for (const extension of elements(only(wrapper.content, Tag.sequence))) {
    const parts = elements(extension.content);
    const [id, second] = parts;
    const value = parts.at(-1);
    if (id?.tag !== Tag.objectId || value?.tag !== Tag.octetString) throw new RangeError("an extension without value");
    const key = id.content.toString("hex");
    if (found.has(key)) throw new RangeError("an extension that is there twice");
    found.set(key, { isCritical: isTrue(second), value: value.content });
  }
  return found;
}

function fromExtensions(extensions: ReadonlyMap<string, Extension>): SpiffeId {
  const constraints = extensions.get(oid.basicConstraints);
  if (constraints !== undefined && isTrue(elements(only(constraints.value, Tag.sequence))[0])) {
    return refused("the certificate is a CA's");
  }
  const wrongUsage = wrongKeyUsage(extensions.get(oid.keyUsage)) ?? wrongPurpose(extensions.get(oid.extendedKeyUsage));
  if (wrongUsage !== null) return refused(wrongUsage);
  const names = extensions.get(oid.subjectAltName);
  if (names === undefined) return refused("the certificate has no subject alternative name");
  const uris = elements(only(names.value, Tag.sequence)).filter((name) => name.tag === Tag.uri);
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) return refused(`the certificate has ${uris.length} URI names, not one`);
  const id = uri.content.toString("latin1");
  const wrong = wrongSpiffeId(id);
  return wrong === null ? { kind: "id", id } : refused(`the certificate's URI name is no SPIFFE id: ${wrong}`);
}

function wrongKeyUsage(usage: Extension | undefined): string | null {
  if (usage === undefined || !usage.isCritical) return "the certificate has no critical key usage";
  const bits = only(usage.value, Tag.bitString)[1] ?? 0;
  if ((bits & (keyCertSign | crlSign)) !== 0) return "the certificate's key may sign certificates";
  return (bits & digitalSignature) === 0 ? "the certificate's key may not sign" : null;
}

function wrongPurpose(usage: Extension | undefined): string | null {
  if (usage === undefined) return null;
  const purposes = elements(only(usage.value, Tag.sequence)).map((purpose) => purpose.content.toString("hex"));
  const isGood = purposes.includes(oid.serverAuth) && purposes.includes(oid.clientAuth);
  return isGood ? null : "the certificate is not for both client and server authentication";
}

function isTrue(element: Element | undefined): boolean {
  return element?.tag === Tag.boolean && element.content[0] !== 0;
}

function refused(reason: string): SpiffeId {
  return { kind: "refused", reason };
}
