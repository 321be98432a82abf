/**
 * How often Teams takes calls of one bot in one thread (learn.microsoft.com, rate limiting for bots), written down a second time and
 * counted as windows that move. 5 ms: what a clock may be off.
 */
const WINDOWS = [
  { most: 7, lengthMs: 1_000 },
  { most: 8, lengthMs: 2_000 },
  { most: 60, lengthMs: 30_000 },
  { most: 1_800, lengthMs: 3_600_000 },
] as const;
const SLACK_MS = 5;

export interface Rates {
  /** Counts a call. @returns the seconds to stay silent when it is one too many. */
  refuse(conversationId: string): number | undefined;
  /** How many calls were one too many. */
  readonly refused: number;
}

export function createRates(): Rates {
  const taken = new Map<string, number[]>();
  let refused = 0;
  return {
    refuse(conversationId) {
      const now = performance.now();
      const recent = (taken.get(conversationId) ?? []).filter((at) => at > now - 3_600_000);
      taken.set(conversationId, recent);
      for (const { most, lengthMs } of WINDOWS) {
        const within = recent.filter((at) => at > now - lengthMs + SLACK_MS);
        if (within.length < most) continue;
        refused++;
        return Math.max(1, Math.ceil(((within[0] ?? now) + lengthMs - now) / 1_000));
      }
      recent.push(now);
      return undefined;
    },
    get refused() {
      return refused;
    },
  };
}
