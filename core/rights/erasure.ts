import { z } from 'zod';
import { type Erasure as ErasureRow, Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { Checkpoints } from '../audit/checkpoints.ts';
import { checkpointSigners } from '../audit/note.ts';
import type { Retention } from '../audit/retention.ts';
import { isAnythingHeld } from '../audit/rows.ts';
import type { Customers } from '../customers/customers.ts';
import type { Installations } from '../customers/installations.ts';
import { type Database, databaseNow, type Transaction } from '../database.ts';
import { CountersignError } from '../errors.ts';
import { type CustomerId, type MemberId, newUuid } from '../ids.ts';
import type { Inbox } from '../inbox.ts';
import { lockedOperation } from '../operations/locked.ts';
import type { Mover } from '../operations/move.ts';
import type { Operations } from '../operations/operations.ts';
import { isEnd, OPEN_STATES } from '../operations/states.ts';
import type { RootKeys } from '../ports/keys.ts';
import type { Secret } from '../secret.ts';
import type { KeyRotation } from '../vault/rotation.ts';
import { erasePersonRows, forgetNamed, takeAccess, wordsNaming } from './person.ts';
import { type Receipt, readReceipt, signReceipt } from './receipt.ts';

export interface ErasureDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly checkpoints: Checkpoints;
  readonly retention: Retention;
  readonly keyRotation: KeyRotation;
  readonly customers: Customers;
  readonly installations: Installations;
  readonly inbox: Inbox;
  readonly mover: Mover;
  readonly operations: Operations;
  readonly rootKeys: RootKeys;
  /** Has Slack forget a token. @throws CountersignError `chat_unavailable`: nothing of the customer's keys is gone then. */
  readonly revokeSlackToken: (token: Secret) => Promise<void>;
  /**
   * Has the database write its tables anew. @returns whether no deleted row is left in them. Absent: it is left to the database's own
   * upkeep.
   */
  readonly reclaim?: () => Promise<boolean>;
}

export type ErasureOutcome =
  /** `isNew`: it was not finished before. `isRewritten`: as of now, no deleted row is left in the tables on the disk. */
  | { readonly kind: 'erased'; readonly receipt: string; readonly isNew: boolean; readonly isRewritten: boolean }
  /** A legal hold keeps it. */
  | { readonly kind: 'held' }
  /** These are under way: stop them first. */
  | { readonly kind: 'running'; readonly operations: readonly string[] }
  | { readonly kind: 'unknown' };

/**
 * Erases a customer or a person, for good. Each step is a transaction or may be repeated, and how far it came is on record: after a
 * kill anywhere, the same call takes it up, and after its end it gives the same receipt.
 */
export interface Erasures {
  /**
   * Stops what runs (with `isForced`), has the platforms forget the tokens, takes the words of the trail, destroys the keys, deletes
   * every row, and has the disk written anew. The chain stays, with entries that name nobody.
   */
  ofCustomer(customerId: CustomerId, options?: ErasureOptions): Promise<ErasureOutcome>;
  /** One account; what was decided stays on record, by somebody who is nobody any more. */
  ofMember(customerId: CustomerId, memberId: MemberId, options?: ErasureOptions): Promise<ErasureOutcome>;
}

/** Whether the erasure of a customer, or of a person, was begun, finished ones included: then who it was may be gone already. */
export async function isErasureBegun(tx: Transaction, customerId: CustomerId, memberId?: MemberId): Promise<boolean> {
  return (await tx.erasure.count({ where: { customerId, memberId: memberId ?? null } })) > 0;
}

export interface ErasureOptions {
  readonly isForced?: boolean;
}

type State = 'begun' | 'platforms' | 'keys' | 'rows' | 'space';
const ROWS_AT_ONCE = 2_000;
/** Somebody may ask for something anew between the stop and the end of the keys. */
const MOST_STOPS = 10;
/** What a process had under way when the workspace went may still write a row. */
const MOST_SWEEPS = 3;
const WHY = 'What belongs to it is erased. Nothing more is done.';

