import type { CustomerId, OperationId } from '../ids.ts';

/** One job an operation. Its payload holds ids only: pg-boss's tables lie outside row level security. */
export const OPERATIONS_QUEUE = 'operations';
/** Where a job of `operations` goes after its last retry. */
export const GIVEN_UP_QUEUE = 'operations_given_up';
/** Delayed moves that nobody clicks: a consent request or a link that expires. */
export const DEADLINES_QUEUE = 'deadlines';
/** Where a job of `deadlines` goes after its last retry. */
export const LATE_DEADLINES_QUEUE = 'deadlines_late';

/**
 * What is done by the clock for all customers: checkpoints of the audit trail, and dropping what is too old. Empty payloads, but
 * for a checkpoint that is due for one customer.
 */
export const CHECKPOINTS_QUEUE = 'checkpoints';
export const RETENTION_QUEUE = 'retention';
/** One job an hour or so, which sends the next one: what is looked after now and then, such as the age of keys. */
export const UPKEEP_QUEUE = 'upkeep';

/** One job a minute or so, which sends the next one: a pass over the connections whose look is due. */
export const CONNECTIONS_QUEUE = 'connections';

/** One job a message to one webhook, and where it goes after its last retry: nobody works on those, they wait for `webhook replay`. */
export const WEBHOOKS_QUEUE = 'webhooks';
export const UNDELIVERED_QUEUE = 'webhooks_undelivered';

/** An event of one entry of the trail, for one webhook. */
export interface WebhookJob {
  readonly customerId: CustomerId;
  readonly webhookId: string;
  /** The number of the entry. */
  readonly seq: bigint;
  /** Such as `operation.completed`. */
  readonly type: string;
}

export interface OperationJob {
  readonly customerId: CustomerId;
  readonly operationId: OperationId;
  /** Of a job that is being worked on: its id. Never part of the payload. */
  readonly jobId?: string;
}

/**
 * Why a job of `operations` is sent: it had `begun` and a person has answered what it asked, and a code is good for two minutes
 * at most; a `person` clicked and waits; it is done `again`, after nobody finished it; or it was due by the `schedule`. 1 is
 * also what migration 20261126500000 lowers whatever is handed out again to.
 */
const URGENCY = { person: 2, again: 1, schedule: 0 } as const;
export type Urgency = 'begun' | keyof typeof URGENCY;
/** Of what has begun: it was answered, or it lost its worker and holds up the customer's others. Before whoever waits. */
export const FIRST = 3;

/**
 * pg-boss's priority, of which the highest goes first. What comes before is the job's place among its own customer's: of the
 * first job of each, whoever waits goes before what is done again or was scheduled, and all of them before anybody's second
 * one. So of a thousand jobs that one customer sent, another customer's only job waits for one at most.
 * @param last the lowest priority of the same customer's jobs that wait, `null` where none does. Not how many they are: in a
 * line that has moved on, the new job would go before the last of those that were there.
 */
export function priorityOf(urgency: Urgency, last: number | null): number {
  if (urgency === 'begun') return FIRST;
  const place = last === null ? 0 : Math.max(0, Math.floor((URGENCY.person - last) / 3)) + 1;
  return URGENCY[urgency] - 3 * place;
}

/**
 * Queues as the migration makes them (pg-boss 12 options). Heartbeats of 10 s are the shortest that pg-boss offers. A
 * job that lost its worker is handed out again; what it may then repeat is decided by fence and intent, not by the queue.
 */
export const QUEUES: readonly { readonly name: string; readonly options: QueueOptions }[] = [
  {
    name: GIVEN_UP_QUEUE, // before the queue that names it
    options: { notify: true, expireInSeconds: 60, retryLimit: 1000, retryDelay: 5, deleteAfterSeconds: 86_400 },
  },
  {
    name: OPERATIONS_QUEUE,
    options: {
      notify: true,
      heartbeatSeconds: 10,
      expireInSeconds: 3600,
      retryLimit: 20,
      retryDelay: 0,
      deadLetter: GIVEN_UP_QUEUE,
      deleteAfterSeconds: 86_400,
    },
  },
  {
    name: LATE_DEADLINES_QUEUE,
    options: { notify: true, expireInSeconds: 60, retryLimit: 1000, retryDelay: 60, deleteAfterSeconds: 86_400 },
  },
  {
    name: DEADLINES_QUEUE,
    options: {
      notify: true,
      expireInSeconds: 60,
      retryLimit: 20,
      retryDelay: 5,
      deadLetter: LATE_DEADLINES_QUEUE,
      deleteAfterSeconds: 3600,
    },
  },
  {
    name: UNDELIVERED_QUEUE, // before the queue that names it
    options: { notify: false, expireInSeconds: 60, retryLimit: 0, retryDelay: 0, deleteAfterSeconds: 86_400 },
  },
  {
    name: WEBHOOKS_QUEUE,
    options: {
      notify: true,
      expireInSeconds: 60,
      // 5 · 2^n seconds and by chance up to twice that, up to an hour: some eight hours in all (pg-boss, plans.js).
      retryLimit: 16,
      retryDelay: 5,
      retryBackoff: true,
      retryDelayMax: 3600,
      deadLetter: UNDELIVERED_QUEUE,
      deleteAfterSeconds: 3600,
    },
  },
  {
    name: CHECKPOINTS_QUEUE,
    options: { notify: true, expireInSeconds: 600, retryLimit: 0, retryDelay: 0, deleteAfterSeconds: 3600 },
  },
  {
    name: RETENTION_QUEUE,
    options: { notify: true, expireInSeconds: 3600, retryLimit: 3, retryDelay: 600, deleteAfterSeconds: 86_400 },
  },
  {
    name: UPKEEP_QUEUE,
    options: {
      notify: true,
      heartbeatSeconds: 30,
      expireInSeconds: 6 * 3600,
      retryLimit: 1000,
      retryDelay: 60,
      deleteAfterSeconds: 86_400,
    },
  },
  {
    name: CONNECTIONS_QUEUE,
    options: {
      notify: true,
      heartbeatSeconds: 30,
      expireInSeconds: 6 * 3600,
      retryLimit: 1000,
      retryDelay: 60,
      deleteAfterSeconds: 3600,
    },
  },
];

interface QueueOptions {
  readonly notify: boolean;
  readonly heartbeatSeconds?: number;
  /** Gets a copy of each job that has no retry left. */
  readonly deadLetter?: string;
  readonly expireInSeconds: number;
  readonly retryLimit: number;
  readonly retryDelay: number;
  /** Each retry waits twice as long as the one before, by chance up to twice that, up to `retryDelayMax` seconds. */
  readonly retryBackoff?: boolean;
  readonly retryDelayMax?: number;
  readonly deleteAfterSeconds: number;
}
