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
  /** For every customer whose trail has grown; one that fails is logged and keeps the others from nothing. */
  makeAll(): Promise<void>;
  /** What is kept outside, with its faults; without a folder of one's own, that of the configuration. */
  held(customerId: CustomerId, store?: CheckpointStore, keys?: readonly string[]): Promise<HeldCheckpoints>;
  /** The public keys, newest first: of the root keys in use, and what signed here earlier. */
  keys(): Promise<readonly Verifier[]>;
  /** From now on: every so many entries, and when an operation ends. */
  start(): void;
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

  const keys = async () => {
    const earlier = (await store.keys()).flatMap((text) => parseVerifier(text) ?? []);
    const all = [...signers.map(({ verifier }) => verifier), ...earlier];
    return all.filter(({ id }, at) => all.findIndex((other) => other.id === id) === at);
  };
  const make = (customerId: CustomerId) =>
    database.withCustomer(customerId, async (tx) => {
      // One at a time in all processes: each checkpoint names the one before.
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`checkpoint ${customerId}`}, 0))`;
      const kept = (await store.read(customerId)).at(-1);
      const known = kept ?? (await recorded(tx, customerId));
      const found = known === undefined ? undefined : readCheckpoint(known, await keys());
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
      await store.addKey(newest.verifier.text);
      await store.append(customerId, note);
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
  const makeQuietly = (customerId: CustomerId): Promise<void> => {
    const turn = (turns.get(customerId) ?? Promise.resolve())
      .then(() => make(customerId))
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
    keys,
    async makeAll() {
      for (const customerId of await directory.customersPastCheckpoint()) await makeQuietly(customerId);
    },
    async held(customerId, from = store, texts) {
      const verifiers = texts ? texts.flatMap((text) => parseVerifier(text) ?? []) : await keys();
      return checkNotes(await from.read(customerId), verifiers, customerId);
    },
    start() {
      isStarted = true;
      audit.onAppend(({ customerId, seq, kind }: Appended) => {
        if (isStarted && (seq % EVERY_ENTRIES === 0n || ENDS.test(kind))) void makeQuietly(customerId);
      });
    },
    async stop() {
      isStarted = false;
      await Promise.allSettled([...turns.values()]);
    },
  };
}

/** The newest note that the database kept: for a folder that is new or was lost. */
async function recorded(tx: Transaction, customerId: CustomerId): Promise<string | undefined> {
  const row = await tx.auditCheckpoint.findFirst({ where: { customerId }, orderBy: { seq: 'desc' } });
  return row?.note;
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
