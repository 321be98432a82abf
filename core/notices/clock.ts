const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const DAY_MINUTES = 1440;

/** Hours in which somebody is told only what cannot wait; they may go over midnight. */
export interface QuietHours {
  /** Minutes after midnight; never the same. */
  readonly from: number;
  readonly to: number;
  /** IANA name, such as `Europe/Berlin`. */
  readonly timeZone: string;
}

/** Whether this computer knows the zone: IANA names and their aliases, no offsets. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,99}$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** When the quiet hours that hold at that moment end; `undefined`: none hold. */
export function quietUntil(at: Date, { from, to, timeZone }: QuietHours): Date | undefined {
  const minute = wallMs(at, timeZone) / MINUTE_MS;
  const ofDay = minuteOfDay(at, timeZone);
  const isQuiet = from < to ? ofDay >= from && ofDay < to : ofDay >= from || ofDay < to;
  if (!isQuiet) return undefined;
  const midnight = Math.floor(minute / DAY_MINUTES) * DAY_MINUTES;
  const end = midnight + to + (ofDay < to ? 0 : DAY_MINUTES);
  const until = instantOf(end * MINUTE_MS, timeZone);
  // In the hour that a zone goes through twice the end may seem to be over: a minute later it is.
  return until > at ? until : new Date(at.getTime() + MINUTE_MS);
}

/** What the clock on the wall shows there, in minutes after midnight. */
export function minuteOfDay(at: Date, timeZone: string): number {
  const minute = Math.floor(wallMs(at, timeZone) / MINUTE_MS);
  return ((minute % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES;
}

/** Summaries of a week are told on Monday at this hour. */
const SUMMARY_HOUR = 9;

/** The last Monday, 09:00 in that zone, that is not after `at`; and the one a week later by the same clock on the wall. */
export function mondays(at: Date, timeZone: string): { readonly last: Date; readonly next: Date } {
  const wall = wallMs(at, timeZone) - SUMMARY_HOUR * 60 * MINUTE_MS;
  const day = Math.floor(wall / DAY_MS);
  const monday = day - ((day + 3) % 7); // day 0, 1 January 1970, was a Thursday
  const nineOf = (which: number) => instantOf(which * DAY_MS + SUMMARY_HOUR * 60 * MINUTE_MS, timeZone);
  return { last: nineOf(monday), next: nineOf(monday + 7) };
}

/** The day on the calendar there, such as `2026-11-30`. */
export function dayOf(at: Date, timeZone: string): string {
  return new Date(wallMs(at, timeZone)).toISOString().slice(0, 10);
}

/** What the clock on the wall shows there, as if it were UTC. */
function wallMs(at: Date, timeZone: string): number {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
}

/** When the clock on the wall shows that; a time that a zone leaves out is the moment after the gap. */
function instantOf(wall: number, timeZone: string): Date {
  const offsetAt = (ms: number) => wallMs(new Date(ms), timeZone) - ms;
  const first = wall - offsetAt(wall);
  const second = wall - offsetAt(first);
  return new Date(wallMs(new Date(second), timeZone) === wall ? second : Math.max(first, second));
}
