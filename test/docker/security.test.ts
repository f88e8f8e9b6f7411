// Who gets in: plaintext from everywhere, certificates of every wrong kind, labels that lie, and what is on the wire.
import { spawn } from "node:child_process";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readLock } from "../../daemon/api/lock.ts";
import type { ImposterEvent, ImposterOptions } from "../support/apps/imposter.ts";
import type { Probe } from "../support/apps/probe.ts";
import { testCa } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import {
  appsFolder,
  fetchFromHost,
  firstLine,
  GuardedShop,
  peerPort,
  publishedServices,
  type TlsProbeOptions,
} from "../support/guarded-shop.ts";
import { type Credentials, mintCertificate, stateFolder } from "../support/mesh-authority.ts";
import { PacketCapture, tlsRecords } from "../support/packet-capture.ts";

const ownPorts = [15001, 15006, 15020, 15053];
const protocols = ["devmesh/1", "devmesh-tunnel/1"] as const;
const dayMs = 86_400_000;

const state: { shop: GuardedShop | null } = { shop: null };
const shop = (): GuardedShop => state.shop ?? expect.unreachable("the shop is not up");

beforeAll(async () => {
  state.shop = await GuardedShop.start("sec");
});

afterAll(async () => {
  await state.shop?.close();
});

describe("a plaintext caller", () => {
  test("on the project's network gets a byte from no port, by no address and no name", async () => {
    const { status, mesh } = shop();
    const probes: Probe[] = [];
    for (const service of ["website", "cart", "payment-v1", "redis", ...publishedServices]) {
      const address = await shop().addressOf(service, "project");
      for (const port of [8080, 6379, 9, peerPort, ...ownPorts]) probes.push({ host: address, port });
      probes.push({ host: service, port: 8080 }, { host: await shop().addressOf(service, "mesh"), port: 8080 });
    }
    const virtual = status.services.map(({ address }) => ({ host: address, port: 8080 }));
    const names = ["payment", `payment.${mesh}`, `payment.${mesh}.svc.cluster.local`];
    probes.push({ host: "payment", port: 80 }, ...virtual, ...names.map((host) => ({ host, port: 8080 })));
    const outcomes = await shop().probeFromNeighbour(probes);
    const answered = probes.filter((_, i) => outcomes[i]?.outcome === "answered");
    expect(answered).toEqual([]);
    // The refusals are the sidecars', not a network's that leads nowhere.
    const toContainer = outcomes.filter((_, i) => probes[i]?.host === "cart").map(({ outcome }) => outcome);
    expect(toContainer).toEqual(["ECONNRESET"]);
  });

  test("that was put on the mesh's own network reaches only the door for mutual TLS", async () => {
    const { project, meshNetwork, neighbour } = shop();
    await project.docker("network", "connect", meshNetwork, neighbour);
    try {
      const host = await shop().addressOf("open", "mesh");
      const probes = [8080, 9, peerPort, ...ownPorts].map((port): Probe => ({ host, port }));
      const outcomes = (await shop().probeFromNeighbour(probes)).map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === "answered")).toEqual([]);
      expect(outcomes[0]).toBe("ECONNREFUSED");
    } finally {
      await project.docker("network", "disconnect", meshNetwork, neighbour);
    }
  });

  test.each([
    ["open, which has no allow list", "open", "/", 200],
    ["named, which names outside for this path", "named", "/public", 200],
    ["named at a path that it does not name", "named", "/private", 403],
    ["closed, whose allow list does not name outside", "closed", "/", 403],
  ])("through a published port is outside to %s", async (_why, service, target, status) => {
    const { project } = shop();
    const [port, address] = [await shop().hostPortOf(service), await shop().addressOf(service, "project")];
    const format = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
    const gateway = await project.docker("network", "inspect", "-f", format, `${project.name}_default`);
    const send = `GET ${target} HTTP/1.1\r\nHost: ${service}\r\nConnection: close\r\n\r\n`;
    const [fromNeighbour] = await shop().probeFromNeighbour([{ host: gateway, port, send }]);
    expect(firstLine(fromNeighbour)).toContain(` ${status} `);
    for (const url of [`http://127.0.0.1:${port}${target}`, `http://${address}:8080${target}`]) {
      const answer = await fetchFromHost(url);
      expect(answer.status).toBe(status);
      if (status === 403) expect(answer.reason).toMatch(new RegExp(`^${service} does not allow outside to GET`));
    }
  });

  test("on the host is refused at a port that is not published", async () => {
    const address = await shop().addressOf("payment-v1", "project");
    await expect(fetch(`http://${address}:8080/healthz`)).rejects.toMatchObject({ cause: { code: "ECONNRESET" } });
  });

  test("left no trace in an application", async () => {
    const { project } = shop();
    for (const service of publishedServices) {
      expect(await project.docker("logs", await project.container(service))).not.toContain("/intruder");
    }
  });
});

