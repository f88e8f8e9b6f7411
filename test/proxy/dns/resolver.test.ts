import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { Resolver as Client } from "node:dns/promises";
import { once } from "node:events";
import net from "node:net";
import dnsPacket from "dns-packet";
import { describe, expect, onTestFinished, test } from "vitest";
import { FrameReader, frame } from "../../../proxy/dns/frames.ts";
import { Resolver } from "../../../proxy/dns/resolver.ts";
import { eventually } from "../../support/eventually.ts";

type Answering = (query: dnsPacket.DecodedPacket, raw: Buffer) => Buffer | Buffer[] | null;

const known = (query: dnsPacket.DecodedPacket): Buffer =>
  dnsPacket.encode({
    type: "response",
    id: query.id ?? 0,
    flags: dnsPacket.RECURSION_AVAILABLE,
    questions: query.questions ?? [],
    answers: [{ type: "A", name: query.questions?.[0]?.name ?? "", ttl: 600, data: "192.0.2.1" }],
  });

/** A resolver behind ours, on one port for UDP and TCP. */
async function upstream(answering: Answering): Promise<{ port: number; seen: dnsPacket.DecodedPacket[] }> {
  const seen: dnsPacket.DecodedPacket[] = [];
  const answers = (raw: Buffer): Buffer[] => {
    const query = dnsPacket.decode(raw);
    seen.push(query);
    return [answering(query, raw) ?? []].flat();
  };
  const tcp = net.createServer((socket) => {
    const reader = new FrameReader();
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      for (const raw of reader.push(chunk)) for (const bytes of answers(raw)) socket.write(frame(bytes));
    });
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const { port } = tcp.address() as net.AddressInfo;
  const udp = createSocket("udp4");
  udp.on("message", (raw, from) => {
    for (const bytes of answers(raw)) udp.send(bytes, from.port, from.address);
  });
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  onTestFinished(() => {
    tcp.close();
    udp.close();
  });
  return { port, seen };
}

async function start(port: number, timeoutMs = 5000, hasTable = true): Promise<Resolver> {
  const resolver = new Resolver({
    listen: { address: "127.0.0.1", port: 0 },
    upstream: { address: "127.0.0.1", port },
    log: () => undefined,
    timeoutMs,
  });
  await resolver.listen();
  if (hasTable) resolver.setTable(new Map());
  onTestFinished(() => resolver.close());
  return resolver;
}

function client(resolver: Resolver): Client {
  const client = new Client({ timeout: 3000, tries: 1 });
  client.setServers([`127.0.0.1:${resolver.udpPort}`]);
  return client;
}

async function overUdp(resolver: Resolver, bytes: Buffer): Promise<Buffer> {
  const socket: UdpSocket = createSocket("udp4");
  onTestFinished(() => {
    socket.close();
  });
  socket.send(bytes, resolver.udpPort, "127.0.0.1");
  const [answer] = (await once(socket, "message")) as [Buffer];
  return answer;
}

