import { z } from 'zod';
import type { Database, Transaction } from '../database.ts';
import type { Directory } from '../directory.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId } from '../ids.ts';
import type { CheckpointStore } from '../ports/checkpoints.ts';
import type { RootKeys } from '../ports/keys.ts';
import type { Log } from '../ports/log.ts';
import type { Appended, Audit } from './audit.ts';
import { type ChainPoint, createChainCheck } from './chain.ts';
import {
  checkpointSigners,
  noteHash,
  parseVerifier,
  readCheckpoint,
  type SignedCheckpoint,
  signCheckpoint,
  type Verifier,
} from './note.ts';
import { chainRows } from './rows.ts';

/** Signed checkpoints of every chain, kept outside of the database: what its owner can't rewrite. */
export interface Checkpoints {
  /**
   * Signs where the chain stands, unless the last checkpoint says so already. What was added since is checked first: a chain
   * that does not go on from what was signed is not signed again. Where the folder is empty and the last checkpoint on record
   * bears the signature of a key that is gone, the whole chain is checked and a new series begins, which goes on record.
   * @throws CountersignError `audit_chain_broken`
   */
  make(customerId: CustomerId): Promise<SignedCheckpoint | undefined>;
  /** For every customer whose trail has grown, or for `only` one; one that fails is logged and keeps the others from nothing. */
  makeAll(only?: CustomerId): Promise<void>;
  /** What is kept outside, with its faults; without a folder of one's own, that of the configuration. */
  held(customerId: CustomerId, store?: CheckpointStore, keys?: readonly string[]): Promise<HeldCheckpoints>;
  /** The public keys, newest first: of the root keys in use, and what signed here earlier. */
  keys(): Promise<readonly Verifier[]>;
  /** From now on `sign`s every so many entries, and when an operation ends; itself unless somebody else is to. */
  start(sign?: (customerId: CustomerId) => Promise<unknown>): void;
  /** Waits for what is being signed. */
  stop(): Promise<void>;
}

export interface HeldCheckpoints {
  readonly checkpoints: readonly SignedCheckpoint[];
  /** One sentence each: unsigned, out of order, one taken out. */
  readonly problems: readonly string[];
}

const EVERY_ENTRIES = 256n;
const ENDS = /^operation\.(?:completed|failed|denied|expired|cancelled)$/;
const clockRow = z.tuple([z.object({ now: z.date() })]);

