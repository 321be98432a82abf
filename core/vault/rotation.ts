import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import { isAnythingHeld } from '../audit/rows.ts';
import type { Database, Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import { OPEN_STATES } from '../operations/states.ts';
import type { RootKeys } from '../ports/keys.ts';
import { binding } from './credential.ts';
import { forgetInstallations, rewrapInstallations } from './installation-keys.ts';
import {
  type CustomerKeys,
  countSeals,
  createCustomerKeys,
  keyContext,
  keyWord,
  MOST_SEALS,
  toBuffer,
} from './keys.ts';
import { type CustomerKey, rewrapRecord } from './record.ts';
import { deleteRows, sealedWord } from './records.ts';

/**
 * What becomes of customers' keys.
 *
 * A rotation makes a new version, wraps the data keys of all stored secrets anew under it (payloads stay, byte for byte),
 * and destroys each older version as soon as nothing names it. Audit payloads and screenshots are append-only and keep the
 * version they were sealed under; it stays `decrypt_only` until retention has dropped the last of them. So an older version
 * never opens a stored secret, and the one role that the program has needs no right to rewrite what is on record.
 *
 * Each batch is a transaction and leaves everything readable, so a rotation may be killed anywhere and is taken up by
 * `resume`, or by the next upkeep. Of two at once one makes the version, and both may rewrap: rows that the other has are
 * passed by.
 */
export interface KeyRotation {
  /** `lost`: somebody else has just rotated. @throws CountersignError `vault_key_missing` (no key yet, or erased). */
  rotateCustomerKeys(customerId: CustomerId, options?: RewrapOptions): Promise<RotationOutcome>;
  /** Finishes what was begun; with nothing begun, nothing is done. */
  resume(customerId: CustomerId, options?: RewrapOptions): Promise<RewrapReport>;
  /** Wraps the customer's own keys anew under the newest root key. @returns how many were under another one. */
  rewrapUnderRoot(customerId: CustomerId): Promise<number>;
  /**
   * Crypto-shredding: all versions destroyed, their wrapped bytes overwritten, stored secrets deleted, and the customer
   * marked, so that it never gets a key again. What lies sealed in older dumps of the other tables stays shut for good. A
   * dump that holds `customer_keys` opens it together with the root key: dump that table apart and keep it for days only
   * (`pg_dump --exclude-table-data=customer_keys`, and one of that table alone). Until that is dropped, the table vacuumed
   * and its WAL recycled, the wrapped keys can still be found there.
   * @throws CountersignError `operation_running` (an operation of the customer is not over: stop it first).
   */
  eraseCustomer(customerId: CustomerId): Promise<void>;
  /** Goes through all customers: rotates keys that are older than `days` or near their limit, finishes what was begun. */
  upkeep(days: number): Promise<UpkeepReport>;
  /** The versions of a customer's key, oldest first. */
  versions(customerId: CustomerId): Promise<readonly KeyVersion[]>;
}

export interface RewrapOptions {
  /** Secrets a transaction; 200 unless told otherwise. */
  readonly batch?: number;
  /** After each batch, with the number of secrets that it rewrapped. */
  readonly onBatch?: (rewrapped: number) => void;
}

export interface RewrapReport {
  readonly rewrapped: number;
  /** Secrets that don't open in their place: left as they are, and their version with them. */
  readonly unreadable: number;
  readonly destroyed: readonly number[];
  /** Versions that something still needs. */
  readonly kept: readonly number[];
}

export type RotationOutcome =
  | ({ readonly kind: 'rotated'; readonly from: number; readonly to: number } & RewrapReport)
  | { readonly kind: 'lost' };

export interface UpkeepReport {
  readonly customers: number;
  readonly rotated: number;
  readonly failed: readonly { readonly customerId: CustomerId; readonly error: unknown }[];
}

export interface KeyVersion {
  readonly version: number;
  readonly state: string;
  readonly createdAt: Date;
  readonly seals: bigint;
}

const DEFAULT_BATCH = 200;
/** Rows that somebody holds are passed by in the first pass and waited for in the second; more are begun only by new work. */
const PASSES = 3;

interface Deps {
  readonly database: Database;
  readonly directory: Directory;
  readonly rootKeys: RootKeys;
  readonly audit: Audit;
}

export function createKeyRotation(deps: Deps): KeyRotation {
  const { database, directory, audit } = deps;
  const keys = createCustomerKeys(deps.rootKeys);
  const rotation: KeyRotation = {
    async rotateCustomerKeys(customerId, options = {}) {
      const begun = await database.withCustomer(customerId, (tx) => begin(tx, keys, deps, customerId));
      if (!begun) return { kind: 'lost' };
      return { kind: 'rotated', ...begun, ...(await rotation.resume(customerId, options)) };
    },
    async resume(customerId, options = {}) {
      const report = { rewrapped: 0, unreadable: 0, destroyed: [] as number[], kept: [] as number[] };
      for (const version of await retired(database, customerId)) {
        for (let pass = 0; pass < PASSES; pass++) {
          const found = await rewrapAll(database, keys, customerId, version, { ...options, isWaiting: pass > 0 });
          report.rewrapped += found.rewrapped;
          report.unreadable = found.unreadable;
          if (pass > 0 && found.rewrapped === 0) break;
        }
        report.rewrapped += await rewrapInstallations(database, keys, customerId, version);
        const isDestroyed = await destroy(database, audit, customerId, version);
        (isDestroyed ? report.destroyed : report.kept).push(version);
      }
      return report;
    },
    rewrapUnderRoot: (customerId) =>
      database.withCustomer(customerId, (tx) => rewrapUnderRoot(tx, keys, deps, customerId)),
    eraseCustomer: (customerId) => database.withCustomer(customerId, (tx) => erase(tx, deps, customerId)),
    async upkeep(days) {
      const customers = await directory.customers();
      const failed: UpkeepReport['failed'][number][] = [];
      let rotated = 0;
      for (const customerId of customers) {
        try {
          if (!(await isDue(database, customerId, days))) await rotation.resume(customerId);
          else if ((await rotation.rotateCustomerKeys(customerId)).kind === 'rotated') rotated++;
        } catch (error) {
          failed.push({ customerId, error }); // one customer's trouble doesn't keep the next one's key old
        }
      }
      return { customers: customers.length, rotated, failed };
    },
    versions: (customerId) =>
      database.withCustomer(customerId, (tx) =>
        tx.customerKey.findMany({
          where: { customerId },
          select: { version: true, state: true, createdAt: true, seals: true },
          orderBy: { version: 'asc' },
        }),
      ),
  };
  return rotation;
}

/** Retires the active version and makes the next; `undefined` when somebody else has just done so. */
async function begin(tx: Transaction, keys: CustomerKeys, { database, audit }: Deps, customerId: CustomerId) {
  const active = await tx.customerKey.findFirst({ where: { customerId, state: 'active' }, select: { version: true } });
  if (!active) throw new CountersignError('vault_key_missing', 'This customer has no key to rotate.');
  const { version: from } = active;
  await database.vouch(tx, 'key', customerId, keyWord(from, 'decrypt_only'));
  // Of two at once the second waits here for the first one's commit, and then finds the version retired.
  const { count } = await tx.customerKey.updateMany({
    where: { customerId, version: from, state: 'active' },
    data: { state: 'decrypt_only' },
  });
  if (count === 0) return undefined;
  const to = from + 1;
  await keys.make(tx, customerId, to);
  await audit.append(tx, customerId, { kind: 'key.rotated', keyVersion: to });
  return { from, to };
}

const dueRows = z.array(z.object({ isDue: z.boolean() }));

async function isDue(database: Database, customerId: CustomerId, days: number): Promise<boolean> {
  const rows = await database.withCustomer(
    customerId,
    (tx) => tx.$queryRaw`
      SELECT created_at <= app.now() - make_interval(days => ${days}::int) OR seals >= ${MOST_SEALS / 2n} AS "isDue"
      FROM customer_keys WHERE customer_id = ${customerId}::uuid AND state = 'active'`,
  );
  return dueRows.parse(rows)[0]?.isDue ?? false;
}

async function retired(database: Database, customerId: CustomerId): Promise<readonly number[]> {
  const rows = await database.withCustomer(customerId, (tx) =>
    tx.customerKey.findMany({
      where: { customerId, state: 'decrypt_only' },
      select: { version: true },
      orderBy: { version: 'asc' },
    }),
  );
  return rows.map(({ version }) => version);
}

interface Cursor {
  readonly version: number;
  readonly after: string;
  readonly batch: number;
  /** Waits for rows that somebody holds, instead of passing them by. */
  readonly isWaiting: boolean;
}

const START = '00000000-0000-0000-0000-000000000000';

async function rewrapAll(
  database: Database,
  keys: CustomerKeys,
  customerId: CustomerId,
  version: number,
  { batch = DEFAULT_BATCH, onBatch, isWaiting }: RewrapOptions & { isWaiting: boolean },
) {
  const sum = { rewrapped: 0, unreadable: 0 };
  for (let after: string | undefined = START; after !== undefined; ) {
    const cursor: Cursor = { version, after, batch, isWaiting };
    const done = await database.withCustomer(customerId, (tx) => rewrapBatch(tx, database, keys, customerId, cursor));
    sum.rewrapped += done.rewrapped;
    sum.unreadable += done.unreadable;
    after = done.last;
    if (done.last !== undefined) onBatch?.(done.rewrapped);
  }
  return sum;
}

const wrappedRows = z.array(
  z.object({
    id: z.string(),
    service: z.string(),
    target: z.string(),
    credential_type: z.string(),
    operation_id: z.string().nullable(),
    secret_version: z.int(),
    expires_at: z.date().nullable(),
    encrypted_credential: z.instanceof(Uint8Array),
  }),
);

/** One transaction: some rows locked, their wraps made anew, written back by one statement. */
async function rewrapBatch(
  tx: Transaction,
  database: Database,
  keys: CustomerKeys,
  customerId: CustomerId,
  cursor: Cursor,
) {
  const rows = wrappedRows.parse(await lockedRows(tx, customerId, cursor));
  const last = rows.at(-1)?.id;
  if (last === undefined) return { rewrapped: 0, unreadable: 0, last };
  const from = await keys.ofVersion(tx, customerId, cursor.version);
  const to = await keys.active(tx, customerId);
  try {
    const done = rows.flatMap((row) => rewrapped(customerId, from, to, row));
    if (done.length > 0) {
      await database.vouch(tx, 'credential', customerId, sealedWord(done, `v${to.version}`));
      await tx.$executeRaw`
        UPDATE autonomous_credentials c SET encrypted_credential = decode(r.record, 'hex'), encryption_key_id = ${`v${to.version}`}
        FROM unnest(${done.map(({ id }) => id)}::uuid[], ${done.map(({ record }) => record.toString('hex'))}::text[]) r (id, record)
        WHERE c.customer_id = ${customerId}::uuid AND c.id = r.id`;
      await countSeals(tx, customerId, to.version, done.length);
    }
    return { rewrapped: done.length, unreadable: rows.length - done.length, last };
  } finally {
    for (const key of [from, to]) key.bytes.fill(0);
  }
}

function lockedRows(tx: Transaction, customerId: CustomerId, { version, after, batch, isWaiting }: Cursor) {
  const keyId = `v${version}`;
  return isWaiting
    ? tx.$queryRaw`
        SELECT id, service, target, credential_type, operation_id, secret_version, expires_at, encrypted_credential
        FROM autonomous_credentials
        WHERE customer_id = ${customerId}::uuid AND encryption_key_id = ${keyId} AND id > ${after}::uuid
        ORDER BY id LIMIT ${batch} FOR UPDATE`
    : tx.$queryRaw`
        SELECT id, service, target, credential_type, operation_id, secret_version, expires_at, encrypted_credential
        FROM autonomous_credentials
        WHERE customer_id = ${customerId}::uuid AND encryption_key_id = ${keyId} AND id > ${after}::uuid
        ORDER BY id LIMIT ${batch} FOR UPDATE SKIP LOCKED`;
}

function rewrapped(
  customerId: CustomerId,
  from: CustomerKey,
  to: CustomerKey,
  row: z.infer<typeof wrappedRows>[number],
): { id: string; record: Buffer; secretVersion: number; expiresAt: Date | null }[] {
  const { id, service, target, secret_version: secretVersion, expires_at: expiresAt } = row;
  const place = { service, target, type: row.credential_type, operationId: row.operation_id };
  const parts = [customerId, ...binding(id, place, secretVersion, expiresAt)];
  try {
    const record = rewrapRecord(from.bytes, to, parts, toBuffer(row.encrypted_credential));
    return [{ id, record, secretVersion, expiresAt }];
  } catch (error) {
    if (error instanceof CountersignError && error.code !== 'randomness_failed') return []; // it opens for nobody any more
    throw error;
  }
}

const namedRows = z.array(z.object({ isNamed: z.boolean() }));

/** @returns whether nothing names the version any more and it is gone. */
function destroy(database: Database, audit: Audit, customerId: CustomerId, version: number): Promise<boolean> {
  return database.withCustomer(customerId, async (tx) => {
    const rows = await tx.$queryRaw`SELECT app.key_is_named(${customerId}::uuid, ${version}::int) AS "isNamed"`;
    if (namedRows.parse(rows)[0]?.isNamed !== false) return false;
    await database.vouch(tx, 'key', customerId, keyWord(version, 'destroyed'));
    const { count } = await tx.customerKey.updateMany({
      where: { customerId, version, state: 'decrypt_only' },
      data: { state: 'destroyed', wrapped: new Uint8Array() },
    });
    if (count > 0) await audit.append(tx, customerId, { kind: 'key.destroyed', keyVersion: version });
    return count > 0;
  });
}

async function rewrapUnderRoot(tx: Transaction, keys: CustomerKeys, deps: Deps, customerId: CustomerId) {
  const { database, rootKeys, audit } = deps;
  await tx.$executeRaw`SELECT FROM customer_keys WHERE customer_id = ${customerId}::uuid FOR NO KEY UPDATE`;
  const rows = await tx.customerKey.findMany({ where: { customerId, state: { not: 'destroyed' } } });
  const old = rows.filter(({ wrapped }) => !rootKeys.isUnderNewest(toBuffer(wrapped)));
  for (const row of old) {
    const { bytes, version } = await keys.unwrap(customerId, row);
    const wrapped = await rootKeys.wrap(bytes, keyContext(customerId, version));
    bytes.fill(0);
    await database.vouch(tx, 'key', customerId, keyWord(version, row.state, wrapped));
    await tx.customerKey.update({
      where: { customerId_version: { customerId, version } },
      data: { wrapped: Uint8Array.from(wrapped) },
    });
  }
  if (old.length > 0) await audit.append(tx, customerId, { kind: 'key.rewrapped' });
  return old.length;
}

async function erase(tx: Transaction, { database, audit }: Deps, customerId: CustomerId): Promise<void> {
  await database.vouch(tx, 'customer', customerId, 'erased');
  await tx.$executeRaw`UPDATE customers SET erased_at = app.now() WHERE customer_id = ${customerId}::uuid AND erased_at IS NULL`;
  await tx.workflowProposal.updateMany({ where: { customerId }, data: { element: {} } });
  await tx.connectionHealth.updateMany({ where: { customerId }, data: { reason: '' } });
  await forgetInstallations(tx, database, customerId);
  const open = await tx.operation.count({ where: { customerId, status: { in: [...OPEN_STATES] } } });
  if (open > 0)
    throw new CountersignError(
      'operation_running',
      `${open} operations of this customer are not over: stop them first. Nothing was erased.`,
    );
  const keys = await tx.customerKey.findMany({ where: { customerId, state: { not: 'destroyed' } } });
  for (const { version } of keys) {
    await database.vouch(tx, 'key', customerId, keyWord(version, 'destroyed'));
    await tx.customerKey.update({
      where: { customerId_version: { customerId, version } },
      data: { state: 'destroyed', wrapped: new Uint8Array() },
    });
  }
  const secrets = await tx.credential.findMany({ where: { customerId }, select: { id: true } });
  await deleteRows(tx, database, customerId, secrets);
  await audit.append(tx, customerId, { kind: 'customer.erased' });
  // Under the lock of the chain's head, so that nobody places a hold meanwhile; thrown, it undoes the erasure.
  if (await isAnythingHeld(tx, customerId))
    throw new CountersignError('legal_hold', `A legal hold keeps the trail of customer ${customerId} as it is.`);
}
