import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type AuditEntry as AuditRow, Prisma } from '../../prisma/generated/client.ts';
import { canonical, type Json } from '../canonical.ts';
import { afterCommit, type Database, type Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import { type CustomerId, newUuid, type OperationId } from '../ids.ts';
import { toBuffer } from '../vault/keys.ts';
import { keyVersionOf } from '../vault/record.ts';
import type { Sealer } from '../vault/sealer.ts';
import type { ChainPoint, ChainVerdict } from './chain.ts';
import type { AuditEntry, AuditKind, Gone, NewEntry } from './entry.ts';
import { isIntactUpTo, verifyChain } from './rows.ts';

/** The channel on which processes tell each other that a customer's trail grew; its payload is the customer's id. */
export const AUDIT_CHANNEL = 'countersign_audit';

const NOTIFY_EVERY_MS = 25; // a NOTIFY inside the append would serialise the commits of the whole cluster

/** The append-only trail of each customer. */
export interface Audit {
  /**
   * Appends to the chain inside `tx`: call it last, and wait for nothing but SQL after it. Of an erased customer the entry
   * alone, without its words: whatever still runs then must be able to end.
   */
  append(tx: Transaction, customerId: CustomerId, entry: NewEntry): Promise<{ seq: bigint; hash: string }>;
  /**
   * An entry without a payload for a function of the database that appends it together with what it does: `header` is its
   * argument. Call `appended` once that is committed, so that the thread hears of it.
   */
  headerOnly(customerId: CustomerId, entry: Omit<NewEntry, 'payload'>): { header: Prisma.Sql; appended(): void };
  /** Oldest first. */
  entriesOf(tx: Transaction, customerId: CustomerId, operationId: OperationId): Promise<readonly AuditEntry[]>;
  /** The one of this kind in the operation's trail, of a kind that it has once at most. */
  entryOf(
    tx: Transaction,
    customerId: CustomerId,
    operationId: string,
    kind: AuditKind,
  ): Promise<AuditEntry | undefined>;
  /** As it reads in a list of rows; the words are opened where that can be, and `gone` says why it can't. */
  read(tx: Transaction, customerId: CustomerId, row: AuditRow): Promise<AuditEntry>;
  /** Whether this entry and those before it hold together, back to the last checkpoint before its operation began. */
  isIntactUpTo(tx: Transaction, customerId: CustomerId, seq: bigint): Promise<boolean>;
  /** Recomputes the customer's whole chain from the rows, and compares it with what was signed. */
  verify(customerId: CustomerId, anchors?: readonly ChainPoint[]): Promise<ChainVerdict>;
  /** Hears of every entry that this process appended, once it is committed. */
  onAppend(listener: (appended: Appended) => void): void;
}

export interface Appended {
  readonly customerId: CustomerId;
  readonly seq: bigint;
  readonly kind: AuditKind;
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
  tokens: z.object({ input: z.number(), output: z.number() }).optional(),
  planHash: z.string().optional(),
  credentialId: z.string().optional(),
  credentialType: z.string().optional(),
  why: z.string().optional(),
  keyVersion: z.number().optional(),
  tokenId: z.string().optional(),
  asked: z.string().optional(),
  payloadHash: z.string().optional(),
});
const sealedPayload = z.object({ salt: z.string(), payload: z.record(z.string(), z.json()) });
const appended = z.array(z.object({ seq: z.bigint(), hash: z.instanceof(Uint8Array) })).length(1);

export function createAudit(deps: { database: Database; sealer: Sealer }): Audit {
  const { database, sealer } = deps;
  const touched = new Set<CustomerId>();
  const listeners: ((appended: Appended) => void)[] = [];
  const flush = () => {
    const customers = [...touched];
    touched.clear();
    database.notify(AUDIT_CHANNEL, customers).catch(() => {}); // the feed's own polling finds what this would have said
  };
  const header = (customerId: CustomerId, text: string) =>
    database.vouched('audit', customerId, text, Prisma.sql`${text}::text`);
  const wake = (customerId: CustomerId) => {
    if (touched.size === 0) setTimeout(flush, NOTIFY_EVERY_MS);
    touched.add(customerId);
  };

  return {
    async append(tx, customerId, entry) {
      const { payload, ...rest } = entry;
      const id = newUuid();
      const sealed = payload === undefined ? undefined : await sealPayload(tx, sealer, customerId, id, payload);
      const text = headerText(customerId, id, headerFields(rest, sealed?.hash));
      const words = header(customerId, text);
      const rows = await tx.$queryRaw`SELECT seq, hash FROM app.append_audit(${words}, ${sealed?.record ?? null})`;
      const [row] = appended.parse(rows);
      const seq = row?.seq ?? 0n;
      afterCommit(tx, () => {
        wake(customerId);
        for (const listener of listeners) listener({ customerId, seq, kind: entry.kind });
      });
      return { seq, hash: Buffer.from(row?.hash ?? []).toString('hex') };
    },
    headerOnly: (customerId, entry) => ({
      header: header(customerId, headerText(customerId, newUuid(), headerFields(entry))),
      appended: () => wake(customerId),
    }),
    async entriesOf(tx, customerId, operationId) {
      const rows = await tx.auditEntry.findMany({ where: { customerId, operationId }, orderBy: { seq: 'asc' } });
      const entries: AuditEntry[] = [];
      // One transaction is one connection: its queries go one after the other.
      for (const row of rows) entries.push(await readEntry(tx, sealer, customerId, row));
      return entries;
    },
    async entryOf(tx, customerId, operationId, kind) {
      const row = await tx.auditEntry.findFirst({ where: { customerId, operationId, kind } });
      return row ? readEntry(tx, sealer, customerId, row) : undefined;
    },
    read: (tx, customerId, row) => readEntry(tx, sealer, customerId, row),
    isIntactUpTo,
    verify: (customerId, anchors = []) => verifyChain(database, customerId, anchors),
    onAppend: (listener) => void listeners.push(listener),
  };
}

