// Who gets in: plaintext from everywhere, certificates of every wrong kind, labels that lie, and what is on the wire.
import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readLock } from "../../daemon/api/lock.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import type { ImposterEvent, ImposterOptions } from "../support/apps/imposter.ts";
import type { Probe, Probed } from "../support/apps/probe.ts";
import { testCa } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { type Credentials, mintCertificate, stateFolder } from "../support/mesh-authority.ts";
import type { MeshProject } from "../support/mesh-project.ts";
import { createMeshShop } from "../support/mesh-shop.ts";
import { PacketCapture, tlsRecords } from "../support/packet-capture.ts";

const run = promisify(execFile);
const apps = path.resolve(import.meta.dirname, "../support/apps");
const ownPorts = [15001, 15006, 15020, 15053];
const peerPort = 15008;
const published = ["open", "closed", "named"] as const;
const inner = ["devmesh/1", "devmesh-tunnel/1"] as const;

interface Setting {
  readonly project: MeshProject;
  readonly url: string;
  readonly mesh: string;
  /** On the project's network, of another project, with a label that claims to be payment. */
  readonly neighbour: string;
  readonly status: StatusView;
}

const state: { setting: Setting | null } = { setting: null };
const setting = (): Setting => state.setting ?? expect.unreachable("the shop is not up");

/** Three more services, published on every address: without allow, with one that does not name outside, with one that does. */
const extraServices = published
  .map(
    (name) => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name}, PRINT: "1" }
    ports: ["8080"]
    volumes: ["${apps}:/apps:ro", ".:/project"]
`,
  )
  .join("");
const extraMesh = `
  open: { port: 8080 }
  closed: { port: 8080, allow: [{ from: website }] }
  named: { port: 8080, allow: [{ from: outside, paths: [/public] }] }

gateway:`;

beforeAll(async () => {
  const { project, url } = await createMeshShop({
    name: "sec",
    compose: (text) => `${text}${extraServices}`,
    mesh: (text) => text.replace("\ngateway:", extraMesh),
  });
  const neighbour = `${project.name}-neighbour`;
  state.setting = { project, url, mesh: `m${process.pid}sec`, neighbour, status: null as unknown as StatusView };
  await project.up();
  const labels = ["--label", "devmesh.service=payment", "--label", `com.docker.compose.project=other${process.pid}`];
  const network = ["--network", `${project.name}_default`, "-v", `${apps}:/apps:ro`];
  const idle = ["--entrypoint", "sleep", image("shop"), "3600"];
  await project.docker("run", "-d", "--name", neighbour, ...labels, ...network, ...idle);
  state.setting = { ...state.setting, status: await project.status() };
});

afterAll(async () => {
  const { setting } = state;
  if (setting === null) return;
  for (const name of [setting.neighbour, imposterName()])
    await run("docker", ["rm", "-f", name]).catch(() => undefined);
  await setting.project.close();
});

function image(name: "shop" | "proxy"): string {
  const { env } = setting().project;
  return (name === "shop" ? env.DEVMESH_SHOP_IMAGE : env.DEVMESH_PROXY_IMAGE) ?? "";
}

async function probeFrom(container: string, probes: readonly Probe[], user = "1000"): Promise<Probed[]> {
  const command = ["exec", "-u", user, container, "node", "/apps/probe.ts", JSON.stringify(probes)];
  return JSON.parse(await setting().project.docker(...command));
}

/** In the container's network namespace, as the proxy's user: past the capture, as far as anybody inside can get. */
async function probeAsProxy(service: string, probes: readonly Probe[]): Promise<Probed[]> {
  const place = ["--network", `container:${await setting().project.container(service)}`, "--user", "1337:1337"];
  const command = ["run", "--rm", ...place, "-v", `${apps}:/apps:ro`, image("shop"), "/apps/probe.ts"];
  return JSON.parse(await setting().project.docker(...command, JSON.stringify(probes)));
}

/** The container's address on the project's network or on the mesh's. */
async function addressOf(service: string, network: "project" | "mesh"): Promise<string> {
  const { project, mesh } = setting();
  const name = network === "mesh" ? `zz_devmesh_${mesh}` : `${project.name}_default`;
  const format = `{{(index .NetworkSettings.Networks "${name}").IPAddress}}`;
  return await project.docker("inspect", "-f", format, await project.container(service));
}

async function hostPortOf(service: string): Promise<number> {
  const { project } = setting();
  const text = await project.docker("port", await project.container(service), "8080/tcp");
  return Number(/:(\d+)$/m.exec(text)?.[1]);
}

async function get(url: string): Promise<{ status: number; reason: string; body: string }> {
  const response = await fetch(url);
  const reason = response.headers.get("x-devmesh-reason") ?? "";
  return { status: response.status, reason, body: await response.text() };
}

function fromInside(service: string, url: string, init: RequestInit = {}): Promise<string> {
  const script = `fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(async (r) =>
    console.log(JSON.stringify({ status: r.status, reason: r.headers.get("x-devmesh-reason"), text: await r.text() })))`;
  return setting().project.evaluate(service, script);
}

const asResponse = (text: string) => JSON.parse(text) as { status: number; reason: string | null; text: string };
const identityOf = (service: string) => `spiffe://cluster.local/ns/${setting().mesh}/sa/${service}`;
const sni = (service: string, port = 8080) => `outbound_.${port}_._.${service}.${setting().mesh}.svc.cluster.local`;
const httpLine = (probed: Probed) => probed.text.split("\r\n")[0];

