// The last things that happened, for the screen: a ring of plain sentences.

export const eventsMax = 100;

export interface EventLog {
  add(text: string): void;
  /** Newest last. */
  list(): readonly { readonly at: string; readonly text: string }[];
}

/** `now` is the wall clock. A sentence that repeats the last one is left out. */
export function createEventLog(now: () => number): EventLog {
  const events: { at: string; text: string }[] = [];
  return {
    add(text) {
      if (events.at(-1)?.text === text) return;
      events.push({ at: new Date(now()).toISOString(), text });
      if (events.length > eventsMax) events.shift();
    },
    list: () => [...events],
  };
}
