// The sample shop under strict mTLS with three published services more, and the ways in which a stranger may try to get in.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import type { StatusView } from "../../daemon/api/view.ts";
import { meshNetworkName } from "../../daemon/docker/labels.ts";
import type { Probe, Probed } from "./apps/probe.ts";
import type { Credentials } from "./mesh-authority.ts";
import type { MeshProject } from "./mesh-project.ts";
import { createMeshShop } from "./mesh-shop.ts";

const run = promisify(execFile);
export const appsFolder = path.resolve(import.meta.dirname, "apps");
export const peerPort = 15008;

/** Published on every address of the host: without allow, with one that does not name outside, with one that does for a path. */
export const publishedServices = ["open", "closed", "named"] as const;
const extraServices = publishedServices
  .map(
    (name) => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name}, PRINT: "1" }
    ports: ["8080"]
    volumes: ["${appsFolder}:/apps:ro", ".:/project"]
`,
  )
  .join("");
const extraMesh = `
  open: { port: 8080 }
  closed: { port: 8080, allow: [{ from: website }] }
  named: { port: 8080, allow: [{ from: outside, paths: [/public] }] }

gateway:`;

/** What fetch got, from wherever it was called. */
export interface Answer {
  readonly status: number;
  readonly reason: string | null;
  readonly text: string;
}

export class GuardedShop implements AsyncDisposable {
  readonly project: MeshProject;
  /** Of the gateway to the website. */
  readonly url: string;
  readonly mesh: string;
  /** A container on the project's network, of another project; by its labels and its image's it claims to be payment. */
  readonly neighbour: string;
  readonly image: string;
  #status: StatusView | null = null;

  private constructor(project: MeshProject, url: string, mesh: string) {
    this.project = project;
    this.url = url;
    this.mesh = mesh;
    this.neighbour = `${project.name}-neighbour`;
    this.image = project.env.DEVMESH_SHOP_IMAGE ?? "";
  }

  static async start(name: string): Promise<GuardedShop> {
    const { project, url } = await createMeshShop({
      name,
      compose: (text) => `${text}${extraServices}`,
      mesh: (text) => text.replace("\ngateway:", extraMesh),
    });
    const shop = new GuardedShop(project, url, `m${process.pid}${name}`);
    try {
      await project.up();
      const image = await shop.#claimingImage();
      const labels = ["devmesh.service=payment", `com.docker.compose.project=other${process.pid}`];
      const about = ["--network", `${project.name}_default`, ...labels.flatMap((label) => ["--label", label])];
      const idle = ["-v", `${appsFolder}:/apps:ro`, "--entrypoint", "sleep", image, "3600"];
      await project.docker("run", "-d", "--name", shop.neighbour, ...about, ...idle);
      shop.#status = await project.status();
      return shop;
    } catch (error) {
      await shop.close();
      throw error;
    }
  }

  /** As it was when all was up. */
  get status(): StatusView {
    if (this.#status === null) throw new Error("the shop is not up");
    return this.#status;
  }

  async close(): Promise<void> {
    await run("docker", ["rm", "-f", this.neighbour]).catch(() => undefined);
    await run("docker", ["rmi", "-f", this.neighbour]).catch(() => undefined);
    await this.project.close();
  }

  /** An image whose author writes into it that it is this mesh's payment service. */
  async #claimingImage(): Promise<string> {
    const { project } = this;
    const template = await project.docker("create", this.image);
    const change = `LABEL devmesh.mesh=${this.mesh} devmesh.service=payment`;
    await project.docker("commit", "--change", change, template, this.neighbour);
    await project.docker("rm", template);
    return this.neighbour;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get meshNetwork(): string {
    return meshNetworkName(this.mesh);
  }

  identityOf(service: string): string {
    return `spiffe://cluster.local/ns/${this.mesh}/sa/${service}`;
  }

  virtualAddressOf(name: string): string {
    return this.status.services.find((service) => service.name === name)?.address ?? "";
  }

  /** The container's address on the project's network or on the mesh's. */
  async addressOf(service: string, network: "project" | "mesh"): Promise<string> {
    const name = network === "mesh" ? this.meshNetwork : `${this.project.name}_default`;
    const format = `{{(index .NetworkSettings.Networks "${name}").IPAddress}}`;
    return await this.project.docker("inspect", "-f", format, await this.project.container(service));
  }

  /** Of the container's 8080. */
  async hostPortOf(service: string): Promise<number> {
    const text = await this.project.docker("port", await this.project.container(service), "8080/tcp");
    return Number(/:(\d+)$/m.exec(text)?.[1]);
  }

  async probeFromNeighbour(probes: readonly Probe[]): Promise<Probed[]> {
    const command = ["exec", this.neighbour, "node", "/apps/probe.ts", JSON.stringify(probes)];
    return JSON.parse(await this.project.docker(...command));
  }

  /** In the service's network namespace: as its application, or past the capture, as far as anybody inside can get. */
  async probeInside(service: string, user: "application" | "proxy", probes: readonly Probe[]): Promise<Probed[]> {
    const place = ["--network", `container:${await this.project.container(service)}`];
    const asUser = user === "proxy" ? `1337:${await this.#proxyGroup(service)}` : "1000:1000";
    const owner = ["--user", asUser, "-v", `${appsFolder}:/apps:ro`];
    const command = ["run", "--rm", ...place, ...owner, this.image, "/apps/probe.ts", JSON.stringify(probes)];
    return JSON.parse(await this.project.docker(...command));
  }

  /** The group that the service's sidecar has drawn. */
  async #proxyGroup(service: string): Promise<string> {
    const status = await this.project.docker("exec", await this.project.sidecar(service), "cat", "/proc/1/status");
    return /^Gid:\t(\d+)/m.exec(status)?.[1] ?? "";
  }

  async fetchInside(service: string, url: string, init: RequestInit = {}): Promise<Answer> {
    const script = `fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(async (r) =>
      console.log(JSON.stringify({ status: r.status, reason: r.headers.get("x-devmesh-reason"), text: await r.text() })))`;
    return JSON.parse(await this.project.evaluate(service, script));
  }

  /** As a sidecar would dial, with any certificate or none. By default the name asked for is closed's. */
  tlsProbe(
    host: string,
    { alpn = "devmesh-tunnel/1", service = "closed", port = 8080, credentials = null }: TlsProbeOptions,
  ): Probe {
    const servername = `outbound_.${port}_._.${service}.${this.mesh}.svc.cluster.local`;
    const own = credentials === null ? {} : { cert: credentials.cert, key: credentials.key };
    return { host, port: peerPort, tls: { servername, alpn, ...own } };
  }
}

export interface TlsProbeOptions {
  readonly alpn?: string;
  readonly service?: string;
  readonly port?: number;
  readonly credentials?: Pick<Credentials, "cert" | "key"> | null;
}

export async function fetchFromHost(url: string): Promise<Answer> {
  const response = await fetch(url);
  return { status: response.status, reason: response.headers.get("x-devmesh-reason"), text: await response.text() };
}

/** The status line. */
export function firstLine(probed: Probed | undefined): string {
  return probed?.text.split("\r\n")[0] ?? "";
}
