import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { AuditEntry as AuditRow } from '../../prisma/generated/client.ts';
import { canonical, type Json } from '../canonical.ts';
import { afterCommit, type Database, type Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import { type CustomerId, newUuid, type OperationId } from '../ids.ts';
import type { Sealer } from '../vault/sealer.ts';
import { type ChainVerdict, checkChain } from './chain.ts';
import type { AuditEntry, NewEntry } from './entry.ts';

/** The channel on which processes tell each other that a customer's trail grew; its payload is the customer's id. */
export const AUDIT_CHANNEL = 'countersign_audit';

const NOTIFY_EVERY_MS = 25; // a NOTIFY inside the append would serialise the commits of the whole cluster

/** The append-only trail of each customer. */
export interface Audit {
  /** Appends to the chain inside `tx`: call it last, and wait for nothing but SQL after it. */
  append(tx: Transaction, customerId: CustomerId, entry: NewEntry): Promise<{ seq: bigint; hash: string }>;
  /**
   * An entry without a payload for a function of the database that appends it together with what it does; call `appended`
   * once that is committed, so that the thread hears of it.
   */
  headerOnly(customerId: CustomerId, entry: Omit<NewEntry, 'payload'>): { header: string; appended(): void };
  /** Oldest first. */
  entriesOf(tx: Transaction, customerId: CustomerId, operationId: OperationId): Promise<readonly AuditEntry[]>;
  /** Whether the chain from its first entry to this one is what its hashes say. */
  isIntactUpTo(tx: Transaction, customerId: CustomerId, seq: bigint): Promise<boolean>;
  /** Recomputes the customer's whole chain from the rows. */
  verify(customerId: CustomerId): Promise<ChainVerdict>;
}

const header = z.object({
  id: z.string(),
  kind: z.string(),
  actor: z.string().optional(),
  operationId: z.string().optional(),
  stepNumber: z.number().optional(),
  attempt: z.string().transform(BigInt).optional(),
  success: z.boolean().optional(),
  durationMs: z.number().optional(),
  rung: z.string().optional(),
  planHash: z.string().optional(),
  credentialId: z.string().optional(),
  credentialType: z.string().optional(),
  why: z.string().optional(),
  keyVersion: z.number().optional(),
  asked: z.string().optional(),
  payloadHash: z.string().optional(),
});
const sealedPayload = z.object({ salt: z.string(), payload: z.record(z.string(), z.json()) });
const appended = z.array(z.object({ seq: z.bigint(), hash: z.instanceof(Uint8Array) })).length(1);

export function createAudit(deps: { database: Database; sealer: Sealer }): Audit {
  const { database, sealer } = deps;
  const touched = new Set<CustomerId>();
  const flush = () => {
    const customers = [...touched];
    touched.clear();
    database.notify(AUDIT_CHANNEL, customers).catch(() => {}); // the feed's own polling finds what this would have said
  };
  const wake = (customerId: CustomerId) => {
    if (touched.size === 0) setTimeout(flush, NOTIFY_EVERY_MS);
    touched.add(customerId);
  };

  return {
    async append(tx, customerId, entry) {
      const { payload, ...rest } = entry;
      const id = newUuid();
      const sealed = payload === undefined ? undefined : await sealPayload(tx, sealer, customerId, id, payload);
      const text = headerText(customerId, id, rest, sealed?.hash);
      const rows = await tx.$queryRaw`SELECT seq, hash FROM app.append_audit(${text}, ${sealed?.record ?? null})`;
      const [row] = appended.parse(rows);
      afterCommit(tx, () => wake(customerId));
      return { seq: row?.seq ?? 0n, hash: Buffer.from(row?.hash ?? []).toString('hex') };
    },
    headerOnly: (customerId, entry) => ({
      header: headerText(customerId, newUuid(), entry),
      appended: () => wake(customerId),
    }),
    async entriesOf(tx, customerId, operationId) {
      const rows = await tx.auditEntry.findMany({ where: { customerId, operationId }, orderBy: { seq: 'asc' } });
      const entries: AuditEntry[] = [];
      // One transaction is one connection: its queries go one after the other.
      for (const row of rows) entries.push(await readEntry(tx, sealer, customerId, row));
      return entries;
    },
    async isIntactUpTo(tx, customerId, seq) {
      const rows = await chainRows(tx, customerId, { lte: seq });
      return checkChain(rows, rows.at(-1)).isIntact && rows.length === Number(seq);
    },
    verify: (customerId) =>
      database.withCustomer(customerId, async (tx) => {
        const rows = await chainRows(tx, customerId, {});
        const head = await tx.auditHead.findUnique({ where: { customerId } });
        // Somebody may have appended between the two: as far as the head says, and no further.
        const late = head ? await chainRows(tx, customerId, { gt: rows.at(-1)?.seq ?? 0n, lte: head.seq }) : [];
        return checkChain([...rows, ...late], head ?? undefined);
      }),
  };
}

/** What is chained: RFC 8785 text. */
function headerText(
  customerId: CustomerId,
  id: string,
  { attempt, ...rest }: Omit<NewEntry, 'payload'>,
  payloadHash?: string,
): string {
  const number = attempt === undefined ? undefined : String(attempt);
  return canonical(defined({ v: 1, id, customerId, ...rest, attempt: number, payloadHash }));
}

function chainRows(tx: Transaction, customerId: CustomerId, seq: { gt?: bigint; lte?: bigint }) {
  return tx.auditEntry.findMany({ where: { customerId, seq }, omit: { payload: true }, orderBy: { seq: 'asc' } });
}

/** The salt keeps short payloads (a name, an address) from being guessed from the hash that stays in the chain. */
async function sealPayload(
  tx: Transaction,
  sealer: Sealer,
  customerId: CustomerId,
  entryId: string,
  payload: { readonly [key: string]: Json },
) {
  const salt = randomBytes(32).toString('hex');
  const hash = payloadHash(salt, payload);
  const { record } = await sealer.seal(
    tx,
    customerId,
    ['audit', entryId],
    Buffer.from(JSON.stringify({ salt, payload })),
  );
  return { record: Uint8Array.from(record), hash };
}

function payloadHash(salt: string, payload: Json): string {
  return createHash('sha256').update(Buffer.from(salt, 'hex')).update(canonical(payload)).digest('hex');
}

async function readEntry(tx: Transaction, sealer: Sealer, customerId: CustomerId, row: AuditRow): Promise<AuditEntry> {
  // The header is what is chained; the columns beside it are for queries.
  const { id, payloadHash: expected, ...fields } = header.parse(JSON.parse(row.header));
  const sealed = row.payload && sealedPayload.parse(await openPayload(tx, sealer, customerId, id, row.payload));
  if (sealed && payloadHash(sealed.salt, sealed.payload) !== expected)
    throw new CountersignError('audit_chain_broken', `The words of audit entry ${row.seq} are not those on record.`);
  const { seq, at } = row;
  return defined({
    seq,
    at,
    ...fields,
    hash: Buffer.from(row.hash).toString('hex'),
    salt: sealed?.salt,
    payload: sealed?.payload,
  });
}

async function openPayload(
  tx: Transaction,
  sealer: Sealer,
  customerId: CustomerId,
  entryId: string,
  record: Uint8Array,
): Promise<unknown> {
  const bytes = await sealer.open(tx, customerId, ['audit', entryId], record);
  return JSON.parse(bytes.toString('utf8'));
}

/** Without the keys whose value is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  // Object.fromEntries loses the key types; the filter guarantees what the return type says.
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
