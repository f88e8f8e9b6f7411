// Follows the mesh until the user stops: the live screen on a terminal, one line a change elsewhere.
import type { ApiClient } from "../../daemon/api/client.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { openLiveScreen } from "../screen/live-screen.ts";
import { percent, rate } from "../screen/status-view.ts";
import type { CommandContext } from "./context.ts";

/** Without a screen: between two lines about traffic. */
const trafficEveryMs = 10_000;

export async function watch(
  context: CommandContext,
  client: ApiClient,
  options: { hasScreen: boolean },
): Promise<void> {
  if (options.hasScreen) await watchOnScreen(context, client);
  else await watchAsLines(context, client);
}

async function watchOnScreen(context: CommandContext, client: ApiClient): Promise<void> {
  const stop = new AbortController();
  const screen = await openLiveScreen({ isColourless: context.env.NO_COLOR !== undefined });
  const follow = async () => {
    for await (const view of client.stream(stop.signal)) {
      screen.notice(null);
      screen.show(view);
    }
  };
  const following = follow().catch(() => undefined);
  void following.then(() => screen.notice("the daemon is gone; q quits, devmesh status brings it back"));
  await screen.closed;
  stop.abort();
  await following;
}

/** Until the daemon ends: Ctrl-C ends the command itself (see interrupt.ts). */
async function watchAsLines({ output }: CommandContext, client: ApiClient): Promise<void> {
  let seen = new Set<string>();
  let last = 0;
  for await (const view of client.stream()) {
    const keys = new Set(view.events.map((event) => `${event.at} ${event.text}`));
    for (const key of keys) if (!seen.has(key)) output.note(key);
    seen = keys;
    if (Date.now() - last < trafficEveryMs) continue;
    last = Date.now();
    output.note(trafficLine(view));
  }
}

function trafficLine(view: StatusView): string {
  return `${new Date().toISOString()} ${view.health} ${rate(view.totals.rps)} rps, ${percent(view.totals.errorRatio)} errors`;
}
