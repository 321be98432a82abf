import { describe, expect, test } from 'vitest';
import { dayOf, isTimeZone, mondays, quietUntil } from '../../core/notices/clock.ts';

const night = (timeZone: string) => ({ from: 22 * 60, to: 7 * 60, timeZone });
const at = (text: string) => new Date(text);

describe('quiet hours', () => {
  const TABLE: readonly [what: string, now: string, zone: string, until: string | undefined][] = [
    ['before midnight', '2026-11-26T22:30:00Z', 'UTC', '2026-11-27T07:00:00Z'],
    ['after midnight', '2026-11-27T03:00:00Z', 'UTC', '2026-11-27T07:00:00Z'],
    ['at their first minute', '2026-11-26T22:00:00Z', 'UTC', '2026-11-27T07:00:00Z'],
    ['at their end', '2026-11-27T07:00:00Z', 'UTC', undefined],
    ['by day', '2026-11-26T12:00:00Z', 'UTC', undefined],
    ['east of here', '2026-11-26T21:30:00Z', 'Europe/Berlin', '2026-11-27T06:00:00Z'],
    ['west of here', '2026-11-27T04:00:00Z', 'America/New_York', '2026-11-27T12:00:00Z'],
    ['in the night that is an hour shorter', '2026-03-28T23:00:00Z', 'Europe/Berlin', '2026-03-29T05:00:00Z'],
    ['in the night that is an hour longer', '2026-10-24T22:00:00Z', 'Europe/Berlin', '2026-10-25T06:00:00Z'],
    ['half an hour off', '2026-11-26T17:00:00Z', 'Asia/Kolkata', '2026-11-27T01:30:00Z'],
  ];
  test.each(TABLE)('%s', (_, now, zone, until) => {
    expect(quietUntil(at(now), night(zone))).toEqual(until === undefined ? undefined : at(until));
  });

  test('within one day', () => {
    const siesta = { from: 13 * 60, to: 15 * 60, timeZone: 'UTC' };
    expect(quietUntil(at('2026-11-26T14:00:00Z'), siesta)).toEqual(at('2026-11-26T15:00:00Z'));
    expect(quietUntil(at('2026-11-26T15:00:00Z'), siesta)).toBeUndefined();
  });

  test('that end at a time which a zone leaves out end behind the gap', () => {
    const early = { from: 60, to: 150, timeZone: 'Europe/Berlin' };
    expect(quietUntil(at('2026-03-29T00:30:00Z'), early)).toEqual(at('2026-03-29T01:30:00Z'));
  });
});

describe('Monday, 09:00', () => {
  test.each([
    ['on a Thursday', '2026-11-26T12:00:00Z', 'UTC', '2026-11-23T09:00:00Z', '2026-11-30T09:00:00Z'],
    ['a minute before', '2026-11-30T08:59:00Z', 'UTC', '2026-11-23T09:00:00Z', '2026-11-30T09:00:00Z'],
    ['at the very moment', '2026-11-30T09:00:00Z', 'UTC', '2026-11-30T09:00:00Z', '2026-12-07T09:00:00Z'],
    ['elsewhere', '2026-11-30T08:30:00Z', 'Europe/Berlin', '2026-11-30T08:00:00Z', '2026-12-07T08:00:00Z'],
    [
      'over a change of the clock',
      '2026-10-24T12:00:00Z',
      'Europe/Berlin',
      '2026-10-19T07:00:00Z',
      '2026-10-26T08:00:00Z',
    ],
    ['on a Sunday', '2026-11-29T23:30:00Z', 'Asia/Tokyo', '2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z'],
  ])('%s', (_, now, zone, last, next) => {
    expect(mondays(at(now), zone)).toEqual({ last: at(last), next: at(next) });
  });
});

test.each(['UTC', 'Pacific/Auckland', 'Pacific/Kiritimati', 'Pacific/Honolulu'])('in %s is that Monday’s', (zone) => {
  const { last, next } = mondays(at('2026-11-26T12:00:00Z'), zone);
  expect([dayOf(last, zone), dayOf(next, zone)]).toEqual(['2026-11-23', '2026-11-30']);
});

test.each([
  ['Europe/Berlin', true],
  ['UTC', true],
  ['Mars/Olympus', false],
  ['+02:00', false],
  ['', false],
  ['Europe/Berlin; DROP', false],
])('%s is a time zone: %s', (name, is) => {
  expect(isTimeZone(name)).toBe(is);
});
