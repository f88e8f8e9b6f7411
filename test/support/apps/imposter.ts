// Listens where a sidecar would, with whatever certificate it is given, and prints a JSON line for all that happens.
import tls from "node:tls";

export interface ImposterOptions {
  readonly port: number;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly roots: string;
  readonly alpn: readonly string[];
}

export type ImposterEvent =
  | { readonly kind: "listening" }
  /** A caller took the certificate for good and went on. */
  | { readonly kind: "data"; readonly bytes: number; readonly caller: string }
  | { readonly kind: "connection" }
  | { readonly kind: "refused"; readonly error: string };

const { port, cert, key, roots, alpn } = JSON.parse(process.argv[2] ?? "{}") as ImposterOptions;
const say = (event: ImposterEvent) => console.log(JSON.stringify(event));
const server = tls.createServer({ cert, key, ca: roots, requestCert: true, ALPNProtocols: [...alpn] }, (socket) => {
  socket.on("error", (error) => say({ kind: "refused", error: error.message }));
  socket.on("data", (chunk) =>
    say({ kind: "data", bytes: chunk.length, caller: socket.getPeerCertificate().subjectaltname ?? "" }),
  );
});
server.on("connection", () => say({ kind: "connection" }));
server.on("tlsClientError", (error) => say({ kind: "refused", error: error.message }));
server.listen(port, "0.0.0.0", () => say({ kind: "listening" }));
