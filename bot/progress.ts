import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { AUDIT_CHANNEL } from '../core/audit/audit.ts';
import type { Database, Listener } from '../core/database.ts';
import type { Directory } from '../core/directory.ts';
import { CountersignError } from '../core/errors.ts';
import { customerId as asCustomerId, type CustomerId } from '../core/ids.ts';
import { inOrder, type Operation } from '../core/operations/operation.ts';
import { isEnd } from '../core/operations/states.ts';
import { isUnread, type Threads } from '../core/operations/threads.ts';
import type { Activity, Card, MessageRef } from '../core/ports/chat.ts';
import type { Log } from '../core/ports/log.ts';
import { consentMessagesOf } from './consent-messages.ts';
import { type OperationMessagesDeps, operationMessages } from './operation-messages.ts';
import { createPlaces } from './places.ts';
import { type ShowDeps, show, showActivity, showTo, slotsOf, type Wanted } from './showing.ts';
import { tellWhoAsked } from './unshown.ts';

const POLL_MS = 2_000; // the floor under NOTIFY: a notification may be lost with the process that sent it
/** What is appended in a burst, as by a step, is shown by one pass: nobody sees that much sooner. */
const TOGETHER_MS = 250;
const RETRY_FIRST_MS = 1_000; // doubled with each failure of one thread in a row
/**
 * A thread's last word is right within 60 s of a fault's end: a call that hung until then takes up to 10 s to fail, then
 * this, the poll, and the calls that show what is new.
 */
const RETRY_LONGEST_MS = 20_000;

/**
 * The audit feed as messages: what the trail says of a thread's operations, its messages show. At least once and
 * idempotent: each message is a function of what is on record, so that after any crash the next pass says the truth. No queue
 * of updates stands between: its jobs could only say "look at this thread", which the cursor and the notification say already;
 * a thousand entries are one pass and not a thousand jobs, and what a job would retry the next look finds behind.
 */
export interface Progress {
  start(): void;
  stop(): Promise<void>;
  /** Shows a thread anew at once, for changes that are no operation's own, such as new approvers. */
  refresh(customerId: CustomerId, threadId: string): Promise<void>;
  /** What a message of a thread shows as things stand; `undefined`: none that follows from what is on record. */
  cardOf(customerId: CustomerId, message: MessageRef): Promise<Card | undefined>;
}

export interface ProgressDeps extends OperationMessagesDeps {
  readonly database: Database;
  readonly directory: Directory;
  readonly threads: Threads;
  readonly log: Log;
}

