import { z } from 'zod';
import type { Database, Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { type CustomerId, type MemberId, newUuid, type OperationId } from '../ids.ts';
import type { Log } from '../ports/log.ts';
import { type Audit, headerText } from './audit.ts';
import type { Checkpoints } from './checkpoints.ts';
import { heldOperations, isHeld } from './rows.ts';

/**
 * Whose words are erased: of everything, of one operation, or of one person: what they did, and the operations they asked for.
 * `entries`: these, by their numbers.
 */
export type ErasureScope =
  | 'all'
  | { readonly operationId: OperationId }
  | { readonly memberId: MemberId; readonly entries?: readonly bigint[] }
  | { readonly entries: readonly bigint[] };

/** What may go from a trail, and what keeps it. Each of these is an entry itself. */
export interface Retention {
  /**
   * Drops entries older than `days`, and never sooner than the customer's admins chose and the owner of the database allows,
   * up to the last one that a checkpoint reaches; one is signed first. @returns how many went; 0 under a legal hold.
   */
  drop(customerId: CustomerId, days: number): Promise<number>;
  /**
   * Deletes pictures of steps, and which chat events had their effect, that are older than `days`; never sooner than `drop`.
   * @returns how many of each went; none under a legal hold.
   */
  sweep(customerId: CustomerId, days: number): Promise<Swept>;
  /**
   * Deletes what has been over for longer than `days`, never sooner than `drop`: links, sessions, tokens, operations without a trail
   * and what is theirs, threads (app.forget_old; core/rights/tables.ts says what becomes of each table). @returns how many rows.
   */
  forget(customerId: CustomerId, days: number): Promise<number>;
  /** All of it, for every customer, after what its admins chose, else `usualDays`; one that fails is logged and keeps the others from nothing. */
  dropAll(usualDays: number): Promise<void>;
  /**
   * Takes words away; their entries stay, and the chain with them.
   * @returns how many payloads went, or that a legal hold keeps them.
   */
  erase(
    customerId: CustomerId,
    scope: ErasureScope,
    by?: MemberId,
  ): Promise<{ readonly kind: 'erased'; readonly payloads: number } | { readonly kind: 'held' }>;
  /**
   * Nothing is dropped or erased until the hold is released. Of one operation: nothing that is about it; entries of the trail that
   * follow on its first one stay, too, because a chain has no holes, while the words of others among them go in their time.
   */
  placeHold(customerId: CustomerId, hold: Reason): Promise<void>;
  releaseHold(customerId: CustomerId, release: Reason): Promise<void>;
}

export interface Reason {
  readonly by?: MemberId;
  readonly why: string;
  /** Absent: of the whole customer. */
  readonly operationId?: OperationId;
}

export interface Swept {
  readonly screenshots: number;
  readonly chatEvents: number;
}

const counted = z.tuple([z.object({ count: z.bigint() })]);
const lastDue = z
  .array(z.object({ seq: z.bigint(), hash: z.instanceof(Uint8Array), checkpoint: z.bigint(), days: z.number() }))
  .max(1);
const sweepable = z.tuple([z.object({ days: z.number(), screenshots: z.bigint(), chatEvents: z.bigint() })]);
const seqs = z.array(z.object({ seq: z.bigint(), operationId: z.string().nullable() }));

export function createRetention(deps: {
  database: Database;
  directory: Directory;
  audit: Audit;
  checkpoints: Checkpoints;
  log: Log;
}): Retention {
  const { database, directory, audit, checkpoints, log } = deps;
  const hold =
    (how: 'placed' | 'released') =>
    async (customerId: CustomerId, { by, why, operationId }: Reason) => {
      const kind = operationId ? (`hold.operation_${how}` as const) : (`hold.${how}` as const);
      const about = operationId ? { operationId } : {};
      await database.withCustomer(customerId, (tx) =>
        audit.append(tx, customerId, { kind, ...about, ...(by ? { actor: by } : {}), payload: { why } }),
      );
    };
  const drop = async (customerId: CustomerId, days: number) => {
    if ((await database.withCustomer(customerId, (tx) => due(tx, customerId, days))).length === 0) return 0;
    await checkpoints.make(customerId);
    return database.withCustomer(customerId, async (tx) => {
      const [last] = await due(tx, customerId, days);
      if (!last || (await isHeld(tx, customerId))) return 0;
      const header = headerText(customerId, newUuid(), {
        kind: 'retention.dropped',
        days: last.days,
        droppedSeq: String(last.seq),
        droppedHash: Buffer.from(last.hash).toString('hex'),
        checkpointSeq: String(last.checkpoint),
      });
      await database.vouch(tx, 'audit', customerId, header);
      const [{ count }] = counted.parse(await tx.$queryRaw`SELECT dropped AS count FROM app.drop_audit(${header})`);
      return Number(count);
    });
  };

  const sweep = (customerId: CustomerId, days: number) =>
    database.withCustomer(customerId, async (tx) => {
      const old = await outdated(tx, customerId, days);
      const { screenshots, chatEvents } = old;
      if (screenshots + chatEvents === 0 || (await isHeld(tx, customerId))) return { screenshots: 0, chatEvents: 0 };
      const header = headerText(customerId, newUuid(), { kind: 'retention.swept', ...old });
      await database.vouch(tx, 'audit', customerId, header);
      await tx.$executeRaw`SELECT app.sweep(${header})`;
      return { screenshots, chatEvents };
    });

  const forget = (customerId: CustomerId, days: number) =>
    database.withCustomer(customerId, async (tx) => {
      if (await isHeld(tx, customerId)) return 0;
      const header = headerText(customerId, newUuid(), { kind: 'retention.forgotten', days });
      await database.vouch(tx, 'audit', customerId, header);
      const [{ count }] = counted.parse(await tx.$queryRaw`SELECT gone AS count FROM app.forget_old(${header})`);
      return Number(count);
    });

  /** Words whose time is over in entries that a held operation keeps: the chain has no holes, and needs no words. */
  const eraseOldWords = async (customerId: CustomerId, days: number) => {
    const entries = await database.withCustomer(customerId, async (tx) => {
      const held = await heldOperations(tx, customerId);
      return held.length === 0 ? [] : oldWords(tx, customerId, days, held);
    });
    return entries.length === 0 ? 0 : erased(await erase(customerId, { entries }));
  };

  const erase: Retention['erase'] = (customerId, scope, by) =>
    database.withCustomer(customerId, async (tx) => {
      if (await isHeld(tx, customerId)) return { kind: 'held' };
      const found = seqs.parse(await sealedEntries(tx, customerId, scope));
      if (found.length === 0) return { kind: 'erased', payloads: 0 };
      const held = await heldOperations(tx, customerId);
      if (found.some(({ operationId }) => operationId !== null && held.includes(operationId))) return { kind: 'held' };
      const header = headerText(customerId, newUuid(), {
        kind: 'erasure.completed',
        actor: by,
        erased: ranges(found.map(({ seq }) => seq)),
      });
      await database.vouch(tx, 'audit', customerId, header);
      const [{ count }] = counted.parse(await tx.$queryRaw`SELECT erased AS count FROM app.erase_payloads(${header})`);
      return { kind: 'erased', payloads: Number(count) };
    });

  /** What the customer's admins chose. */
  const daysOf = (customerId: CustomerId, usualDays: number) =>
    database.withCustomer(customerId, async (tx) => {
      const chosen = await tx.customer.findUnique({ where: { customerId }, select: { retentionDays: true } });
      return chosen?.retentionDays ?? usualDays;
    });

  return {
    drop,
    sweep,
    forget,
    placeHold: hold('placed'),
    releaseHold: hold('released'),
    async dropAll(usualDays) {
      for (const customerId of await directory.customersOnRecord()) {
        const failed = (error: unknown) => {
          const cause = error instanceof Error ? error.message : String(error);
          log.error({ code: 'retention', customerId, cause }, 'what is old could not be dropped');
        };
        const days = await daysOf(customerId, usualDays).catch(failed);
        if (typeof days !== 'number') continue;
        const count = await drop(customerId, days).catch(failed);
        if (count) log.info({ customerId, count }, 'old audit entries were dropped');
        const swept = await sweep(customerId, days).catch(failed);
        if (swept && swept.screenshots + swept.chatEvents > 0)
          log.info({ customerId, ...swept }, 'old pictures and chat events were deleted');
        const forgotten = await forget(customerId, days).catch(failed);
        if (forgotten) log.info({ customerId, count: forgotten }, 'rows that were over for long were deleted');
        await eraseOldWords(customerId, days).catch(failed);
      }
    },
    erase,
  };
}

function erased(outcome: Awaited<ReturnType<Retention['erase']>>): number {
  return outcome.kind === 'erased' ? outcome.payloads : 0;
}

/** The last entry that is old enough and that a checkpoint of this very chain reaches. */
async function due(tx: Transaction, customerId: CustomerId, days: number) {
  return lastDue.parse(
    await tx.$queryRaw`
      WITH reached AS (
        SELECT c.seq FROM audit_checkpoints c JOIN autonomous_operations_audit a USING (customer_id, seq, hash)
        WHERE c.customer_id = ${customerId}::uuid ORDER BY c.seq DESC LIMIT 1)
      SELECT a.seq, a.hash, coalesce((SELECT seq FROM reached), 0) AS checkpoint, app.audit_days(${days}::int) AS days
      FROM autonomous_operations_audit a
      WHERE a.customer_id = ${customerId}::uuid AND a.at < app.now() - make_interval(days => app.audit_days(${days}::int))
        AND a.seq <= coalesce((SELECT seq FROM reached), a.seq)
        AND a.seq < coalesce((SELECT min(h.seq) FROM autonomous_operations_audit h WHERE h.customer_id = ${customerId}::uuid
          AND h.operation_id IN (SELECT app.held_operations(${customerId}::uuid))), a.seq + 1)
      ORDER BY a.seq DESC LIMIT 1`,
  );
}

async function outdated(
  tx: Transaction,
  customerId: CustomerId,
  asked: number,
): Promise<Swept & { readonly days: number }> {
  const [{ days, screenshots, chatEvents }] = sweepable.parse(
    await tx.$queryRaw`
      WITH kept AS (SELECT app.audit_days(${asked}::int) AS days),
        due AS (SELECT app.now() - make_interval(days => days) AS before FROM kept)
      SELECT (SELECT days FROM kept) AS days,
        (SELECT count(*) FROM screenshots s, due WHERE s.customer_id = ${customerId}::uuid AND s.created_at < before
          AND s.operation_id NOT IN (SELECT app.held_operations(${customerId}::uuid))) AS screenshots,
        (SELECT count(*) FROM chat_events e, due WHERE e.customer_id = ${customerId}::uuid AND e.created_at < before) AS "chatEvents"`,
  );
  return { days, screenshots: Number(screenshots), chatEvents: Number(chatEvents) };
}

function sealedEntries(tx: Transaction, customerId: CustomerId, scope: ErasureScope): Promise<unknown> {
  if (scope === 'all')
    return tx.$queryRaw`
      SELECT seq, operation_id AS "operationId" FROM autonomous_operations_audit
      WHERE customer_id = ${customerId}::uuid AND payload IS NOT NULL ORDER BY seq`;
  if ('operationId' in scope)
    return tx.$queryRaw`
      SELECT seq, operation_id AS "operationId" FROM autonomous_operations_audit
      WHERE customer_id = ${customerId}::uuid AND payload IS NOT NULL AND operation_id = ${scope.operationId} ORDER BY seq`;
  const { entries = [] } = scope;
  if (!('memberId' in scope))
    return tx.$queryRaw`
      SELECT seq, operation_id AS "operationId" FROM autonomous_operations_audit
      WHERE customer_id = ${customerId}::uuid AND payload IS NOT NULL AND seq = ANY (${[...entries]}::bigint[]) ORDER BY seq`;
  return tx.$queryRaw`
    SELECT seq, operation_id AS "operationId" FROM autonomous_operations_audit a
    WHERE customer_id = ${customerId}::uuid AND payload IS NOT NULL AND (header::jsonb ->> 'actor' = ${scope.memberId}
      OR seq = ANY (${[...entries]}::bigint[]) OR operation_id IN (SELECT o.id FROM autonomous_operations o
        WHERE o.customer_id = a.customer_id AND o.user_id = ${scope.memberId}::uuid)) ORDER BY seq`;
}

async function oldWords(tx: Transaction, customerId: CustomerId, days: number, held: readonly string[]) {
  const rows = await tx.$queryRaw`
    SELECT seq, operation_id AS "operationId" FROM autonomous_operations_audit
    WHERE customer_id = ${customerId}::uuid AND payload IS NOT NULL AND at < app.now() - make_interval(days => app.audit_days(${days}::int))
      AND coalesce(operation_id, '') <> ALL (${[...held]}::text[]) ORDER BY seq`;
  return seqs.parse(rows).map(({ seq }) => seq);
}

/** `1 2 3 7` → `[["1","3"],["7","7"]]`: numbers as texts, since JSON's end at 2^53. */
function ranges(sorted: readonly bigint[]): [string, string][] {
  const found: { from: bigint; to: bigint }[] = [];
  for (const seq of sorted) {
    const open = found.at(-1);
    if (open && open.to + 1n === seq) open.to = seq;
    else found.push({ from: seq, to: seq });
  }
  return found.map(({ from, to }) => [String(from), String(to)]);
}
