// When a certificate is renewed: at half its life by the wall clock, since timers stop while a laptop sleeps.

/** How often the wall clock is compared: the shortest life is 10 s, and after a step of the clock nobody should wait for long. */
export const renewalCheckMs = 1_000;

export interface Signed {
  readonly notAfterMs: number;
  readonly lifetimeMs: number;
}

/** `lifetimeMs` is what it would be given now. Signed in what is now the future means that the clock has stepped back. */
export function isRenewalDue(signed: Signed, lifetimeMs: number, now: number): boolean {
  const signedAtMs = signed.notAfterMs - signed.lifetimeMs;
  return now >= signed.notAfterMs - signed.lifetimeMs / 2 || now < signedAtMs || signed.lifetimeMs !== lifetimeMs;
}
