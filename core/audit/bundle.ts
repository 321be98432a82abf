import { hash as digest } from 'node:crypto';
import { z } from 'zod';
import { canonical, type Json } from '../canonical.ts';
import { customerId as asCustomerId, type CustomerId } from '../ids.ts';
import { type ChainRow, type ChainVerdict, createChainCheck } from './chain.ts';
import { checkNotes, type HeldCheckpoints } from './checkpoints.ts';
import { parseVerifier } from './note.ts';

/**
 * An export that proves itself: JSON Lines, a head and then an entry a line. It needs no database and no key: whoever has it
 * can recompute every hash, and compare with checkpoints that lie elsewhere.
 */
export const BUNDLE_FORMAT = 'countersign-audit/1';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const seq = z.string().regex(/^\d{1,19}$/);
const point = z.object({ seq, hash: hex32 });

const bundleHead = z.object({
  format: z.literal(BUNDLE_FORMAT),
  customerId: z.uuid(),
  /** Whose words are shown; absent: all. */
  operationId: z.string().optional(),
  exportedAt: z.iso.datetime(),
  /** How to recompute `hash` and `payloadHash`, in words. */
  hash: z.string(),
  payloadHash: z.string(),
  /** The entry before the first one here. */
  after: point,
  /** What lies before was dropped after its retention period, as an entry says; absent: it was not asked for. */
  isAfterDropped: z.boolean(),
  upTo: seq,
  /** Where the chain ended at that time. */
  head: point,
  keys: z.array(z.string()),
  checkpoints: z.array(z.string()),
});
export type BundleHead = z.infer<typeof bundleHead>;

const bundleEntry = z.object({
  seq,
  at: z.iso.datetime(),
  prev: hex32,
  hash: hex32,
  header: z.string(),
  salt: hex32.optional(),
  /** The words; `null`: there never were any. `withheld`: of another operation than was asked for. `damaged`: no proof of any. */
  payload: z.union([
    z.record(z.string(), z.json()),
    z.enum(['erased', 'key destroyed', 'damaged', 'withheld']),
    z.null(),
  ]),
});
export type BundleEntry = z.infer<typeof bundleEntry>;

/** For lines by the ten thousand: `bundleEntry` in as many words as it takes, and no more. */
function readEntry(line: string): BundleEntry | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (entry === null || typeof entry !== 'object') return undefined;
    const { seq, at, prev, hash, header, salt, payload, ...rest } = entry as { [name: string]: unknown }; // looked at below
    const isRight =
      Object.keys(rest).length === 0 &&
      isSpelledOut(line, entry) &&
      typeof seq === 'string' &&
      /^\d{1,19}$/.test(seq) &&
      typeof at === 'string' &&
      !Number.isNaN(Date.parse(at)) &&
      isHash(prev) &&
      isHash(hash) &&
      typeof header === 'string' &&
      (salt === undefined || isHash(salt)) &&
      (payload === null || typeof payload === 'object' || WORDLESS.has(payload));
    return isRight ? (entry as BundleEntry) : undefined; // every field was looked at
  } catch {
    return undefined;
  }
}

/**
 * Whether a text says this value and nothing else: of a name that stands there twice JSON.parse gives the last one, while
 * people and other programs may read the first. Spaces and escapes may be others than ours.
 */
export function isSpelledOut(text: string, value: unknown): boolean {
  const ours = JSON.stringify(value);
  return text === ours || text.replace(/"(?:[^"\\]|\\.)*"|\s+/g, respelled) === ours;
}

function respelled(token: string): string {
  return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : '';
}

const WORDLESS: ReadonlySet<unknown> = new Set(['erased', 'key destroyed', 'damaged', 'withheld']);
const HASH = /^[0-9a-f]{64}$/;

function isHash(value: unknown): boolean {
  return typeof value === 'string' && HASH.test(value);
}

