import type { Audit } from '../audit/audit.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { type CustomerId, type OperationId, parseOperationId } from '../ids.ts';
import type { Mover } from '../operations/move.ts';
import type { Operation } from '../operations/operation.ts';
import type { Operations } from '../operations/operations.ts';
import type { Log } from '../ports/log.ts';
import { createTurns, type Turns } from '../turns.ts';
import { type LookDeps, lookAt } from './look.ts';
import type { ConnectionPlace, HealthCause, Repair } from './place.ts';
import { type Claim, claim, dueOf, isStillOurs, release, settle } from './records.ts';
import {
  causeOf,
  isToBeTold,
  judge,
  type Look,
  nextLookAt,
  type Standing,
  told as toldNow,
  warningDue,
} from './verdict.ts';
import { withdrawQuestions } from './withdrawal.ts';

export interface HealthDeps extends LookDeps {
  readonly database: Database;
  readonly directory: Pick<Directory, 'customersToCheck' | 'standstill'>;
  readonly audit: Audit;
  readonly operations: Pick<Operations, 'get'>;
  readonly mover: Mover;
  readonly log: Log;
  /**
   * Hears of each look at a connection that is expired, ends within the days of the first warning, or has been broken for longer
   * than `REPAIR_AFTER_MS` while its service answers.
   */
  readonly repair: Repair;
  /** A break is found and confirmed within so many hours. */
  readonly everyHours: number;
  /** A pass begins no look after this; absent: a minute, as long as it is until the next one. */
  readonly passMs?: number;
}

/**
 * Connections: the stored key of a (customer, service, target, type), with its health. Any number of processes may make passes
 * at once: each look is one process's alone.
 */
export interface Health {
  /** One pass: everything that is due now is looked at. @returns how many looks were settled. */
  checkDue(): Promise<number>;
  /** Begins no further look. */
  drain(): void;
}

/** Looks at a time in one process: they share its connections with operations. */
const AT_ONCE = 4;
/** Of these, at one host, so that nobody's shop is asked more at a time; and of one customer: what hangs keeps the others from nothing. */
const AT_ONE_HOST = 2;
const OF_ONE_CUSTOMER = 2;
const PAGE = 50;
/** Customers whose due looks are read at a time. */
const READ_AT_ONCE = 4;
/** What was not begun by then is the next pass's, which sees what has become due meanwhile: services may keep one waiting for hours. */
const PASS_MS = 60_000;
/** A look that came to nothing, since an operation has begun or the database was away, is due again after this. */
const AGAIN_MS = 60_000;

