// What a workload's proxy takes in: from whom, on which ports, and by which rules.
import type { AllowConfig, InboundConfig, MtlsMode } from "../../proxy/contract/config.ts";
import type { AllowSpec, Spec } from "../spec/spec.ts";
import { isCapturedInbound } from "./capture.ts";
import { viaHostOf } from "./host-ports.ts";
import { anybody, outside } from "./isolation.ts";
import type { Service, Workload } from "./model.ts";
import { compareText } from "./problems.ts";

export interface InboundContext {
  readonly spec: Spec;
  /** The gateways' service name. */
  readonly gateway: string;
  readonly identity: (service: string) => string;
  /** Names, sorted; the gateways' name among them where one routes to the service. */
  readonly callersOf: (service: Service) => readonly string[];
  /** Identities that may come by way of the host. */
  readonly hostCallers: readonly string[];
}

export function inboundOf(service: Service, { container }: Workload, context: InboundContext): InboundConfig {
  const gateways = container.networks.flatMap(({ gateway, ipv6 }) => [gateway, ipv6?.gateway ?? ""]);
  const subnets = container.networks.flatMap(subnetsOf);
  const viaHost = viaHostOf(service, context.hostCallers);
  return {
    mtls: mtlsOf(service, context.spec),
    ports: service.ports,
    publishedPorts: [...new Set(container.published.map(({ containerPort }) => containerPort))].sort((a, b) => a - b),
    networks: { gateways: distinct(gateways), subnets: distinct(subnets) },
    callers: context.callersOf(service).map(context.identity),
    ...(viaHost && { viaHost }),
    allow: service.spec?.allow?.map((rule) => allowConfig(rule, context)) ?? null,
  };
}

export function mtlsOf(service: Service, spec: Spec): MtlsMode {
  return service.spec?.mtls ?? spec.mtls;
}

/**
 * A network that Docker has not described yet (or any more) may be anything: only its gateway is then surely no neighbour.
 * Without this, every neighbour on it would pass for `outside`.
 */
function subnetsOf({ subnet, address, ipv6 }: Workload["container"]["networks"][number]): readonly string[] {
  return [
    subnet === "" && address !== "" ? "0.0.0.0/0" : subnet,
    ipv6?.subnet === "" && ipv6.address !== "" ? "::/0" : (ipv6?.subnet ?? ""),
  ];
}

function allowConfig({ from, methods, paths }: AllowSpec, context: InboundContext): AllowConfig {
  return { from: [...new Set(from.flatMap((name) => principalsOf(name, context)))], methods, paths };
}

/** "gateway" is the mesh's gateways, and a service of that name too where there is one. */
function principalsOf(name: string, { identity, gateway }: InboundContext): readonly string[] {
  if (name === anybody || name === outside) return [name];
  return name === "gateway" && gateway !== name ? [identity(name), identity(gateway)] : [identity(name)];
}

/** Published ports that anyone who reaches the host may use, as `outside` or past the mesh: for the status view. */
export function openPortsOf(service: Service): readonly number[] {
  const rules = service.spec?.allow ?? null;
  const isOpen = rules === null || rules.some(({ from }) => from.includes(outside) || from.includes(anybody));
  const ports = service.workloads.flatMap(({ container, capture }) =>
    container.published.map((port) => port.containerPort).filter((port) => isOpen || !isCapturedInbound(capture, port)),
  );
  return [...new Set(ports)].sort((a, b) => a - b);
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].filter((text) => text !== "").sort(compareText);
}
