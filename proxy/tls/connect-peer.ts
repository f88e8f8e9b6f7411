// A TLS connection to another sidecar, good only if the peer proves exactly the identity that was expected.
import { connect as connectTcp } from "node:net";
import { connect, type PeerCertificate, type TLSSocket } from "node:tls";
import { type Failure, failure, unprocessed } from "../http/failure.ts";
import { FailureError } from "./failure-error.ts";
import type { Identity } from "./identity.ts";
import { spiffeId } from "./spiffe-id.ts";

export interface ConnectPeerOptions {
  /** IP address. */
  readonly address: string;
  readonly port: number;
  /** What is asked of the peer: see sniName. */
  readonly servername: string;
  /** The one protocol that is offered and accepted. */
  readonly alpn: string;
  /** SPIFFE id that the peer has to prove. */
  readonly expectedIdentity: string;
  readonly identity: Identity;
  /** From dialling to the end of the handshake; the TCP connection itself gets at most `tcpConnectTimeoutMs` of it. */
  readonly timeoutMs: number;
}

/** Milliseconds of silence before TCP asks whether the peer is still there. */
const keepAliveInitialDelay = 30_000;
/**
 * A host that is there answers in microseconds, and its kernel answers even when its programs are stopped. An address that
 * nobody has any more gives EHOSTUNREACH only after 3 s of unanswered ARP. Above 1 s, so that one lost SYN is sent again.
 */
export const tcpConnectTimeoutMs = 1500;

/**
 * Returns the connecting socket; it is usable from `secureConnect` on. Its error is a FailureError (flag UF, certainly
 * unprocessed) when the peer proves another identity, speaks another protocol or takes too long; connectFailure turns any
 * error before `secureConnect` into one. Half-close is kept. Throws when this proxy has no certificate yet.
 */
export function connectPeer(options: ConnectPeerOptions): TLSSocket {
  const { address: host, port } = options;
  // First: it throws where there is no certificate yet, and nothing has been dialled then.
  const secureContext = options.identity.clientContext;
  // On a socket of its own, because only that one can be reset: see resetStream.
  const below = connectTcp({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay });
  const socket: TLSSocket = connect({
    socket: below,
    servername: options.servername,
    ALPNProtocols: [options.alpn],
    secureContext,
    rejectUnauthorized: true,
    // No `session` is ever passed: a resumed handshake shows no certificate to check (Node accepts it as authorized).
    checkServerIdentity: (_name: string, certificate: PeerCertificate) => {
      const wrong = wrongPeer(socket, certificate, options);
      return wrong === null ? undefined : new FailureError(wrong);
    },
  });
  const refusal = options.identity.refusal(Date.now());
  // Its error comes when the caller listens.
  if (refusal !== null) socket.destroy(new FailureError(connectionFailure("TLS_error", refusal)));
  let isSettled = false;
  const giveUp = (what: string, ms: number, isPending: () => boolean) => {
    const judge = () => {
      if (!isPending()) return;
      const reason = `${where(options)} did not ${what} within ${ms} ms`;
      socket.destroy(new FailureError(connectionFailure("connection_timeout", reason)));
    };
    // This process may have been stopped itself: what has come meanwhile is seen before the peer is judged.
    return setTimeout(() => setImmediate(judge), ms);
  };
  const { timeoutMs } = options;
  const dialling = giveUp("accept a connection", Math.min(tcpConnectTimeoutMs, timeoutMs), () => below.connecting);
  const handshake = giveUp("complete the handshake", timeoutMs, () => !isSettled);
  const settled = () => {
    isSettled = true;
    clearTimeout(dialling);
    clearTimeout(handshake);
  };
  below.once("connect", () => clearTimeout(dialling));
  socket.once("secureConnect", settled);
  socket.once("close", settled);
  // A socket without a listener would take the process down; those that matter are the caller's.
  socket.on("error", settled);
  return socket;
}

/** What an error of a connection that was not established means. Also takes errors that did not come from connectPeer. */
export function connectFailure(error: unknown, peer: string): Failure {
  if (error instanceof FailureError) return error.failure;
  const reason = error instanceof Error ? error.message : String(error);
  return connectionFailure("connection_failure", `cannot connect to ${peer}: ${reason}`);
}

function wrongPeer(socket: TLSSocket, certificate: PeerCertificate, options: ConnectPeerOptions): Failure | null {
  const proved = spiffeId(certificate.raw);
  if (proved.kind === "refused") {
    return connectionFailure("TLS_error", `${where(options)} proves no identity: ${proved.reason}`);
  }
  if (proved.id !== options.expectedIdentity) {
    const reason = `${where(options)} proves to be ${proved.id}, not ${options.expectedIdentity}`;
    return connectionFailure("TLS_error", reason);
  }
  if (socket.alpnProtocol !== options.alpn) {
    const spoken = socket.alpnProtocol || "nothing";
    return connectionFailure("TLS_error", `${where(options)} agreed to ${spoken}, not to ${options.alpn}`);
  }
  return null;
}

function where(options: ConnectPeerOptions): string {
  return `${options.address}:${options.port}`;
}

function connectionFailure(cause: string, reason: string): Failure {
  const detail = `upstream_reset_before_response_started{${cause}}`;
  return unprocessed(failure("UF", 503, detail, reason));
}