const probeWith = (
  host: string,
  alpn: string,
  credentials: Pick<Credentials, "cert" | "key"> | null,
  servername = sni("closed"),
): Probe => ({
  host,
  port: peerPort,
  tls: { servername, alpn, ...(credentials === null ? {} : { cert: credentials.cert, key: credentials.key }) },
});

describe("a plaintext caller", () => {
  test("on the project's network gets a byte from no port, by no address and no name", async () => {
    const { neighbour, status, mesh } = setting();
    const probes: Probe[] = [];
    for (const service of ["website", "cart", "payment-v1", "redis", ...published]) {
      const address = await addressOf(service, "project");
      for (const port of [8080, 6379, 9, peerPort, ...ownPorts]) probes.push({ host: address, port });
      probes.push({ host: service, port: 8080 }, { host: await addressOf(service, "mesh"), port: 8080 });
    }
    const virtual = status.services.map(({ address }) => ({ host: address, port: 8080 }));
    const names = ["payment", `payment.${mesh}`, `payment.${mesh}.svc.cluster.local`];
    probes.push({ host: "payment", port: 80 }, ...virtual, ...names.map((host) => ({ host, port: 8080 })));
    const outcomes = await probeFrom(neighbour, probes);
    const answered = probes.filter((_, i) => outcomes[i]?.outcome === "answered");
    expect(answered).toEqual([]);
    // The refusals are the sidecars', not a network's that leads nowhere.
    const toContainer = outcomes.filter((_, i) => probes[i]?.host === "cart").map(({ outcome }) => outcome);
    expect(toContainer).toEqual(["ECONNRESET"]);
  });

  test("that was put on the mesh's own network reaches only the door for mutual TLS", async () => {
    const { project, mesh, neighbour } = setting();
    const network = `zz_devmesh_${mesh}`;
    await project.docker("network", "connect", network, neighbour);
    try {
      const host = await addressOf("open", "mesh");
      const probes = [8080, 9, peerPort, ...ownPorts].map((port): Probe => ({ host, port }));
      const outcomes = (await probeFrom(neighbour, probes)).map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === "answered")).toEqual([]);
      expect(outcomes[0]).toBe("ECONNREFUSED");
    } finally {
      await project.docker("network", "disconnect", network, neighbour);
    }
  });

  test.each([
    ["open, which has no allow list", "open", "/", 200],
    ["named, which names outside for this path", "named", "/public", 200],
    ["named at a path that it does not name", "named", "/private", 403],
    ["closed, whose allow list does not name outside", "closed", "/", 403],
  ])("through a published port is outside to %s", async (_why, service, target, status) => {
    const { project, neighbour } = setting();
    const [port, address] = await Promise.all([hostPortOf(service), addressOf(service, "project")]);
    const format = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
    const gateway = await project.docker("network", "inspect", "-f", format, `${project.name}_default`);
    const send = `GET ${target} HTTP/1.1\r\nHost: ${service}\r\nConnection: close\r\n\r\n`;
    const [fromNeighbour] = await probeFrom(neighbour, [{ host: gateway, port, send }]);
    expect(fromNeighbour && httpLine(fromNeighbour)).toContain(` ${status} `);
    for (const url of [`http://127.0.0.1:${port}${target}`, `http://${address}:8080${target}`]) {
      const answer = await get(url);
      expect(answer.status).toBe(status);
      if (status === 403) expect(answer.reason).toMatch(new RegExp(`^${service} does not allow outside to GET`));
    }
  });

  test("on the host is refused at a port that is not published", async () => {
    const address = await addressOf("payment-v1", "project");
    await expect(fetch(`http://${address}:8080/healthz`)).rejects.toMatchObject({ cause: { code: "ECONNRESET" } });
  });

  test("left no trace in an application", async () => {
    const { project } = setting();
    for (const service of published) {
      expect(await project.docker("logs", await project.container(service))).not.toContain("/intruder");
    }
  });
});

