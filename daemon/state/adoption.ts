// What a new daemon may take for granted about proxies that ran on without one: who served, whose hosts file is clean.
import * as z from "zod";
import { readJson } from "./store.ts";
import type { StateWriter } from "./writer.ts";

const schema = z.object({ serving: z.array(z.string()), hostsCleaned: z.array(z.string()) });

export interface AdoptionRecord {
  /** Own container's `<id>@<startedAt>`: the same process still runs. */
  readonly serving: ReadonlySet<string>;
  /** As `hostsKey` names them. */
  readonly hostsCleaned: ReadonlySet<string>;
}

export interface Adoption extends AdoptionRecord {
  /** Written behind, when it differs. */
  update(record: AdoptionRecord): void;
}

/** Not flushed to the disk: after a power cut nothing runs that could be adopted. */
export async function openAdoption(file: string, writer: StateWriter): Promise<Adoption> {
  const found = await readJson(file, schema);
  let text = "";
  return {
    serving: new Set(found?.serving),
    hostsCleaned: new Set(found?.hostsCleaned),
    update(record) {
      const next = { serving: [...record.serving].sort(), hostsCleaned: [...record.hostsCleaned].sort() };
      const nextText = JSON.stringify(next);
      if (nextText === text) return;
      text = nextText;
      writer.write(file, next, { isFlushed: false }).catch(() => undefined);
    },
  };
}
