import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import type { Database, Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import type { Http } from '../ports/http.ts';
import type { Log } from '../ports/log.ts';
import type { WebhookMetrics } from '../ports/metrics.ts';
import type { Queue } from '../queue/queue.ts';
import { UNDELIVERED_QUEUE, type WebhookJob } from '../queue/queues.ts';
import { createRounds } from '../rounds.ts';
import { isWanted, messageId, messageOf, signed, typesOfRow } from './message.ts';
import type { Webhooks } from './webhooks.ts';

export interface DeliveryDeps {
  readonly database: Database;
  readonly directory: Pick<Directory, 'customersToTell'>;
  readonly audit: Audit;
  readonly webhooks: Webhooks;
  readonly queue: Pick<Queue, 'sendWebhook'>;
  /** Through the egress guard. */
  readonly http: Http;
  readonly log: Log;
  /** Hears what became of each try; absent: nobody does. */
  readonly metrics?: WebhookMetrics;
}

export interface Delivery {
  /** Looks for what is new every two seconds, from now on. */
  start(): void;
  stop(): Promise<void>;
  /** One look: everything that is on record and was not handed over yet goes to the queue. */
  handOver(): Promise<void>;
  /** One try of one message. @throws CountersignError `network`, `egress_refused`: the queue tries again later. */
  deliver(job: WebhookJob): Promise<void>;
}

const EVERY_MS = 2_000;
const CUSTOMERS_AT_ONCE = 2;
const PAGE = 500;
const TIMEOUT_MS = 15_000;

export function createDelivery(deps: DeliveryDeps): Delivery {
  const { directory, log } = deps;
  const { start, stop, once } = createRounds({
    everyMs: EVERY_MS,
    atOnce: CUSTOMERS_AT_ONCE,
    customers: directory.customersToTell,
    async work(customerId) {
      while (await handOverPage(deps, customerId)); // nothing else: each page is a transaction
    },
    failed(cause, customerId) {
      log.debug({ code: 'webhooks', customerId, cause }, 'webhooks could not be looked after');
    },
  });
  return {
    start,
    stop,
    handOver: once,
    deliver: (job) => deliver(deps, job),
  };
}

const due = z.array(
  z.object({ id: z.uuid(), kinds: z.array(z.enum(['operation', 'credential', 'connection'])), cursor: z.bigint() }),
);

/** Jobs and cursors in one transaction: what is handed over is handed over once. @returns whether there may be more. */
function handOverPage({ database, queue }: DeliveryDeps, customerId: CustomerId): Promise<boolean> {
  return database.withCustomer(customerId, async (tx) => {
    const hooks = due.parse(
      await tx.$queryRaw`
        SELECT id, kinds, cursor FROM webhooks WHERE customer_id = ${customerId}::uuid AND removed_at IS NULL
        ORDER BY id FOR NO KEY UPDATE`,
    );
    const [first] = hooks.map(({ cursor }) => cursor).toSorted((a, b) => (a < b ? -1 : 1));
    if (first === undefined) return false;
    const rows = await tx.auditEntry.findMany({
      where: { customerId, seq: { gt: first } },
      orderBy: { seq: 'asc' },
      take: PAGE,
      select: { seq: true, kind: true, header: true },
    });
    const last = rows.at(-1)?.seq;
    if (last === undefined) return false;
    for (const { id: webhookId, kinds, cursor } of hooks) {
      if (cursor >= last) continue;
      for (const row of rows.filter(({ seq }) => seq > cursor))
        for (const type of typesOfRow(row).filter((each) => isWanted(each, kinds)))
          await queue.sendWebhook(tx, { customerId, webhookId, seq: row.seq, type });
      await database.vouch(tx, 'webhook', customerId, `${webhookId}|cursor|${last}`);
      await tx.webhook.update({ where: { customerId_id: { customerId, id: webhookId } }, data: { cursor: last } });
    }
    return rows.length === PAGE;
  });
}

async function deliver(deps: DeliveryDeps, job: WebhookJob): Promise<void> {
  const { database, http, log } = deps;
  const tried: WebhookMetrics['webhookTried'] = (outcome) => deps.metrics?.webhookTried(outcome);
  const ready = await database.withCustomer(job.customerId, (tx) => prepare(tx, deps, job));
  if (!ready) return tried('removed');
  const { url, headers, body } = ready;
  const { origin } = new URL(url);
  const ids = { customerId: job.customerId, webhookId: job.webhookId };
  let status: number;
  try {
    ({ status } = await http.request({ method: 'POST', url, origins: [origin], headers, body, timeoutMs: TIMEOUT_MS }));
  } catch (error) {
    tried('unreachable');
    throw error;
  }
  if (status >= 200 && status < 300) return tried('delivered');
  tried('refused');
  log.debug({ ...ids, status }, 'a webhook did not take a message');
  throw new CountersignError('network', `A webhook answered with ${status}.`, { isRetryable: true });
}

/**
 * `undefined`: the webhook was removed meanwhile, the entry is no longer kept, or it is no event of that type for this webhook:
 * what lies in the queue's tables is nobody's word, and what is signed with the customer's secret is the trail's.
 */
async function prepare(tx: Transaction, { webhooks, audit }: DeliveryDeps, job: WebhookJob) {
  const { customerId, webhookId, seq, type } = job;
  const webhook = await webhooks.open(tx, customerId, webhookId);
  const row = await tx.auditEntry.findUnique({ where: { customerId_seq: { customerId, seq } } });
  if (!webhook) return undefined;
  if (!row || !typesOfRow(row).includes(type) || !isWanted(type, webhook.kinds)) {
    webhook.key.fill(0);
    return undefined;
  }
  const entry = await audit.read(tx, customerId, { ...row, payload: null }); // its words are for nobody outside
  const select = { service: true, operation: true, status: true };
  const operation = row.operationId
    ? await tx.operation.findUnique({ where: { customerId_id: { customerId, id: row.operationId } }, select })
    : null;
  const body = JSON.stringify(messageOf(type, entry, operation));
  const headers = signed(webhook.key, messageId(job), new Date(), body); // the receiver compares with its own clock
  webhook.key.fill(0);
  return { url: webhook.url, headers: { 'content-type': 'application/json', ...headers }, body };
}

const dead = z.array(z.object({ id: z.uuid(), seq: z.string(), type: z.string() }));

/**
 * Sends a webhook's undelivered messages again; or, from an entry of the trail on, everything that it would have been told.
 * @returns how many messages are in the queue again; `undefined`: there is no such webhook.
 */
export async function replayWebhook(
  deps: Pick<DeliveryDeps, 'database' | 'audit' | 'queue'>,
  customerId: CustomerId,
  webhookId: string,
  from?: bigint,
): Promise<number | undefined> {
  const { database, audit, queue } = deps;
  return database.withCustomer(customerId, async (tx) => {
    const hook = await tx.webhook.findUnique({ where: { customerId_id: { customerId, id: webhookId } } });
    if (!hook || hook.removedAt !== null) return undefined;
    const kinds = due.element.shape.kinds.parse(hook.kinds);
    const jobs =
      from === undefined
        ? dead.parse(
            await tx.$queryRaw`
              UPDATE pgboss.job SET state = 'completed', completed_on = pgboss.job_now()
              WHERE name = ${UNDELIVERED_QUEUE} AND state < 'completed' AND data ->> 'webhookId' = ${webhookId}
                AND data ->> 'customerId' = ${customerId}
              RETURNING id, data ->> 'seq' AS seq, data ->> 'type' AS type`,
          )
        : (
            await tx.auditEntry.findMany({
              where: { customerId, seq: { gte: from, lte: hook.cursor } },
              orderBy: { seq: 'asc' },
              select: { seq: true, kind: true, header: true },
            })
          ).flatMap((row) =>
            typesOfRow(row)
              .filter((type) => isWanted(type, kinds))
              .map((type) => ({ seq: String(row.seq), type })),
          );
    for (const { seq, type } of jobs) await queue.sendWebhook(tx, { customerId, webhookId, seq: BigInt(seq), type });
    await audit.append(tx, customerId, {
      kind: 'webhook.replayed',
      payload: { webhookId, messages: jobs.length, by: 'the operator' },
    });
    return jobs.length;
  });
}