export function createErasures(deps: ErasureDeps): Erasures {
  const { database, retention, customers, inbox } = deps;
  /** One at a time of a customer, in whatever process. */
  const alone = <T>(customerId: CustomerId, work: () => Promise<T>) =>
    database.exclusively(`erasure ${customerId}`, work);
  return {
    ofCustomer: (customerId, { isForced = false } = {}) =>
      alone(customerId, async () => {
        const before = await standing(deps, customerId, undefined);
        if (before.kind !== 'erasable') return before;
        if (before.open.length > 0 && !isForced) return { kind: 'running', operations: before.open };
        const begun = await begin(deps, customerId, null);
        if (begun.receipt !== null) return again(deps, begun.receipt);
        await stop(deps, customerId, before.open);
        await revokeTokens(deps, customerId);
        await reach(deps, begun, 'platforms');
        if ((await retention.erase(customerId, 'all')).kind === 'held') return { kind: 'held' };
        if (!(await destroyKeys(deps, customerId))) return { kind: 'held' };
        await reach(deps, begun, 'keys');
        await retention.erase(customerId, 'all'); // what was appended meanwhile
        await deleteRows(deps, begun);
        await reach(deps, begun, 'rows');
        return finish(deps, begun);
      }),
    ofMember: (customerId, memberId, { isForced = false } = {}) =>
      alone(customerId, async () => {
        const before = await standing(deps, customerId, memberId);
        if (before.kind !== 'erasable') return before;
        if (before.open.length > 0 && !isForced) return { kind: 'running', operations: before.open };
        const begun = await begin(deps, customerId, memberId);
        const person = await database.withCustomer(customerId, (tx) => customers.memberById(tx, customerId, memberId));
        // Last of all: as long as it is not over, this account leads to the others of the same person.
        const unlink = () => database.withCustomer(customerId, (tx) => customers.link(tx, customerId, [person]));
        if (begun.receipt !== null) return again(deps, begun.receipt).finally(unlink);
        await stop(deps, customerId, before.open);
        const naming = await wordsNaming(deps, customerId, person);
        if ((await retention.erase(customerId, { memberId, entries: naming })).kind === 'held') return { kind: 'held' };
        await inbox.forgetFrom(customerId, person.person.userId);
        await forgetNamed(deps, customerId, person);
        await takeAccess(deps, customerId, memberId);
        await reach(deps, begun, 'keys');
        const gone = await erasePersonRows(deps, customerId, memberId);
        await reach(deps, begun, 'rows', gone);
        const erased = await finish(deps, begun);
        await unlink();
        return erased;
      }),
  };
}

type Begun = Pick<ErasureRow, 'id' | 'memberId' | 'begunAt' | 'receipt'> & { readonly customerId: CustomerId };

/** Whether it may be erased, and what is under way of it. */
async function standing(
  { database, customers }: ErasureDeps,
  customerId: CustomerId,
  memberId: MemberId | undefined,
): Promise<
  | { readonly kind: 'erasable'; readonly open: readonly string[] }
  | { readonly kind: 'held' }
  | { readonly kind: 'unknown' }
> {
  return database.withCustomer(customerId, async (tx) => {
    if ((await tx.customer.count({ where: { customerId } })) === 0) return { kind: 'unknown' };
    if (memberId && !(await customers.find(tx, customerId, memberId))) return { kind: 'unknown' };
    if (await isAnythingHeld(tx, customerId, memberId)) return { kind: 'held' };
    const theirs = memberId ? { userId: memberId } : {};
    const where = { customerId, status: { in: [...OPEN_STATES] }, ...theirs };
    const rows = await tx.operation.findMany({ where, select: { id: true }, orderBy: { createdAt: 'asc' } });
    return { kind: 'erasable', open: rows.map(({ id }) => id) };
  });
}