async function overTcp(resolver: Resolver, queries: readonly Buffer[]): Promise<Buffer[]> {
  const socket = net.connect({ port: resolver.tcpPort, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => socket.destroy());
  socket.end(Buffer.concat(queries.map(frame)));
  const reader = new FrameReader();
  const answers: Buffer[] = [];
  for await (const chunk of socket) answers.push(...reader.push(chunk as Buffer));
  return answers;
}

const query = (name: string, id = 7): Buffer =>
  dnsPacket.encode({ type: "query", id, questions: [{ name, type: "A" }] });
const firstAddress = (bytes: Buffer): unknown => {
  const [record] = dnsPacket.decode(bytes).answers ?? [];
  return record !== undefined && "data" in record ? record.data : undefined;
};
const rcode = (bytes: Buffer): number => bytes.readUInt16BE(2) & 0xf;

describe("Resolver", () => {
  test("answers names of its table itself and asks upstream for the rest", async () => {
    const { port, seen } = await upstream(known);
    const resolver = await start(port);
    resolver.setTable(new Map([["Payment.", ["10.213.200.5"]]]));
    expect(await client(resolver).resolve4("payment")).toEqual(["10.213.200.5"]);
    expect(await client(resolver).resolve4("example.com")).toEqual(["192.0.2.1"]);
    expect(seen.map((each) => each.questions?.[0]?.name)).toEqual(["example.com"]);
  });

  test("swaps its table whole", async () => {
    const { port } = await upstream(known);
    const resolver = await start(port);
    resolver.setTable(new Map([["a", ["10.213.200.1"]]]));
    resolver.setTable(new Map([["b", ["10.213.200.2"]]]));
    expect(firstAddress(await overUdp(resolver, query("a")))).toBe("192.0.2.1");
    expect(firstAddress(await overUdp(resolver, query("b")))).toBe("10.213.200.2");
  });

  test("lets queries wait for its first table, and not for ever", async () => {
    const { port, seen } = await upstream(known);
    const resolver = await start(port, 5000, false);
    const waiting = [overUdp(resolver, query("payment")), overTcp(resolver, [query("payment")])] as const;
    resolver.setTable(new Map([["payment", ["10.213.200.5"]]]));
    const [udp, tcp] = await Promise.all(waiting);
    expect([udp, ...tcp].map(firstAddress)).toEqual(["10.213.200.5", "10.213.200.5"]);
    expect(seen).toEqual([]);
    const impatient = await start(port, 50, false);
    expect(rcode(await overUdp(impatient, query("payment")))).toBe(2);
    expect(seen).toEqual([]);
  });

  test("forwards with ids of its own and gives each client its own id back", async () => {
    const { port, seen } = await upstream(known);
    const resolver = await start(port);
    const answers = await Promise.all(
      ["a.example", "b.example", "c.example"].map((name) => overUdp(resolver, query(name))),
    );
    expect(answers.map((bytes) => bytes.readUInt16BE(0))).toEqual([7, 7, 7]);
    expect(answers.map((bytes) => dnsPacket.decode(bytes).questions?.[0]?.name)).toEqual([
      "a.example",
      "b.example",
      "c.example",
    ]);
    expect(new Set(seen.map((each) => each.id)).size).toBe(3);
  });

  test("ignores an answer to another question, and rubbish", async () => {
    const { port } = await upstream((asked) => [
      Buffer.from("rubbish"),
      known({ ...asked, questions: [{ name: "evil.example", type: "A" }] }),
      known(asked),
    ]);
    const resolver = await start(port);
    const bytes = await overUdp(resolver, query("good.example"));
    expect(dnsPacket.decode(bytes).questions?.[0]?.name).toBe("good.example");
  });

  test("passes a truncated answer through", async () => {
    const { port } = await upstream((asked) => {
      const bytes = known({ ...asked });
      bytes.writeUInt16BE(bytes.readUInt16BE(2) | 0x0200, 2);
      return bytes;
    });
    const resolver = await start(port);
    expect(dnsPacket.decode(await overUdp(resolver, query("big.example"))).flag_tc).toBe(true);
  });

  test("answers SERVFAIL when upstream says nothing in time, over both transports", async () => {
    const { port } = await upstream(() => null);
    const resolver = await start(port, 50);
    expect(rcode(await overUdp(resolver, query("slow.example")))).toBe(2);
    expect((await overTcp(resolver, [query("slow.example")])).map(rcode)).toEqual([2]);
  });

  test("answers SERVFAIL at once when nobody listens upstream, and recovers", async () => {
    const gone = createSocket("udp4").bind(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address();
    gone.close();
    const resolver = await start(port, 60_000);
    expect(rcode(await overUdp(resolver, query("a.example")))).toBe(2);
    const back = createSocket("udp4").bind(port, "127.0.0.1");
    back.on("message", (raw, from) => back.send(known(dnsPacket.decode(raw)), from.port, from.address));
    await once(back, "listening");
    onTestFinished(() => {
      back.close();
    });
    await eventually(async () => expect(rcode(await overUdp(resolver, query("a.example")))).toBe(0));
  });

  test("speaks TCP: pipelined queries, its own names and forwarded ones, after the client has ended its side", async () => {
    const { port } = await upstream(known);
    const resolver = await start(port);
    resolver.setTable(new Map([["payment", ["10.213.200.5"]]]));
    const answers = await overTcp(resolver, [query("payment", 1), query("example.com", 2), query("payment", 3)]);
    const byId = new Map(answers.map((bytes) => [bytes.readUInt16BE(0), firstAddress(bytes)]));
    expect(byId).toEqual(
      new Map([
        [1, "10.213.200.5"],
        [2, "192.0.2.1"],
        [3, "10.213.200.5"],
      ]),
    );
  });

  test("closes a TCP connection that does not speak DNS and serves on", async () => {
    const { port } = await upstream(known);
    const resolver = await start(port);
    resolver.setTable(new Map([["payment", ["10.213.200.5"]]]));
    expect(await overTcp(resolver, [Buffer.from("GET")])).toEqual([]);
    expect(
      await overTcp(
        resolver,
        Array.from({ length: 4000 }, () => Buffer.alloc(12)),
      ),
    ).toBeInstanceOf(Array);
    expect((await overTcp(resolver, [query("payment")])).map(firstAddress)).toEqual(["10.213.200.5"]);
  });

  test("serves on after rubbish over UDP", async () => {
    const { port } = await upstream(known);
    const resolver = await start(port);
    resolver.setTable(new Map([["payment", ["10.213.200.5"]]]));
    const socket = createSocket("udp4");
    for (const size of [0, 1, 11, 12, 40]) socket.send(Buffer.alloc(size, 0xff), resolver.udpPort, "127.0.0.1");
    expect(firstAddress(await overUdp(resolver, query("payment")))).toBe("10.213.200.5");
    socket.close();
  });

  test("closes without having been used, and while queries wait", async () => {
    const { port } = await upstream(() => null);
    const unused = new Resolver({
      listen: { address: "127.0.0.1", port: 0 },
      upstream: { address: "127.0.0.1", port },
      log: () => undefined,
    });
    await unused.close();
    const resolver = await start(port, 60_000);
    const socket = createSocket("udp4");
    socket.send(query("a.example"), resolver.udpPort, "127.0.0.1");
    const tcp = net.connect({ port: resolver.tcpPort, host: "127.0.0.1" });
    tcp.on("error", () => tcp.destroy());
    tcp.write(frame(query("a.example")));
    await once(tcp, "connect");
    await resolver.close();
    socket.close();
    tcp.destroy();
  });
});
