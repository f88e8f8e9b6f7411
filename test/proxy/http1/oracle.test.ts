// Random and mutated requests, with node:http as the oracle: what it refuses we refuse; what both take, both understand alike.
import http from "node:http";
import net from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fields } from "../../../proxy/http/fields.ts";
import type { RequestHead } from "../../../proxy/http/message.ts";
import type { ServerStream } from "../../../proxy/http/stream.ts";
import { defaultLimits } from "../../../proxy/http1/limits.ts";
import { serveHttp1 } from "../../../proxy/http1/server-connection.ts";

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  body: string;
  isComplete: boolean;
}

/** Requests that a connection's bytes held, and whether the server called the rest an error. */
interface Verdict {
  readonly seen: Seen[];
  readonly isRefused: boolean;
}

let nodeServer: http.Server;
let ownServer: net.Server;
let nodeSeen: Seen[] = [];
let ownSeen: Seen[] = [];

const hopByHop = new Set([
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "content-length",
  "transfer-encoding",
  "te",
  "upgrade",
  "expect",
  "http2-settings",
]);

/** Without the fields of this hop, among them those that Connection names. */
function endToEnd(list: readonly string[]): string[] {
  const ignored = new Set(hopByHop);
  for (let i = 0; i < list.length; i += 2) {
    if (list[i]?.toLowerCase() !== "connection") continue;
    for (const member of list[i + 1]?.toLowerCase().split(",") ?? []) ignored.add(member.trim());
  }
  const kept: string[] = [];
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] ?? "";
    if (!ignored.has(name.toLowerCase())) kept.push(name, list[i + 1] ?? "");
  }
  return kept;
}

function collect(list: Seen[], head: { method: string; target: string; fields: readonly string[] }): Seen {
  const seen: Seen = { ...head, fields: endToEnd(head.fields), body: "", isComplete: false };
  list.push(seen);
  return seen;
}

const reply = { status: 200, reason: "OK", bodyLength: 0, declaredLength: -1 };

function onOwnRequest(stream: ServerStream, takeBody: (head: RequestHead) => Seen): void {
  const seen = takeBody(stream.head);
  const finish = (): void => {
    seen.isComplete = true;
    stream.respond({ ...reply, fields: new Fields() });
    stream.end(null);
  };
  stream.events = {
    onData: (chunk) => {
      seen.body += chunk.toString("latin1");
    },
    onEnd: finish,
    onAbort: () => undefined,
    onDrain: () => undefined,
  };
  if (stream.head.bodyLength === 0) finish();
}

