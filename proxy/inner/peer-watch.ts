// Notices a peer that is gone without a word (its container was killed: neither FIN nor RST comes). While streams are open,
// silence is answered with a PING, and a PING that nothing answers is the end. One timer for a whole session.
import type { Clock, Timer } from "./clock.ts";
import type { InnerLimits } from "./limits.ts";

export interface PeerWatchEvents {
  ping(token: number): void;
  dead(reason: string): void;
}

export class PeerWatch {
  readonly #clock: Clock;
  readonly #limits: InnerLimits;
  readonly #events: PeerWatchEvents;
  #timer: Timer | null = null;
  /** When the last byte came, or the watch began. */
  #heardAt = 0;
  #pingedAt = -1;
  #pings = 0;
  #isWatching = false;

  constructor(options: { readonly clock: Clock; readonly limits: InnerLimits }, events: PeerWatchEvents) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#events = events;
  }

  /** Something is expected from the peer from now on. */
  watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#heardAt = this.#clock.now();
    this.#pingedAt = -1;
    // A timer left from the last time fires early, and is then set anew: cheaper than one per busy period.
    this.#timer ??= this.#clock.setTimeout(this.#onTimer, this.#limits.silenceMs);
  }

  /** Any byte shows that the peer lives. */
  heard(): void {
    this.#heardAt = this.#clock.now();
    this.#pingedAt = -1;
  }

  /** How long ago the last byte came. */
  get silentMs(): number {
    return this.#clock.now() - this.#heardAt;
  }

  /** Pings now, whatever was heard before: it is dead unless a byte comes within `pongMs`. */
  ask(): void {
    this.#isWatching = true;
    this.#ping();
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimeout(this.#onTimer, this.#limits.pongMs);
  }

  #ping(): void {
    this.#pingedAt = this.#clock.now();
    this.#pings = (this.#pings + 1) >>> 0;
    this.#events.ping(this.#pings);
  }

  /** No stream is open: silence means nothing. */
  rest(): void {
    this.#isWatching = false;
  }

  stop(): void {
    this.#isWatching = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    if (!this.#isWatching) return;
    const now = this.#clock.now();
    const { silenceMs, pongMs } = this.#limits;
    if (this.#pingedAt >= 0 && now - this.#pingedAt >= pongMs) {
      // This process may have been stopped itself: what lies in the socket is read before the peer is judged.
      setImmediate(this.#judge);
      return;
    }
    if (this.#pingedAt < 0 && now - this.#heardAt >= silenceMs) {
      this.#ping();
    }
    const due = this.#pingedAt < 0 ? this.#heardAt + silenceMs : this.#pingedAt + pongMs;
    this.#timer = this.#clock.setTimeout(this.#onTimer, Math.max(1, due - now));
  };

  readonly #judge = (): void => {
    if (!this.#isWatching) return;
    if (this.#pingedAt < 0) this.#onTimer();
    else {
      const silentMs = Math.round(this.#clock.now() - this.#heardAt);
      this.#events.dead(`nothing was heard from it for ${silentMs} ms, and it did not answer a ping`);
    }
  };
}
