// `npm run soak [-- --minutes 30] [--seed N]`: the daemon killed at every step, random faults under load, and a verdict.
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { soakFaults } from "./faults.ts";
import { walkShop } from "./shop-walk.ts";
import { soak } from "./soak.ts";

const usage = `npm run soak [-- --minutes N] [--seed N] [--shared-engine] [--no-walk]

First the sample shop's up and down with the daemon killed after each of their calls to Docker (--no-walk leaves it out). Then random faults on a small project under load, for 30 minutes: containers, sidecars, the daemon, the engine and the connection to it.
The seed draws the same faults again. --shared-engine uses this machine's engine, and leaves out the faults that restart it.
Ends with what was wrong; the exit code is then 1.`;

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "30" },
      seed: { type: "string" },
      "shared-engine": { type: "boolean", default: false },
      "no-walk": { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  const minutes = Number(values.minutes);
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  if (values.help === true || !(minutes > 0) || !Number.isInteger(seed)) {
    console.log(usage);
    return values.help === true ? 0 : 1;
  }
  const hasOwnEngine = !values["shared-engine"];
  const faults = soakFaults.filter(({ needsEngine }) => hasOwnEngine || needsEngine !== true);
  const walked = values["no-walk"] ? [] : await walkShop((text) => console.log(text));
  const startedAt = Date.now();
  console.log(`${minutes} minutes of ${faults.length} kinds of faults, seed ${seed}`);
  const soaked = await soak({
    ...{ seed, faults, hasOwnEngine, untilMs: startedAt + minutes * 60_000 },
    print: (text) => console.log(`${String(Math.round((Date.now() - startedAt) / 1000)).padStart(5)} s  ${text}`),
  });
  const verdict = [...walked, ...soaked];
  for (const problem of verdict) console.log(`WRONG  ${problem}`);
  console.log(
    verdict.length === 0 ? "nothing was wrong" : `${verdict.length} things were wrong; again with --seed ${seed}`,
  );
  return verdict.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
