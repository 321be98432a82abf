import { describe, expect, test } from 'vitest';
import {
  CONFIRM_MS,
  causeOf,
  isToBeTold,
  judge,
  type Look,
  nextLookAt,
  REPAIR_AFTER_MS,
  type Standing,
  told,
  warningDue,
} from '../../core/connections/verdict.ts';
import { customerId, newUuid } from '../../core/ids.ts';

const START = new Date('2026-01-01T00:00:00Z');
const elapsed = (ms: number) => new Date(START.getTime() + ms);
const HOUR = 3_600_000;
const fresh: Standing = {
  ...{ state: 'healthy', reason: '', since: START, failures: 0, refusedSince: null },
  ...{ toldState: 'healthy', toldAt: null, toldCount: 0, warnedDays: null, warnedFor: null },
};
const works: Look = { kind: 'works', reason: 'it works' };
const refused: Look = { kind: 'refused', reason: 'it is not taken' };
const away: Look = { kind: 'impaired', reason: 'it is away' };

describe('a verdict', () => {
  test('of broken takes two refusals with time between them, and none that works', () => {
    const once = judge(fresh, refused, START);
    expect(once.state).toBe('degraded');
    expect(judge(once, refused, elapsed(CONFIRM_MS - 1)).state).toBe('degraded');
    expect(judge(once, refused, elapsed(CONFIRM_MS)).state).toBe('broken');
    expect(judge(judge(once, works, elapsed(1)), refused, elapsed(CONFIRM_MS)).state).toBe('degraded');
    expect(judge(judge(once, away, elapsed(1)), refused, elapsed(CONFIRM_MS)).state).toBe('degraded');
  });

  test('of broken stands while the service is away', () => {
    const broken = judge(judge(fresh, refused, START), refused, elapsed(CONFIRM_MS));
    expect(judge(broken, away, elapsed(HOUR)).state).toBe('broken');
  });

  test('of broken is a cause for a repair once it has been refused for an hour', () => {
    const broken = judge(judge(fresh, refused, START), refused, elapsed(CONFIRM_MS));
    const cause = (standing: Standing, ms: number) => causeOf(standing, elapsed(HOUR * 24), elapsed(ms));
    expect([cause(broken, REPAIR_AFTER_MS - 1), cause(broken, REPAIR_AFTER_MS)]).toEqual([undefined, 'broken']);
    expect(cause(fresh, 0)).toBe('expiring');
    expect(cause(judge(fresh, refused, START), 1)).toBeUndefined();
  });

  test('that changes all the time is told a few times a day', () => {
    let standing = fresh;
    let tellings = 0;
    for (let minutes = 0; minutes < 7 * 24 * 60; minutes += 30) {
      const now = elapsed(minutes * 60_000);
      const isDown = Math.floor(minutes / 120) % 2 === 1; // two hours up, two hours down
      standing = judge(standing, isDown ? refused : works, now);
      if (!isToBeTold(standing, now)) continue;
      tellings += 1;
      standing = told(standing, now);
    }
    expect(tellings).toBeLessThanOrEqual(3 * 7);
  });

  test('that a key has ended is told at once, however much came and went before', () => {
    const restless = { ...fresh, toldState: 'healthy', toldAt: START, toldCount: 2 } as const;
    const at = elapsed(HOUR);
    const ended = judge(restless, { kind: 'expired', reason: 'it has ended' }, at);
    const gone = judge(restless, away, at);
    expect([isToBeTold(ended, at), isToBeTold(gone, elapsed(2 * HOUR))]).toEqual([true, false]);
  });

  test('of a warning is the nearest that was not given, once', () => {
    const end = elapsed(20 * 24 * HOUR);
    const on = (day: number, warnedDays: number | null = null) =>
      warningDue({ ...fresh, warnedDays, warnedFor: warnedDays === null ? null : end }, end, elapsed(day * 24 * HOUR));
    expect([on(5), on(6), on(7, 14), on(13, 14), on(18, 7), on(19, 7), on(19.5, 1), on(20)]).toEqual([
      undefined,
      14,
      undefined,
      7,
      undefined,
      1,
      undefined,
      undefined,
    ]);
    expect(on(19.5)).toBe(1); // after a long standstill the one that counts
  });
});

describe('looks', () => {
  const places = Array.from({ length: 1200 }, (_, n) => ({
    ...{ customerId: customerId(newUuid()), service: 'woocommerce', credentialType: 'api_key' },
    target: `https://shop-${n}.example.com`,
  }));
  const due = (standing: Standing, now: Date, expiresAt: Date | null = null) =>
    places.map((place) => nextLookAt(place, standing, { now, expiresAt, everyMs: 6 * HOUR }).getTime() - now.getTime());

  test('are spread over the interval, and none is later than it promises', () => {
    const waits = due(fresh, START);
    expect(Math.max(...waits)).toBeLessThanOrEqual(6 * HOUR - 15 * 60_000);
    const perHalfHour = Array.from(
      { length: 11 },
      (_, n) => waits.filter((ms) => Math.floor(ms / (HOUR / 2)) === n).length,
    );
    for (const count of perHalfHour) expect(count).toBeGreaterThan(60);
  });

  test('come again within minutes after a refusal, and ever more seldom at a service that is away', () => {
    const once = judge(fresh, refused, START);
    expect(Math.max(...due(once, START))).toBeLessThan(7 * 60_000);
    const broken = judge(once, refused, elapsed(CONFIRM_MS));
    expect(Math.max(...due(broken, elapsed(CONFIRM_MS)))).toBeLessThan(22 * 60_000);
    expect(Math.max(...due(broken, elapsed(HOUR)))).toBeGreaterThan(HOUR);
    const waits = [1, 2, 4, 8, 100].map((failures) =>
      Math.max(...due({ ...fresh, state: 'degraded', failures }, START)),
    );
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBeLessThanOrEqual(6 * HOUR - 15 * 60_000);
  });

  test('meet the moment at which people are told of what has lasted', () => {
    const restless = { ...fresh, toldState: 'degraded', toldAt: START, toldCount: 2, since: elapsed(HOUR) } as const;
    const now = elapsed(2 * HOUR);
    expect(isToBeTold(restless, now)).toBe(false);
    const everyDay = places.map((place) => nextLookAt(place, restless, { now, expiresAt: null, everyMs: 24 * HOUR }));
    expect(Math.max(...everyDay.map(Number))).toBe(elapsed(7 * HOUR).getTime());
    expect(isToBeTold(restless, elapsed(7 * HOUR))).toBe(true);
  });

  test('meet the end of a key, and its warnings', () => {
    expect(Math.max(...due(fresh, START, elapsed(90_000)))).toBe(90_000);
    expect(Math.max(...due(fresh, START, elapsed(14 * 24 * HOUR + 30_000)))).toBe(30_000);
  });
});
