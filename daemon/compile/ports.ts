// A service's ports: those that are declared, else those that its containers expose, with what they most likely speak.
import type { PortConfig, Protocol } from "../../proxy/contract/config.ts";
import { wellKnownTcpPorts } from "../../proxy/contract/tcp-ports.ts";
import type { Container } from "../docker/world.ts";
import type { ServiceSpec } from "../spec/spec.ts";
import type { Service } from "./model.ts";

/** Last part of an image's name to the ports on which it speaks HTTP all the same (consoles, health). */
const tcpImages: ReadonlyMap<string, readonly number[]> = new Map([
  ["redis", []],
  ["redis-stack-server", []],
  ["valkey", []],
  ["keydb", []],
  ["dragonfly", []],
  ["postgres", []],
  ["postgresql", []],
  ["postgis", []],
  ["pgvector", []],
  ["timescaledb", []],
  ["pgbouncer", []],
  ["mysql", []],
  ["mariadb", []],
  ["percona", []],
  ["mongo", []],
  ["mongodb", []],
  ["rabbitmq", [15672, 15692]],
  ["memcached", []],
  ["kafka", []],
  ["cp-kafka", []],
  ["redpanda", [8081, 8082, 9644]],
  ["zookeeper", [8080]],
  ["cassandra", []],
  ["cockroach", [8080]],
  ["nats", [8222]],
  ["eclipse-mosquitto", []],
]);

export function portsOf(spec: ServiceSpec | null, containers: readonly Container[]): readonly PortConfig[] {
  const declared = spec?.ports ?? [];
  if (declared.length === 0) return foundPorts(containers);
  const numbers = new Set(declared.map((port) => port.number));
  const http = numbers.has(80) ? undefined : declared.find((port) => port.protocol === "http");
  return declared.map((port) => ({
    number: port.number,
    protocol: port.protocol,
    aliases: port === http ? [80] : [],
  }));
}

function foundPorts(containers: readonly Container[]): readonly PortConfig[] {
  const found = new Map<number, Protocol>();
  for (const container of containers) {
    const published = container.published.map((port) => port.containerPort);
    for (const number of [...container.exposedTcp, ...published]) {
      // Two images of one service may disagree: then the bytes decide.
      const protocol = likelyProtocol(number, container.image);
      found.set(number, found.has(number) && found.get(number) !== protocol ? "auto" : protocol);
    }
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([number, protocol]): PortConfig => ({ number, protocol, aliases: [] }));
}

export type ProtocolSource = "mesh.yaml" | "image" | "well-known" | "sniffed";

/** Who says what a port of these containers speaks; `sniffed`: the first bytes of each connection. */
export function protocolSourceOf(
  { number, protocol }: PortConfig,
  spec: ServiceSpec | null,
  containers: readonly Container[],
): ProtocolSource {
  const isDeclared = spec?.ports.some((port) => port.number === number) === true;
  if (isDeclared) return protocol !== "auto" ? "mesh.yaml" : wellKnownTcpPorts.has(number) ? "well-known" : "sniffed";
  if (protocol === "auto") return "sniffed";
  return containers.some(({ image }) => tcpImages.has(imageName(image))) ? "image" : "well-known";
}

function likelyProtocol(number: number, image: string): Protocol {
  const httpPorts = tcpImages.get(imageName(image));
  if (httpPorts !== undefined) return httpPorts.includes(number) ? "auto" : "tcp";
  return wellKnownTcpPorts.has(number) ? "tcp" : "auto";
}

/** registry:5000/library/redis:7-alpine@sha256:... -> redis */
export function imageName(image: string): string {
  const withoutDigest = image.split("@")[0] ?? "";
  const last = withoutDigest.slice(withoutDigest.lastIndexOf("/") + 1);
  return (last.split(":")[0] ?? "").toLowerCase();
}

/** The port that "its HTTP port" means: the first declared or likely HTTP one, else the only one; null when unclear. */
export function httpPortOf(service: Service): number | null {
  const { ports } = service;
  const port =
    ports.find(({ protocol }) => protocol === "http") ??
    ports.find(({ number, protocol }) => protocol === "auto" && (number === 80 || number === 8080)) ??
    ports.find(({ protocol }) => protocol === "auto") ??
    (ports.length === 1 ? ports[0] : undefined);
  return port?.number ?? null;
}
