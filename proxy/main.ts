// Wires the proxy: what the container was started as, listeners, rules, privileges, control channel. No logic.
import { randomBytes } from "node:crypto";
import { addHosts } from "./capture/add-hosts.ts";
import { cleanHosts } from "./capture/clean-hosts.ts";
import { removeRules } from "./capture/remove-rules.ts";
import { parseOptions } from "./options.ts";
import { probe } from "./probe/probe.ts";
import { runGateway } from "./run-gateway.ts";
import { runSidecar } from "./run-sidecar.ts";

async function main(argv: readonly string[]): Promise<void> {
  const [mode, argument, last = ""] = argv;
  const boot = randomBytes(8).toString("hex");
  switch (mode) {
    case "sidecar":
      return await runSidecar(parseOptions(process.env.DEVMESH_OPTIONS), boot);
    case "gateway":
      return await runGateway(parseOptions(process.env.DEVMESH_OPTIONS), boot);
    case "remove-rules":
      return await removeRules();
    case "clean-hosts":
      if (argument === undefined) throw new Error("clean-hosts needs an address");
      await cleanHosts(argument);
      return;
    case "add-hosts":
      if (argument === undefined) throw new Error("add-hosts needs lines");
      return await addHosts(argument);
    case "probe":
      return await probe(argument, last, () => parseOptions(process.env.DEVMESH_OPTIONS));
    default:
      throw new Error(`unknown mode ${mode}: this image is started by devmesh`);
  }
}

// A bug crashes the process; the daemon starts it again and the rules stay, so nothing leaks meanwhile.
main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`[devmesh] ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
