// The services' virtual addresses, kept over restarts: applications cache what a name resolved to.
import * as z from "zod";
import { readJson, writeJson } from "./store.ts";

export interface AddressBook {
  readonly addresses: ReadonlyMap<string, string>;
  /** In force at once; written behind, newest last. */
  set(addresses: ReadonlyMap<string, string>): void;
  /** Resolves when everything is on disk. Throws Problem DM0402. */
  flush(): Promise<void>;
}

/** `onError`: a write failed; the book goes on in memory. */
export async function openAddressBook(file: string, onError: (error: unknown) => void): Promise<AddressBook> {
  let addresses: ReadonlyMap<string, string> = new Map(
    Object.entries((await readJson(file, z.record(z.string(), z.string()))) ?? {}),
  );
  let writing: Promise<void> = Promise.resolve();
  return {
    get addresses() {
      return addresses;
    },
    set(next) {
      const isSame = next.size === addresses.size && [...next].every(([name, at]) => addresses.get(name) === at);
      addresses = next;
      if (isSame) return;
      writing = writing.catch(() => undefined).then(() => writeJson(file, Object.fromEntries(next)));
      writing.catch(onError);
    },
    flush: () => writing,
  };
}
