// What stands between an image's build and Debian's packages: corporate proxies, certificates of an interceptor, a mirror. None of it
// stays in the image: Docker keeps these build arguments out of it, and the files are removed in the step that uses them.
import { readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { Problem } from "../../daemon/api/problem.ts";
import type { TarEntry } from "./tar.ts";

export interface BuildNetwork {
  /** For docker build. */
  readonly args: readonly string[];
  /** The environment of docker, from which it takes the arguments' values: a proxy's password is on no command line. */
  readonly env: NodeJS.ProcessEnv;
  /** Beside the recipe's own; they do not count in its tag. */
  readonly files: readonly TarEntry[];
}

const proxyNames = ["http_proxy", "https_proxy", "no_proxy"];

/** `ca` is --ca. Throws Problem DM0002 when the certificates that somebody named cannot be read. */
export function buildNetwork(given: NodeJS.ProcessEnv, ca: string | undefined): BuildNetwork {
  const proxies = proxyNames.flatMap((name) => {
    const value = given[name] || given[name.toUpperCase()];
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  // apt reads the small ones only, other programs the capitals.
  const both = Object.fromEntries(
    proxies.flatMap(([name, value]) => [
      [name, value],
      [name.toUpperCase(), value],
    ]),
  );
  // From a network of its own a build does not reach a proxy that listens on this machine's loopback.
  const isLocal = proxies.some(([name, value]) => name !== "no_proxy" && isLoopback(value));
  const mirror = given.DEVMESH_DEBIAN_MIRROR ?? "";
  return {
    args: [...Object.keys(both).flatMap((name) => ["--build-arg", name]), ...(isLocal ? ["--network", "host"] : [])],
    env: { ...given, ...both },
    files: [file("ca.crt", certificates(given, { ca, mirror })), file("mirror", mirror)],
  };
}

function isLoopback(proxy: string): boolean {
  const host = /^(?:\w+:\/\/)?(?:[^@/]*@)?(\[[^\]]*\]|[^:/]*)/.exec(proxy)?.[1] ?? "";
  return host === "localhost" || host === "[::1]" || /^127\./.test(host);
}

/** Debian's base images know no authorities at all: Node's own come first. "": nothing here needs any. */
function certificates(
  env: NodeJS.ProcessEnv,
  { ca, mirror }: { readonly ca: string | undefined; readonly mirror: string },
): string {
  const named = ca ?? env.DEVMESH_CA;
  const extra = named === undefined || named === "" ? readExtra(env.NODE_EXTRA_CA_CERTS) : readNamed(named);
  return extra === "" && !mirror.startsWith("https:") ? "" : `${rootCertificates.join("\n")}\n${extra}`;
}

function readNamed(path: string): string {
  try {
    const text = readFileSync(path, "utf8");
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code;
    throw new Problem("DM0002", `the certificates ${path} cannot be read: ${why}`, "see --ca and DEVMESH_CA");
  }
  throw new Problem("DM0002", `${path} holds no certificates in PEM`, "see --ca and DEVMESH_CA");
}

/** Node itself warns of one that cannot be read, and goes on. */
function readExtra(path: string | undefined): string {
  try {
    return path === undefined || path === "" ? "" : readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function file(name: string, text: string): TarEntry {
  return { name: `network/${name}`, mode: 0o644, content: Buffer.from(text) };
}
