// TCP through the mesh: one TLS connection per tunnel, no framing, the name in SNI says where it goes. To a service that
// takes only plaintext: one plain connection.
import type net from "node:net";
import { peerPort } from "../capture/ports.ts";
import { type Failure, failure } from "../http/failure.ts";
import { type Destination, fixedDestination, nextDestination } from "../route/destination.ts";
import { sourceEdge } from "../route/edges.ts";
import { noEndpoint } from "../route/outbound-routing.ts";
import type { Binding, Service } from "../route/table.ts";
import { resetStream } from "../tcp/reset.ts";
import { alpnTunnel } from "../tls/alpn.ts";
import { connectFailure, connectPeer, tcpConnectTimeoutMs } from "../tls/connect-peer.ts";
import { sniName } from "../tls/sni-name.ts";
import type { Endpoint } from "../upstream/endpoint.ts";
import type { ProxyContext } from "./context.ts";
import { countedSplice, countRefused } from "./counted-splice.ts";
import { connectPlain } from "./peer-upstreams.ts";

/** Endpoints tried before a connection is given up, or goes on waiting where the service says so. */
const triesMax = 3;
/** Between tries while a connection waits for an endpoint that takes it. */
const waitingTryMs = 250;
const connectTimeoutMs = 5000;

export interface TunnelRequest {
  readonly binding: Binding;
  /** The port that was dialled. */
  readonly port: number;
  /** Bytes already read from the client by sniffing. */
  readonly initial: Buffer;
}

/** Connects the client to an endpoint of the service, or resets it and says why in the log. */
export async function tunnel(context: ProxyContext, client: net.Socket, request: TunnelRequest): Promise<void> {
  const { binding, port, initial } = request;
  const { service } = binding;
  const from = { service, split: service.tcp, routeName: "tcp" };
  const destination = fixedDestination(binding, port) ?? nextDestination(context.table(), from, port);
  if ("flag" in destination) {
    refuseTunnel(context, client, { service, version: binding.version, reason: destination });
    return;
  }
  const waitsUntil = performance.now() + destination.service.config.waitForEndpointsMs;
  let tried: Endpoint[] = [];
  let reason: Failure = noEndpoint(destination);
  while (!client.destroyed) {
    const endpoint = tried.length < triesMax ? nextEndpoint(context, destination, tried) : null;
    if (endpoint === null) {
      const leftMs = waitsUntil - performance.now();
      if (leftMs <= 0) break;
      await changeOfEndpoints(context, Math.min(leftMs, waitingTryMs));
      tried = [];
      continue;
    }
    tried.push(endpoint);
    endpoint.begin();
    const opened = await openConnection(context, endpoint, destination).catch((error: unknown) =>
      connectFailure(error, endpoint.workload),
    );
    if ("flag" in opened) {
      reason = opened;
      endpoint.end(reason);
    } else if (client.destroyed) {
      opened.destroy();
      endpoint.end(null);
    } else {
      join(context, { client, server: opened, endpoint, service: destination.service, initial });
      return;
    }
  }
  const why = client.destroyed ? clientGone : reason;
  refuseTunnel(context, client, { service: destination.service, version: destination.version, reason: why });
}

const clientGone = failure("DC", 0, "downstream_remote_disconnect", "the client went away before it was connected");

/** Null: there is none that was not tried. */
function nextEndpoint(
  context: ProxyContext,
  { service, candidates }: Destination,
  tried: readonly Endpoint[],
): Endpoint | null {
  const current = context.table().services.get(service.config.name) ?? service;
  const endpoint = context.endpoints.pick(candidates(current), tried);
  return endpoint === null || tried.includes(endpoint) ? null : endpoint;
}

async function changeOfEndpoints(context: ProxyContext, timeoutMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      cancel();
      resolve();
    };
    const timer = setTimeout(finish, timeoutMs);
    const cancel = context.endpoints.onChange(finish);
  });
}

async function openConnection(context: ProxyContext, endpoint: Endpoint, to: Destination): Promise<net.Socket> {
  const { plainAddress, workload } = endpoint;
  const socket = plainAddress === null ? openPeer(context, endpoint, to) : openPlain(plainAddress, to.port);
  const letGo = endpoint.carry(socket);
  return await new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => {
      letGo();
      reject(new Error(`${workload} closed the connection before it was established`));
    });
    socket.once(plainAddress === null ? "secureConnect" : "connect", () => {
      socket.off("error", reject);
      letGo();
      resolve(socket);
    });
  });
}

function openPeer(context: ProxyContext, endpoint: Endpoint, { service, port, version }: Destination): net.Socket {
  return connectPeer({
    address: endpoint.config.address,
    port: peerPort,
    servername: sniName({ service: service.config.name, namespace: service.config.namespace, port, subset: version }),
    alpn: alpnTunnel,
    expectedIdentity: service.config.identity,
    identity: context.identity,
    timeoutMs: connectTimeoutMs,
  });
}

function openPlain(address: string, port: number): net.Socket {
  const socket = connectPlain(address, port);
  const giveUp = () => socket.destroy(new Error(`no connection within ${tcpConnectTimeoutMs} ms`));
  const timer = setTimeout(giveUp, tcpConnectTimeoutMs);
  const settled = () => clearTimeout(timer);
  socket.once("connect", settled).once("close", settled);
  // A socket without a listener would take the process down.
  socket.on("error", settled);
  return socket;
}

function join(
  context: ProxyContext,
  parts: { client: net.Socket; server: net.Socket; endpoint: Endpoint; service: Service; initial: Buffer },
): void {
  const { client, server, endpoint, service, initial } = parts;
  const { workload, version, security } = endpoint;
  const joined = countedSplice(context.counters, {
    client,
    server,
    initial,
    edge: sourceEdge(context.table().node, { service, workload, version, flags: "-", security }),
    onClose: () => {
      letGo();
      endpoint.end(null);
    },
  });
  const letGo = endpoint.carry({ destroy: () => joined.close() });
}

function refuseTunnel(
  context: ProxyContext,
  client: net.Socket,
  { service, version, reason }: { service: Service; version: string | null; reason: Failure },
): void {
  const call = { service, workload: null, version, flags: reason.flag };
  countRefused(context.counters, sourceEdge(context.table().node, call));
  if (client.destroyed) return;
  context.log.line(`[devmesh] ${reason.flag} connection to ${service.config.name} reset: ${reason.reason}`);
  resetStream(client);
}
