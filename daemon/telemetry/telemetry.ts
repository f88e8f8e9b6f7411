// Where reports arrive: each is added to the totals, to the last ten seconds, and to what is known of its proxy.
import type { ProxyCounters, Report } from "../../proxy/contract/report.ts";
import { Ledger } from "./ledger.ts";
import { Traffic } from "./traffic.ts";

export interface Telemetry {
  readonly ledger: Ledger;
  readonly traffic: Traffic;
  /** `proxy` is the own container's id; `isResumed`: counted before this daemon knew that process. */
  add(proxy: string, report: Report, isResumed: boolean): void;
  counters(proxy: string): ProxyCounters | null;
  forget(proxy: string): void;
}

/** `now` in milliseconds of a clock that never steps. */
export function openTelemetry(now: () => number): Telemetry {
  const ledger = new Ledger();
  const traffic = new Traffic();
  const counters = new Map<string, ProxyCounters>();
  return {
    ledger,
    traffic,
    add(proxy, report, isResumed) {
      const isKnown = counters.has(proxy);
      const growth = ledger.add(proxy, report);
      counters.set(proxy, report.proxy);
      // An adopted proxy's past belongs to the totals, not to the last ten seconds. After a lost channel its growth is new.
      if (!isResumed || isKnown) traffic.add(growth, now());
    },
    counters: (proxy) => counters.get(proxy) ?? null,
    forget(proxy) {
      ledger.forget(proxy);
      counters.delete(proxy);
    },
  };
}
