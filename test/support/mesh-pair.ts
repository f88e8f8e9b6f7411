// Two real proxies in one process: a caller's and a receiver's, with mTLS between them on loopback addresses of their own.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { Writable } from "node:stream";
import { peerPort } from "../../proxy/capture/ports.ts";
import type {
  EndpointConfig,
  InboundConfig,
  NodeConfig,
  ProxyConfig,
  ServiceConfig,
} from "../../proxy/contract/config.ts";
import { Engine } from "../../proxy/engine.ts";
import { Connections } from "../../proxy/listener/connections.ts";
import { HeldServer } from "../../proxy/listener/held-server.ts";
import { acceptInbound } from "../../proxy/listener/inbound.ts";
import { acceptOutbound } from "../../proxy/listener/outbound.ts";
import { acceptPeer } from "../../proxy/listener/peers.ts";
import { seededRandom } from "../../proxy/route/split.ts";
import { AccessLog } from "../../proxy/telemetry/access-log.ts";
import { Counters } from "../../proxy/telemetry/counters.ts";
import { alpnPeers } from "../../proxy/tls/alpn.ts";
import { Identity } from "../../proxy/tls/identity.ts";
import { createPeerServer } from "../../proxy/tls/peer-server.ts";
import { type TestCa, testCa } from "./certificates.ts";

export const trustDomain = "cluster.local";
export const identityOf = (service: string) => `spiffe://${trustDomain}/ns/shop/sa/${service}`;

let nextHost = 1;

/** An address of 127.0.0.0/8 that no other proxy of this process has, so that each can listen on 15008. */
export function freshAddress(): string {
  const host = nextHost++;
  return `127.${1 + (process.pid % 250)}.${host >> 8}.${host & 0xff}`;
}

export class TestProxy {
  readonly address: string;
  readonly service: string;
  readonly counters: Counters;
  readonly logLines: string[] = [];
  readonly identity = new Identity();
  readonly engine: Engine;
  readonly connections = new Connections();
  /** What SO_ORIGINAL_DST would say about every connection that comes in next. */
  dialled = { address: "", port: 0 };
  readonly #outbound: HeldServer;
  readonly #inbound: HeldServer;
  readonly #peer: HeldServer;
  readonly #acceptInbound: (socket: net.Socket) => void;
  readonly #log: AccessLog;
  readonly #closers: (() => void)[] = [];
  outboundPort = 0;
  inboundPort = 0;

