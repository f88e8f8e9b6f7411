// What both versions of compose print for one project, and that a plan reads the same from it.
import { expect, test } from "vitest";
import { type ComposeService, readComposeConfig } from "../../../daemon/spec/compose-config.ts";

/** As docker-compose 1.29 prints it. */
const versionOne = `networks:
  back:
    internal: true
  ext:
    external: true
    name: foo
  front: {}
services:
  db:
    build:
      context: /tmp/pl
    cap_add:
    - NET_ADMIN
    healthcheck:
      interval: 2s
      test:
      - CMD
      - "true"
    network_mode: host
    profiles:
    - x
  side:
    depends_on:
      web:
        condition: service_started
    healthcheck:
      test:
      - NONE
    image: x
    network_mode: service:web
    scale: 3
    user: '1337'
  web:
    depends_on:
      db:
        condition: service_healthy
    deploy:
      replicas: 2
    expose:
    - '8081'
    - 9/udp
    image: nginx:1
    labels:
      a.b: c
    networks:
      back: null
      front:
        aliases:
        - www
    ports:
    - 127.0.0.1:8080:80/tcp
    - target: 9000
    - protocol: udp
      published: 53
      target: 53
    - published: 7000
      target: 7000
version: '3.9'
`;

/** As version 2 prints the same with --format json. */
const versionTwo = JSON.stringify({
  name: "pl",
  networks: {
    back: { name: "pl_back", ipam: {}, internal: true },
    ext: { name: "foo", ipam: {}, external: true },
    front: { name: "pl_front", ipam: {} },
  },
  services: {
    db: {
      profiles: ["x"],
      build: { context: "/tmp/pl", dockerfile: "Dockerfile" },
      cap_add: ["NET_ADMIN"],
      command: null,
      entrypoint: null,
      healthcheck: { test: ["CMD", "true"], interval: "2s" },
      network_mode: "host",
    },
    side: {
      command: null,
      depends_on: { web: { condition: "service_started", required: true } },
      healthcheck: { disable: true },
      image: "x",
      network_mode: "service:web",
      scale: 3,
      user: "1337",
    },
    web: {
      deploy: { replicas: 2, resources: {}, placement: {} },
      depends_on: { db: { condition: "service_healthy", required: true } },
      expose: ["8081", "9/udp"],
      image: "nginx:1",
      labels: { "a.b": "c" },
      networks: { back: null, front: { aliases: ["www"] } },
      ports: [
        { mode: "ingress", host_ip: "127.0.0.1", target: 80, published: "8080", protocol: "tcp" },
        { mode: "ingress", target: 9000, protocol: "tcp" },
        { mode: "ingress", target: 53, published: "53", protocol: "udp" },
        { mode: "ingress", target: 7000, published: "7000", protocol: "tcp" },
      ],
    },
  },
});

test.each([
  ["version 1", versionOne],
  ["version 2", versionTwo],
])("a plan reads from %s what the services are", (_why, text) => {
  const config = readComposeConfig(text) ?? expect.unreachable();
  const of = (name: string): ComposeService =>
    config.services.find((service) => service.name === name) ?? expect.unreachable(name);
  expect(of("web")).toEqual({
    name: "web",
    image: "nginx:1",
    containerName: null,
    labels: { "a.b": "c" },
    exposed: ["8081/tcp", "9/udp"],
    published: [
      { containerPort: "80/tcp", hostIp: "127.0.0.1", hostPort: 8080 },
      { containerPort: "9000/tcp", hostIp: "", hostPort: null },
      { containerPort: "53/udp", hostIp: "", hostPort: 53 },
      { containerPort: "7000/tcp", hostIp: "", hostPort: 7000 },
    ],
    networks: new Map([
      ["back", []],
      ["front", ["www"]],
    ]),
    networkMode: null,
    isPrivileged: false,
    capAdd: [],
    healthTest: null,
    scale: 2,
    dependsOn: ["db"],
    profiles: [],
  });
  expect(of("db")).toMatchObject({
    image: null,
    networkMode: "host",
    networks: new Map(),
    capAdd: ["NET_ADMIN"],
    healthTest: ["CMD", "true"],
    profiles: ["x"],
  });
  expect(of("side")).toMatchObject({ networkMode: "service:web", healthTest: ["NONE"], scale: 3 });
  expect(config.networks.get("ext")).toEqual({ name: "foo", isInternal: false });
  expect(config.networks.get("back")?.isInternal).toBe(true);
});

test.each<[string, string, unknown]>([
  ["a bare port", "9000", [["9000/tcp", "", null]]],
  [
    "ranges side by side",
    "7000-7001:8000-8001/udp",
    [
      ["8000/udp", "", 7000],
      ["8001/udp", "", 7001],
    ],
  ],
  ["a range of which Docker chooses", "7000-7005:80", [["80/tcp", "", null]]],
  ["IPv6", "[::1]:80:8080", [["8080/tcp", "::1", 80]]],
  ["an address without a host port", "127.0.0.1::80", [["80/tcp", "127.0.0.1", null]]],
  ["what is no port", "x:y", []],
])("reads %s in the short form", (_why, text, expected) => {
  const config = readComposeConfig(`services:\n  a:\n    image: x\n    ports: [${JSON.stringify(text)}]\n`);
  const published = config?.services[0]?.published ?? [];
  expect(published.map(({ containerPort, hostIp, hostPort }) => [containerPort, hostIp, hostPort])).toEqual(expected);
});

test("a service without networks is on the default one, and labels may be a list", () => {
  const config = readComposeConfig('services:\n  a: { image: x, labels: ["k=v=w", bare] }\n');
  expect(config?.services[0]?.networks).toEqual(new Map([["default", []]]));
  expect(config?.services[0]?.labels).toEqual({ k: "v=w", bare: "" });
});

test.each([
  ["nothing", ""],
  ["no YAML", "{"],
  ["no services", "version: '3'"],
  ["a list", "[]"],
])("is null for %s", (_why, text) => {
  expect(readComposeConfig(text)).toBeNull();
});
