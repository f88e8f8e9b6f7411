// The services' virtual addresses, kept over restarts: applications cache what a name resolved to.
import * as z from "zod";
import { readJson } from "./store.ts";
import type { StateWriter } from "./writer.ts";

export interface AddressBook {
  readonly addresses: ReadonlyMap<string, string>;
  /** In force at once; written behind, newest last. */
  set(addresses: ReadonlyMap<string, string>): void;
}

/** What the book says, for whoever must not write it. */
export async function readAddresses(file: string): Promise<ReadonlyMap<string, string>> {
  return new Map(Object.entries((await readJson(file, z.record(z.string(), z.string()))) ?? {}));
}

export async function openAddressBook(file: string, writer: StateWriter): Promise<AddressBook> {
  let addresses = await readAddresses(file);
  return {
    get addresses() {
      return addresses;
    },
    set(next) {
      const isSame = next.size === addresses.size && [...next].every(([name, at]) => addresses.get(name) === at);
      addresses = next;
      if (isSame) return;
      writer.write(file, Object.fromEntries(next)).catch(() => undefined);
    },
  };
}