  constructor(service: string, address = freshAddress()) {
    this.service = service;
    this.address = address;
    this.counters = new Counters(service);
    const out = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.logLines.push(...chunk.toString().trimEnd().split("\n"));
        done();
      },
    });
    this.#log = new AccessLog(out);
    const { identity, counters } = this;
    this.engine = new Engine({
      identity,
      counters,
      log: this.#log,
      random: seededRandom(1),
      onApplied: () => undefined,
    });
    const { context } = this.engine;
    const originalDestination = () => this.dialled;
    const deps = { context, originalDestination, connections: this.connections };
    const onConnections = () => undefined;
    this.#outbound = new HeldServer({ accept: (socket) => acceptOutbound(socket, deps), onConnections });
    this.#acceptInbound = (socket) => acceptInbound(socket, deps);
    this.#inbound = new HeldServer({ accept: this.#acceptInbound, onConnections });
    const peers = createPeerServer({
      identity,
      trustDomain,
      alpn: alpnPeers,
      onConnection: (socket, from) => acceptPeer(socket, from, { context, connections: this.connections }),
      onRefused: ({ reason, detail }) => this.#log.line(`refused ${reason} ${detail}`),
    });
    this.#peer = new HeldServer({ accept: (socket) => peers.accept(socket), onConnections });
    this.#closers.push(() => peers.close());
  }

  async start(ca: TestCa, config: ProxyConfig): Promise<void> {
    this.identity.install(await ca.issue({ uris: [identityOf(this.service)], publicKey: this.identity.publicKeySpki }));
    this.engine.apply(config);
    await this.#peer.listen(peerPort, this.address);
    this.outboundPort = await freePort(this.#outbound, this.address);
    this.inboundPort = await freePort(this.#inbound, this.address);
    for (const server of [this.#outbound, this.#inbound, this.#peer]) server.release();
  }

  /** What is dialled there is plaintext that came in, as if redirected; `dialled` says where it wanted to go. */
  async redirectInbound(address: string, port: number): Promise<void> {
    const server = new HeldServer({ accept: this.#acceptInbound, onConnections: () => undefined });
    await server.listen(port, address);
    server.release();
    this.#closers.push(() => server.close());
  }

  flushLog(): readonly string[] {
    this.#log.flush();
    return this.logLines;
  }

  async close(): Promise<void> {
    for (const server of [this.#outbound, this.#inbound, this.#peer]) server.close();
    await this.connections.drain(0);
    for (const close of this.#closers) close();
    this.engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function freePort(server: HeldServer, host: string): Promise<number> {
  const probe = net.createServer().listen(0, host);
  await once(probe, "listening");
  const address = probe.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  probe.close();
  await once(probe, "close");
  await server.listen(port, host);
  return port;
}

// Configs, complete and short to vary.

export function nodeConfig(proxy: TestProxy): NodeConfig {
  return {
    kind: "sidecar",
    mesh: "shop",
    namespace: "shop",
    trustDomain,
    service: proxy.service,
    version: "v1",
    workload: `shop_${proxy.service}_1`,
    identity: identityOf(proxy.service),
    meshSubnet: "10.213.0.0/16",
    addresses: [proxy.address],
    names: {},
  };
}

export function serviceConfig(name: string, port: number, parts: Partial<ServiceConfig> = {}): ServiceConfig {
  const fqdn = `${name}.shop.svc.cluster.local`;
  return {
    name,
    namespace: "shop",
    fqdn,
    hosts: [name, `${name}.shop`, fqdn],
    address: `10.213.200.${name.length}`,
    identity: identityOf(name),
    mtls: "permissive",
    ports: [{ number: port, protocol: "http", aliases: [80] }],
    subsets: ["v1"],
    versionHosts: [],
    routes: [
      {
        name: "default",
        match: [],
        destinations: [{ service: name, subset: null, port: null, weight: 1 }],
        timeoutMs: 0,
        retry: { attempts: 2, perTryTimeoutMs: 0, on: ["connect-failure", "refused-stream"], statusCodes: [] },
      },
    ],
    tcp: [{ service: name, subset: null, port: null, weight: 1 }],
    waitForEndpointsMs: 0,
    ...parts,
  };
}

export function endpointConfig(proxy: TestProxy, version = "v1"): EndpointConfig {
  return {
    id: `${proxy.service}-${proxy.address}`,
    startedAt: "t1",
    isBalanced: true,
    workload: `shop_${proxy.service}_${version}`,
    version,
    subsets: [version],
    address: proxy.address,
    aliases: [],
  };
}

export function inboundConfig(
  callers: readonly string[],
  port: number,
  parts: Partial<InboundConfig> = {},
): InboundConfig {
  return {
    mtls: "strict",
    ports: [{ number: port, protocol: "http", aliases: [80] }],
    publishedPorts: [],
    networks: { gateways: [], subnets: ["127.0.0.0/8"] },
    callers: callers.map(identityOf),
    allow: null,
    ...parts,
  };
}

export interface Pair extends AsyncDisposable {
  readonly caller: TestProxy;
  readonly receiver: TestProxy;
  readonly port: number;
  /** Options of node:http for a request that the caller's application makes. */
  request(parts?: http.RequestOptions): http.RequestOptions;
  configureCaller(service: ServiceConfig, endpoints?: readonly EndpointConfig[]): void;
  /** The receiver as an endpoint of payment. */
  readonly endpoint: EndpointConfig;
  configureReceiver(inbound: Partial<InboundConfig>): void;
}

/** cart calls payment, whose application is `listener`. */
export async function startPair(
  app: http.Server | net.Server,
  protocol: "http" | "tcp" | "auto" = "http",
): Promise<Pair> {
  const ca = await testCa();
  const caller = new TestProxy("cart");
  const receiver = new TestProxy("payment");
  app.listen(0, receiver.address);
  await once(app, "listening");
  const address = app.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const ports = [{ number: port, protocol, aliases: [80] }];
  const inbound = inboundConfig(["cart"], port, { ports });
  const service = serviceConfig("payment", port, { ports });
  const base: Pick<ProxyConfig, "listeners"> = { listeners: {} };
  const receiverConfig = (parts: Partial<InboundConfig>): ProxyConfig => ({
    ...base,
    node: nodeConfig(receiver),
    services: {},
    endpoints: {},
    inbound: { ...inbound, ...parts },
  });
  const endpoint = endpointConfig(receiver);
  const callerConfig = (of: ServiceConfig, endpoints: readonly EndpointConfig[] = [endpoint]): ProxyConfig => ({
    ...base,
    node: nodeConfig(caller),
    services: { payment: of },
    endpoints: { payment: endpoints },
    inbound: inboundConfig([], 8080),
  });
  await receiver.start(ca, receiverConfig({}));
  await caller.start(ca, callerConfig(service));
  caller.dialled = { address: service.address, port };
  return {
    caller,
    receiver,
    port,
    request: (parts = {}) => ({
      host: caller.address,
      port: caller.outboundPort,
      setHost: false,
      headers: { host: `payment:${port}` },
      ...parts,
    }),
    configureCaller: (of, endpoints) => caller.engine.apply(callerConfig(of, endpoints)),
    endpoint,
    configureReceiver: (parts) => receiver.engine.apply(receiverConfig(parts)),
    [Symbol.asyncDispose]: async () => {
      await caller.close();
      await receiver.close();
      if (app instanceof http.Server) app.closeAllConnections();
      app.close();
    },
  };
}