describe("the allow list", () => {
  test("keeps the website from payment by every name and address, with a reason", async () => {
    const ways: [host: string, authority: string][] = [
      ["payment", "payment:8080"],
      ["payment-v2", "payment-v2:8080"],
      [shop().virtualAddressOf("payment"), "anything.example"],
      [await shop().addressOf("payment-v1", "project"), "payment"],
      [await shop().addressOf("payment-v2", "mesh"), "cart.example"],
      [shop().virtualAddressOf("cart"), "payment:8080"],
    ];
    const probes = ways.map(([host, authority]): Probe => {
      const send = `POST /charge HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`;
      return { host, port: 8080, send };
    });
    const answers = await shop().probeInside("website", "application", probes);
    for (const [i, { text }] of answers.entries()) {
      expect([ways[i], firstLine(answers[i])]).toEqual([ways[i], "HTTP/1.1 403 Forbidden"]);
      expect(text).toContain(
        "x-devmesh-reason: payment does not allow website to POST /charge; it allows: cart POST /charge; cart GET|PUT /admin/chaos",
      );
    }
  });

  test("lets the cart charge, by the service and by a version's own name", async () => {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"amount":100}' };
    for (const host of ["payment", "payment-v2"]) {
      expect((await shop().fetchInside("cart", `http://${host}:8080/charge`, init)).status).toBe(200);
    }
  });

  test.each(["/charge/../admin/secret", "/charge%2f..%2fadmin", "//charge", "/charge/"])(
    "lets the cart nowhere else: POST %s",
    async (target) => {
      const send = `POST ${target} HTTP/1.1\r\nHost: payment\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      const [answer] = await shop().probeInside("cart", "application", [{ host: "payment", port: 8080, send }]);
      expect(firstLine(answer)).toBe("HTTP/1.1 403 Forbidden");
    },
  );

  test("is passed by no tunnel: who may only charge gets nothing by bytes that are not looked into", async () => {
    const { project } = shop();
    const cart = await mintCertificate(project, { identity: shop().identityOf("cart") });
    const host = await shop().addressOf("payment-v1", "mesh");
    const as = { service: "payment", credentials: cart };
    const [tunnel, request] = await shop().probeInside("cart", "proxy", [
      shop().tlsProbe(host, { ...as, alpn: "devmesh-tunnel/1" }),
      shop().tlsProbe(host, { ...as, alpn: "devmesh-http/1" }),
    ]);
    expect(tunnel?.text).toBe("");
    expect(firstLine(request)).toBe("HTTP/1.1 403 Forbidden");
  });

  test("shows the page to the host, through the gateway and through the published port", async () => {
    const port = await shop().hostPortOf("website");
    for (const url of [shop().url, `http://127.0.0.1:${port}/`]) {
      const page = await fetchFromHost(url);
      expect(page.status).toBe(200);
      expect(page.text).toContain("<html");
    }
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    const bought = await fetch(`${shop().url}/api/checkout`, {
      ...init,
      body: JSON.stringify({ items: [{ product: (await firstProduct()).id, quantity: 1 }] }),
    });
    expect(bought.status).toBe(200);
  });
});