describe("the allow list", () => {
  test("keeps the website from payment by every name and address, with a reason", async () => {
    const { project, status } = setting();
    const addressNamed = (name: string) => status.services.find((service) => service.name === name)?.address ?? "";
    const ways: [host: string, authority: string][] = [
      ["payment", "payment:8080"],
      ["payment-v2", "payment-v2:8080"],
      [addressNamed("payment"), "anything.example"],
      [await addressOf("payment-v1", "project"), "payment"],
      [await addressOf("payment-v2", "mesh"), "cart.example"],
      [addressNamed("cart"), "payment:8080"],
    ];
    const probes = ways.map(([host, authority]): Probe => {
      const send = `POST /charge HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`;
      return { host, port: 8080, send };
    });
    const script = `process.argv[2] = ${JSON.stringify(JSON.stringify(probes))};${readFileSync(path.join(apps, "probe.ts"), "utf8")}`;
    const command = [
      "exec",
      await project.container("website"),
      "node",
      "--input-type=module-typescript",
      "-e",
      script,
    ];
    const answers = JSON.parse(await project.docker(...command)) as Probed[];
    for (const [i, { text }] of answers.entries()) {
      expect([ways[i], text.split("\r\n")[0]]).toEqual([ways[i], "HTTP/1.1 403 Forbidden"]);
      expect(text).toContain(
        "x-devmesh-reason: payment does not allow website to POST /charge; it allows: cart POST /charge; cart GET|PUT /admin/chaos",
      );
    }
  });

  test("lets the cart charge, by the service and by a version's own name", async () => {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"amount":100}' };
    for (const host of ["payment", "payment-v2"]) {
      expect(asResponse(await fromInside("cart", `http://${host}:8080/charge`, init)).status).toBe(200);
    }
  });

  test.each(["/charge/../admin/secret", "/charge%2f..%2fadmin", "//charge", "/charge/"])(
    "lets the cart nowhere else: POST %s",
    async (target) => {
      const host = setting().status.services.find(({ name }) => name === "payment")?.address ?? "";
      const send = `POST ${target} HTTP/1.1\r\nHost: payment\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      const script = `require("net").connect(8080, ${JSON.stringify(host)}).on("data", (d) => process.stdout.write(d)).write(${JSON.stringify(send)})`;
      expect(await setting().project.evaluate("cart", script)).toContain("HTTP/1.1 403 ");
    },
  );

  test("is passed by no tunnel: who may only charge gets nothing by bytes that are not looked into", async () => {
    const { project } = setting();
    const cart = await mintCertificate(project, { identity: identityOf("cart") });
    const host = await addressOf("payment-v1", "mesh");
    const [tunnel, request] = await probeAsProxy("cart", [
      probeWith(host, "devmesh-tunnel/1", cart, sni("payment")),
      probeWith(host, "devmesh-http/1", cart, sni("payment")),
    ]);
    expect(tunnel?.text).toBe("");
    expect(request && httpLine(request)).toBe("HTTP/1.1 403 Forbidden");
  });

  test("shows the page to the host, through the gateway and through the published port", async () => {
    const port = await hostPortOf("website");
    for (const url of [setting().url, `http://127.0.0.1:${port}/`]) {
      const page = await get(url);
      expect(page.status).toBe(200);
      expect(page.body).toContain("<html");
    }
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    const bought = await fetch(`${setting().url}/api/checkout`, {
      ...init,
      body: JSON.stringify({ items: [{ product: (await firstProduct()).id, quantity: 1 }] }),
    });
    expect(bought.status).toBe(200);
  });
});