beforeAll(async () => {
  nodeServer = http.createServer({ requireHostHeader: false }, (request, response) => {
    const { method = "", url = "", rawHeaders } = request;
    const seen = collect(nodeSeen, { method, target: url, fields: rawHeaders });
    request.on("data", (chunk: Buffer) => {
      seen.body += chunk.toString("latin1");
    });
    request.on("error", () => undefined);
    request.on("end", () => {
      seen.isComplete = true;
      response.end();
    });
  });
  // A request whose client already said goodbye is still to be judged.
  (nodeServer as http.Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  ownServer = net.createServer({ allowHalfOpen: true }, (socket) => {
    serveHttp1(socket, {
      peer: { address: "127.0.0.1", identity: null },
      scheme: "http",
      limits: { ...defaultLimits, lingerMs: 100 },
      onRequest: (stream) => {
        onOwnRequest(stream, (head) =>
          collect(ownSeen, { method: head.method, target: head.target, fields: head.fields.list }),
        );
      },
      onClose: () => undefined,
    });
  });
  for (const server of [nodeServer, ownServer])
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterAll(() => {
  nodeServer.closeAllConnections();
  nodeServer.close();
  ownServer.close();
});

/** Sends the bytes and a FIN, and waits for the server's end. */
function exchange(server: net.Server | http.Server, text: string): Promise<string> {
  return new Promise((resolve) => {
    const { port } = server.address() as net.AddressInfo;
    let heard = "";
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.setTimeout(3_000, () => socket.destroy());
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("end", () => socket.destroy());
    socket.on("close", () => resolve(heard));
    socket.end(text, "latin1");
  });
}

async function judge(text: string): Promise<{ node: Verdict; own: Verdict }> {
  nodeSeen = [];
  ownSeen = [];
  const [node, own] = await Promise.all([exchange(nodeServer, text), exchange(ownServer, text)]);
  return {
    node: { seen: nodeSeen, isRefused: / [45]\d\d /.test(node) },
    own: { seen: ownSeen, isRefused: / [45]\d\d /.test(own) },
  };
}

/** Stricter is fine, looser is not: everything that we took complete, node took complete and the same, in the same place. */
function expectNotLooser(text: string, { node, own }: { node: Verdict; own: Verdict }): void {
  // node takes methods that it knows and no others; a proxy has to let every token through.
  const strange = own.seen.findIndex((seen) => !http.METHODS.includes(seen.method));
  const comparable = strange === -1 ? own.seen : own.seen.slice(0, strange);
  const taken = comparable.filter((seen) => seen.isComplete);
  const theirs = node.seen.filter((seen) => seen.isComplete).map((seen) => normalized(seen));
  taken.forEach((seen, i) => {
    expect(theirs[i], `${JSON.stringify(text)}: request ${i}`).toEqual(normalized(seen));
  });
}

/** Absolute targets become paths here and stay whole there; node drops what it calls empty lines around values alike. */
function normalized(seen: Seen): Seen {
  const target = seen.target.replace(/^https?:\/\/[^/?]*/i, "");
  return { ...seen, target: target.startsWith("/") || target === "*" ? target : `/${target}` };
}

const head = "POST /path?q=1 HTTP/1.1\r\nHost: shop\r\nX-One: a b\r\n";
const seeds = [
  "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
  `${head}Content-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: shop\r\n\r\n`,
  `${head}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n00\r\nX-T: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: shop\r\n\r\n`,
  "GET http://shop/abs HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\nConnection: keep-alive, x-one\r\nX-One: 1\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\nHEAD /h HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
];

/** Most bugs live at the borders between tokens and between lines: what may go wrong there is tried there most. */
const blanks = [" ", "\t", "\v", "\f", "\xa0", "\r", "\n", "\0", "\r\n", ","];
const lines = [
  "Content-Length: 3",
  "Content-Length : 3",
  "Content-Length: 5, 5",
  "Content-Length: +3",
  "Content-Length: 03",
  "Content-Length:",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding:",
  "Transfer-Encoding: identity",
  "Transfer-Encoding: x, chunked",
  "transfer-encoding: Chunked",
  "Host: other",
  "Connection: content-length",
  "Connection: close",
  " folded",
  "no colon",
  ": no name",
  "",
];
const pieces = [
  "0",
  "1",
  "a",
  "-",
  "+",
  "_",
  "0x",
  "#",
  "@",
  "/",
  ":",
  ";",
  '"',
  "=",
  "HTTP/1.0",
  "HTTP/9.9",
  "0\r\n\r\n",
  "\x7f",
  "\x85",
];

type Place = "border" | "line" | "anywhere";

interface Mutation {
  readonly place: Place;
  readonly kind: string;
  readonly at: number;
  readonly length: number;
  readonly piece: string;
}

const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const length = fc.integer({ min: 1, max: 8 });
const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const insert = fc.constant("insert");
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    place: fc.constant<Place>("border"),
    kind: insert,
    at,
    length,
    piece: fc.constantFrom(...blanks, ...pieces),
  }),
  fc.record({
    place: fc.constant<Place>("line"),
    kind: insert,
    at,
    length,
    piece: fc.constantFrom(...lines).map((line) => `${line}\r\n`),
  }),
  fc.record({
    place: fc.constantFrom<Place>("anywhere", "border"),
    kind: fc.constantFrom("delete", "replace", "duplicate"),
    at,
    length,
    piece: fc.oneof(byte, fc.constantFrom(...blanks, ...pieces)),
  }),
);

function mutate(text: string, { place, kind, at, length, piece }: Mutation): string {
  const places = place === "line" ? /(?<=\r\n)/g : /(?<=[:,;= \r\n])|(?=[:,;= \r\n])/g;
  const borders = [...text.matchAll(places)].map((match) => match.index);
  const index = place === "anywhere" ? Math.floor(at * text.length) : (borders[Math.floor(at * borders.length)] ?? 0);
  const [before, cut, after] = [text.slice(0, index), text.slice(index, index + length), text.slice(index + length)];
  if (kind === "insert") return before + piece + cut + after;
  if (kind === "delete") return before + after;
  if (kind === "replace") return before + piece + after;
  return before + cut + cut + after;
}

describe("compared with node:http", () => {
  test.each(seeds)("%j is understood alike", async (text) => {
    const verdict = await judge(text);
    expectNotLooser(text, verdict);
    expect(verdict.own.isRefused).toBe(false);
    expect(verdict.own.seen.filter((seen) => seen.isComplete)).toHaveLength(verdict.node.seen.length);
  });

  test("mutated requests are never taken more freely, or for something else", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...seeds),
        fc.array(mutation, { minLength: 1, maxLength: 2 }),
        async (seed, mutations) => {
          const text = mutations.reduce(mutate, seed);
          expectNotLooser(text, await judge(text));
        },
      ),
      { numRuns: Number(process.env.DEVMESH_FUZZ_RUNS ?? 1_000) },
    );
  });
});