/** The one that is under way or was finished, or a new one. That it was finished is believed of a receipt that we signed. */
async function begin(
  { database, audit, rootKeys }: ErasureDeps,
  customerId: CustomerId,
  memberId: MemberId | null,
): Promise<Begun> {
  const verifiers = checkpointSigners(rootKeys).map(({ verifier }) => verifier);
  return database.withCustomer(customerId, async (tx) => {
    const rows = await tx.erasure.findMany({ where: { customerId, memberId }, orderBy: { begunAt: 'desc' } });
    const known = rows.find(({ id, receipt }) => receipt === null || readReceipt(receipt, verifiers)?.id === id);
    if (known) return { ...known, customerId };
    const row = await tx.erasure.create({ data: { customerId, id: newUuid(), memberId, state: 'begun' } });
    await audit.append(tx, customerId, { kind: 'erasure.begun' });
    return { ...row, customerId };
  });
}

function reach({ database }: ErasureDeps, { customerId, id }: Begun, state: State, gone = 0n): Promise<unknown> {
  return database.withCustomer(customerId, (tx) =>
    tx.erasure.updateMany({ where: { customerId, id, finishedAt: null }, data: { state, gone: { increment: gone } } }),
  );
}

async function stop(deps: ErasureDeps, customerId: CustomerId, ids: readonly string[]): Promise<void> {
  const { database, operations, mover } = deps;
  for (const id of ids)
    await database.withCustomer(customerId, async (tx) => {
      const operation = await lockedOperation(tx, operations, customerId, id);
      if (!operation || isEnd(operation.state)) return;
      await mover.move(tx, customerId, {
        ...{ operationId: operation.id, from: OPEN_STATES, to: 'cancelled' },
        set: { errorMessage: WHY },
        entry: { kind: 'operation.cancelled', payload: { why: WHY } },
      });
    });
}

/** Before the keys go: what a sealed token is, nobody knows afterwards. */
async function revokeTokens(deps: ErasureDeps, customerId: CustomerId): Promise<void> {
  const { database, installations, revokeSlackToken } = deps;
  const where = { customerId, sealed: { not: null } };
  const found = await database.withCustomer(customerId, (tx) =>
    tx.slackInstallation.findMany({ where, select: { workspaceId: true } }),
  );
  for (const { workspaceId } of found) {
    const installation = await installations.open(workspaceId);
    if (installation) await revokeSlackToken(installation.access);
    await installations.remove(workspaceId, 'disconnected by the operator');
  }
}

/** @returns false where a legal hold was placed meanwhile. */
async function destroyKeys(deps: ErasureDeps, customerId: CustomerId): Promise<boolean> {
  const { database, keyRotation } = deps;
  for (let tries = 1; ; tries++) {
    const { erasedAt } = await database.withCustomer(customerId, (tx) =>
      tx.customer.findUniqueOrThrow({ where: { customerId }, select: { erasedAt: true } }),
    );
    if (erasedAt) return true;
    try {
      await keyRotation.eraseCustomer(customerId);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      if (error.code === 'legal_hold') return false;
      if (error.code !== 'operation_running' || tries >= MOST_STOPS) throw error;
      const now = await standing(deps, customerId, undefined);
      if (now.kind === 'erasable') await stop(deps, customerId, now.open);
    }
  }
}

const goneRows = z.tuple([z.object({ gone: z.bigint() })]);