async function firstProduct(): Promise<{ id: string }> {
  const products = (await (await fetch(`${setting().url}/api/products`)).json()) as { id: string }[];
  return products[0] ?? expect.unreachable("the shop has no products");
}

test("on the wire between sidecars there is TLS and not a byte of a request", async () => {
  const { project, status } = setting();
  const marker = `marker${process.pid}x`;
  await using capture = await PacketCapture.start(image("shop"));
  const port = await hostPortOf("open");
  await get(`http://127.0.0.1:${port}/${marker}-plain`);
  const checkout = { method: "POST", headers: { "content-type": "application/json", "x-marker": marker } };
  for (let i = 0; i < 3; i++) {
    const answer = await fromInside("cart", "http://payment:8080/charge", { ...checkout, body: '{"amount":100}' });
    expect(asResponse(answer).status).toBe(200);
  }
  const redis = `const s = require("net").connect(6379, "redis").on("data", () => s.end()).on("close", () => console.log("done")); s.write("ECHO ${marker}\\r\\n")`;
  expect(await project.evaluate("cart", redis)).toBe("done");
  const streams = await capture.end();
  const withMarker = streams.filter(({ bytes }) => bytes.includes(marker));
  // The tool sees what is not encrypted: the call through the published port, and nothing else.
  expect(withMarker.length).toBeGreaterThan(0);
  expect(withMarker.every(({ bytes }) => bytes.includes(`${marker}-plain`))).toBe(true);
  const prefix = (status.services[0]?.address ?? "").split(".").slice(0, 2).join(".");
  const inMesh = streams.filter(({ from, to }) => from.startsWith(`${prefix}.`) && to.startsWith(`${prefix}.`));
  const whole = inMesh.filter(({ isWhole, bytes }) => isWhole && bytes.length > 0);
  expect(inMesh.filter(({ fromPort, toPort }) => fromPort !== peerPort && toPort !== peerPort)).toEqual([]);
  // Redis alone takes a connection of its own for each: both of its directions are there from the first byte.
  expect(whole.length).toBeGreaterThanOrEqual(2);
  for (const { bytes } of whole) {
    expect(tlsRecords(bytes)?.[0]).toBe(22);
    expect(tlsRecords(bytes)).toContain(23);
  }
  console.log(
    `capture: ${streams.length} streams, ${inMesh.length} in the mesh, ${whole.length} of them from their first byte`,
  );
});

