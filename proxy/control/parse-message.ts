// The boundary of the control channel: a line becomes a ToProxy or an error that says what is wrong with it.
import type { Change } from "../contract/diff.ts";
import type { ToProxy } from "../contract/messages.ts";

type Json = Readonly<Record<string, unknown>>;

/** Throws on anything that is not exactly one of the messages. */
export function parseMessage(line: string): ToProxy {
  const message = object(JSON.parse(line), "the message");
  switch (message.t) {
    case "hello": {
      const contract = object(message.contract, "contract");
      return {
        t: "hello",
        contract: { major: integer(contract.major, "major"), minor: integer(contract.minor, "minor") },
        epoch: integer(message.epoch, "epoch"),
        takesChanges: message.takesChanges === true,
      };
    }
    case "config":
      return { t: "config", change: change(message.change) };
    case "certificate":
      return {
        t: "certificate",
        chain: text(message.chain, "chain"),
        roots: text(message.roots, "roots"),
        notAfterMs: integer(message.notAfterMs, "notAfterMs"),
      };
    case "drain":
      return { t: "drain" };
    case "ping":
      return { t: "ping", n: integer(message.n, "n") };
    default:
      throw new Error(`unknown message ${JSON.stringify(message.t)?.slice(0, 40)}`);
  }
}

function change(value: unknown): Change {
  const { base, hash, set, remove } = object(value, "change");
  if (!Array.isArray(remove)) throw new Error("remove is not a list");
  const resources = object(set, "set");
  for (const [key, resource] of Object.entries(resources)) text(resource, key);
  return {
    base: base === null ? null : text(base, "base"),
    hash: text(hash, "hash"),
    set: resources as Readonly<Record<string, string>>,
    remove: remove.map((key) => text(key, "a member of remove")),
  };
}

function object(value: unknown, what: string): Json {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error(`${what} is not an object`);
  return value as Json;
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new Error(`${what} is not a string`);
  return value;
}

function integer(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value)) throw new Error(`${what} is not an integer`);
  return value as number;
}
