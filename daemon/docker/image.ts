// The proxy's image and what the engine can do, asked once before anything is created.
import { Problem } from "../api/problem.ts";
import { type Engine, isStatus } from "./engine.ts";
import { asRecord, asString, asStrings } from "./json.ts";

export interface ProxyImage {
  readonly tag: string;
  readonly id: string;
}

/** Throws Problem DM0403 when the image is not there: devmesh never pulls behind anybody's back. */
export async function ensureImage(engine: Engine, tag: string): Promise<ProxyImage> {
  // As a path of Docker's API, anything else could name another call.
  if (!/^[a-z0-9]+([-._:/@]+[a-z0-9]+)*$/i.test(tag) || tag.includes("..")) {
    throw new Problem("DM0403", `"${tag}" is no name of an image`, "DEVMESH_PROXY_IMAGE names the proxy's image");
  }
  try {
    const image = await engine.call({ method: "GET", path: `/images/${tag}/json` });
    return { tag, id: asString(asRecord(image).Id) };
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    throw missingImage(engine, tag);
  }
}

/** Also for one that somebody has removed since the daemon started. */
export function missingImage({ url }: Pick<Engine, "url">, tag: string): Problem {
  const hint = "devmesh image build makes it; devmesh image load FILE brings it from another machine";
  return new Problem("DM0403", `the proxy's image ${tag} is not on the Docker engine at ${url}`, hint);
}

export interface EngineFacts {
  readonly logConfig: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
}

export async function readEngineFacts(engine: Engine): Promise<EngineFacts> {
  const details = asRecord(await engine.call({ method: "GET", path: "/info" }));
  const drivers = asStrings(asRecord(details.Plugins).Log);
  return { logConfig: chooseLogConfig(drivers) };
}

/** `local` is compact and rotates; json-file is what every engine has. Both take these limits: at most 30 MB a container. */
export function chooseLogConfig(drivers: readonly string[]): EngineFacts["logConfig"] {
  const limits = { "max-size": "10m", "max-file": "3" };
  return { Type: drivers.includes("local") ? "local" : "json-file", Config: limits };
}
