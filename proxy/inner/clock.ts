// Time as the sessions see it, passed in so that a test can decide what time it is.

export interface Clock {
  /** Milliseconds that never go backwards. */
  now(): number;
  /** The timer does not keep the process alive. */
  setTimeout(callback: () => void, ms: number): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