/** Every row but the chain, and what of the customer's own row says who it was. */
async function deleteRows(deps: ErasureDeps, begun: Begun): Promise<bigint> {
  const { database, customers } = deps;
  const { customerId, id } = begun;
  await database.shared(
    Prisma.sql`WITH gone AS (DELETE FROM pgboss.job WHERE group_id = ${customerId} OR data ->> 'customerId' = ${customerId} RETURNING 1)
      SELECT count(*)::int FROM gone`,
  );
  await database.withCustomer(customerId, async (tx) => {
    await customers.setRules(tx, customerId, { approvalsRequired: 1, adminsApprove: false, approverGroup: null });
    const { pausedAt } = await tx.customer.findUniqueOrThrow({ where: { customerId }, select: { pausedAt: true } });
    const words = { name: 'erased', allowedTargets: [], allowedChannels: [], timeZone: null };
    await tx.customer.update({ where: { customerId }, data: { ...words, ...(pausedAt ? { pauseReason: '' } : {}) } });
  });
  const batch = async (tx: Transaction) => {
    const [{ gone }] = goneRows.parse(await tx.$queryRaw`SELECT app.erase_rows(${ROWS_AT_ONCE}::int) AS gone`);
    await tx.erasure.updateMany({ where: { customerId, id }, data: { gone: { increment: gone } } });
    return gone;
  };
  let all = 0n;
  for (;;) {
    const gone = await database.withCustomer(customerId, batch);
    if (gone === 0n) return all;
    all += gone;
  }
}

/** Of what was finished the disk alone is written anew: a transaction that was open all the while may have kept old rows in it. */
async function again({ reclaim }: ErasureDeps, receipt: string): Promise<ErasureOutcome> {
  return { kind: 'erased', receipt, isNew: false, isRewritten: (await reclaim?.()) ?? false };
}

/** The disk, the last entry, a signed checkpoint behind it, and the receipt. */
async function finish(deps: ErasureDeps, begun: Begun): Promise<ErasureOutcome> {
  const { database, audit, checkpoints, rootKeys } = deps;
  const { customerId, id, memberId, begunAt } = begun;
  let isRewritten = false;
  for (let sweeps = 0; sweeps < MOST_SWEEPS; sweeps++) {
    isRewritten = (await deps.reclaim?.()) ?? false;
    if (memberId !== null || (await deleteRows(deps, begun)) === 0n) break;
    isRewritten = false;
  }
  await reach(deps, begun, 'space');
  await database.withCustomer(customerId, (tx) => audit.append(tx, customerId, { kind: 'erasure.finished' }));
  await checkpoints.make(customerId);
  const [signer] = checkpointSigners(rootKeys);
  if (!signer) throw new CountersignError('vault_key_missing', 'There is no root key, so nothing can be signed.');
  const receipt = await database.withCustomer(customerId, async (tx) => {
    const finishedAt = await databaseNow(tx);
    const head = await tx.auditHead.findUniqueOrThrow({ where: { customerId } });
    const { gone } = await tx.erasure.findUniqueOrThrow({ where: { customerId_id: { customerId, id } } });
    const content: Receipt = {
      ...{ format: 'countersign/erasure/v1', id, customerId, ...(memberId === null ? {} : { memberId }) },
      ...{ begunAt: begunAt.toISOString(), finishedAt: finishedAt.toISOString(), rows: String(gone) },
      space: isRewritten ? 'rewritten' : 'left',
      trail: { seq: String(head.seq), hash: Buffer.from(head.hash).toString('hex') },
      remains: memberId === null ? [...REMAINS, ...CUSTOMER_REMAINS] : [...REMAINS, ...PERSON_REMAINS],
    };
    const note = signReceipt(content, signer);
    const data = { state: 'finished', finishedAt, receipt: note };
    await tx.erasure.updateMany({ where: { customerId, id, finishedAt: null }, data });
    return note;
  });
  return { kind: 'erased', receipt, isNew: true, isRewritten };
}

const REMAINS = [
  'Entries of the audit trail without their words: numbers, times, kinds, random ids, hashes.',
  'Backups and dumps that were made before, until they are deleted.',
  'What stands in the chat itself, which belongs to its platform.',
];
const CUSTOMER_REMAINS = ['Keys that were made at the vendors: revoke them there.'];
const PERSON_REMAINS = [
  'What was decided, by a random id that leads to nobody.',
  'The customer’s stored keys and rules.',
];
