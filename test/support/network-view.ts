// What an application sees of its network, from inside its container: compared before, during and after a mesh.
import type { MeshProject } from "./mesh-project.ts";

export interface NetworkView {
  /** Lines of /proc/net/route, without counters. */
  readonly routes: readonly string[];
  /** "eth0 172.18.0.2 02:42:ac:12:00:02" */
  readonly interfaces: readonly string[];
  readonly hosts: string;
  readonly resolver: string;
  /** What `hostname -i` prints, or its error. */
  readonly hostnameI: string;
  /** "api 172.18.0.3" or "api ENOTFOUND" */
  readonly names: readonly string[];
}

const look = `
const fs = require("fs"), os = require("os");
const hostnameI = () => { try { return require("child_process").execSync("hostname -i", { stdio: "pipe" }).toString().trim() } catch (e) { return e.message } };
const lookup = (n) => require("dns").promises.lookup(n, { all: true }).then((a) => n + " " + a.map((x) => x.address).sort(), (e) => n + " " + e.code);
const routes = fs.readFileSync("/proc/net/route", "utf8").trim().split("\\n").slice(1).map((l) => { const [i, to, by, flags, , , metric, mask] = l.split(/\\s+/); return [i, to, by, flags, metric, mask].join(" ") });
const interfaces = Object.entries(os.networkInterfaces()).flatMap(([n, all]) => all.map((x) => [n, x.address, x.mac].join(" ")));
Promise.all(NAMES.map(lookup)).then((names) => console.log(JSON.stringify({ routes, interfaces: interfaces.sort(), hosts: fs.readFileSync("/etc/hosts", "utf8"), resolver: fs.readFileSync("/etc/resolv.conf", "utf8"), hostnameI: hostnameI(), names })))`;

/** The container needs node. */
export async function viewNetwork(
  project: MeshProject,
  service: string,
  names: readonly string[],
): Promise<NetworkView> {
  return JSON.parse(await project.evaluate(service, look.replace("NAMES", JSON.stringify(names)))) as NetworkView;
}

/** Without the interface, the route and the line that the mesh's network adds; names are the mesh's own matter while it is up. */
export function withoutMesh(view: NetworkView, subnet: string): Omit<NetworkView, "names"> {
  const [a = "", b = ""] = subnet.split(".");
  const prefix = `${a}.${b}.`;
  const hex = [b, a].map((byte) => Number(byte).toString(16).padStart(2, "0").toUpperCase()).join("");
  const { names: _, ...rest } = view;
  return {
    ...rest,
    routes: view.routes.filter((line) => line.split(" ")[1] !== `0000${hex}`),
    interfaces: view.interfaces.filter((line) => !line.split(" ")[1]?.startsWith(prefix)),
  };
}

/** Calls URLs from a container, a connection each: "web 200", or the error's code. */
export async function reach(
  project: MeshProject,
  service: string,
  urls: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const script = `
const get = (url) => fetch(url, { signal: AbortSignal.timeout(5000), headers: { connection: "close" } })
  .then(async (r) => { await r.text(); return r.headers.get("x-name") + " " + r.status }, (e) => e.cause?.code ?? e.name);
Promise.all(${JSON.stringify(urls)}.map(async (url) => [url, await get(url)])).then((all) => console.log(JSON.stringify(Object.fromEntries(all))))`;
  return JSON.parse(await project.evaluate(service, script));
}

/** Asks over plain TCP: sends a text, answers what came back until the end. */
export async function askTcp(project: MeshProject, service: string, host: string, port: number): Promise<string> {
  const script = `
const s = require("net").connect(${port}, "${host}", () => s.end("ping"));
let text = ""; s.setTimeout(5000, () => s.destroy(new Error("timeout")));
s.on("data", (d) => { text += d }).on("error", (e) => { text = e.code ?? e.message }).on("close", () => console.log(text))`;
  return await project.evaluate(service, script);
}
