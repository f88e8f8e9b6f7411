// The mode `probe` of the image: one part of a throw-away pair with which `devmesh doctor` proves what the engine can do.
import type { RuleOptions } from "../capture/rules.ts";
import type { ProbeQuestions } from "../contract/probe.ts";
import { ask } from "./ask.ts";
import { serveApplication, serveSidecar } from "./serve.ts";

export async function probe(
  part: string | undefined,
  argument: string,
  options: () => Omit<RuleOptions, "proxyGroup">,
): Promise<void> {
  switch (part) {
    case "application":
      return await serveApplication();
    case "sidecar":
      return await serveSidecar(options());
    case "ask":
      process.stdout.write(`${JSON.stringify(await ask(JSON.parse(argument) as ProbeQuestions))}\n`);
      return;
    default:
      throw new Error(`unknown part of a probe: ${part}`);
  }
}
