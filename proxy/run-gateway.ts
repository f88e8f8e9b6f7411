// The life of a gateway: the same engine, with listeners of its own instead of captured connections.
import { Connections } from "./listener/connections.ts";
import { GatewayListeners } from "./listener/gateway.ts";
import type { ProxyOptions } from "./options.ts";
import { ProxyProcess } from "./process.ts";

export async function runGateway(_options: ProxyOptions, boot: string): Promise<void> {
  const proxy = new ProxyProcess(boot);
  const connections = new Connections();
  const state: { listeners: GatewayListeners | null } = { listeners: null };
  const engine = proxy.engine((table) => {
    state.listeners?.apply(table).catch((error: Error) => proxy.log.line(`[devmesh] gateway: ${error.message}`));
  });
  await proxy.start(async () => {
    state.listeners = new GatewayListeners({ context: engine.context, connections });
    await state.listeners.apply(engine.table);
  });
  await proxy.stopped;
  state.listeners?.close();
  await connections.drain(proxy.drainMs);
  await proxy.close();
}