describe("a certificate", () => {
  interface Row {
    readonly why: string;
    readonly reason: string;
    readonly credentials: Pick<Credentials, "cert" | "key"> | null;
  }

  async function wrongOnes(): Promise<Row[]> {
    const { project } = setting();
    const website = identityOf("website");
    const other = await (await testCa("other CA")).issue({ uris: [website] });
    const mint = (identity: string, agedMs = 0) => mintCertificate(project, { identity, agedMs });
    return [
      { why: "none", reason: "no-certificate", credentials: null },
      { why: "another CA's", reason: "other-ca", credentials: { cert: other.chain, key: other.key } },
      { why: "an expired one", reason: "expired", credentials: await mint(website, 3 * 86_400_000) },
      {
        why: "another trust domain's",
        reason: "other-trust-domain",
        credentials: await mint(website.replace("cluster.local", "evil.example")),
      },
    ];
  }

  test("of the wrong kind is refused by the receiver, in the mesh and from its neighbours", async () => {
    const { project, neighbour } = setting();
    const rows = await wrongOnes();
    const [inMesh, inProject] = [await addressOf("closed", "mesh"), await addressOf("closed", "project")];
    const before = await project.docker("logs", await project.sidecar("closed"));
    const probesTo = (host: string) =>
      rows.flatMap(({ credentials }) => inner.map((alpn) => probeWith(host, alpn, credentials)));
    const inside = await probeAsProxy("website", probesTo(inMesh));
    const beside = await probeFrom(neighbour, probesTo(inProject));
    expect([...inside, ...beside].filter(({ outcome }) => outcome === "answered")).toEqual([]);
    const logs = (await project.docker("logs", await project.sidecar("closed"))).slice(before.length);
    for (const { reason } of rows) {
      expect(logs.match(new RegExp(`mTLS refused from [\\d.]+: ${reason}:`, "g"))).toHaveLength(2 * inner.length);
    }
  });

  test("of the mesh opens what its service may, and no more", async () => {
    const { project } = setting();
    const host = await addressOf("closed", "mesh");
    const website = await mintCertificate(project, { identity: identityOf("website") });
    const shopper = await mintCertificate(project, { identity: identityOf("shopper") });
    const stranger = await mintCertificate(project, { identity: identityOf("stranger") });
    const tunnel = "devmesh-tunnel/1";
    const [allowed, denied, unknown, misnamed, loop] = await probeAsProxy("website", [
      probeWith(host, tunnel, website),
      probeWith(host, tunnel, shopper),
      probeWith(host, tunnel, stranger),
      probeWith(host, tunnel, website, sni("open")),
      probeWith(host, tunnel, website, sni("closed", 15020)),
    ]);
    // The positive control of all the refusals here: the right certificate, dialled in the same way, is served.
    expect(allowed && httpLine(allowed)).toBe("HTTP/1.1 200 OK");
    for (const probed of [denied, unknown, misnamed, loop]) expect(probed?.text).toBe("");
  });

  test("is each container's own: what a container claims by label or by word is not asked", async () => {
    const { project, status, neighbour } = setting();
    const rows = status.services.flatMap(({ name, workloads }) =>
      workloads.map(({ container }) => ({ name, container })),
    );
    const services = rows.map(({ container }) => container.replace(`${project.name}_`, "").replace(/_1$/, ""));
    const hosts = await Promise.all(services.map((service) => addressOf(service, "mesh")));
    const shown = await probeAsProxy(
      "website",
      hosts.map((host) => probeWith(host, "devmesh/1", null)),
    );
    expect(shown.map(({ callee }) => callee)).toEqual(rows.map(({ name }) => `URI:${identityOf(name)}`));
    // The neighbour says that it is payment, but it is of another project: no sidecar, no place, no certificate.
    expect(rows.filter(({ container }) => container === neighbour)).toEqual([]);
    const own = await project.docker(
      "ps",
      "-aq",
      "--filter",
      "label=dev.devmesh.kind=sidecar",
      "--filter",
      `label=dev.devmesh.owner=${await project.docker("inspect", "-f", "{{.Id}}", neighbour)}`,
    );
    expect(own).toBe("");
  });
});

