#!/usr/bin/env node
// argv to command, and the only place that exits. Everything heavy is loaded by the command that needs it.
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { exitCodes, Problem } from "../daemon/api/problem.ts";
import type { CommandContext, GlobalFlags } from "./commands/context.ts";
import type { ImageAction } from "./commands/image.ts";
import { orInterrupted } from "./interrupt.ts";
import { createOutput } from "./output.ts";
import { printableLines } from "./screen/table.ts";
import { version } from "./version.ts";

const exitCodeHelp = `
Exit codes:
  0 ok · 1 failure · 2 usage · 3 configuration invalid · 4 Docker unreachable · 5 mesh not running
  6 timed out waiting · 7 a check failed (status: not healthy, doctor) · 130 interrupted`;

const result = { exitCode: exitCodes.ok as number };

function contextOf(command: Command): CommandContext {
  const flags = globalFlagsOf(command);
  const output = createOutput({
    isJson: flags.json === true,
    isQuiet: flags.quiet === true,
    isColourless: flags.color === false,
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
  });
  return { cwd: process.cwd(), env: process.env, output, flags };
}

/** Before the command or behind it: what was written last to the command wins. */
function globalFlagsOf(command: Command): GlobalFlags {
  const given = (of: Command) => Object.entries(of.opts()).filter(([name]) => of.getOptionValueSource(name) === "cli");
  return Object.fromEntries([...(command.parent === null ? [] : given(command.parent)), ...given(command)]);
}

/** Global options are declared for every command, since `logs` has a -f of its own, as `docker logs` has. */
function addGlobalOptions(command: Command): void {
  const fileFlags = command.options.some((option) => option.short === "-f") ? "--file <file>" : "-f, --file <file>";
  const options: readonly Option[] = [
    new Option(fileFlags, "mesh.yaml to use (default: DEVMESH_FILE, else mesh.yaml here or in a parent folder)"),
    new Option("-p, --project <name>", "compose project (default: what compose says)"),
    new Option("--json", "print JSON, errors too"),
    new Option("-q, --quiet", "print only data and errors"),
    new Option("--no-color", "no colour (as NO_COLOR)"),
  ];
  for (const option of options) command.addOption(command.parent === null ? option : option.hideHelp());
}

function buildProgram(): Command {
  const program = new Command("devmesh")
    .description("A service mesh for one developer's machine and for CI, on Docker, without Kubernetes.")
    .version(version, "--version", "print the version")
    .enablePositionalOptions()
    .addHelpText("after", exitCodeHelp)
    .exitOverride()
    // `explain` says it, in the form that was asked for.
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError();
  addLifecycle(program);
  addViews(program);
  addEdits(program);
  addShell(program);
  for (const command of [program, ...program.commands]) addGlobalOptions(command);
  return program;
}

