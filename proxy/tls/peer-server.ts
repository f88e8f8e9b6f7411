// Takes connections of other sidecars: TLS 1.3, a certificate of this mesh's CA, one SPIFFE id of its trust domain.
import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from "node:tls";
import type { Identity } from "./identity.ts";
import { spiffeId } from "./spiffe-id.ts";

/** Closed list: the label of a metric. */
export const refusalReasons = [
  "no-certificate-yet",
  "no-certificate",
  "other-ca",
  "expired",
  "bad-identity",
  "other-trust-domain",
  "resumed-session",
  "no-common-protocol",
  "handshake-timeout",
  "handshake-failed",
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

export interface Refusal {
  readonly reason: RefusalReason;
  /** For people. */
  readonly detail: string;
  readonly address: string;
}

export interface PeerConnection {
  /** SPIFFE id that the peer proved. */
  readonly identity: string;
  readonly alpn: string;
  /** The server name asked for, or "". */
  readonly servername: string;
  readonly address: string;
}

export interface PeerServerOptions {
  readonly identity: Identity;
  readonly trustDomain: string;
  /** Protocols that are spoken, in order of preference. */
  readonly alpn: readonly string[];
  readonly onConnection: (socket: TLSSocket, peer: PeerConnection) => void;
  readonly onRefused: (refusal: Refusal) => void;
  readonly handshakeTimeoutMs?: number;
}

const handshakeTimeoutMs = 10_000;
/** Connections that have not said anything; one more, and the one that is silent for the longest goes. */
const silentMax = 1024;
const otherCa =
  /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_SIGNATURE_FAILURE|INVALID_CA|CERT_UNTRUSTED|INVALID_PURPOSE)/;

export class PeerServer {
  /** How many connections were refused for each reason, since the start. */
  readonly refused: Record<RefusalReason, number>;
  readonly #options: PeerServerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #silent = new Set<Socket>();
  readonly #unsubscribe: () => void;
  #server: Server | null = null;

  constructor(options: PeerServerOptions) {
    this.#options = options;
    this.refused = Object.fromEntries(refusalReasons.map((reason) => [reason, 0])) as Record<RefusalReason, number>;
    this.#unsubscribe = options.identity.onInstalled(() => this.#renew());
    if (options.identity.isInstalled) this.#renew();
  }

