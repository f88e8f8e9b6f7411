import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { EventStream } from "../../../daemon/docker/events.ts";
import { eventually } from "../../support/eventually.ts";
import { startFakeEngine } from "./fake-engine.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined };

function line(action: string, id: string, timeNano: string): string {
  return `${JSON.stringify({ Type: "container", Action: action, Actor: { ID: id, Attributes: {} } }).slice(0, -1)},"timeNano":${timeNano}}\n`;
}

async function streamFrom() {
  const streams: ServerResponse[] = [];
  const fake = await startFakeEngine({
    "/events": (response) => {
      response.writeHead(200);
      response.flushHeaders();
      streams.push(response);
    },
  });
  open.push(fake);
  const engine = await connectEngine(fake.env);
  open.push(engine);
  const heard: string[] = [];
  const connections: string[] = [];
  const stream = new EventStream({
    engine,
    log: quiet,
    random: () => 0,
    onEvent: ({ action, containerId }) => heard.push(`${action} ${containerId}`),
    onConnected: () => connections.push("connected"),
    onDisconnected: () => connections.push("lost"),
  });
  open.push(stream);
  await eventually(() => expect(connections).toEqual(["connected"]));
  const asked = () => fake.requests.filter(({ pathname }) => pathname.endsWith("/events"));
  return { fake, streams, heard, connections, stream, asked };
}

describe("EventStream", () => {
  test("asks for containers and networks, and first without a beginning", async () => {
    const { asked } = await streamFrom();
    const [first] = asked();
    expect(first?.searchParams.has("since")).toBe(false);
    expect(JSON.parse(first?.searchParams.get("filters") ?? "{}")).toMatchObject({
      type: ["container", "network", "image"],
    });
  });

  test("after a cut it connects again from two seconds before the last event, and says nothing twice", async () => {
    const { fake, streams, heard, connections, asked } = await streamFrom();
    streams[0]?.write(line("start", "a", "1795415099000000007"));
    await eventually(() => expect(heard).toEqual(["start a"]));
    fake.cut();
    await eventually(() => expect(connections).toEqual(["connected", "lost", "connected"]));
    expect(asked().at(-1)?.searchParams.get("since")).toBe("1795415097.000000007");
    streams[1]?.write(line("start", "a", "1795415099000000007") + line("die", "a", "1795415099000000008"));
    await eventually(() => expect(heard).toEqual(["start a", "die a"]));
  });

  test("an end that the engine chose is a loss like any other", async () => {
    const { streams, connections } = await streamFrom();
    streams[0]?.end();
    await eventually(() => expect(connections).toEqual(["connected", "lost", "connected"]));
  });

  test("a flood without line ends does not fill the memory", async () => {
    const { streams, connections } = await streamFrom();
    streams[0]?.write("x".repeat(3_000_000));
    await eventually(() => expect(connections).toEqual(["connected", "lost", "connected"]));
  });

  test("it closes while the engine is away", async () => {
    const { fake, stream, connections } = await streamFrom();
    await fake.close();
    await eventually(() => expect(connections).toContain("lost"));
    await stream.close();
    open.splice(open.indexOf(fake), 1);
  });
});
