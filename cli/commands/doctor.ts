// `devmesh doctor`: says what of this machine and of its Docker engine keeps a mesh from working, and what mends it.
import { exitCodes } from "../../daemon/api/problem.ts";
import { composeVersion } from "../compose.ts";
import { proxyImage } from "../daemon-process.ts";
import type { Output } from "../output.ts";
import { printable } from "../screen/table.ts";
import type { CommandContext } from "./context.ts";

interface Finding {
  readonly id: string;
  readonly status: "ok" | "warn" | "fail";
  readonly what: string;
  readonly hint: string;
}

export async function doctor({ env, output }: CommandContext): Promise<number> {
  const started = performance.now();
  const findings: Finding[] = [];
  const stop = new AbortController();
  // What was made goes away first; who interrupts twice leaves it to the next doctor.
  const onSignal = (): void => stop.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, onSignal);
  try {
    const { examine } = await import("../../daemon/doctor/doctor.ts");
    const isReached = await examine({
      env,
      compose: composeVersion(env),
      image: () => proxyImage(env),
      signal: stop.signal,
      onFinding: (finding) => {
        findings.push(finding);
        if (!output.isJson) output.data(line(finding, output));
      },
    });
    if (output.isJson) output.data(JSON.stringify(findings, null, 2));
    output.note(
      output.paint.dim(`${findings.length} checks in ${((performance.now() - started) / 1000).toFixed(1)} s`),
    );
    if (!isReached) return exitCodes.dockerUnreachable;
    return findings.some(({ status }) => status === "fail") ? exitCodes.checkFailed : exitCodes.ok;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    output.note("interrupted; what it had made is removed");
    return exitCodes.interrupted;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, onSignal);
  }
}

function line({ status, what, hint }: Finding, { dataPaint }: Output): string {
  const words = { ok: dataPaint.green("ok  "), warn: dataPaint.yellow("warn"), fail: dataPaint.red("FAIL") };
  return `${words[status]}  ${printable(what)}${hint === "" ? "" : `; ${printable(hint)}`}`;
}
