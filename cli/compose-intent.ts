// What `compose up -d` would be told and what compose says of its files, for a plan. Runs compose, which only reads for this.
import { dirname } from "node:path";
import type { ComposeIntent } from "../daemon/api/plan-view.ts";
import { Problem } from "../daemon/api/problem.ts";
import { type ComposeCommand, fileArgs, type RunResult, run } from "./compose.ts";
import type { Project } from "./project.ts";

/** Of `compose up`, with a value behind it or behind `=`. */
const withValue: ReadonlySet<string> = new Set([
  "--attach",
  "--exit-code-from",
  "--no-attach",
  "--pull",
  "--scale",
  "--timeout",
  "--wait-timeout",
  "-t",
]);
/** Without a value, and without a meaning for what is started. */
const plain: ReadonlySet<string> = new Set([
  "--build",
  "--detach",
  "--force-recreate",
  "--no-build",
  "--no-color",
  "--no-deps",
  "--no-log-prefix",
  "--no-recreate",
  "--quiet-pull",
  "--remove-orphans",
  "--wait",
  "-d",
]);

type Arguments = Omit<ComposeIntent, "command" | "separator" | "config" | "hashes" | "profiles">;

/** `up`'s arguments behind `--`. */
export function readUpArguments(args: readonly string[]): Arguments {
  const services: string[] = [];
  const scale: Record<string, number> = {};
  const unread: string[] = [];
  const flags = new Set<string>();
  for (let i = 0; i < args.length; i++) {
    const [name = "", ...rest] = (args[i] ?? "").split("=");
    if (!name.startsWith("-")) services.push(args[i] ?? "");
    else if (withValue.has(name)) {
      const value = rest.length > 0 ? rest.join("=") : (args[++i] ?? "");
      const [, service = "", number = ""] = /^([^=]+)=(\d+)$/.exec(name === "--scale" ? value : "") ?? [];
      if (service !== "") scale[service] = Number(number);
    } else if (plain.has(name)) flags.add(name);
    else unread.push(args[i] ?? "");
  }
  return {
    services,
    scale,
    unread,
    recreates: flags.has("--force-recreate") ? "always" : flags.has("--no-recreate") ? "never" : "changed",
    builds: flags.has("--build"),
    hasDependencies: !flags.has("--no-deps"),
    removesOrphans: flags.has("--remove-orphans"),
  };
}

export interface IntentInput {
  readonly project: Project;
  readonly compose: ComposeCommand;
  readonly composeArgs: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** Throws Problem DM0404 with what compose says of its files. */
export async function composeIntent({ project, compose, composeArgs, env }: IntentInput): Promise<ComposeIntent> {
  const { command } = compose;
  const cwd = dirname(project.composeFiles[0] ?? project.folder);
  const base = [...compose.args, "-p", project.name, ...fileArgs(project.composeFiles)];
  const ask = async (...args: readonly string[]) => await run({ command, args: [...base, ...args], env, cwd });
  // Version 1 is slow to say anything: all at once.
  const [config, hashes, version] = await Promise.all([
    compose.args.length > 0 ? ask("config", "--format", "json") : ask("config"),
    ask("config", "--hash", "*"),
    run({ command, args: [...compose.args, "version", "--short"], env }),
  ]);
  if (config.code !== 0) throw refused([command, ...compose.args].join(" "), config);
  return {
    command: [command, ...compose.args].join(" "),
    separator: /^v?1\./.test(version.stdout.trim()) ? "_" : "-",
    config: config.stdout,
    hashes: hashes.code === 0 ? hashesIn(hashes.stdout) : {},
    profiles: (env.COMPOSE_PROFILES ?? "").split(",").filter((profile) => profile !== ""),
    ...readUpArguments(composeArgs),
  };
}

function refused(command: string, { code, stderr }: RunResult): Problem {
  const said = stderr.trim().split("\n").slice(-3).join("; ");
  return new Problem("DM0404", `${command} config failed with exit code ${code}: ${said}`, "nothing was changed");
}

/** "web 3c9d…" a line. */
function hashesIn(text: string): Record<string, string> {
  const pairs = text.split("\n").map((line) => line.trim().split(/\s+/));
  return Object.fromEntries(pairs.flatMap(([name, hash]) => (name && hash ? [[name, hash]] : [])));
}
