// `npm run bench -- --case up,reload,recover [--rounds N] [--json FILE]`: measures, prints a table, exits 1 when a bar is missed.
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { recover } from "./cases/recover.ts";
import { reload } from "./cases/reload.ts";
import { up } from "./cases/up.ts";
import { type BenchCase, type Row, rowOf, tableOf } from "./measure.ts";

const cases: readonly BenchCase[] = [up, reload, recover];
const usage = `npm run bench -- [--case a,b] [--rounds N] [--json FILE]

${cases.map(({ name, about, rounds }) => `  ${name.padEnd(10)}${about} (${rounds} rounds)`).join("\n")}

Without --case all of them. Every value of a measurement has to be within its bar; else the exit code is 1.`;

function optionsOf(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      case: { type: "string" },
      rounds: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const names = values.case?.split(",") ?? cases.map(({ name }) => name);
  const unknown = names.find((name) => !cases.some((one) => one.name === name));
  if (unknown !== undefined) throw new Error(`there is no case ${unknown}`);
  const rounds = values.rounds === undefined ? null : Number(values.rounds);
  if (rounds !== null && !(Number.isInteger(rounds) && rounds > 0)) throw new Error("--rounds is a number above 0");
  return { chosen: cases.filter(({ name }) => names.includes(name)), rounds, json: values.json, help: values.help };
}

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOf(args);
  if (options.help === true) {
    console.log(usage);
    return 0;
  }
  const [model = "unknown CPU"] = cpus().map((cpu) => cpu.model);
  const machine = { cores: availableParallelism(), cpu: model, node: process.version, load: loadavg()[0] ?? 0 };
  console.error(`${machine.cores} cores, ${machine.cpu}, load ${machine.load.toFixed(1)}`);
  const rows: Row[] = [];
  for (const one of options.chosen) {
    console.error(`${one.name}: ${one.about}`);
    const measured = await one.run(options.rounds ?? one.rounds, (text) => console.error(`  ${text}`));
    rows.push(...measured.map((measurement) => rowOf(one.name, measurement)));
  }
  console.log(tableOf(rows));
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ at: new Date().toISOString(), machine, rows }, null, 2)}\n`);
  }
  return rows.some(({ isMissed }) => isMissed) ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (error instanceof Error && /^there is no|^--|^Unknown option/.test(error.message)) console.error(`\n${usage}`);
  process.exitCode = 2;
}