export function createProgress(deps: ProgressDeps): Progress {
  const running = new Map<CustomerId, { again: boolean }>();
  let listener: Listener | undefined;
  let poll: NodeJS.Timeout | undefined;
  let isStopped = false;
  const pending = new Set<Promise<void>>();
  const turns = new Map<CustomerId, Promise<void>>();
  const failures = new Map<CustomerId, Failures>();
  const showing = { ...deps, places: createPlaces() };
  /** By thread: when what its platform does not take yet is looked at again, and up to where the trail was read then. */
  const later = new Map<string, { readonly timer: NodeJS.Timeout; readonly readTo: bigint }>();

  /**
   * One at a time in a thread, here and in every other process: of two, the one that read first must not show last. In this
   * process one thread of a customer at a time, so that a customer whose chat is slow takes one of the few connections for
   * locks, and no other customer waits for it.
   */
  const inTurn = async (customerId: CustomerId, threadId: string): Promise<void> => {
    const before = turns.get(customerId);
    const alone = () =>
      deps.database.exclusively(`thread ${customerId} ${threadId}`, () => refresh(showing, customerId, threadId));
    const turn = (before ?? Promise.resolve()).then(alone);
    const over = turn.then(
      () => {},
      () => {},
    );
    turns.set(customerId, over);
    try {
      const shown = await turn;
      if (shown.waitMs > 0) comeBack(customerId, threadId, shown);
    } finally {
      if (turns.get(customerId) === over) turns.delete(customerId);
    }
  };

  /** What the platform takes only later is shown then, as it is then. After a crash the cursor says that it is missing. */
  const comeBack = (customerId: CustomerId, threadId: string, { waitMs, readTo }: Shown) => {
    const name = `${customerId} ${threadId}`;
    clearTimeout(later.get(name)?.timer);
    if (isStopped) return;
    const timer = setTimeout(() => {
      later.delete(name);
      const work = inTurn(customerId, threadId)
        .catch((error: unknown) => warn(deps.log, error)) // the cursor stays behind: the next look tries again
        .finally(() => pending.delete(work));
      pending.add(work);
    }, waitMs);
    timer.unref();
    later.set(name, { timer, readTo });
  };

  /** Each thread by itself: one that can't be posted to keeps no other silent, and is tried ever more seldom. */
  const catchUp = async (customerId: CustomerId): Promise<void> => {
    const behind = await deps.database.withCustomer(customerId, (tx) => deps.threads.behind(tx, customerId));
    const earlier = failures.get(customerId) ?? new Map<string, Failure>();
    const failed = new Map<string, Failure>();
    for (const thread of behind) {
      const { id } = thread;
      const failure = earlier.get(id);
      if (failure) failed.set(id, failure);
      if (isStopped || (failure && performance.now() < failure.notBefore)) continue;
      // Nothing new about it: its turn comes, and a pass over many that wait costs nothing.
      if (later.get(`${customerId} ${id}`)?.readTo === thread.lastSeq) continue;
      try {
        await inTurn(customerId, id);
        failed.delete(id);
      } catch (error) {
        failed.set(id, failureAfter(failure, error));
        warn(deps.log, error);
        if (!failure) await tellWhoAsked(deps, customerId, thread, error);
      }
    }
    if (failed.size > 0) failures.set(customerId, failed);
    else failures.delete(customerId); // also what another process has shown, or nobody has to
  };

  /** One pass a customer at a time; wakes during a pass, or soon after it, ask for one more. */
  const wake = (customerId: CustomerId) => {
    const current = running.get(customerId);
    if (current) {
      current.again = true;
      return;
    }
    const state = { again: false };
    running.set(customerId, state);
    const work = (async () => {
      do {
        state.again = false;
        await catchUp(customerId);
        if (!isStopped) await wait(TOGETHER_MS);
      } while (state.again && !isStopped);
    })()
      .catch((error: unknown) => warn(deps.log, error)) // the next look finds the customer still behind
      .finally(() => {
        running.delete(customerId);
        pending.delete(work);
      });
    pending.add(work);
  };
  const look = () => {
    deps.directory.customersBehind().then(
      (customers) => customers.forEach(wake),
      () => {}, // the database is away: the next look finds it back
    );
  };

  return {
    start() {
      listener = deps.database.listen(AUDIT_CHANNEL, (payload) => heard(payload, look, wake));
      poll = setInterval(look, POLL_MS);
      poll.unref();
    },
    async stop() {
      isStopped = true;
      clearInterval(poll);
      for (const { timer } of later.values()) clearTimeout(timer);
      await listener?.stop();
      await Promise.allSettled([...pending]);
    },
    refresh: inTurn,
    cardOf: (customerId, message) => cardOf(deps, customerId, message),
  };
}

/** A payload is a hint that any role can send: what names no customer is only a reason to look. */
function heard(payload: string | undefined, look: () => void, wake: (customerId: CustomerId) => void): void {
  const named = z.uuid().safeParse(payload);
  if (named.success) wake(asCustomerId(named.data.toLowerCase()));
  else look();
}

interface Failure {
  readonly waitMs: number;
  /** By this process's own clock, in ms; the first look after that tries again. */
  readonly notBefore: number;
}
/** By the id of the thread. */
type Failures = ReadonlyMap<string, Failure>;

/** Never before the platform wants it; and up to a quarter later by chance, so that many threads don't come back in one moment. */
function failureAfter(earlier: Failure | undefined, error: unknown): Failure {
  const waitMs = earlier ? Math.min(earlier.waitMs * 2, RETRY_LONGEST_MS) : RETRY_FIRST_MS;
  const askedMs = (error instanceof CountersignError && error.retryAfterMs) || 0;
  const laterMs = Math.max(waitMs, askedMs) + (Math.random() * waitMs) / 4;
  return { waitMs, notBefore: performance.now() + laterMs };
}