export interface BundleReport {
  readonly head: BundleHead;
  readonly verdict: ChainVerdict;
  /** Payloads that this export leaves out. */
  readonly withheld: number;
  /** The entry and time of the newest checkpoint that was compared. */
  readonly checkpoint: { readonly seq: bigint; readonly at: Date; readonly keyId: string } | undefined;
  readonly checkpoints: number;
  /** Whose word the signatures are: keys that were given, or those that the export itself brought. */
  readonly keysFrom: 'given' | 'the export';
  readonly problems: readonly string[];
}

export interface BundleCheckOptions {
  /** Notes kept elsewhere; absent: those that the export brought. */
  readonly notes?: (customerId: CustomerId) => Promise<readonly string[]>;
  /** Public keys that are trusted, as texts; absent: those that the export brought. */
  readonly keys?: readonly string[];
  /** Where the chain once stood, by the word of somebody who keeps no part of it: a message in a chat. */
  readonly witness?: Witness;
}

export interface Witness {
  readonly seq: bigint;
  /** The beginning of the entry's hash, in hex. */
  readonly hash: string;
}

/** What is wrong with it: `hash` is that of the entry, `end` where the chain is said to end. */
export function witnessProblem({ seq, hash }: Witness, found: string | undefined, end: bigint): string | undefined {
  if (found !== undefined)
    return found.startsWith(hash) ? undefined : `Entry #${seq} is another one than the witness says (${hash}).`;
  return seq > end
    ? `The trail is said to end at entry #${end}, but the witness saw entry #${seq}: the newest entries were cut off.`
    : `Entry #${seq}, which the witness saw, is not among those that were checked, so the witness says nothing here.`;
}

/** Checks an export by itself. `lines` in pieces, as a file is read. @returns `undefined`: it is no export at all. */
export async function verifyBundle(
  lines: AsyncIterable<readonly string[]>,
  options: BundleCheckOptions = {},
): Promise<BundleReport | undefined> {
  let state: Awaited<ReturnType<typeof begin>> | undefined;
  let unreadable: bigint | undefined;
  let isLastUnreadable = false;
  let late: bigint | undefined;
  let withheld = 0;
  let witnessed: string | undefined;
  for await (const piece of lines) {
    for (const line of piece) {
      if (line === '') continue;
      if (!state) {
        state = await begin(line, options);
        if (!state) return undefined;
        continue;
      }
      const entry = readEntry(line);
      isLastUnreadable = entry === undefined;
      if (!entry) unreadable ??= state.check.last().seq + 1n;
      else if (unreadable === undefined) {
        if (entry.seq === String(options.witness?.seq)) witnessed ??= entry.hash;
        const row = rowOf(entry, state.head);
        if (row.words === 'not shown') withheld++;
        if (row.at > state.exportedAt) late ??= row.seq;
        state.check.add(row);
      }
    }
  }
  if (!state) return undefined;
  const { head, check, held, keysFrom, anchors } = state;
  const end = { seq: BigInt(head.upTo), hash: Buffer.from(head.head.hash, 'hex') };
  const verdict: ChainVerdict =
    unreadable !== undefined
      ? { isIntact: false, seq: unreadable, fault: isLastUnreadable ? 'truncated' : 'modified' }
      : check.finish(head.upTo === head.head.seq ? end : { ...end, hash: check.last().hash });
  const newest = anchors.at(-1);
  const problems = [...held.problems];
  if (late !== undefined) problems.push(`Entry #${late} is later than the export says that it was made.`);
  if (BigInt(head.upTo) > BigInt(head.head.seq))
    problems.push(`The export goes on to entry #${head.upTo}, behind the end that it names itself.`);
  const later = state.beyond;
  if (later)
    problems.push(
      `Entry #${later.seq} was signed before the export was made, so the trail did not end as the export says that it did.`,
    );
  if (verdict.isIntact && verdict.unexplained > 0)
    problems.push(
      `${verdict.unexplained} ${verdict.unexplained === 1 ? 'payload is' : 'payloads are'} not shown to be erased: no entry of this part says so. The export of the whole trail tells.`,
    );
  const doubt = options.witness && witnessProblem(options.witness, witnessed, BigInt(head.head.seq));
  if (verdict.isIntact && doubt !== undefined) problems.push(doubt);
  return {
    head,
    verdict,
    withheld,
    checkpoint: newest && { seq: newest.seq, at: newest.at, keyId: newest.keyId ?? '' },
    checkpoints: anchors.length,
    keysFrom,
    problems,
  };
}