export function createHealth(deps: HealthDeps): Health {
  const { database, directory, log } = deps;
  const atHost = createTurns(AT_ONE_HOST);
  const ofCustomer = createTurns(OF_ONE_CUSTOMER);
  const atOnce = createTurns(AT_ONCE);
  const everyMs = deps.everyHours * 3_600_000;
  let isDraining = false;

  /** @param isOver whether the pass begins no further look. */
  const check = async (place: ConnectionPlace, isOver: () => boolean): Promise<boolean> => {
    if (isOver()) return false;
    try {
      return await checkOne(deps, place, everyMs);
    } catch (err) {
      const { customerId, service } = place;
      log.warn({ code: 'health', customerId, service, err }, 'a connection could not be looked at; it is tried again');
      return false;
    }
  };
  // Looks wait in one line for all customers, of each a few at a time: whose services hang keeps nobody else waiting.
  const checkCustomer = async (customerId: CustomerId, isOver: () => boolean, reading: Turns): Promise<number> => {
    let settled = 0;
    for (;;) {
      const dueNow = () => database.withCustomer(customerId, (tx) => dueOf(tx, customerId, PAGE));
      const due = await reading('customers', async () => (isOver() ? [] : dueNow()));
      const checked = await Promise.all(
        due.map((place) =>
          ofCustomer(customerId, () => atHost(hostOf(place), () => atOnce('all', () => check(place, isOver)))),
        ),
      );
      const here = checked.filter((isSettled) => isSettled).length;
      settled += here;
      // What could not be settled stays due, and is the next pass's.
      if (due.length < PAGE || here === 0) return settled;
    }
  };
  return {
    async checkDue() {
      if (await directory.standstill()) return 0; // the operator holds everything back, calls of services included
      const until = performance.now() + (deps.passMs ?? PASS_MS);
      const isOver = () => isDraining || performance.now() >= until;
      const customers = await directory.customersToCheck();
      const reading = createTurns(READ_AT_ONCE);
      const counts = await Promise.all(customers.map((customerId) => checkCustomer(customerId, isOver, reading)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    drain() {
      isDraining = true;
    },
  };
}

function hostOf({ service, target }: ConnectionPlace): string {
  return URL.parse(target)?.host ?? service;
}

/** @returns whether a verdict was kept. */
async function checkOne(deps: HealthDeps, place: ConnectionPlace, everyMs: number): Promise<boolean> {
  const { database, operations } = deps;
  const { customerId } = place;
  const taken = await database.withCustomer(customerId, async (tx) => {
    const held = await claim(tx, place);
    return held && { held, maker: await makerOf(tx, operations, held), now: await databaseNow(tx) };
  });
  if (!taken) return false;
  const { held, maker, now } = taken;
  let look: Look | undefined;
  try {
    look = expiryLook(held, now) ?? (await lookAt(deps, place, maker));
  } catch (error) {
    await database.withCustomer(customerId, (tx) => release(tx, held, AGAIN_MS)).catch(() => {}); // else its time runs out
    throw error;
  }
  const cause = await database.withCustomer(customerId, async (tx) => {
    if (!look || !(await isStillOurs(tx, held))) {
      await release(tx, held, AGAIN_MS);
      return undefined;
    }
    return conclude(tx, deps, { held, maker, look, everyMs });
  });
  if (cause === undefined) return false;
  if (cause !== 'none') await considerRepair(deps, place, cause);
  return true;
}

/** What ended by its own date is not opened any more. */
function expiryLook({ credential: { expiresAt } }: Claim, now: Date): Look | undefined {
  if (expiresAt === null || expiresAt > now) return undefined;
  return { kind: 'expired', reason: `It ended on ${expiresAt.toISOString().slice(0, 10)}, as was known.` };
}

interface Concluded {
  readonly held: Claim;
  readonly maker: Operation | undefined;
  readonly look: Look;
  readonly everyMs: number;
}

/** The verdict, what is told of it, and when to look again, in one transaction: told is told once, whatever ends this process. */
async function conclude(
  tx: Transaction,
  deps: HealthDeps,
  { held, maker, look, everyMs }: Concluded,
): Promise<HealthCause | 'none'> {
  const { audit, operations } = deps;
  const { place, credential } = held;
  const { customerId, service, target } = place;
  const { expiresAt } = credential;
  const now = await databaseNow(tx);
  let standing: Standing = judge(held.standing, look, now);
  const { state, reason, since } = standing;
  const days = warningDue(standing, expiresAt, now);
  const isNews = isToBeTold(standing, now);
  // A trouble is over where it was told of, if that is still there: it may have lasted for longer than operations are kept.
  const toldAt = state === 'healthy' ? parsedId(held.toldOf) : undefined;
  const about = (toldAt && (await operations.get(tx, customerId, toldAt)) ? toldAt : undefined) ?? maker?.id;
  if (isNews) standing = toldNow(standing, now);
  if (days !== undefined) standing = { ...standing, warnedDays: days, warnedFor: expiresAt };
  const toldOf = isNews ? (state === 'healthy' ? null : (maker?.id ?? null)) : held.toldOf;
  const nextCheckAt = nextLookAt(place, standing, { now, expiresAt, everyMs });
  if (state === 'healthy') await withdrawQuestions(tx, deps, place);
  await settle(tx, held, standing, { checkedAt: now, nextCheckAt, toldOf });
  const key = { credentialId: credential.id, credentialType: credential.credentialType };
  const what = { service, target };
  if (isNews)
    await audit.append(tx, customerId, {
      ...{ kind: `connection.${state}` as const, ...key, ...(about ? { operationId: about } : {}) },
      payload: { ...what, was: held.standing.toldState, reason, since: since.toISOString() },
    });
  if (days !== undefined && expiresAt)
    await audit.append(tx, customerId, {
      ...{ kind: 'connection.expiring' as const, ...key, ...(maker ? { operationId: maker.id } : {}) },
      payload: { ...what, days, expiresAt: expiresAt.toISOString() },
    });
  // At a service that is away the repair of a broken key comes to nothing, and would be one of the few tries of a day.
  if (look.kind === 'impaired' && state === 'broken') return 'none';
  return causeOf(standing, expiresAt, now) ?? 'none';
}

/** What was found is kept already; the next look asks again. */
async function considerRepair({ repair, log }: HealthDeps, place: ConnectionPlace, cause: HealthCause): Promise<void> {
  try {
    await repair(place, cause);
  } catch (err) {
    const { customerId, service } = place;
    log.warn(
      { code: 'repair', customerId, service, cause, err },
      'a repair could not be considered; the next look asks again',
    );
  }
}

async function makerOf(
  tx: Transaction,
  operations: Pick<Operations, 'get'>,
  { place, credential }: Claim,
): Promise<Operation | undefined> {
  const { customerId } = place;
  const id = parsedId(credential.metadata.operationId);
  const maker = id && (await operations.get(tx, customerId, id));
  return maker && isMakerAt(maker, place) ? maker : undefined;
}

/** Which operation made a key is not sealed with it: whatever is written there, a key is tried where it lies, and nowhere else. */
function isMakerAt({ service, type, plan }: Operation, { service: id, target, credentialType }: ConnectionPlace) {
  const isThere = service.id === id && type.credentialType === credentialType && plan.base === target;
  return isThere && URL.parse(target)?.origin === plan.origin;
}

function parsedId(text: string | null | undefined): OperationId | undefined {
  return text ? parseOperationId(text) : undefined;
}
