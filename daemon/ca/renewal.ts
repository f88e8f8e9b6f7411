// When a certificate is renewed: at half its life by the wall clock, since timers stop while a laptop sleeps.

/** How often the wall clock is compared. */
export const renewalCheckMs = 30_000;

export function isRenewalDue(notAfterMs: number, lifetimeMs: number, now: number): boolean {
  return now >= notAfterMs - lifetimeMs / 2;
}