  /** Takes over a raw connection, which should have been accepted with `allowHalfOpen`. */
  accept(raw: Socket): void {
    const address = raw.remoteAddress ?? "unknown";
    raw.on("error", () => raw.destroy());
    raw.setNoDelay(true);
    if (this.#server === null) {
      this.#refuse("no-certificate-yet", "this proxy has no certificate yet", address);
      raw.destroy();
      return;
    }
    this.#sockets.add(raw);
    raw.once("close", () => this.#sockets.delete(raw));
    this.#awaitFirstByte(raw, address);
  }

  /**
   * The TLS layer gets a connection with its first bytes: it would keep one that says nothing and ends for the whole
   * handshake timeout, since half-open connections are kept.
   */
  #awaitFirstByte(raw: Socket, address: string): void {
    const [oldest] = this.#silent;
    if (oldest !== undefined && this.#silent.size >= silentMax) oldest.destroy();
    this.#silent.add(raw);
    raw.setTimeout(this.#options.handshakeTimeoutMs ?? handshakeTimeoutMs, () => {
      this.#refuse("handshake-timeout", "the peer said nothing", address);
      raw.destroy();
    });
    raw.once("close", () => this.#silent.delete(raw));
    raw.once("readable", () => {
      this.#silent.delete(raw);
      raw.setTimeout(0);
      const first: Buffer | null = raw.read();
      if (first === null || this.#server === null) {
        raw.destroy();
        return;
      }
      raw.unshift(first);
      this.#server.emit("connection", raw);
    });
  }

  /** Cuts every connection, also those that were handed on. */
  close(): void {
    this.#unsubscribe();
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #renew(): void {
    const { identity } = this.#options;
    if (this.#server === null) this.#server = this.#create();
    else this.#server.setSecureContext(serverOptions(identity));
  }

  #create(): Server {
    const { identity, alpn } = this.#options;
    const server = createServer({
      ...serverOptions(identity),
      requestCert: true,
      rejectUnauthorized: true,
      allowHalfOpen: true,
      ALPNProtocols: [...alpn],
      handshakeTimeout: this.#options.handshakeTimeoutMs ?? handshakeTimeoutMs,
    });
    server.on("secureConnection", (socket) => this.#onSecure(socket));
    server.on("tlsClientError", (error, socket) => this.#onHandshakeFailed(error, socket));
    server.on("error", (error) => this.#refuse("handshake-failed", error.message, "unknown"));
    return server;
  }

  #onSecure(socket: TLSSocket): void {
    socket.on("error", () => socket.destroy());
    const judged = judge(socket, this.#options.trustDomain);
    if ("reason" in judged) {
      this.#refuse(judged.reason, judged.detail, judged.address);
      socket.destroy();
    } else {
      this.#options.onConnection(socket, judged);
    }
  }

  #onHandshakeFailed(error: Error, socket: TLSSocket): void {
    const code = "code" in error ? String(error.code) : "";
    const verify = socket.authorizationError ? String(socket.authorizationError) : "";
    this.#refuse(reasonFor(code, verify), verify || error.message, addressOf(socket));
    socket.on("error", () => socket.destroy());
    socket.destroy();
  }

  #refuse(reason: RefusalReason, detail: string, address: string): void {
    this.refused[reason]++;
    this.#options.onRefused({ reason, detail, address });
  }
}

/** Ready to take raw sockets as soon as the identity has its certificate. */
export function createPeerServer(options: PeerServerOptions): PeerServer {
  return new PeerServer(options);
}

/** No session can be resumed: tickets are off, and nothing answers Node's resumeSession event. */
function serverOptions(identity: Identity): SecureContextOptions {
  const secureOptions = constants.SSL_OP_NO_TICKET;
  return { ...identity.credentials, minVersion: "TLSv1.3", maxVersion: "TLSv1.3", secureOptions };
}

/** The chain was verified by the handshake; whose it is, is decided here. */
function judge(socket: TLSSocket, trustDomain: string): PeerConnection | Refusal {
  const address = addressOf(socket);
  // A resumed handshake shows no certificate, and Node says "authorized" all the same (nodejs/node#64677).
  if (socket.isSessionReused()) return { reason: "resumed-session", detail: "the peer resumed a session", address };
  const certificate = socket.getPeerX509Certificate();
  if (!socket.authorized || certificate === undefined) {
    return { reason: "no-certificate", detail: "the peer has no certificate", address };
  }
  const proved = spiffeId(certificate.raw);
  if (proved.kind === "refused") return { reason: "bad-identity", detail: proved.reason, address };
  if (!proved.id.startsWith(`spiffe://${trustDomain}/`)) {
    const detail = `${proved.id} is not of the trust domain ${trustDomain}`;
    return { reason: "other-trust-domain", detail, address };
  }
  const alpn = socket.alpnProtocol;
  if (typeof alpn !== "string") return { reason: "no-common-protocol", detail: "the peer names no protocol", address };
  return { identity: proved.id, alpn, servername: nameOf(socket), address };
}

function reasonFor(code: string, verify: string): RefusalReason {
  if (verify === "CERT_HAS_EXPIRED" || verify === "CERT_NOT_YET_VALID") return "expired";
  if (otherCa.test(verify)) return "other-ca";
  if (code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") return "no-certificate";
  if (code === "ERR_SSL_NO_APPLICATION_PROTOCOL") return "no-common-protocol";
  return code === "ERR_TLS_HANDSHAKE_TIMEOUT" ? "handshake-timeout" : "handshake-failed";
}

/** The raw connection knows its address also after the TLS socket was destroyed. */
function addressOf(socket: TLSSocket): string {
  const parent = "_parent" in socket ? (socket._parent as Socket | null) : null;
  return socket.remoteAddress ?? parent?.remoteAddress ?? "unknown";
}

function nameOf(socket: TLSSocket): string {
  const name: unknown = "servername" in socket ? socket.servername : "";
  return typeof name === "string" ? name : "";
}
