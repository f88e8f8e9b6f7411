import { describe, expect, test } from "vitest";
import { chooseLogConfig } from "../../../daemon/docker/image.ts";
import { gatewaySpec, oneShotSpec, type SpecContext, sidecarSpec } from "../../../daemon/docker/own-spec.ts";

const mesh = { id: "net", name: "devmesh_shop", subnet: "10.213.0.0/16", gateway: "10.213.0.1" };
const context: SpecContext = {
  identity: { mesh: "shop", project: "shopproject", stateId: "s1" },
  image: "devmesh/proxy:1",
  facts: { logConfig: chooseLogConfig(["local", "json-file"]) },
};
const sidecar = {
  containerId: "app",
  startedAt: "t1",
  container: "shop-cart-1",
  options: { excludeInboundPorts: [9] },
};
const gateway = { key: "gateway/127.0.0.1:8080", host: "127.0.0.1", port: 8080, containerPort: 8080 };
const all = {
  sidecar: sidecarSpec(context, sidecar, mesh),
  gateway: gatewaySpec(context, gateway, mesh),
  rules: oneShotSpec(context, { kind: "remove-rules", containerId: "app" }),
  hosts: oneShotSpec(context, { kind: "clean-hosts", containerId: "app", address: "10.213.0.5" }),
  lines: oneShotSpec(context, { kind: "add-hosts", containerId: "app", lines: "172.18.0.2\tcart\n" }),
};

describe("what Docker is asked to create", () => {
  test("a sidecar joins its application's namespace with three capabilities on a read-only root", () => {
    expect(all.sidecar).toMatchObject({
      name: "devmesh-shop-cart-1",
      body: {
        User: "0:0",
        Cmd: ["sidecar"],
        HostConfig: {
          NetworkMode: "container:app",
          CapDrop: ["ALL"],
          CapAdd: ["NET_ADMIN", "SETUID", "SETGID"],
          ReadonlyRootfs: true,
          SecurityOpt: ["no-new-privileges"],
          RestartPolicy: { Name: "no" },
        },
        Env: [
          'DEVMESH_OPTIONS={"excludeInboundPorts":[9],"meshGateway":"10.213.0.1","meshSubnet":"10.213.0.0/16","workload":"shop-cart-1"}',
        ],
      },
    });
  });

  test("a gateway publishes its port from a bridge of its own, without any capability or root", () => {
    expect(all.gateway).toMatchObject({
      name: "devmesh-shop-gateway-127.0.0.1-8080",
      body: {
        User: "1337:1337",
        HostConfig: {
          NetworkMode: "devmesh_shop_gateway",
          PortBindings: { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }] },
        },
      },
    });
    expect(JSON.stringify(all.gateway)).not.toContain("CapAdd");
  });

  test("a one-shot has only what its task needs", () => {
    expect(all.rules.body).toMatchObject({ Cmd: ["remove-rules"], HostConfig: { CapAdd: ["NET_ADMIN"] } });
    expect(all.hosts.body).toMatchObject({ Cmd: ["clean-hosts", "10.213.0.5"], HostConfig: { ReadonlyRootfs: false } });
    const base64 = Buffer.from("172.18.0.2\tcart\n").toString("base64");
    expect(all.lines.body).toMatchObject({ Cmd: ["add-hosts", base64], HostConfig: { ReadonlyRootfs: false } });
    expect(JSON.stringify(all.hosts)).not.toContain("CapAdd");
  });

  test.each(Object.entries(all))("%s carries our labels and none of compose's", (_name, { body }) => {
    const { Labels: labels } = body as { Labels: Record<string, string> };
    expect(labels).toMatchObject({
      "dev.devmesh.mesh": "shop",
      "dev.devmesh.project": "shopproject",
      "dev.devmesh.state-id": "s1",
      "dev.devmesh.image": "devmesh/proxy:1",
    });
    expect(Object.keys(labels).filter((key) => key.startsWith("com.docker"))).toEqual([]);
  });

  test("logs rotate, with the driver that the engine has", () => {
    expect(chooseLogConfig(["json-file", "local"]).Type).toBe("local");
    expect(chooseLogConfig(["k8s-file", "journald"]).Type).toBe("json-file");
  });
});
