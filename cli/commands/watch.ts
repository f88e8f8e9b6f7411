// Follows the mesh until the user stops: the live screen on a terminal, one line a change elsewhere.
import type { ApiClient } from "../../daemon/api/client.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { findDaemon } from "../daemon-process.ts";
import { hasColour } from "../output.ts";
import type { Project } from "../project.ts";
import { openLiveScreen } from "../screen/live-screen.ts";
import { percent, rate } from "../screen/status-view.ts";
import { printable } from "../screen/table.ts";
import type { CommandContext } from "./context.ts";

/** Without a screen: between two lines about traffic. */
const trafficEveryMs = 10_000;

export interface Watched {
  readonly project: Project;
  readonly client: ApiClient;
}

/** Returns when the user quits the screen, or when the mesh was taken down. */
export async function watch(context: CommandContext, watched: Watched, options: { hasScreen: boolean }): Promise<void> {
  if (options.hasScreen) await watchOnScreen(context, watched);
  else await watchAsLines(context, watched);
}

async function watchOnScreen(context: CommandContext, watched: Watched): Promise<void> {
  const { env, flags } = context;
  const stop = new AbortController();
  const screen = await openLiveScreen({ isColourless: flags.color === false || !hasColour(env, process.stdout) });
  const onLost = () => screen.notice("the daemon is gone; another one is started, the proxies serve on");
  const follow = async () => {
    for await (const view of follows(context, watched, { signal: stop.signal, onLost })) {
      screen.notice(null);
      screen.show(view);
    }
    screen.notice("the mesh was taken down; q quits");
  };
  const following = follow().catch((error: Error) => screen.notice(printable(`${error.message}; q quits`)));
  await screen.closed;
  stop.abort();
  await following;
}

/** Until the mesh is taken down: Ctrl-C ends the command itself (see interrupt.ts). */
async function watchAsLines(context: CommandContext, watched: Watched): Promise<void> {
  const { output } = context;
  let seen = new Set<string>();
  let last = 0;
  const onLost = () => output.note("the daemon is gone; another one is started, the proxies serve on");
  for await (const view of follows(context, watched, { onLost })) {
    const keys = new Set(view.events.map((event) => `${event.at} ${printable(event.text)}`));
    for (const key of keys) if (!seen.has(key)) output.note(key);
    seen = keys;
    if (Date.now() - last < trafficEveryMs) continue;
    last = Date.now();
    output.note(trafficLine(view));
  }
}

/** The status after each change, over the ends of daemons: one that died is started again. */
async function* follows(
  { env }: CommandContext,
  { project, client }: Watched,
  { signal, onLost }: { readonly signal?: AbortSignal; onLost(): void },
): AsyncGenerator<StatusView> {
  for (let current: ApiClient | null = client; current !== null; ) {
    try {
      yield* current.stream(signal);
    } catch {
      // It ended without a word; whether it comes back is seen below.
    }
    if (signal?.aborted === true) return;
    onLost();
    current = await findDaemon(project, env);
  }
}

function trafficLine(view: StatusView): string {
  return `${new Date().toISOString()} ${view.health} ${rate(view.totals.rps)} rps, ${percent(view.totals.errorRatio)} errors`;
}
