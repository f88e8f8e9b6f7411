import { Argument, Command } from "commander";
import { describe, expect, test } from "vitest";
import { complete } from "../../cli/complete.ts";
import { servicesIn, versionsIn } from "../../cli/service-names.ts";

const program = new Command("devmesh").option("-f, --file <file>", "the file").option("--json", "print JSON");
program
  .command("up [composeArgs...]")
  .description("start")
  .option("-d, --detach", "return")
  .option("--timeout <s>", "t");
program.command("status").alias("ps").description("see").option("--json", "print JSON");
program.command("logs [service]").option("-f, --follow", "go on").option("--file <file>", "the file");
program.command("split <service> <weights...>");
program.command("validate [file]");
program.command("completion").addArgument(new Argument("<shell>").choices(["bash", "zsh"]));
program.command("daemon", { hidden: true });

const names = {
  services: (file: string | undefined) => (file === undefined ? ["cart", "payment"] : [`of ${file}`]),
  versions: (_file: string | undefined, service: string) => (service === "payment" ? ["v1", "v2"] : []),
};

describe("what may stand at the end of a line", () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ["the commands, hidden ones left out", [""], ["up", "status", "logs", "split", "validate", "completion", "help"]],
    ["commands that begin so", ["s"], ["status", "split"]],
    ["a command behind a flag with a value", ["-f", "x.yaml", "st"], ["status"]],
    ["the flags of a command", ["up", "--"], ["--detach", "--timeout", "--help"]],
    ["an alias's flags", ["ps", "--j"], ["--json"]],
    ["flags before the command", ["--j"], ["--json"]],
    ["services, and where else logs come from", ["logs", ""], ["cart", "payment", "gateway", "daemon"]],
    ["a service behind a flag that takes no value", ["logs", "-f", "c"], ["cart"]],
    ["services of the file that is named", ["-f", "b.yaml", "split", ""], ["of b.yaml"]],
    ["the same in bash's three words", ["--file", "=", "b.yaml", "split", ""], ["of b.yaml"]],
    ["no second service", ["logs", "cart", ""], []],
    ["versions of the service", ["split", "payment", ""], ["v1=", "v2="]],
    ["versions that have no weight yet", ["split", "payment", "v1", "=", "50", ""], ["v2="]],
    ["no weight", ["split", "payment", "v1", "="], []],
    ["the choices of an argument", ["completion", "z"], ["zsh"]],
    ["nothing for a free value", ["up", "--timeout", ""], []],
    ["nothing of what is compose's", ["up", "--", ""], []],
    ["nothing behind what is no command", ["upp", ""], []],
  ])("%s", (_why, words, expected) => {
    expect(complete(program, words, names).candidates.map(({ word }) => word)).toEqual(expected);
  });

  test.each<[string, readonly string[], string]>([
    ["a file's name is the shell's business", ["validate", ""], "files"],
    ["so is a flag's", ["--file", ""], "files"],
    ["a weight goes on behind its version", ["split", "payment", ""], "open"],
    ["all else is a word", ["up", "-"], "words"],
  ])("%s", (_why, words, kind) => {
    expect(complete(program, words, names).kind).toBe(kind);
  });

  test("a command comes with its description", () => {
    expect(complete(program, ["sta"], names).candidates).toEqual([{ word: "status", description: "see" }]);
  });
});

const mesh = `# a mesh
name: shop
services:
  # website: { port: 1 }
  website: { port: 8080 }
  "cart":
    port: 8080
  payment:

    versions:
      v1: {}
      v2: { container: payment-v2 }
    split: { v1: 90, v3: 10 }
gateway:
  - { listen: 8080, to: website }
`;

describe("names without a parser", () => {
  test("services are the keys right below services:", () => {
    expect([...servicesIn(mesh).keys()]).toEqual(["website", "cart", "payment"]);
    expect([...servicesIn(mesh.replaceAll("\n", "\r\n")).keys()]).toEqual(["website", "cart", "payment"]);
  });

  test.each<[string, string]>([
    ["nothing", ""],
    ["no services", "name: shop\n"],
    ["services further in", "x:\n  services:\n    a: {}\n"],
    ["a list", "services:\n  - a\n"],
  ])("%s has none", (_why, text) => {
    expect([...servicesIn(text).keys()]).toEqual([]);
  });

  test.each<[string, string, readonly string[]]>([
    ["blocks", mesh, ["v1", "v2", "v3"]],
    ["lines", "services:\n  payment: { versions: { v1: {}, v2: { container: b } }, split: { v1: 1 } }\n", ["v1", "v2"]],
    ["a split in a block", "services:\n  payment:\n    split:\n      v1: 1\n      v2: 9\n    port: 80\n", ["v1", "v2"]],
    ["no versions", "services:\n  payment: { port: 80 }\n", []],
  ])("versions in %s", (_why, text, expected) => {
    expect(versionsIn(servicesIn(text).get("payment") ?? "")).toEqual(expected);
  });
});