function addLifecycle(program: Command): void {
  program
    .command("up [composeArgs...]")
    .description("start the project with compose and attach the mesh; arguments after -- go to compose up")
    .option("-d, --detach", "return when everything is ready")
    .option("--wait", "the same as --detach")
    .option("--timeout <seconds>", "how long to wait for the sidecars", seconds, 60)
    .option("--no-compose", "attach to what runs, start nothing")
    .option("--renew", "replace proxies that another version of devmesh has started, one after the other")
    .option("--no-tui", "plain lines instead of the live screen")
    .option("--plan", "say what would be done, and change nothing")
    .action(async (composeArgs: string[], flags: { plan?: boolean }, command: Command) => {
      const context = contextOf(command);
      if (flags.plan === true) {
        const { plan } = await import("./commands/plan.ts");
        const { preview } = await import("../daemon/preview.ts");
        result.exitCode = await plan(context, command.opts(), { composeArgs, preview });
        return;
      }
      const { up } = await import("./commands/up.ts");
      result.exitCode = await orInterrupted(context.output, up(context, command.opts(), composeArgs));
    });
  program
    .command("down")
    .description("stop the project and remove everything of the mesh")
    .option("--no-compose", "leave the project's containers running, without the mesh")
    .option("--volumes", "remove the project's volumes too (compose down --volumes)")
    .action(async (_flags: unknown, command: Command) => {
      const { down } = await import("./commands/down.ts");
      result.exitCode = await down(contextOf(command), command.opts());
    });
  program
    .command("image")
    .description("build the proxy's image, save it to a file, or load it from one")
    .addArgument(new Argument("<action>", "what to do").choices(["build", "save", "load"]))
    .argument("[file]", "to save to, or to load from")
    .option("--demo", "the images of the sample shop, too")
    .option("--base <image>", "build on this image, with Node 22 or later and Debian's packages")
    .option("--ca <file>", "certificates that the build trusts, too (default: DEVMESH_CA, else NODE_EXTRA_CA_CERTS)")
    .action(async (action: ImageAction, file: string | undefined, _flags: unknown, command: Command) => {
      const { image } = await import("./commands/image.ts");
      result.exitCode = await image(contextOf(command), command.opts(), { action, file });
    });
  program
    .command("demo")
    .description("start the sample shop under the mesh and show what it does")
    .option("--port <port>", "host port of the shop (default: 8080, or another where that is taken)", hostPort)
    .action(async (_flags: unknown, command: Command) => {
      const { demo } = await import("./commands/demo.ts");
      const context = contextOf(command);
      result.exitCode = await orInterrupted(context.output, demo(context, command.opts()));
    });
  program
    .command("daemon", { hidden: true })
    .requiredOption("--options <json>", "DaemonOptions")
    .action(async (flags: { options: string }) => {
      const { daemonMain } = await import("../daemon/main.ts");
      result.exitCode = await daemonMain(flags.options);
    });
}

function addViews(program: Command): void {
  program
    .command("status")
    .alias("ps")
    .description("services, versions, sidecars, traffic, problems; exit code 7 when not healthy")
    .option("--fail-on-bypass", "exit code 7 when bytes went past the mesh, or when not everything was counted")
    .action(async (_flags: unknown, command: Command) => {
      const { status } = await import("./commands/status.ts");
      result.exitCode = await status(contextOf(command), command.opts());
    });
  program
    .command("logs [service]")
    .description("logs of applications, sidecars and the daemon")
    .option("-f, --follow", "go on with what comes")
    .option("--tail <lines>", "only the last lines of each", wholeNumber)
    .option("--since <time>", "RFC 3339 or seconds since 1970")
    .action(async (service: string | undefined, _flags: unknown, command: Command) => {
      const { logs } = await import("./commands/logs.ts");
      result.exitCode = await logs(contextOf(command), service, command.opts());
    });
  program
    .command("metrics")
    .description("Prometheus metrics of the mesh")
    .action(async (_flags: unknown, command: Command) => {
      const { metrics } = await import("./commands/metrics.ts");
      result.exitCode = await metrics(contextOf(command));
    });
  program
    .command("doctor")
    .description("check this machine and its Docker engine, with throw-away containers; exit code 7 when a check fails")
    .action(async (_flags: unknown, command: Command) => {
      const { doctor } = await import("./commands/doctor.ts");
      result.exitCode = await doctor(contextOf(command));
    });
  program
    .command("version")
    .description("print the version")
    .action((_flags: unknown, command: Command) => {
      const { output } = contextOf(command);
      output.data(output.isJson ? JSON.stringify({ version, node: process.version }) : version);
    });
}

function addEdits(program: Command): void {
  program
    .command("validate [file]")
    .description("check mesh.yaml without Docker; exit code 3 when it has errors")
    .action(async (file: string | undefined, _flags: unknown, command: Command) => {
      const { validate } = await import("./commands/validate.ts");
      result.exitCode = await validate(contextOf(command), file);
    });
  program
    .command("split <service> <weights...>")
    .description("change a split in mesh.yaml, for example: devmesh split payment v2=20")
    .action(async (service: string, weights: string[], _flags: unknown, command: Command) => {
      const { split } = await import("./commands/split.ts");
      result.exitCode = await split(contextOf(command), service, weights);
    });
}

