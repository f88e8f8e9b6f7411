// From `gateway:` and `metrics:` to listeners on the host, no two of which want the same port.
import type { Protocol } from "../../../proxy/contract/config.ts";
import { coversHost, type ListenAddress, parseListen, sharesAddress } from "../names.ts";
import type { GatewaySpec, ServiceSpec, Spec } from "../spec.ts";
import { checkService, type NativeContext } from "./context.ts";
import type { GatewayInput } from "./schema.ts";

export function buildGateways(context: NativeContext, services: readonly ServiceSpec[]): readonly GatewaySpec[] {
  const built = (context.input.gateway ?? []).map((input, index) => buildGateway(context, services, { input, index }));
  for (const [index, gateway] of built.entries()) {
    const clash = built.slice(0, index).find((other) => sharesAddress(other, gateway) && !areApart(other, gateway));
    if (clash === undefined) continue;
    const at = context.valueAt(["gateway", index, "listen"]);
    const hint = "use another port, or tell them apart by hosts";
    context.findings.error(
      "DM1115",
      at,
      `port ${gateway.port} is listened on by the gateway on line ${clash.origin.line} already`,
      hint,
    );
  }
  return built;
}

/** Gateways on the same address are one listener, as long as the host name tells which is meant. */
function areApart(a: GatewaySpec, b: GatewaySpec): boolean {
  if (a.host !== b.host || a.protocol !== "http" || b.protocol !== "http") return false;
  if (a.hosts.length === 0 || b.hosts.length === 0) return a.hosts.length !== b.hosts.length;
  return !a.hosts.some((one) => b.hosts.some((other) => coversHost(one, other) || coversHost(other, one)));
}

function buildGateway(
  context: NativeContext,
  services: readonly ServiceSpec[],
  { input, index }: { input: GatewayInput; index: number },
): GatewaySpec {
  const [to = "", portText] = input.to.split(":");
  const toPort = portText === undefined ? null : Number(portText);
  const service = services.find((one) => one.name === to);
  checkService(context, to, ["gateway", index, "to"]);
  const hosts = input.hosts ?? [];
  if (input.hosts?.length === 0 && context.isEmptyAsWritten(["gateway", index, "hosts"])) {
    context.findings.error(
      "DM1118",
      context.keyAt(["gateway", index, "hosts"]),
      "hosts is an empty list",
      "leave it out for all hosts",
    );
  }
  const protocol = input.protocol ?? targetProtocol(service, toPort);
  if (protocol === "tcp" && hosts.length > 0) {
    context.findings.error(
      "DM1118",
      context.keyAt(["gateway", index, "hosts"]),
      "hosts need protocol: http; TCP names no host",
    );
  }
  if (protocol === "tcp" && toPort === null && service?.ports.length !== 1) {
    context.findings.error(
      "DM1118",
      context.valueAt(["gateway", index, "to"]),
      `a TCP gateway needs the port: ${to}:<port>`,
    );
  }
  const address = parseListen(input.listen) ?? { host: "127.0.0.1", port: 0 };
  return {
    origin: context.keyAt(["gateway", index]),
    ...address,
    to,
    toPort,
    protocol,
    hosts: hosts.map((host) => host.toLowerCase()),
  };
}

/** What the target's port was declared as; HTTP where nothing was. */
function targetProtocol(service: ServiceSpec | undefined, toPort: number | null): Protocol {
  const [first] = service?.ports ?? [];
  const port = toPort === null ? first : service?.ports.find((one) => one.number === toPort);
  return port?.protocol === "tcp" ? "tcp" : "http";
}

export function buildMetrics(context: NativeContext, gateways: readonly GatewaySpec[]): Spec["metricsListen"] {
  if (context.input.metrics === undefined) return null;
  const address: ListenAddress | null = parseListen(context.input.metrics);
  const clash = gateways.find((gateway) => address !== null && sharesAddress(gateway, address));
  if (clash !== undefined) {
    const message = `port ${clash.port} is listened on by the gateway on line ${clash.origin.line} already`;
    context.findings.error("DM1115", context.valueAt(["metrics"]), message, "use another port");
  }
  return address;
}