async function begin(line: string, options: BundleCheckOptions) {
  let head: BundleHead;
  try {
    const value: unknown = JSON.parse(line);
    if (!isSpelledOut(line, value)) return undefined;
    head = bundleHead.parse(value);
  } catch {
    return undefined;
  }
  const customerId = asCustomerId(head.customerId);
  const notes = (await options.notes?.(customerId)) ?? head.checkpoints;
  const verifiers = (options.keys ?? head.keys).flatMap((text) => parseVerifier(text) ?? []);
  const held: HeldCheckpoints = checkNotes(notes, verifiers, customerId);
  const isPart = head.upTo !== head.head.seq;
  const [after, upTo, exportedAt] = [BigInt(head.after.seq), BigInt(head.upTo), new Date(head.exportedAt)];
  // What lies in its range always counts: when it was made is the export's own word, which excuses nothing but an end that
  // was signed later. What lies outside of a part says nothing about it.
  const anchors = held.checkpoints.filter(
    ({ seq, at }) => seq >= after && (seq <= upTo || (!isPart && at <= exportedAt)),
  );
  const end = { seq: BigInt(head.head.seq), hash: Buffer.from(head.head.hash, 'hex') };
  // Of a part, that is: of the whole these are among the anchors.
  const beyond = held.checkpoints.find(
    ({ seq, at, hash }) =>
      isPart && at <= exportedAt && (seq > end.seq || (seq === end.seq && Buffer.compare(hash, end.hash) !== 0)),
  );
  const start = { seq: after, hash: Buffer.from(head.after.hash, 'hex') };
  const check = createChainCheck({ start, isDropped: head.isAfterDropped, anchors, isPart });
  return {
    head,
    check,
    held,
    anchors,
    beyond,
    exportedAt,
    keysFrom: options.keys ? ('given' as const) : ('the export' as const),
  };
}

function rowOf({ seq, at, prev, hash, header, salt, payload }: BundleEntry, head: BundleHead): ChainRow {
  const row = {
    seq: BigInt(seq),
    at: new Date(at),
    header,
    prev: Buffer.from(prev, 'hex'),
    hash: Buffer.from(hash, 'hex'),
  };
  if (payload === 'key destroyed') return { ...row, words: 'locked' };
  if (payload === 'damaged') return { ...row, words: 'there', wordsHash: '' }; // which no header names
  if (payload === 'withheld' && isOfAnother(header, head.operationId)) return { ...row, words: 'not shown' };
  if (payload === null || typeof payload === 'string') return { ...row, words: 'none' };
  return { ...row, words: 'there', wordsHash: wordsHash(salt ?? '', payload) };
}

/** Only an export of one operation withholds words, and those of others. */
function isOfAnother(header: string, operationId: string | undefined): boolean {
  if (operationId === undefined) return false;
  try {
    const fields: unknown = JSON.parse(header);
    const isHeader = fields !== null && typeof fields === 'object';
    return isHeader && !('operationId' in fields && fields.operationId === operationId);
  } catch {
    return false;
  }
}

/** SHA-256 of the salt's bytes and the payload's RFC 8785 text. */
export function wordsHash(salt: string, payload: Json): string {
  return digest('sha256', Buffer.concat([Buffer.from(salt, 'hex'), Buffer.from(spelling(payload), 'utf8')]));
}

/** What is spelled canonically already stays as it is, which spares the sorting: RFC 8785 spells as JSON.stringify does. */
function spelling(payload: Json): string {
  try {
    return isSorted(payload) ? JSON.stringify(payload) : canonical(payload);
  } catch {
    return ''; // such as a lone surrogate, which nothing of ours holds
  }
}

function isSorted(value: Json): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (value === null || typeof value !== 'object') return true;
  if (Array.isArray(value)) return value.every(isSorted);
  let before = '';
  for (const [name, field] of Object.entries(value)) {
    if (name < before || !isSorted(field)) return false;
    before = name;
  }
  return true;
}
