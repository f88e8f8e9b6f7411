// The plan for people: what it says, and that it fits.
import { expect, test } from "vitest";
import { createPaint } from "../../../cli/output.ts";
import { planLines } from "../../../cli/screen/plan-lines.ts";
import type { PlannedWorkload, PlanView } from "../../../daemon/api/plan-view.ts";

const workload: PlannedWorkload = {
  container: "shop_web_1",
  version: null,
  networks: ["shop_back", "shop_front"],
  joinsMesh: true,
  sidecar: "create",
  start: "held",
  startReason: "paused at its start until its sidecar is ready",
  resets: 0,
  open: [
    { kind: "published", what: "8080", host: "127.0.0.1:8080", reason: "published: anybody on the host, as outside" },
    { kind: "udp", what: "53/udp", host: null, reason: "UDP is not captured" },
  ],
  warning: "it is privileged, has NET_ADMIN or runs as user 1337, so it can undo the mesh's rules or go past them",
};
const view: PlanView = {
  mesh: "shop",
  project: "shop",
  file: "mesh.yaml",
  isUp: false,
  compose: {
    command: "docker-compose",
    containers: [
      { service: "web", container: "shop_web_1", action: "create", reason: "" },
      { service: "web", container: "shop_web_2", action: "create", reason: "" },
      { service: "db", container: "shop_db_1", action: "recreate", reason: "its configuration changed" },
    ],
  },
  network: { name: "zz_devmesh_shop", subnet: "10.25.0.0/16", action: "create" },
  services: [
    {
      name: "web",
      mtls: "strict",
      ports: [
        { number: 8080, protocol: "http", aliases: [80], source: "mesh.yaml", protocolSource: "mesh.yaml" },
        { number: 15_432, protocol: "auto", aliases: [], source: "image", protocolSource: "sniffed" },
      ],
      workloads: [workload, { ...workload, container: "shop_web_2" }],
    },
    {
      name: "db",
      mtls: "strict",
      ports: [],
      workloads: [
        {
          ...workload,
          container: "shop_db_1",
          start: "running",
          startReason: "it runs already",
          resets: 3,
          open: [],
          warning: null,
        },
      ],
    },
  ],
  gateways: [{ listen: "127.0.0.1:8080", to: "web", action: "create", busy: "in use by nginx (process 812)" }],
  unmeshed: [{ container: "shop_host_1", service: "host", reason: "network_mode host", leaves: false }],
  removed: [{ name: "devmesh-shop_old_1", reason: "its container is gone" }],
  problems: [
    { code: "DM0401", message: "the host port 127.0.0.1:8080 is in use by nginx (process 812)", hint: "stop it" },
  ],
  diagnostics: [],
  notes: ["the plan does not understand --menu"],
};

test("the plan reads as a person would tell it", async () => {
  const text = `${planLines(view, { width: 80, paint: createPaint(false) }).join("\n")}\n`;
  await expect(text).toMatchFileSnapshot("../../golden/plan/everything.txt");
});

test.each([40, 60, 80, 120])("no line is wider than %i columns, whatever names there are", (width) => {
  const long = { ...workload, container: "x".repeat(200), networks: ["a ".repeat(100)] };
  const services = view.services.map((service) => ({ ...service, workloads: [long] }));
  for (const line of planLines({ ...view, services }, { width, paint: createPaint(false) })) {
    expect(line.length).toBeLessThanOrEqual(width);
  }
});

test("nothing that containers are called reaches the terminal as it is", () => {
  const evil = {
    ...view,
    project: "a\u001b[2Jb",
    unmeshed: [{ ...view.unmeshed[0], container: "\u001b]0;x" } as never],
  };
  expect(planLines(evil, { width: 80, paint: createPaint(false) }).join("\n")).not.toContain("\u001b");
});
