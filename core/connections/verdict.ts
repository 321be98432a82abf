import { createHash } from 'node:crypto';
import { type ConnectionPlace, EXPIRY_WARNING_DAYS, type HealthCause } from './place.ts';

/**
 * `healthy`: the service takes the key, and for what was approved. `degraded`: the service can't be reached, or something other
 * than the key stands in the way. `broken`: the service does not take the key, as two looks some minutes apart were told.
 * `expired`: its known end has passed. `unknown`: it can't be tried from here.
 */
export const CONNECTION_STATES = ['healthy', 'degraded', 'broken', 'expired', 'unknown'] as const;
export type ConnectionState = (typeof CONNECTION_STATES)[number];

/** What one look at a connection found; `reason` is a sentence without secrets. */
export interface Look {
  readonly kind: 'works' | 'refused' | 'impaired' | 'expired' | 'unknowable';
  readonly reason: string;
}

/** A connection as its row says. */
export interface Standing {
  readonly state: ConnectionState;
  readonly reason: string;
  readonly since: Date;
  /** Looks in a row that the service did not answer as it should. */
  readonly failures: number;
  /** Since when every look was told that the key is not taken. */
  readonly refusedSince: Date | null;
  /** What people were told last, when, and how often without a quiet day between. */
  readonly toldState: ConnectionState;
  readonly toldAt: Date | null;
  readonly toldCount: number;
  readonly warnedDays: number | null;
  readonly warnedFor: Date | null;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A refusal is looked at again after this: an outage that answers 401 once alarms nobody. */
export const CONFIRM_MS = 5 * MINUTE_MS;
/**
 * For so long a key has to be refused before it is replaced. A service whose sign-in is out of order refuses every key, the new
 * one as well: that one would be made for nothing, and be left behind.
 */
export const REPAIR_AFTER_MS = HOUR_MS;
/** Until then it is looked at again after each of these. */
const REFUSED_AGAIN_MS = 20 * MINUTE_MS;
/** What an interval promises includes the second look and a pass that comes late. */
const SLACK_MS = 15 * MINUTE_MS;
/** Doubled with each look that fails, up to the interval. */
const BACKOFF_FIRST_MS = 5 * MINUTE_MS;
/** How long a service may be away before anybody is told of it. */
const OUTAGE_TOLD_MS = HOUR_MS;
/** What was told twice within a day has to last this long before it is told again, whatever it is. */
export const DAMPED_MS = 6 * HOUR_MS;
const TOLD_UNDAMPED = 2;

/** What is known after a look. */
export function judge(before: Standing, look: Look, now: Date): Standing {
  const known = before.state === 'broken' || before.state === 'expired';
  switch (look.kind) {
    case 'works':
      return { ...before, ...become(before, 'healthy', look, now), failures: 0, refusedSince: null };
    case 'expired':
      return { ...before, ...become(before, 'expired', look, now), failures: 0, refusedSince: null };
    case 'refused': {
      const refusedSince = before.refusedSince ?? now;
      const isConfirmed = before.state === 'broken' || now.getTime() - refusedSince.getTime() >= CONFIRM_MS;
      if (isConfirmed) return { ...before, ...become(before, 'broken', look, now), failures: 0, refusedSince };
      const reason = `${look.reason} It is looked at once more in a few minutes.`;
      return { ...before, ...become(before, 'degraded', { reason }, now), failures: 0, refusedSince };
    }
    case 'impaired':
    case 'unknowable': {
      const failures = look.kind === 'impaired' ? before.failures + 1 : 0;
      // A key that was refused for good is no better for a service that is away.
      if (known && look.kind === 'impaired') return { ...before, failures };
      const state = look.kind === 'impaired' ? 'degraded' : 'unknown';
      return { ...before, ...become(before, state, look, now), failures, refusedSince: null };
    }
    default:
      return look.kind satisfies never;
  }
}

function become(before: Standing, state: ConnectionState, { reason }: Pick<Look, 'reason'>, now: Date) {
  return { state, reason, since: before.state === state ? before.since : now };
}

/**
 * Whether people are told of the state now. Once a state, and what comes and goes within the hour never; where it comes and goes
 * time after time, only what lasts.
 */
export function isToBeTold(standing: Standing, now: Date): boolean {
  const at = tellAt(standing, now);
  return at !== undefined && at <= now.getTime();
}

/** When people are told of the state, if it lasts until then; nothing where they know it. */
function tellAt(standing: Standing, now: Date): number | undefined {
  const { state, since, toldState } = standing;
  if (state === toldState) return undefined;
  const isOutage = state === 'degraded' || state === 'unknown';
  const ownMs = isOutage ? OUTAGE_TOLD_MS : 0;
  // A key that has ended does not come back.
  const isDamped = state !== 'expired' && toldWithinADay(standing, now) >= TOLD_UNDAMPED;
  return since.getTime() + (isDamped ? Math.max(ownMs, DAMPED_MS) : ownMs);
}

/** How a row reads once its state was told. */
export function told(standing: Standing, now: Date): Standing {
  const toldCount = toldWithinADay(standing, now) + 1;
  return { ...standing, toldState: standing.state, toldAt: now, toldCount };
}

function toldWithinADay({ toldAt, toldCount }: Standing, now: Date): number {
  return toldAt !== null && now.getTime() - toldAt.getTime() < DAY_MS ? toldCount : 0;
}

/** The warning that is due: the nearest one that was not given yet of this expiry. */
export function warningDue({ warnedDays, warnedFor }: Standing, expiresAt: Date | null, now: Date): number | undefined {
  if (expiresAt === null || expiresAt <= now) return undefined;
  const leftMs = expiresAt.getTime() - now.getTime();
  const days = EXPIRY_WARNING_DAYS.findLast((each) => leftMs <= each * DAY_MS);
  if (days === undefined) return undefined;
  const isGiven = warnedFor?.getTime() === expiresAt.getTime() && warnedDays !== null && warnedDays <= days;
  return isGiven ? undefined : days;
}

/** What a repair is considered for; nothing as long as a refusal may be over by itself. */
export function causeOf({ state, refusedSince }: Standing, expiresAt: Date | null, now: Date): HealthCause | undefined {
  if (state === 'expired') return state;
  if (isRefusedOfLate(refusedSince, now)) return undefined;
  if (state === 'broken') return state;
  const isNear = expiresAt !== null && expiresAt.getTime() - now.getTime() <= EXPIRY_WARNING_DAYS[0] * DAY_MS;
  return isNear ? 'expiring' : undefined;
}

function isRefusedOfLate(refusedSince: Date | null, now: Date): boolean {
  return refusedSince !== null && now.getTime() - refusedSince.getTime() < REPAIR_AFTER_MS;
}

/**
 * When the next look is due. Each place has a moment of its own in the interval, so that a thousand keys are not tried at once;
 * what is away is tried ever more seldom, a refusal again within minutes and until a repair may begin; and a known expiry, its
 * warnings, and the moment at which people are told of what has lasted so long are met to the minute.
 * @param everyMs the interval within which a break is found and confirmed.
 */
export function nextLookAt(
  place: ConnectionPlace,
  standing: Standing,
  { now, expiresAt, everyMs }: { readonly now: Date; readonly expiresAt: Date | null; readonly everyMs: number },
): Date {
  const { failures, refusedSince, state } = standing;
  const lookEveryMs = Math.max(everyMs - SLACK_MS, BACKOFF_FIRST_MS);
  const share = shareOf(place);
  const at = now.getTime();
  const own = at + lookEveryMs - modulo(at - share * lookEveryMs, lookEveryMs);
  const waitMs = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 20), lookEveryMs);
  const backoff = at + Math.min(waitMs * (1 + share / 4), lookEveryMs);
  const due = [failures > 0 ? backoff : own];
  if (failures === 0 && isRefusedOfLate(refusedSince, now)) {
    const againMs = state === 'broken' ? REFUSED_AGAIN_MS : CONFIRM_MS;
    due.push(at + againMs + share * MINUTE_MS);
  }
  const toldAt = tellAt(standing, now);
  if (toldAt !== undefined && toldAt > at) due.push(toldAt);
  if (expiresAt !== null)
    for (const days of [...EXPIRY_WARNING_DAYS, 0]) {
      const moment = expiresAt.getTime() - days * DAY_MS;
      if (moment > at) due.push(moment);
    }
  return new Date(Math.min(...due));
}

/** From 0 to 1, the same for a place for ever. */
function shareOf({ customerId, service, target, credentialType }: ConnectionPlace): number {
  const hash = createHash('sha256').update([customerId, service, target, credentialType].join('|')).digest();
  return hash.readUInt32BE(0) / 2 ** 32;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