function warn(log: Log, error: unknown): void {
  log.warn(
    { code: 'progress', cause: error instanceof Error ? error.message : String(error) },
    'a thread could not be shown; it is tried again',
  );
}

/**
 * Shows what has changed since the thread's cursor, and moves the cursor to where the reading began: whatever was appended
 * meanwhile is shown once more. An ended operation that no new entry concerns is left alone, so that a thread costs no
 * more for what lies behind it.
 */
async function refresh(deps: ProgressDeps & ShowDeps, customerId: CustomerId, threadId: string): Promise<Shown> {
  const seen = await deps.database.withCustomer(customerId, async (tx) => {
    const thread = await deps.threads.get(tx, customerId, threadId);
    if (!thread) return undefined;
    if (isUnread(thread.ref)) return { thread, wanted: [], activity: undefined, known: new Map() };
    const operations = await deps.operations.ofThread(tx, customerId, threadId, { since: thread.cursor });
    const wanted: Wanted[] = [];
    const consentMessages = await consentMessagesOf(tx, deps, operations);
    for (const operation of operations) wanted.push(...(await operationMessages(tx, deps, operation, consentMessages)));
    // Last: what was asked for has its messages reserved in the same transaction.
    const known = await deps.threads.messages(tx, customerId, thread, slotsOf(wanted));
    return { thread, wanted, activity: activityOf(operations), known };
  });
  if (!seen) return { waitMs: 0, readTo: 0n };
  const { thread, wanted, activity, known } = seen;
  const place = { customerId, thread, known };
  const readTo = thread.lastSeq;
  const waits: number[] = [];
  for (const message of wanted) {
    if (message.to) await showTo(deps, place, message, message.to);
    else waits.push(await show(deps, place, message));
  }
  if (activity) waits.push(await showActivity(deps, place, activity));
  const waiting = waits.filter((ms) => ms > 0);
  if (waiting.length > 0) return { waitMs: Math.min(...waiting), readTo };
  await deps.database.withCustomer(customerId, (tx) => deps.threads.advance(tx, customerId, threadId, readTo));
  return { waitMs: 0, readTo };
}

function cardOf(deps: ProgressDeps, customerId: CustomerId, message: MessageRef): Promise<Card | undefined> {
  const { platform, workspaceId, ref } = message.thread;
  const where = { customerId, ref: message.ref, thread: { platform, workspaceId, ref } };
  return deps.database.withCustomer(customerId, async (tx) => {
    const row = await tx.threadMessage.findFirst({ where, include: { thread: true } });
    if (!row) return undefined;
    const { slot, threadId, thread } = row;
    // Of those that the message is named by; a question has a name of its own, and is asked of what goes on.
    const named = await inOrder(slot.match(/op-[a-z0-9]{8}/g) ?? [], (id) => deps.operations.get(tx, customerId, id));
    const operations =
      named.length > 0
        ? named.filter((operation) => operation !== undefined)
        : await deps.operations.ofThread(tx, customerId, threadId, { since: thread.cursor });
    const consentMessages = await consentMessagesOf(tx, deps, operations);
    for (const operation of operations) {
      const wanted = await operationMessages(tx, deps, operation, consentMessages);
      const found = wanted.find((each) => each.slot === slot);
      if (found) return found.card;
    }
    return undefined;
  });
}

interface Shown {
  /** 0, or the milliseconds until the platform takes what it did not take yet. */
  readonly waitMs: number;
  /** Up to where the trail was read. */
  readonly readTo: bigint;
}

/** What is done in a thread by all of its operations together; `undefined`: none of them has anything new. */
function activityOf(operations: readonly Operation[]): Activity | undefined {
  const open = operations.filter(({ state }) => !isEnd(state));
  if (open.some(({ state }) => state === 'in_progress' || state === 'queued')) return 'working';
  if (open.length > 0) return 'waiting';
  return operations.length > 0 ? 'over' : undefined;
}
