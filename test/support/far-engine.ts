// This machine's engine as if it were far away: a network namespace whose only way is to a door before Docker's socket, by TLS with
// client certificates or by ssh. No container's address has a route from there.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { testCa } from "./certificates.ts";
import { eventually } from "./eventually.ts";

const engineSocket = "/var/run/docker.sock";
/** Only bounds a failure. */
const startMsMax = 30_000;
let links = 0;

export interface FarEngineFiles {
  /** ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH names them. */
  readonly certificates: string;
  /** For DOCKER_CONFIG: has the context `far`, which is not the current one. */
  readonly config: string;
}

export class FarEngine implements AsyncDisposable {
  /** The machine's address, seen from the namespace. */
  readonly host: string;
  readonly namespace: string;
  readonly files: FarEngineFiles;
  /** TLS connections so far. */
  connections = 0;
  readonly #folder: string;
  readonly #server: Server;
  #ssh: ChildProcess | null = null;

  private constructor(place: { folder: string; host: string; namespace: string; server: Server }) {
    this.#folder = place.folder;
    this.host = place.host;
    this.namespace = place.namespace;
    this.#server = place.server;
    this.files = { certificates: path.join(place.folder, "certificates"), config: path.join(place.folder, "config") };
  }

  static async open(): Promise<FarEngine> {
    const number = process.pid + links++;
    // Link-local /30 networks of a veth pair: nobody else's routes are concerned. 169.254.169.254 is a cloud's own.
    const base = `169.254.${(number >> 6) % 160}`;
    const at = (number % 64) * 4;
    const host = `${base}.${at + 1}`;
    const namespace = `dm-far-${number}`;
    const ca = await testCa();
    const [own, client] = await Promise.all([ca.issue({ uris: [], ips: [host] }), ca.issue()]);
    const server = createServer({
      key: own.key,
      cert: own.chain,
      ca: ca.roots,
      requestCert: true,
      rejectUnauthorized: true,
      allowHalfOpen: true,
    });
    const folder = mkdtempSync(path.join(tmpdir(), "dm-far-"));
    const engine = new FarEngine({ folder, host, namespace, server });
    try {
      ip("netns", "add", namespace);
      ip("link", "add", `dmf${number}`, "type", "veth", "peer", "name", "eth0", "netns", namespace);
      ip("addr", "add", `${host}/30`, "dev", `dmf${number}`);
      ip("link", "set", `dmf${number}`, "up");
      ip("-n", namespace, "addr", "add", `${base}.${at + 2}/30`, "dev", "eth0");
      for (const device of ["lo", "eth0"]) ip("-n", namespace, "link", "set", device, "up");
      server.on("secureConnection", (socket) => engine.#forward(socket));
      server.listen(0, host);
      await once(server, "listening");
      engine.#writeFiles({ "ca.pem": ca.roots, "cert.pem": client.chain, "key.pem": client.key });
      return engine;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  get url(): string {
    return `tcp://${this.host}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Runs a command in the namespace; with the home folder of `openSsh` where that was called. */
  get wrapper(): readonly string[] {
    const inNamespace = ["ip", "netns", "exec", this.namespace];
    // ssh finds its configuration by /etc/passwd, not by HOME. `ip netns exec` has made a mount namespace.
    const script = `mount --bind ${this.#folder}/passwd /etc/passwd && exec "$@"`;
    return this.#ssh === null ? inNamespace : [...inNamespace, "sh", "-c", script, "sh"];
  }

  /** The variables that name this engine by its certificates. */
  get tlsEnv(): NodeJS.ProcessEnv {
    return { DOCKER_HOST: this.url, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: this.files.certificates };
  }

  useContext(name: string): void {
    writeFileSync(path.join(this.files.config, "config.json"), JSON.stringify({ currentContext: name }));
  }

  /** Starts an ssh server, and gives whoever runs by `wrapper` an ssh configuration that calls it `name`. */
  async openSsh(name: string): Promise<void> {
    const home = path.join(this.#folder, "home");
    const ssh = path.join(home, ".ssh");
    mkdirSync(ssh, { recursive: true, mode: 0o700 });
    writeFileSync(path.join(this.#folder, "passwd"), `root:x:0:0:root:${home}:/bin/sh\n`);
    const [key, hostKey] = [path.join(ssh, "id"), path.join(this.#folder, "host-key")];
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    execFileSync("cp", [`${key}.pub`, path.join(ssh, "authorized_keys")]);
    const made = execFileSync("dropbearkey", ["-t", "ed25519", "-f", hostKey], { encoding: "utf8", stdio: "pipe" });
    const port = await unusedPortOf(this.host);
    writeFileSync(path.join(ssh, "known"), `[${this.host}]:${port} ${/^ssh-ed25519 \S+/m.exec(made)?.[0]}\n`);
    const lines = [
      `Host ${name}`,
      `HostName ${this.host}`,
      `Port ${port}`,
      "User root",
      `IdentityFile ${key}`,
      `UserKnownHostsFile ${ssh}/known`,
      "StrictHostKeyChecking yes",
    ];
    writeFileSync(path.join(ssh, "config"), `${lines.join("\n")}\n`, { mode: 0o600 });
    const script = `mount --bind ${this.#folder}/passwd /etc/passwd && exec dropbear -F -E -s -r ${hostKey} -p ${this.host}:${port} -P ${this.#folder}/pid`;
    const server = spawn("unshare", ["--mount", "sh", "-c", script], { stdio: ["ignore", "ignore", "pipe"] });
    this.#ssh = server;
    let words = "";
    server.stderr.setEncoding("utf8").on("data", (text: string) => {
      words += text;
    });
    await eventually(async () => {
      if (server.exitCode !== null) throw new Error(`the ssh server ended: ${words}`);
      const socket = connect(port, this.host);
      await once(socket, "connect");
      socket.destroy();
    }, startMsMax);
  }

  async close(): Promise<void> {
    if (this.#ssh !== null && this.#ssh.exitCode === null) {
      this.#ssh.kill();
      await once(this.#ssh, "exit");
    }
    this.#server.close();
    // Its end of the veth pair takes the other along.
    spawnSync("ip", ["netns", "del", this.namespace]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #forward(socket: TLSSocket): void {
    this.connections++;
    const engine = connect({ path: engineSocket, allowHalfOpen: true });
    // Whichever side fails takes the other along; the client then says what it saw.
    pipeline(socket, engine, socket, () => undefined);
  }

  #writeFiles(pem: Readonly<Record<string, string>>): void {
    const hash = createHash("sha256").update("far").digest("hex");
    const { certificates, config } = this.files;
    const meta = path.join(config, "contexts/meta", hash);
    for (const folder of [certificates, path.join(config, "contexts/tls", hash, "docker")]) {
      mkdirSync(folder, { recursive: true });
      for (const [name, text] of Object.entries(pem)) writeFileSync(path.join(folder, name), text);
    }
    // Who has only the CA may know the engine, but not enter.
    const authorities = path.join(certificates, "authorities");
    mkdirSync(authorities);
    writeFileSync(path.join(authorities, "ca.pem"), pem["ca.pem"] ?? "");
    mkdirSync(meta, { recursive: true });
    const docker = { Host: this.url, SkipTLSVerify: false };
    writeFileSync(path.join(meta, "meta.json"), JSON.stringify({ Name: "far", Metadata: {}, Endpoints: { docker } }));
    this.useContext("default");
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}

async function unusedPortOf(host: string): Promise<number> {
  const { createServer: listen } = await import("node:net");
  const server = listen().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
