// From Docker's inspect JSON to our own types. Pure; nothing above it sees Docker's words.
import { asArray, asRecord, asString, asStrings, asTexts, type Json } from "./json.ts";
import { composeLabel, label, type OwnKind, userLabel } from "./labels.ts";
import type { Attachment, Container, ContainerState, Ipv6Attachment, OwnContainer } from "./world.ts";

/** What an attachment says only while the container runs comes from the network itself. */
export interface NetworkFacts {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  /** The first IPv4 one, or "". */
  readonly subnet: string;
  readonly gateway: string;
  /** The first IPv6 one, or null. */
  readonly ipv6: Pick<Ipv6Attachment, "gateway" | "subnet"> | null;
  readonly isInternal: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** Labels of an inspected container. */
export function readLabels(inspected: unknown): Readonly<Record<string, string>> {
  return asTexts(asRecord(asRecord(inspected).Config).Labels);
}

/** `networks` by id. */
export function readContainer(inspected: unknown, networks: ReadonlyMap<string, NetworkFacts>): Container {
  const json = asRecord(inspected);
  const config = asRecord(json.Config);
  const host = asRecord(json.HostConfig);
  const labels = asTexts(config.Labels);
  const name = readName(json);
  const exposed = Object.keys(asRecord(config.ExposedPorts));
  const { hasHealthcheck, health } = readHealth(json, config);
  return {
    id: asString(json.Id),
    name,
    image: asString(config.Image),
    service: labels[userLabel.service] || labels[composeLabel.service] || name,
    version: labels[userLabel.version] || labels.version || null,
    labels,
    number: Number.parseInt(labels[composeLabel.number] ?? "", 10) || 1,
    isOneOff: labels[composeLabel.oneOff]?.toLowerCase() === "true",
    state: readState(json),
    startedAt: readStartedAt(json),
    networks: readAttachments(json, networks),
    networkMode: readNetworkMode(host),
    exposedTcp: portsOf(exposed, "tcp"),
    exposedUdp: portsOf(exposed, "udp"),
    published: readPublished(json, host),
    hasHealthcheck,
    health,
    // Docker tells it by an event only: see stopping.ts.
    isStopping: false,
    isPrivileged: readIsPrivileged(host),
    isOptedOut: (labels[userLabel.inject] ?? labels[userLabel.istioInject])?.trim().toLowerCase() === "false",
  };
}

/** `meshNetworkId` is "" before the network exists. */
export function readOwnContainer(inspected: unknown, meshNetworkId: string): OwnContainer {
  const json = asRecord(inspected);
  const labels = asTexts(asRecord(json.Config).Labels);
  const endpoints = Object.values(asRecord(asRecord(json.NetworkSettings).Networks)).map(asRecord);
  const mesh = endpoints.find((endpoint) => endpoint.NetworkID === meshNetworkId && meshNetworkId !== "");
  return {
    id: asString(json.Id),
    name: readName(json),
    kind: readKind(labels[label.kind]),
    owner: labels[label.owner] ?? "",
    ownerStartedAt: labels[label.ownerStartedAt] ?? "",
    image: labels[label.image] ?? asString(asRecord(json.Config).Image),
    optionsHash: labels[label.options] ?? "",
    state: readState(json),
    startedAt: readStartedAt(json),
    meshAddress: asString(mesh?.IPAddress),
  };
}

export function readNetwork(inspected: unknown): NetworkFacts {
  const json = asRecord(inspected);
  const pools = asArray(asRecord(json.IPAM).Config).map(asRecord);
  const ipv4 = pools.find((pool) => asString(pool.Subnet).includes("."));
  const ipv6 = pools.find((pool) => asString(pool.Subnet).includes(":"));
  return {
    id: asString(json.Id),
    name: asString(json.Name),
    driver: asString(json.Driver),
    subnet: asString(ipv4?.Subnet),
    gateway: gatewayOf(ipv4),
    ipv6: ipv6 === undefined ? null : { subnet: asString(ipv6.Subnet), gateway: gatewayOf(ipv6) },
    isInternal: json.Internal === true,
    labels: asTexts(json.Labels),
  };
}

/** Some engines add the prefix: "172.18.0.1/16". */
function gatewayOf(pool: Json | undefined): string {
  return asString(pool?.Gateway).split("/")[0] ?? "";
}

function readName(json: Json): string {
  return asString(json.Name).replace(/^\//, "");
}

function readKind(text: string | undefined): OwnKind {
  return text === "sidecar" || text === "gateway" ? text : "one-shot";
}

function readState(json: Json): ContainerState {
  const state = asRecord(json.State);
  const status = asString(state.Status);
  switch (status) {
    case "created":
    case "running":
    case "paused":
    case "restarting":
    case "exited":
    case "dead":
    case "removing":
      return status;
    default:
      return state.Running === true ? "running" : "exited"; // Podman has more words: "stopped", "configured".
  }
}

/** "" for one that never started: Docker says 0001-01-01T00:00:00Z. */
function readStartedAt(json: Json): string {
  const text = asString(asRecord(json.State).StartedAt);
  return text.startsWith("0001-") ? "" : text;
}

function readNetworkMode(host: Json): string {
  const mode = asString(host.NetworkMode);
  return mode === "" || mode === "default" ? "bridge" : mode;
}

function readAttachments(json: Json, networks: ReadonlyMap<string, NetworkFacts>): Attachment[] {
  const shortId = asString(json.Id).slice(0, 12);
  const attachments: Attachment[] = [];
  for (const [network, value] of Object.entries(asRecord(asRecord(json.NetworkSettings).Networks))) {
    const endpoint = asRecord(value);
    const networkId = asString(endpoint.NetworkID);
    // One that was connected before its first start knows only the name until then.
    const facts = networks.get(networkId) ?? (networkId === "" ? byName(networks, network) : undefined);
    attachments.push({
      networkId: facts?.id ?? networkId,
      network: facts?.name ?? network,
      address: asString(endpoint.IPAddress),
      gateway: asString(endpoint.Gateway) || (facts?.gateway ?? ""),
      subnet: facts?.subnet ?? "",
      ipv6: readIpv6(endpoint, facts?.ipv6 ?? null),
      // Docker before 25 adds the short id by itself.
      aliases: asStrings(endpoint.Aliases).filter((alias) => alias !== shortId),
      isInternal: facts?.isInternal ?? false,
    });
  }
  return attachments.sort((a, b) => (a.network < b.network ? -1 : 1));
}

function readIpv6(endpoint: Json, facts: NetworkFacts["ipv6"]): Ipv6Attachment | null {
  const address = asString(endpoint.GlobalIPv6Address);
  if (address === "" && facts === null) return null;
  return {
    address,
    gateway: asString(endpoint.IPv6Gateway) || (facts?.gateway ?? ""),
    subnet: facts?.subnet ?? "",
  };
}

function byName(networks: ReadonlyMap<string, NetworkFacts>, name: string): NetworkFacts | undefined {
  return [...networks.values()].find((network) => network.name === name);
}

function portsOf(keys: readonly string[], protocol: "tcp" | "udp"): number[] {
  const ports = keys.flatMap((key) => {
    const [port = "", kind = "tcp"] = key.split("/");
    return kind === protocol && Number.isInteger(Number(port)) ? [Number(port)] : [];
  });
  return ports.sort((a, b) => a - b);
}

/** TCP only. The ports in use while it runs, else those asked for; one that Docker is to choose is not known until then. */
function readPublished(json: Json, host: Json): Container["published"] {
  const inUse = asRecord(asRecord(json.NetworkSettings).Ports);
  const bindings = Object.values(inUse).some((list) => asArray(list).length > 0) ? inUse : asRecord(host.PortBindings);
  const published = new Map<string, Container["published"][number]>();
  for (const [key, list] of Object.entries(bindings)) {
    const [containerPort] = portsOf([key], "tcp");
    if (containerPort === undefined) continue;
    for (const binding of asArray(list).map(asRecord)) {
      const hostPort = Number(asString(binding.HostPort));
      const hostIp = asString(binding.HostIp) || "0.0.0.0";
      if (Number.isInteger(hostPort) && hostPort > 0) {
        published.set(`${containerPort} ${hostIp} ${hostPort}`, { containerPort, hostIp, hostPort });
      }
    }
  }
  return [...published.values()].sort((a, b) => a.containerPort - b.containerPort || a.hostPort - b.hostPort);
}

function readHealth(json: Json, config: Json): Pick<Container, "hasHealthcheck" | "health"> {
  const test = asStrings(asRecord(config.Healthcheck).Test);
  const hasHealthcheck = test.length > 0 && test[0] !== "NONE";
  const status = asString(asRecord(asRecord(json.State).Health).Status);
  const isKnown = status === "starting" || status === "healthy" || status === "unhealthy";
  return { hasHealthcheck, health: hasHealthcheck && isKnown ? status : "none" };
}

function readIsPrivileged(host: Json): boolean {
  const added = asStrings(host.CapAdd).map((capability) => capability.toUpperCase().replace(/^CAP_/, ""));
  return host.Privileged === true || added.includes("NET_ADMIN") || added.includes("ALL");
}