function addShell(program: Command): void {
  program
    .command("completion")
    .description("print the script with which a shell completes devmesh's commands, flags and services")
    .addArgument(new Argument("<shell>", "the shell").choices(["bash", "zsh", "fish"]))
    .action(async (shell: "bash" | "zsh" | "fish") => {
      const { completionScripts } = await import("./commands/completion.ts");
      process.stdout.write(completionScripts[shell]);
    });
  program.command("complete [words...]", { hidden: true }).action(async (words: string[]) => {
    const { complete } = await import("./complete.ts");
    const { projectNames } = await import("./service-names.ts");
    const found = complete(program, words, projectNames({ cwd: process.cwd(), env: process.env }));
    const lines = found.candidates.map(({ word, description }) => `${word}\t${description}`);
    process.stdout.write([found.kind, ...lines, ""].join("\n"));
  });
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("expected a whole number.");
  return Number(text);
}

/** npm only warns of `engines`; what then fails names no cause. */
function assertNode(version: string): void {
  if (Number.parseInt(version, 10) >= 22) return;
  throw new Problem(
    "DM0001",
    `devmesh needs Node 22 or later, this is ${version}`,
    "a clone has one: npm run demo uses it",
  );
}

function hostPort(text: string): number {
  const port = wholeNumber(text);
  if (port < 1 || port > 65_535) throw new InvalidArgumentError("expected a port from 1 to 65535.");
  return port;
}

function seconds(text: string): number {
  const value = Number(text.replace(/s$/, ""));
  if (!/^\d+(\.\d+)?s?$/.test(text) || value <= 0)
    throw new InvalidArgumentError("expected seconds, such as 60 or 60s.");
  return value;
}

/** Or the exit code, where help was printed. */
function usageProblem({ code, exitCode, message }: CommanderError): Problem | number {
  if (exitCode === 0) return exitCodes.ok;
  if (code.startsWith("commander.help")) return exitCodes.usage;
  const [, what = message, suggestion] = /^(?:error: )?(.*?)\.?(?:\n\((.*)\))?$/s.exec(message) ?? [];
  return new Problem("DM0002", what, suggestion ?? "devmesh --help and devmesh <command> --help list what there is");
}

/** Prints what went wrong in the form that was asked for; returns the exit code. */
async function explain(thrown: unknown, argv: readonly string[]): Promise<number> {
  const error = thrown instanceof CommanderError ? usageProblem(thrown) : thrown;
  if (typeof error === "number") return error;
  const isJson = argv.includes("--json");
  if (!(error instanceof Problem)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const hint = "this is a bug of devmesh";
    process.stderr.write(
      isJson
        ? `${JSON.stringify({ code: "DM0001", message: String(error), hint, stack })}\n`
        : `devmesh has a bug: ${stack}\n`,
    );
    return exitCodes.failure;
  }
  const { InvalidConfig } = await import("./daemon-process.ts");
  const diagnostics = error instanceof InvalidConfig ? error.diagnostics : [];
  if (isJson) {
    const first = diagnostics[0];
    const where = first === undefined ? {} : { file: first.file, line: first.line, column: first.column, diagnostics };
    process.stderr.write(
      `${JSON.stringify({ code: error.code, message: error.message, hint: error.hint, ...where })}\n`,
    );
    return error.exitCode;
  }
  const output = createOutput({
    isJson: false,
    isQuiet: false,
    isColourless: argv.includes("--no-color"),
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
  });
  for (const diagnostic of diagnostics) output.diagnostic(diagnostic);
  output.note(`${output.paint.red("ERR")} ${printableLines(error.message)} (${error.code})`);
  if (error.hint !== "") output.note(`  hint: ${printableLines(error.hint)}`);
  return error.exitCode;
}

try {
  assertNode(process.versions.node);
  await buildProgram().parseAsync();
} catch (error) {
  result.exitCode = await explain(error, process.argv);
}
// What a pipe has not taken yet would be lost with the process.
await Promise.all([process.stdout, process.stderr].map(flushed));
process.exit(result.exitCode);

/** A reader that has gone away ends the wait too. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once("error", () => resolve());
    stream.write("", () => resolve());
  });
}