test("a container that mounts the project folder finds no key, no socket and no state", async () => {
  const { project } = setting();
  const asRoot = ["exec", "-u", "0", await project.container("open"), "node", "-e"];
  const script = `
    const fs = require("fs"), path = require("path");
    const found = [];
    let files = 0;
    for (const entry of fs.readdirSync("/project", { recursive: true, withFileTypes: true })) {
      const full = path.join(entry.parentPath, entry.name);
      files++;
      if (entry.isSocket() || entry.isFIFO() || entry.isSymbolicLink()) found.push(full);
      if (entry.isFile() && /PRIVATE KEY|CERTIFICATE-----|"publicKey"|"pid"/.test(fs.readFileSync(full, "latin1"))) found.push(full);
    }
    console.log(JSON.stringify({ files, found, names: fs.readdirSync("/project").sort() }));`;
  const { files, found, names } = JSON.parse(await project.docker(...asRoot, script));
  expect(found).toEqual([]);
  expect(names).toEqual(["compose.yaml", "mesh.yaml"]);
  expect(files).toBe(2);
});

// Last: it stops the daemon and kills a sidecar.
const imposterName = () => `${setting().project.name}-imposter`;

describe("a callee with another service's certificate", () => {
  async function impersonate(credentials: Credentials): Promise<ImposterEvent[]> {
    const options: ImposterOptions = { ...credentials, port: peerPort, alpn: inner };
    const place = ["--network", `container:${await setting().project.container("closed")}`, "--user", "1337:1337"];
    const args = ["run", "--rm", "--name", imposterName(), ...place, "-v", `${apps}:/apps:ro`];
    const child = spawn("docker", [...args, image("shop"), "/apps/imposter.ts", JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const events: ImposterEvent[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.trim().split("\n")) events.push(JSON.parse(line));
    });
    await eventually(() => expect(events[0]?.kind).toBe("listening"), 10_000);
    return events;
  }

  test("gets no byte of a request, and its caller a 503 that says who it was", async () => {
    const { project } = setting();
    expect(asResponse(await fromInside("website", "http://closed:8080/")).status).toBe(200);
    const daemon = readLock(path.join(stateFolder(project), "lock.json"));
    if (daemon === null) throw new Error("no daemon holds the lock");
    process.kill(daemon.pid, "SIGKILL");
    await project.docker("kill", await project.sidecar("closed"));

    const wrong = await impersonate(await mintCertificate(project, { identity: identityOf("named") }));
    const refused = asResponse(await fromInside("website", "http://closed:8080/secret"));
    expect(refused.status).toBe(503);
    expect(refused.reason).toContain(`proves to be ${identityOf("named")}, not ${identityOf("closed")}`);
    expect(wrong.some(({ kind }) => kind === "connection")).toBe(true);
    expect(wrong.filter(({ kind }) => kind === "data")).toEqual([]);
    await project.docker("rm", "-f", imposterName());

    // The control: with the right certificate the same imposter is believed, so the certificate was what was refused.
    const right = await impersonate(await mintCertificate(project, { identity: identityOf("closed") }));
    void fromInside("website", "http://closed:8080/").catch(() => undefined);
    await eventually(
      () => expect(right.find(({ kind }) => kind === "data")).toMatchObject({ caller: `URI:${identityOf("website")}` }),
      10_000,
    );
    await project.docker("rm", "-f", imposterName());
  });

  test("is gone once a command has revived the daemon", async () => {
    const { project } = setting();
    expect((await project.cli("status")).stderr).not.toContain("error");
    await eventually(async () => {
      expect(asResponse(await fromInside("website", "http://closed:8080/")).status).toBe(200);
    }, 20_000);
  });
});
