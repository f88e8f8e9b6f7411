// What may stand at the end of a command line that is being typed: from the declared commands alone, so nothing can be forgotten. Pure.
import type { Argument, Command, Option } from "commander";

export interface Completion {
  /** `open`: the word goes on behind a candidate, so no space follows. `files`: the shell's own names of files. */
  readonly kind: "words" | "open" | "files";
  readonly candidates: readonly Candidate[];
}

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** Names that only the project knows. `file` is what --file says on the line. */
export interface ProjectNames {
  services(file: string | undefined): readonly string[];
  versions(file: string | undefined, service: string): readonly string[];
}

/** What `logs` takes beside services. */
const logSources = ["gateway", "daemon"];
const nothing: Completion = { kind: "words", candidates: [] };

/** `words` are those behind the program's name; the last one is being typed and may be empty. */
export function complete(program: Command, words: readonly string[], names: ProjectNames): Completion {
  const line = joinAssignments(words);
  const current = line.at(-1) ?? "";
  const before = readLine(program, line.slice(0, -1));
  // Behind `--` stands what is compose's.
  if (before.isPassedOn) return nothing;
  if (before.command === null || current.includes("=")) return nothing;
  const found = candidatesFor(before.command, before, { current, names });
  return { ...found, candidates: found.candidates.filter(({ word }) => word.startsWith(current)) };
}

interface Line {
  /** Null: a word that is no command stands where one should. */
  readonly command: Command | null;
  readonly positionals: readonly string[];
  /** Waits for its value. */
  readonly option: Option | null;
  readonly file: string | undefined;
  readonly isPassedOn: boolean;
}

/** bash hands over `--file=a` as three words. */
function joinAssignments(words: readonly string[]): string[] {
  const joined: string[] = [];
  let isOpen = false;
  for (const word of words) {
    const last = joined.at(-1);
    if (last !== undefined && (isOpen || word === "=")) joined[joined.length - 1] = `${last}${word}`;
    else joined.push(word);
    isOpen = word === "=";
  }
  return joined;
}

function readLine(program: Command, words: readonly string[]): Line {
  let command: Command | null = program;
  let option: Option | null = null;
  let file: string | undefined;
  const positionals: string[] = [];
  for (const word of words) {
    if (option !== null) {
      if (option.long === "--file") file = word;
      option = null;
    } else if (word === "--") {
      return { command, positionals, option: null, file, isPassedOn: true };
    } else if (word.startsWith("-")) {
      const [name = word, value] = word.split(/=(.*)/s);
      const known: Option | undefined = command?.options.find(({ long, short }) => name === long || name === short);
      if (value === undefined && known?.required === true) option = known;
      if (known?.long === "--file") file = value ?? file;
    } else if (command === program) {
      command = program.commands.find((one) => one.name() === word || one.aliases().includes(word)) ?? null;
    } else positionals.push(word);
  }
  return { command, positionals, option, file, isPassedOn: false };
}

interface Wanted {
  readonly current: string;
  readonly names: ProjectNames;
}

function candidatesFor(command: Command, line: Line, { current, names }: Wanted): Completion {
  const { positionals, option } = line;
  if (option !== null) {
    const isFile = option.flags.includes("<file>");
    return isFile ? { kind: "files", candidates: [] } : plain(option.argChoices ?? []);
  }
  if (current.startsWith("-")) return { kind: "words", candidates: optionsOf(command) };
  if (command.parent === null) return { kind: "words", candidates: commandsOf(command) };
  const expected = command.registeredArguments;
  const last = expected.at(-1);
  const argument = expected[positionals.length] ?? (last?.variadic === true ? last : undefined);
  return argument === undefined ? nothing : valuesOf(argument, line, names);
}

function valuesOf(argument: Argument, { command, positionals, file }: Line, names: ProjectNames): Completion {
  if (argument.argChoices !== undefined) return plain(argument.argChoices);
  switch (argument.name()) {
    case "service":
      return plain([...names.services(file), ...(command?.name() === "logs" ? logSources : [])]);
    case "weights": {
      const taken = positionals.slice(1).map((assignment) => assignment.split("=")[0]);
      const left = names.versions(file, positionals[0] ?? "").filter((version) => !taken.includes(version));
      return { ...plain(left.map((version) => `${version}=`)), kind: "open" };
    }
    case "file":
      return { kind: "files", candidates: [] };
    default:
      return nothing;
  }
}

function optionsOf(command: Command): Candidate[] {
  const help = { word: "--help", description: "display help for command" };
  return [...command.options.map(({ long, short, description }) => ({ word: long ?? short ?? "", description })), help];
}

function commandsOf(program: Command): Candidate[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .map((command) => ({ word: command.name(), description: command.description() }));
}

function plain(words: readonly string[]): Completion {
  return { kind: "words", candidates: words.map((word) => ({ word, description: "" })) };
}