async function firstProduct(): Promise<{ id: string }> {
  const products = (await (await fetch(`${shop().url}/api/products`)).json()) as { id: string }[];
  return products[0] ?? expect.unreachable("the shop has no products");
}

test("on the wire between sidecars there is TLS and not a byte of a request", async () => {
  const { project, status } = shop();
  const marker = `marker${process.pid}x`;
  await using capture = await PacketCapture.start(shop().image);
  const port = await shop().hostPortOf("open");
  await fetchFromHost(`http://127.0.0.1:${port}/${marker}-plain`);
  const checkout = { method: "POST", headers: { "content-type": "application/json", "x-marker": marker } };
  for (let i = 0; i < 3; i++) {
    const charge = { ...checkout, body: '{"amount":100}' };
    expect((await shop().fetchInside("cart", "http://payment:8080/charge", charge)).status).toBe(200);
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
    /** The receiver's word for it. */
    readonly reason: string;
    readonly credentials: NonNullable<TlsProbeOptions["credentials"]> | null;
  }

  async function wrongOnes(): Promise<Row[]> {
    const { project } = shop();
    const website = shop().identityOf("website");
    const other = await (await testCa("other CA")).issue({ uris: [website] });
    const mint = (identity: string, agedMs = 0) => mintCertificate(project, { identity, agedMs });
    return [
      { reason: "no-certificate", credentials: null },
      { reason: "other-ca", credentials: { cert: other.chain, key: other.key } },
      { reason: "expired", credentials: await mint(website, 3 * dayMs) },
      {
        reason: "other-trust-domain",
        credentials: await mint(website.replace("cluster.local", "evil.example")),
      },
    ];
  }

  test("of the wrong kind is refused by the receiver, in the mesh and from its neighbours", async () => {
    const { project } = shop();
    const rows = await wrongOnes();
    const sidecar = await project.sidecar("closed");
    const probesTo = (host: string) =>
      rows.flatMap(({ credentials }) => protocols.map((alpn) => shop().tlsProbe(host, { alpn, credentials })));
    const before = await project.docker("logs", sidecar);
    const inside = await shop().probeInside("website", "proxy", probesTo(await shop().addressOf("closed", "mesh")));
    const beside = await shop().probeFromNeighbour(probesTo(await shop().addressOf("closed", "project")));
    expect([...inside, ...beside].filter(({ outcome }) => outcome === "answered")).toEqual([]);
    await eventually(async () => {
      const logs = (await project.docker("logs", sidecar)).slice(before.length);
      const refused = rows.map(({ reason }) => logs.split(`: ${reason}: `).length - 1);
      expect(refused).toEqual(rows.map(() => 2 * protocols.length));
    });
  });

  test("of the mesh opens what its service may, and no more", async () => {
    const { project } = shop();
    const host = await shop().addressOf("closed", "mesh");
    const website = await mintCertificate(project, { identity: shop().identityOf("website") });
    const shopper = await mintCertificate(project, { identity: shop().identityOf("shopper") });
    const stranger = await mintCertificate(project, { identity: shop().identityOf("stranger") });
    const [allowed, denied, unknown, misnamed, loop] = await shop().probeInside("website", "proxy", [
      shop().tlsProbe(host, { credentials: website }),
      shop().tlsProbe(host, { credentials: shopper }),
      shop().tlsProbe(host, { credentials: stranger }),
      shop().tlsProbe(host, { credentials: website, service: "open" }),
      shop().tlsProbe(host, { credentials: website, port: 15020 }),
    ]);
    // The positive control of all the refusals here: the right certificate, dialled in the same way, is served.
    expect(firstLine(allowed)).toBe("HTTP/1.1 200 OK");
    for (const probed of [denied, unknown, misnamed, loop]) expect(probed?.text).toBe("");
  });

  test("is each container's own: what a container claims by label or by word is not asked", async () => {
    const { project, status, neighbour } = shop();
    const rows = status.services.flatMap(({ name, workloads }) =>
      workloads.map(({ container }) => ({ name, container })),
    );
    const services = rows.map(({ container }) => container.replace(`${project.name}_`, "").replace(/_1$/, ""));
    const hosts = await Promise.all(services.map((service) => shop().addressOf(service, "mesh")));
    const shown = await shop().probeInside(
      "website",
      "proxy",
      hosts.map((host) => shop().tlsProbe(host, { alpn: "devmesh/1" })),
    );
    expect(shown.map(({ callee }) => callee)).toEqual(rows.map(({ name }) => `URI:${shop().identityOf(name)}`));
    // The neighbour says that it is payment, but it is of another project: no sidecar, no place, no certificate.
    expect(rows.filter(({ container }) => container === neighbour)).toEqual([]);
    const id = await project.docker("inspect", "-f", "{{.Id}}", neighbour);
    const own = await project.docker("ps", "-aq", "--filter", `label=dev.devmesh.owner=${id}`);
    expect(own).toBe("");
  });
});

