// Dials like somebody who may not, all probes at once, and prints what came of each: node probe.ts '[{"host":"a","port":1}]'
import net from "node:net";
import tls from "node:tls";

export interface Probe {
  readonly host: string;
  readonly port: number;
  /** Sent as soon as it can be; by default a small HTTP request. */
  readonly send?: string;
  readonly timeoutMs?: number;
  readonly tls?: {
    readonly servername: string;
    readonly alpn: string;
    /** PEM; without them the client has no certificate. */
    readonly cert?: string;
    readonly key?: string;
  };
}

export interface Probed {
  /** `answered`: at least a byte came. `closed`: it ended without one. `timeout`. Else the error's code. */
  readonly outcome: string;
  /** What came, at most 4 kB. */
  readonly text: string;
  /** The URI that the callee's certificate names. */
  readonly callee: string;
}

const textMax = 4096;

function probe({
  host,
  port,
  send = `GET /intruder HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  ...more
}: Probe) {
  return new Promise<Probed>((resolve) => {
    let text = "";
    let callee = "";
    let error = "";
    const socket = more.tls === undefined ? net.connect({ host, port }) : connectTls(host, port, more.tls);
    const settle = (outcome: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ outcome, text, callee });
    };
    const timer = setTimeout(() => settle(text === "" ? "timeout" : "answered"), more.timeoutMs ?? 1500);
    socket.on("secureConnect", () => {
      if (socket instanceof tls.TLSSocket) callee = socket.getPeerCertificate().subjectaltname ?? "";
    });
    socket.once(more.tls === undefined ? "connect" : "secureConnect", () => socket.write(send));
    socket.on("data", (chunk: Buffer) => {
      text = (text + chunk.toString("latin1")).slice(0, textMax);
    });
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      error = cause.code ?? cause.message;
    });
    socket.on("close", () => settle(text === "" ? error || "closed" : "answered"));
  });
}

/** The callee is not verified: who refuses whom is what the probe is to find out. */
function connectTls(host: string, port: number, options: NonNullable<Probe["tls"]>): tls.TLSSocket {
  const { servername, alpn, cert, key } = options;
  const own = cert === undefined ? {} : { cert, key };
  return tls.connect({ host, port, servername, ALPNProtocols: [alpn], rejectUnauthorized: false, ...own });
}

const probes = JSON.parse(process.argv[2] ?? "[]") as Probe[];
console.log(JSON.stringify(await Promise.all(probes.map(probe))));
