import { describe, expect, test } from "vitest";
import {
  createEventParser,
  type EngineEvent,
  eventKey,
  parseEvent,
  sinceOf,
} from "../../../daemon/docker/event-lines.ts";

const die =
  '{"status":"die","id":"c1","from":"i","Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"exitCode":"137","name":"a"}},"scope":"local","time":1795415099,"timeNano":1795415099415726678}';
const disconnect =
  '{"Type":"network","Action":"disconnect","Actor":{"ID":"n1","Attributes":{"container":"c1","name":"net","type":"bridge"}},"scope":"local","time":1795415099,"timeNano":1795415099355577236}';

function parsed(...texts: string[]): EngineEvent[] {
  const events: EngineEvent[] = [];
  const parse = createEventParser((event) => events.push(event));
  for (const text of texts) parse(text);
  return events;
}

describe("the event stream's text", () => {
  test("a container's event keeps every digit of its time", () => {
    expect(parseEvent(die)).toEqual({
      type: "container",
      action: "die",
      containerId: "c1",
      networkId: "",
      attributes: { exitCode: "137", name: "a" },
      timeNano: "1795415099415726678",
    });
  });

  test("a network's event names the container concerned", () => {
    expect(parseEvent(disconnect)).toMatchObject({ containerId: "c1", networkId: "n1", action: "disconnect" });
  });

  test("an image's event concerns no container", () => {
    const tag =
      '{"Type":"image","Action":"tag","Actor":{"ID":"sha256:1","Attributes":{"name":"proxy:1"}},"timeNano":7}';
    expect(parseEvent(tag)).toMatchObject({ type: "image", action: "tag", containerId: "", networkId: "" });
  });

  test("lines that are cut anywhere come out whole", () => {
    const text = `${die}\n${disconnect}\n`;
    for (let cut = 0; cut <= text.length; cut++) {
      expect(parsed(text.slice(0, cut), text.slice(cut)).map(({ action }) => action)).toEqual(["die", "disconnect"]);
    }
  });

  test.each([
    ["half a line", die.slice(0, 50)],
    ["an empty line", ""],
    ["another kind of event", '{"Type":"volume","Action":"mount"}'],
    ["something that is not an object", "7"],
  ])("%s is skipped", (_why, line) => {
    expect(parsed(`${line}\n${die}\n`)).toHaveLength(1);
  });

  test("a label that looks like the time is not the time", () => {
    const hostile = die.replace('"name":"a"', '"name":"\\"timeNano\\":1,"');
    expect(parseEvent(hostile)?.timeNano).toBe("1795415099415726678");
  });

  test("a line without an end is refused", () => {
    expect(() => parsed("x".repeat(600_000), "x".repeat(600_000))).toThrow("too long");
  });

  test("since is earlier by the overlap, in seconds and nine digits", () => {
    expect(sinceOf("1795415099015726678", 2000)).toBe("1795415097.015726678");
  });

  test("events of one container in one nanosecond differ by their action", () => {
    const [first] = parsed(`${die}\n`);
    const [second] = parsed(`${die.replaceAll('"die"', '"oom"')}\n`);
    expect(first && eventKey(first)).not.toBe(second && eventKey(second));
  });
});
