// The live screen: blessed shows the lines that the views make, nothing more.
import type { StatusView } from "../../daemon/api/view.ts";
import type { Line } from "./line.ts";
import { statusLines } from "./status-view.ts";

/** At most ten frames a second, and only when something changed. */
const frameEveryMs = 100;

export interface LiveScreen {
  show(view: StatusView): void;
  /** Why nothing new comes, or null. */
  notice(text: string | null): void;
  /** Resolves when the user quits. */
  readonly closed: Promise<void>;
  close(): void;
}

const tags: Readonly<Record<Line["tone"], readonly [string, string]>> = {
  plain: ["", ""],
  title: ["{bold}", "{/bold}"],
  good: ["{green-fg}", "{/green-fg}"],
  bad: ["{red-fg}", "{/red-fg}"],
  warn: ["{yellow-fg}", "{/yellow-fg}"],
  faint: ["{cyan-fg}", "{/cyan-fg}"],
};

export interface LiveScreenOptions {
  readonly isColourless: boolean;
  /** The process' own where they are left out. */
  readonly input?: NodeJS.ReadStream;
  readonly output?: NodeJS.WriteStream;
}

/** Takes the terminal; gives it back on close, on a signal and on a crash. */
export async function openLiveScreen(options: LiveScreenOptions): Promise<LiveScreen> {
  const { default: blessed } = await import("blessed");
  const { input = process.stdin, output = process.stdout } = options;
  const looks = { smartCSR: true, title: "devmesh", fullUnicode: false, autoPadding: false };
  const screen = blessed.screen({ ...looks, input, output });
  const body = blessed.box({
    top: 0,
    left: 0,
    width: "100%",
    bottom: 1,
    tags: true,
    scrollable: true,
    keys: true,
    vi: true,
    mouse: true,
    alwaysScroll: true,
  });
  const footer = blessed.box({ bottom: 0, left: 0, width: "100%", height: 1, tags: true });
  screen.append(body);
  screen.append(footer);
  const state: { view: StatusView | null; notice: string | null; timer: NodeJS.Timeout | null; isPaused: boolean } = {
    view: null,
    notice: null,
    timer: null,
    isPaused: false,
  };
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const draw = () => {
    state.timer = null;
    if (state.view !== null && !state.isPaused) {
      const size = { columns: Number(screen.width), rows: Number(screen.height) - 1 };
      body.setContent(
        statusLines(state.view, Date.now(), size)
          .map((line) => tagged(line, options.isColourless))
          .join("\n"),
      );
    }
    footer.setContent(
      ` ${state.notice ?? "q quit (the mesh stays up)   space pause   up/down scroll"}${state.isPaused ? "   PAUSED" : ""}`,
    );
    screen.render();
  };
  const schedule = () => {
    state.timer ??= setTimeout(draw, frameEveryMs);
  };
  const close = () => {
    if (state.timer !== null) clearTimeout(state.timer);
    screen.destroy();
    process.off("SIGTERM", close);
    resolve();
  };
  screen.key(["q", "C-c"], close);
  screen.key(["space"], () => {
    state.isPaused = !state.isPaused;
    schedule();
  });
  screen.on("resize", schedule);
  process.once("SIGTERM", close);
  draw();
  return {
    show: (view) => {
      state.view = view;
      schedule();
    },
    notice: (text) => {
      state.notice = text;
      schedule();
    },
    closed,
    close,
  };
}

function tagged(line: Line, isColourless: boolean): string {
  // blessed reads {...} as tags: what containers are called must not become one.
  const text = line.text.replace(/[{}]/g, (brace) => (brace === "{" ? "{open}" : "{close}"));
  const [before, after] = isColourless && line.tone !== "title" ? ["", ""] : tags[line.tone];
  return `${before}${text}${after}`;
}
