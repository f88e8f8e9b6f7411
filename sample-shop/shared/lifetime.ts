// Ends a service as Docker asks it to: on SIGTERM (or Ctrl-C) it closes what was given, in order, and leaves.

/** Less than the 10 s after which Docker kills. */
const closeWaitMs = 8_000;

export function closeOnSignal(...owned: readonly { close(): void | Promise<void> }[]): void {
  let isClosing = false;
  const end = async (signal: string) => {
    if (isClosing) return;
    isClosing = true;
    console.log(`${signal}: closing`);
    setTimeout(() => process.exit(1), closeWaitMs).unref();
    for (const one of owned) await one.close();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => {
      end(signal).catch((error: unknown) => {
        console.error(error);
        process.exit(1);
      });
    });
  }
}

/** A number from the environment; ends the program with a message when it is none. */
export function numberFromEnv(name: string, fallback: number): number {
  const text = process.env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`${name} is to be a number of at least 0, not "${text}"`);
  process.exit(2);
}