export function createCheckpoints(deps: {
  database: Database;
  directory: Directory;
  audit: Audit;
  rootKeys: RootKeys;
  store: CheckpointStore;
  log: Log;
}): Checkpoints {
  const { database, directory, audit, store, log } = deps;
  const signers = checkpointSigners(deps.rootKeys);
  const [newest] = signers;
  if (!newest) throw new CountersignError('vault_key_missing', 'There is no root key, so nothing can be signed.');
  const turns = new Map<CustomerId, Promise<unknown>>();
  let isStarted = false;

  const folder = folderOf(store, signers);
  /** Runs `work` alone in all processes: each checkpoint names the one before, in whosever folder that lies. */
  const alone = <T>(customerId: CustomerId, work: (tx: Transaction) => Promise<T>) =>
    database.withCustomer(customerId, async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`checkpoint ${customerId}`}, 0))`;
      return work(tx);
    });
  const sign = (customerId: CustomerId) =>
    alone(customerId, async (tx) => {
      const kept = await folder.caughtUp(tx, customerId);
      const known = kept ?? (await newestOnRecord(tx, customerId));
      const found = known === undefined ? undefined : readCheckpoint(known, await folder.keys());
      // The folder was lost, or is a new one, and the key that signed is gone: nothing that is trusted contradicts the chain.
      const isNewSeries = known !== undefined && kept === undefined && !found?.keyId;
      const [last, previous] = isNewSeries ? [] : [known, found];
      if (last !== undefined && !previous?.keyId)
        throw broken(`The last checkpoint of customer ${customerId} bears no signature that is known.`);
      const point = await standing(tx, customerId, previous);
      if (point.seq === (previous?.seq ?? 0n)) return undefined;
      // Not when this began: an export that was made while it waited ends before this point, and owes it nothing.
      const [{ now }] = clockRow.parse(await tx.$queryRaw`SELECT app.clock() AS now`);
      const checkpoint = {
        customerId,
        seq: point.seq,
        hash: Buffer.from(point.hash),
        at: now,
        previous: last === undefined ? undefined : noteHash(last),
      };
      const note = signCheckpoint(checkpoint, newest);
      const vouched = `${point.seq}|${checkpoint.hash.toString('hex')}|${note}`;
      await database.vouch(tx, 'checkpoint', customerId, vouched);
      await tx.$executeRaw`SELECT app.record_checkpoint(${point.seq}, ${checkpoint.hash}, ${note})`;
      if (isNewSeries) {
        log.warn(
          { customerId, seq: point.seq },
          'a new series of checkpoints began: the key of the last one is not known',
        );
        await audit.append(tx, customerId, { kind: 'checkpoints.begun' });
      }
      return { ...checkpoint, note, keyId: newest.verifier.id };
    });
  /** On record first, so that whatever a crash leaves unwritten here is found there, and nobody signs beside it. */
  const make = async (customerId: CustomerId) => {
    const made = await sign(customerId);
    await alone(customerId, async (tx) => {
      if ((await folder.caughtUp(tx, customerId)) !== undefined) return;
      const note = made?.note ?? (await newestOnRecord(tx, customerId));
      if (note !== undefined) await folder.keep(customerId, note);
    });
    return made;
  };
  const quietly = (customerId: CustomerId, how: (customerId: CustomerId) => Promise<unknown>): Promise<void> => {
    const turn = (turns.get(customerId) ?? Promise.resolve())
      .then(() => how(customerId))
      .then(
        () => {},
        (error: unknown) => {
          const cause = error instanceof Error ? error.message : String(error);
          const code = error instanceof CountersignError ? error.code : 'checkpoint';
          log.error({ code, customerId, cause }, 'no checkpoint of the audit trail could be signed');
        },
      )
      .finally(() => {
        if (turns.get(customerId) === turn) turns.delete(customerId);
      });
    turns.set(customerId, turn);
    return turn;
  };

  return {
    make,
    keys: folder.keys,
    async makeAll(only) {
      const due = only ? [only] : await directory.customersPastCheckpoint();
      for (const customerId of due) await quietly(customerId, make);
    },
    async held(customerId, from = store, texts) {
      const verifiers = texts ? texts.flatMap((text) => parseVerifier(text) ?? []) : await folder.keys();
      return checkNotes(await from.read(customerId), verifiers, customerId);
    },
    start(how = make) {
      isStarted = true;
      audit.onAppend(({ customerId, seq, kind }: Appended) => {
        if (isStarted && (seq % EVERY_ENTRIES === 0n || ENDS.test(kind))) void quietly(customerId, how);
      });
    },
    async stop() {
      isStarted = false;
      await Promise.allSettled([...turns.values()]);
    },
  };
}

interface Folder {
  /** See `Checkpoints.keys`. */
  keys(): Promise<readonly Verifier[]>;
  /** Adds a note; nothing where it was signed by a key that isn't known. */
  keep(customerId: CustomerId, note: string): Promise<void>;
  /** Adds what is on record and not in it, as signed by a process with another folder. @returns its last note. */
  caughtUp(tx: Transaction, customerId: CustomerId): Promise<string | undefined>;
}

function folderOf(store: CheckpointStore, signers: ReturnType<typeof checkpointSigners>): Folder {
  const keys = async (): Promise<readonly Verifier[]> => {
    const earlier = (await store.keys()).flatMap((text) => parseVerifier(text) ?? []);
    const all = [...signers.map(({ verifier }) => verifier), ...earlier];
    return all.filter(({ id }, at) => all.findIndex((other) => other.id === id) === at);
  };
  const keep = async (customerId: CustomerId, note: string) => {
    const keyId = readCheckpoint(note, await keys())?.keyId;
    const key = (await keys()).find(({ id }) => id === keyId);
    if (key === undefined) return;
    await store.addKey(key.text);
    await store.append(customerId, note);
  };
  const caughtUp = async (tx: Transaction, customerId: CustomerId): Promise<string | undefined> => {
    const notes = await store.read(customerId);
    let last = notes.at(-1);
    const kept = last === undefined ? undefined : readCheckpoint(last, await keys());
    if (last === undefined || !kept?.keyId) return last; // what follows on it can't be told
    for (const note of await onRecordAfter(tx, customerId, kept.seq)) {
      const { problems } = checkNotes([last, note], await keys(), customerId);
      if (problems.length > 0)
        throw broken(`What was signed for customer ${customerId} does not follow on CHECKPOINT_DIR: ${problems[0]}`);
      await keep(customerId, note);
      last = note;
    }
    return last;
  };
  return { keys, keep, caughtUp };
}

/** The newest note that the database kept: for a folder that is new or was lost. */
async function newestOnRecord(tx: Transaction, customerId: CustomerId): Promise<string | undefined> {
  const row = await tx.auditCheckpoint.findFirst({ where: { customerId }, orderBy: { seq: 'desc' } });
  return row?.note;
}

/** The notes that the database kept of later entries, oldest first. */
async function onRecordAfter(tx: Transaction, customerId: CustomerId, after: bigint): Promise<readonly string[]> {
  const where = { customerId, seq: { gt: after } };
  const rows = await tx.auditCheckpoint.findMany({ where, select: { note: true }, orderBy: { seq: 'asc' } });
  return rows.map(({ note }) => note);
}

/** Where the chain stands, after everything since the last checkpoint was checked against it. */
async function standing(
  tx: Transaction,
  customerId: CustomerId,
  previous: ChainPoint | undefined,
): Promise<ChainPoint> {
  const head = (await tx.auditHead.findUnique({ where: { customerId } })) ?? { seq: 0n, hash: Buffer.alloc(32) };
  const first = previous ? undefined : (await chainRows(tx, customerId, { after: 0n, limit: 1 }))[0];
  const start = previous ?? { seq: (first?.seq ?? 1n) - 1n, hash: first?.prev ?? Buffer.alloc(32) };
  const check = createChainCheck({ start, isDropped: !previous && start.seq > 0n, isSorted: true });
  for (let after = start.seq; after < head.seq; after = check.last().seq) {
    const rows = await chainRows(tx, customerId, { after, upTo: head.seq });
    for (const row of rows) check.add({ ...row, words: 'not shown' }); // an erasure may be on its way
    if (rows.length === 0 || check.last().seq === after) break;
  }
  const verdict = check.finish(head);
  if (!verdict.isIntact)
    throw broken(
      `The chain of customer ${customerId} does not go on from what was signed: ${verdict.fault} at entry #${verdict.seq}.`,
    );
  return head;
}

/** Signatures, order, and that none was taken out. */
export function checkNotes(
  notes: readonly string[],
  verifiers: readonly Verifier[],
  customerId: CustomerId,
): HeldCheckpoints {
  const problems: string[] = [];
  const checkpoints: SignedCheckpoint[] = [];
  let before: string | undefined;
  for (const [index, note] of notes.entries()) {
    const checkpoint = readCheckpoint(note, verifiers);
    const name = `Checkpoint ${index + 1}${checkpoint ? ` (entry #${checkpoint.seq})` : ''}`;
    const last = checkpoints.at(-1);
    if (!checkpoint?.keyId) problems.push(`${name} bears no good signature of a known key.`);
    else if (checkpoint.customerId !== customerId) problems.push(`${name} is about another customer.`);
    else if (last && checkpoint.seq <= last.seq) problems.push(`${name} goes back behind entry #${last.seq}.`);
    else {
      if (before !== undefined && checkpoint.previous?.equals(noteHash(before)) !== true)
        problems.push(`${name} does not follow on the one before it: one is missing or was changed.`);
      checkpoints.push(checkpoint);
    }
    before = note;
  }
  return { checkpoints, problems };
}

function broken(message: string): CountersignError {
  return new CountersignError('audit_chain_broken', message);
}
