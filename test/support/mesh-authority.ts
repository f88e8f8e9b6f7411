// Certificates of a running mesh's own CA, whose key only this user's state folder has: for tests that play a thief or an imposter.
import { generateKeyPairSync } from "node:crypto";
import { readdirSync } from "node:fs";
import path from "node:path";
import { openAuthority } from "../../daemon/ca/authority.ts";
import type { MeshProject } from "./mesh-project.ts";

const dayMs = 86_400_000;

export interface Credentials {
  readonly cert: string;
  readonly key: string;
  readonly roots: string;
}

/** The folder of the one daemon of this project. */
export function stateFolder(project: MeshProject): string {
  const meshes = path.join(project.stateHome, "devmesh");
  const [key = ""] = readdirSync(meshes);
  return path.join(meshes, key);
}

/** `agedMs` ago it was signed, for a day. */
export async function mintCertificate(
  project: MeshProject,
  { identity, agedMs = 0 }: { readonly identity: string; readonly agedMs?: number },
): Promise<Credentials> {
  const authority = await openAuthority(path.join(stateFolder(project), "root.pem"), Date.now());
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  const now = Date.now() - agedMs;
  const { chain } = await authority.signWorkload({ spki, identity, lifetimeMs: dayMs, now });
  return {
    cert: chain,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    roots: authority.roots,
  };
}
