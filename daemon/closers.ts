// Ends what was opened, the newest first, each whatever became of the others. (AsyncDisposableStack needs Node 24.)

export interface Closers {
  add(close: () => unknown): void;
  /** Never throws: what fails to close goes to `onError`. */
  close(): Promise<void>;
}

export function createClosers(onError: (error: unknown) => void): Closers {
  const closers: (() => unknown)[] = [];
  return {
    add: (close) => closers.push(close),
    async close() {
      for (let close = closers.pop(); close !== undefined; close = closers.pop()) {
        try {
          await close();
        } catch (error) {
          onError(error);
        }
      }
    },
  };
}