test("a container that mounts the project folder finds no key, no socket and no state", async () => {
  const { project } = shop();
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
const imposterName = () => `${shop().project.name}-imposter`;

describe("a callee with another service's certificate", () => {
  async function impersonate(credentials: Credentials): Promise<ImposterEvent[]> {
    const options: ImposterOptions = { ...credentials, port: peerPort, alpn: protocols };
    const place = ["--network", `container:${await shop().project.container("closed")}`, "--user", "1337:1337"];
    const args = ["run", "--rm", "--name", imposterName(), ...place, "-v", `${appsFolder}:/apps:ro`];
    const child = spawn("docker", [...args, shop().image, "/apps/imposter.ts", JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const events: ImposterEvent[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.trim().split("\n")) events.push(JSON.parse(line));
    });
    await eventually(() => expect(events[0]?.kind).toBe("listening"), 10_000);
    return events;
  }

  afterAll(async () => {
    await shop()
      .project.docker("rm", "-f", imposterName())
      .catch(() => undefined);
  });

  test("gets no byte of a request, and its caller a 503 that says who it was", async () => {
    const { project } = shop();
    expect((await shop().fetchInside("website", "http://closed:8080/")).status).toBe(200);
    const daemon = readLock(path.join(stateFolder(project), "lock.json"));
    if (daemon === null) throw new Error("no daemon holds the lock");
    process.kill(daemon.pid, "SIGKILL");
    await project.docker("kill", await project.sidecar("closed"));

    const wrong = await impersonate(await mintCertificate(project, { identity: shop().identityOf("named") }));
    const refused = await shop().fetchInside("website", "http://closed:8080/secret");
    expect(refused.status).toBe(503);
    expect(refused.reason).toContain(`proves to be ${shop().identityOf("named")}, not ${shop().identityOf("closed")}`);
    expect(wrong.some(({ kind }) => kind === "connection")).toBe(true);
    expect(wrong.filter(({ kind }) => kind === "data")).toEqual([]);
    await project.docker("rm", "-f", imposterName());

    // The control: with the right certificate the same imposter is believed, so the certificate was what was refused.
    const right = await impersonate(await mintCertificate(project, { identity: shop().identityOf("closed") }));
    void shop()
      .fetchInside("website", "http://closed:8080/")
      .catch(() => undefined);
    await eventually(
      () =>
        expect(right.find(({ kind }) => kind === "data")).toMatchObject({
          caller: `URI:${shop().identityOf("website")}`,
        }),
      10_000,
    );
    await project.docker("rm", "-f", imposterName());
  });

  test("is gone once a command has revived the daemon", async () => {
    const { project } = shop();
    expect((await project.cli("status")).stderr).not.toContain("error");
    await eventually(async () => {
      expect((await shop().fetchInside("website", "http://closed:8080/")).status).toBe(200);
    }, 20_000);
  });
});
