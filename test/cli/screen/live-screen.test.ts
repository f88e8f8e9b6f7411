import { PassThrough, Writable } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { openLiveScreen } from "../../../cli/screen/live-screen.ts";
import type { StatusView } from "../../../daemon/api/view.ts";
import { eventually } from "../../support/eventually.ts";

/** A terminal of 80x24 that remembers what was written to it. */
function terminal(): { input: NodeJS.ReadStream; output: NodeJS.WriteStream; readonly text: string } {
  let text = "";
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  Object.assign(output, { columns: 80, rows: 24, isTTY: true });
  const input = Object.assign(new PassThrough(), { isTTY: true, isRaw: false, setRawMode: () => input });
  return {
    input: input as unknown as NodeJS.ReadStream,
    output: output as unknown as NodeJS.WriteStream,
    get text() {
      return text;
    },
  };
}

const view = {
  mesh: "{bold}shop{/bold}",
  startedAt: new Date().toISOString(),
  health: "ok",
  config: { file: "m{red-fg}.yaml", revision: 1, appliedAt: "", isInSync: true, diagnostics: [] },
  services: [],
  gateways: [],
  unmeshed: [],
  troubles: [],
  edges: [],
  totals: { rps: 0, errorRatio: 0, p50Ms: 0, p99Ms: 0 },
  mtlsRatio: null,
  events: [],
} as unknown as StatusView;

/** What a person would read: without the sequences that move and colour. */
function readable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences are what is taken out.
  return text.replace(/\x1b(?:\[[?>=]?[\d;]*[a-zA-Z]|[()][A-Z0-9]|[=>78]|\][^\x07]*\x07)/g, "");
}

async function open(isColourless = false) {
  const screen = terminal();
  const live = await openLiveScreen({ isColourless, input: screen.input, output: screen.output });
  onTestFinished(() => live.close());
  return { screen, live };
}

describe("the live screen", () => {
  test("shows braces of a name as they are, not as the library's tags", async () => {
    const { screen, live } = await open();
    live.show(view);
    await eventually(() => {
      expect(readable(screen.text)).toContain("devmesh {bold}shop{/bold}");
      expect(readable(screen.text)).toContain("config m{red-fg}.yaml");
    });
  });

  test("closes on q and on Ctrl-C, and gives the terminal back", async () => {
    for (const key of ["q", "\x03"]) {
      const { screen, live } = await open();
      screen.input.push(key);
      await live.closed;
      // Leaves the alternate screen, shows the cursor.
      expect(screen.text).toContain("\x1b[?1049l");
      expect(screen.text).toContain("\x1b[?25h");
    }
  });

  test("stands still on the space key, and says so", async () => {
    const { screen, live } = await open();
    live.show(view);
    await eventually(() => expect(readable(screen.text)).toContain("devmesh {bold}"));
    screen.input.push(" ");
    await eventually(() => expect(readable(screen.text)).toContain("PAUSED"));
    live.show({ ...view, mesh: "another" });
    live.notice("the daemon is gone");
    await eventually(() => expect(readable(screen.text)).toContain("the daemon is gone"));
    expect(readable(screen.text)).not.toContain("another");
  });

  test("leaves no signal handler behind", async () => {
    const before = process.listenerCount("SIGTERM");
    const { live } = await open();
    live.close();
    await live.closed;
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });
});