/** The header of an entry as it is chained: RFC 8785 text. */
export function headerText(
  customerId: CustomerId,
  id: string,
  fields: { readonly [name: string]: Json | undefined },
): string {
  return canonical(defined({ v: 1, id, customerId, ...fields }));
}

function headerFields({ attempt, ...rest }: Omit<NewEntry, 'payload'>, payloadHash?: string) {
  return { ...rest, attempt: attempt === undefined ? undefined : String(attempt), payloadHash };
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
  const words = Buffer.from(JSON.stringify({ salt, payload }));
  try {
    const { record } = await sealer.seal(tx, customerId, ['audit', entryId], words);
    return { record: Uint8Array.from(record), hash };
  } catch (error) {
    const isKeyMissing = error instanceof CountersignError && error.code === 'vault_key_missing';
    if (isKeyMissing && (await isErased(tx, customerId))) return undefined;
    throw error;
  }
}

/** A root key that isn't configured makes a key missing, too: that is an operator's slip, and no erasure. */
async function isErased(tx: Transaction, customerId: CustomerId): Promise<boolean> {
  return (await tx.customerKey.count({ where: { customerId, NOT: { state: 'destroyed' } } })) === 0;
}

function payloadHash(salt: string, payload: Json): string {
  return createHash('sha256').update(Buffer.from(salt, 'hex')).update(canonical(payload)).digest('hex');
}

async function readEntry(tx: Transaction, sealer: Sealer, customerId: CustomerId, row: AuditRow): Promise<AuditEntry> {
  // The header is what is chained; the columns beside it are for queries.
  const { id, payloadHash: expected, ...fields } = header.parse(JSON.parse(row.header));
  const opened = row.payload ? await openPayload(tx, sealer, customerId, id, row.payload) : 'erased';
  const isOnRecord = typeof opened === 'object' && payloadHash(opened.salt, opened.payload) === expected;
  const sealed = isOnRecord ? opened : undefined;
  const gone = typeof opened === 'string' ? opened : isOnRecord ? undefined : 'damaged';
  const { seq, at } = row;
  return defined({
    seq,
    at,
    ...fields,
    hash: Buffer.from(row.hash).toString('hex'),
    gone: expected === undefined && !row.payload ? undefined : gone, // most entries never had any
    salt: sealed?.salt,
    payload: sealed?.payload,
  });
}

/** @throws CountersignError `vault_key_missing`: there is no root key for it, an operator's slip. */
async function openPayload(
  tx: Transaction,
  sealer: Sealer,
  customerId: CustomerId,
  entryId: string,
  record: Uint8Array,
): Promise<z.infer<typeof sealedPayload> | Gone> {
  try {
    const bytes = await sealer.open(tx, customerId, ['audit', entryId], record);
    return sealedPayload.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    if (isDamage(error)) return 'damaged';
    const isKeyMissing = error instanceof CountersignError && error.code === 'vault_key_missing';
    if (isKeyMissing && (await isDestroyed(tx, customerId, keyVersionOf(toBuffer(record))))) return 'key destroyed';
    throw error;
  }
}

function isDamage(error: unknown): boolean {
  if (error instanceof CountersignError)
    return error.code === 'vault_authentication_failed' || error.code === 'vault_format_unknown';
  return error instanceof SyntaxError || error instanceof z.ZodError;
}

async function isDestroyed(tx: Transaction, customerId: CustomerId, version: number): Promise<boolean> {
  const key = await tx.customerKey.findUnique({ where: { customerId_version: { customerId, version } } });
  return key?.state === 'destroyed';
}

/** Without the keys whose value is undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  // Object.fromEntries loses the key types; the filter guarantees what the return type says.
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
