import type { AuditEntry } from '../../prisma/generated/client.ts';
import type { Database, Transaction } from '../database.ts';
import type { CustomerId, MemberId } from '../ids.ts';
import { type ChainPoint, type ChainRow, type ChainVerdict, createChainCheck, type HeaderColumns } from './chain.ts';

const BATCH = 2_000;

interface Row extends HeaderColumns {
  readonly seq: bigint;
  readonly at: Date;
  readonly header: string;
  readonly prev: Uint8Array;
  readonly hash: Uint8Array;
  readonly hasWords: boolean;
}

/** Entries in the order of seq, without their words. */
export async function chainRows(
  tx: Transaction,
  customerId: CustomerId,
  { after, upTo, limit = BATCH }: { after: bigint; upTo?: bigint; limit?: number },
): Promise<readonly ChainRow[]> {
  const rows = await tx.$queryRaw<Row[]>`
    SELECT seq, at, header, prev, hash, payload IS NOT NULL AS "hasWords", kind, operation_id AS "operationId",
      step_number AS "stepNumber", attempt, success, duration_ms AS "durationMs"
    FROM autonomous_operations_audit
    WHERE customer_id = ${customerId}::uuid AND seq > ${after} AND seq <= ${upTo ?? FARTHEST} ORDER BY seq LIMIT ${limit}`;
  return rows.map((row) => ({
    seq: row.seq,
    at: row.at,
    header: row.header,
    prev: row.prev,
    hash: row.hash,
    columns: row,
    words: row.hasWords ? 'there' : 'none',
  }));
}

const FARTHEST = 2n ** 63n - 1n;

/** Checks the customer's whole chain as it lies in the database, a batch and a transaction at a time. */
export async function verifyChain(
  database: Database,
  customerId: CustomerId,
  anchors: readonly ChainPoint[],
): Promise<ChainVerdict> {
  let check: ReturnType<typeof createChainCheck> | undefined;
  let after = 0n;
  for (;;) {
    const { rows, head } = await database.withCustomer(customerId, async (tx) => {
      const rows = await chainRows(tx, customerId, { after });
      const head = rows.length < BATCH ? await tx.auditHead.findUnique({ where: { customerId } }) : undefined;
      return { rows, head };
    });
    check ??= createChainCheck({ ...startOf(rows[0]), anchors, isSorted: true });
    for (const row of rows) check.add(row);
    after = rows.at(-1)?.seq ?? after;
    if (check.isSettled()) return check.finish();
    // Somebody may have appended between the two statements: on, as far as the head says.
    const isBehind = rows.length > 0 && head != null && head.seq > after;
    if (rows.length < BATCH && !isBehind) return check.finish(head ?? NO_HEAD);
  }
}

/** Whether the entries up to this one hold together, from the last checkpoint before its operation began. */
export async function isIntactUpTo(tx: Transaction, customerId: CustomerId, seq: bigint): Promise<boolean> {
  const last = await tx.auditEntry.findUnique({
    where: { customerId_seq: { customerId, seq } },
    omit: { payload: true },
  });
  const operationId = last?.operationId ?? null;
  const first =
    operationId === null
      ? last
      : await tx.auditEntry.findFirst({
          where: { customerId, operationId },
          orderBy: { seq: 'asc' },
          omit: { payload: true },
        });
  const checkpoint = await tx.auditCheckpoint.findFirst({
    where: { customerId, seq: { lt: first?.seq ?? seq } },
    orderBy: { seq: 'desc' },
  });
  let check = checkpoint ? createChainCheck({ start: checkpoint, isSorted: true }) : undefined;
  let after = checkpoint?.seq ?? 0n;
  while (after < seq) {
    const rows = await chainRows(tx, customerId, { after, upTo: seq });
    check ??= createChainCheck({ start: startOf(rows[0]).start ?? NO_HEAD, isSorted: true });
    for (const row of rows) check.add(row);
    if (rows.length < BATCH) break;
    after = rows.at(-1)?.seq ?? after;
  }
  const verdict = check?.finish();
  return seq === 0n || (verdict?.isIntact === true && verdict.seq === seq);
}

/** Whether a legal hold keeps the trail, and all that opens it, as it is. */
export async function isHeld(tx: Transaction, customerId: CustomerId): Promise<boolean> {
  return (await holdOf(tx, customerId)) !== undefined;
}

/** The legal hold of the customer, since when and by which entry, whose words say why; `undefined`: there is none. */
export async function holdOf(tx: Transaction, customerId: CustomerId): Promise<AuditEntry | undefined> {
  // The kinds as the index has them: of values that are bound, PostgreSQL can't tell that it holds them all.
  const [last] = await tx.$queryRaw<{ seq: bigint; kind: string }[]>`
    SELECT seq, kind FROM autonomous_operations_audit
    WHERE customer_id = ${customerId}::uuid AND kind IN ('hold.placed', 'hold.released') ORDER BY seq DESC LIMIT 1`;
  if (last?.kind !== 'hold.placed') return undefined;
  return tx.auditEntry.findUniqueOrThrow({ where: { customerId_seq: { customerId, seq: last.seq } } });
}

/** The operations that a legal hold of their own keeps as they are. */
export async function heldOperations(tx: Transaction, customerId: CustomerId): Promise<readonly string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`SELECT id FROM app.held_operations(${customerId}::uuid) AS id`;
  return rows.map(({ id }) => id);
}

/** Whether a legal hold keeps anything of the customer; of a member: of the customer as a whole, or what they took part in. */
export async function isAnythingHeld(tx: Transaction, customerId: CustomerId, memberId?: MemberId): Promise<boolean> {
  if (await isHeld(tx, customerId)) return true;
  if (memberId === undefined) return (await heldOperations(tx, customerId)).length > 0;
  const rows = await tx.$queryRaw<[{ held: boolean }]>`
    SELECT app.holds_member(${customerId}::uuid, ${memberId}::uuid) AS held`;
  return rows[0].held;
}

const NO_HEAD: ChainPoint = { seq: 0n, hash: Buffer.alloc(32) };

/** A chain whose first entry isn't number 1 begins behind what the retention period took. */
function startOf(first: ChainRow | undefined): { start?: ChainPoint; isDropped?: boolean } {
  return first && first.seq > 1n ? { start: { seq: first.seq - 1n, hash: first.prev }, isDropped: true } : {};
}
