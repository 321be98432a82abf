import { hash as digest } from 'node:crypto';
import type { Json } from '../canonical.ts';

/** What the chain needs of an entry, from a row or from a line of an export. */
export interface ChainRow {
  readonly seq: bigint;
  readonly at: Date;
  readonly header: string;
  readonly prev: Uint8Array;
  readonly hash: Uint8Array;
  /** Columns that repeat the header for queries, so that they must still say the same; absent in an export. */
  readonly columns?: HeaderColumns;
  /**
   * Where the words are. `none`: it has none, or they were erased, which has to be on record. `locked`: nobody can open
   * them, because the customer was erased, which has to be on record, too.
   */
  readonly words: 'there' | 'none' | 'locked' | 'not shown';
  /** The salted hash of words that are shown, in hex. */
  readonly wordsHash?: string;
}

export interface HeaderColumns {
  readonly kind: string;
  readonly operationId: string | null;
  readonly stepNumber: number | null;
  readonly attempt: bigint | null;
  readonly success: boolean | null;
  readonly durationMs: number | null;
}

/** A place in the chain. */
export interface ChainPoint {
  readonly seq: bigint;
  readonly hash: Uint8Array;
}

/**
 * `modified`: an entry is not what its hash says, or its words were taken away without an erasure on record. `gap`: entries
 * are missing. `truncated`: the newest are. `reordered`, `duplicated`: in another place, twice. `forked`: a chain that holds
 * together, and yet is another one than was signed.
 */
export type ChainFault = 'modified' | 'gap' | 'truncated' | 'reordered' | 'duplicated' | 'forked';

export type ChainVerdict =
  | {
      readonly isIntact: true;
      /** How many were checked. */
      readonly entries: number;
      /** The last one, and its hash in hex. */
      readonly seq: bigint;
      readonly hash: string;
      /** How many payloads were erased, by an erasure that is on record. */
      readonly erased: number;
      /** How many nobody can open, because the customer's erasure is on record. */
      readonly locked: number;
      /** Of a part: how many are gone without an entry in it that says so. */
      readonly unexplained: number;
      /** The last entry that the retention period took away, as the chain itself says; 0 when it took none. */
      readonly droppedUpTo: bigint;
    }
  /** `seq`: the first entry that is wrong. `fits`: the last one that a signed checkpoint vouches for, where any did. */
  | { readonly isIntact: false; readonly seq: bigint; readonly fault: ChainFault; readonly fits?: bigint };

export interface ChainCheckOptions {
  /** The entry before the first one that is added. Absent: the chain begins at 1. */
  readonly start?: ChainPoint;
  /** The retention period took what lies up to the start: then an entry of the chain has to say so. */
  readonly isDropped?: boolean;
  /** What was signed, in the order of seq. */
  readonly anchors?: readonly ChainPoint[];
  /** Entries behind the last one are left out, and an erasure may be among them. */
  readonly isPart?: boolean;
  /** Rows come in the order of seq, as from the database: then nothing that is missing turns up later. */
  readonly isSorted?: boolean;
}

/** Checks entries one after the other, so that a chain of any length passes through a small memory. */
export interface ChainCheck {
  add(row: ChainRow): void;
  /** Nothing that could follow would change the verdict. */
  isSettled(): boolean;
  /** The last entry that fits. */
  last(): ChainPoint;
  /** `head`: where the chain ends according to who keeps it; absent: where it ends is not known. */
  finish(head?: ChainPoint): ChainVerdict;
}

const DOMAIN = Buffer.from('audit-v1\0', 'utf8');
const HASH_BYTES = 32;
const GENESIS: ChainPoint = { seq: 0n, hash: Buffer.alloc(HASH_BYTES) };
const LOOK_AHEAD = 1_000; // how many of the following entries are tried in the place of one that doesn't fit

/** SHA-256("audit-v1\0" || prev || seq as 8 bytes || ms since 1970 as 8 bytes || header), the same as app.append_audit. */
export function entryHash(prev: Uint8Array, seq: bigint, at: Date, header: string): Buffer {
  const text = Buffer.from(header, 'utf8');
  const bytes = Buffer.allocUnsafe(DOMAIN.length + HASH_BYTES + 16 + text.length);
  DOMAIN.copy(bytes, 0);
  bytes.set(prev, DOMAIN.length);
  const numbers = DOMAIN.length + HASH_BYTES;
  bytes.writeBigInt64BE(seq, numbers);
  bytes.writeBigInt64BE(BigInt(at.getTime()), numbers + 8);
  text.copy(bytes, numbers + 16);
  return digest('sha256', bytes, 'buffer');
}

export function createChainCheck(options: ChainCheckOptions = {}): ChainCheck {
  const { start = GENESIS, isDropped = false, anchors = [], isPart = false, isSorted = false } = options;
  let last = start;
  let entries = 0;
  let isDropOnRecord = false;
  let fits: bigint | undefined;
  let nextAnchor = 0;
  let fault: { seq: bigint; fault: ChainFault } | undefined;
  let broken: ChainRow | undefined;
  let tried = 0;
  const erasures = createErasures();
  const locked = createErasures();

  const fail = (seq: bigint, name: ChainFault) => {
    fault ??= { seq, fault: name };
  };
  /** Compares with what was signed about this very entry; what was signed about entries that are gone says nothing here. */
  const compare = (point: ChainPoint) => {
    for (let anchor = anchors[nextAnchor]; anchor && anchor.seq <= point.seq; anchor = anchors[++nextAnchor]) {
      if (anchor.seq < point.seq) continue;
      if (same(anchor.hash, point.hash)) fits = anchor.seq;
      else fail(point.seq, 'forked');
    }
  };
  /** After the first fault: only whether it was a change of places. */
  const diagnose = (row: ChainRow) => {
    if (fault?.fault === 'gap' && row.seq === fault.seq) fault = { ...fault, fault: 'reordered' };
    if (fault?.fault !== 'modified' || !broken || ++tried > LOOK_AHEAD) return;
    if (belongsIn(last, broken, row)) fault = { ...fault, fault: 'reordered' };
  };

  compare(start);
  return {
    add(row) {
      if (fault) return diagnose(row);
      const seq = last.seq + 1n;
      if (row.seq !== seq) return fail(row.seq < seq ? row.seq : seq, row.seq < seq ? 'duplicated' : 'gap');
      const header = readHeader(row);
      const isRight =
        header !== undefined &&
        row.prev.length === HASH_BYTES &&
        same(row.prev, last.hash) &&
        same(row.hash, entryHash(last.hash, row.seq, row.at, row.header));
      if (!isRight) {
        broken = row;
        return fail(row.seq, 'modified');
      }
      if (row.words === 'there' && header.payloadHash !== (row.wordsHash ?? header.payloadHash ?? ''))
        return fail(row.seq, 'modified');
      if (header.payloadHash !== undefined && row.words === 'none') erasures.miss(row.seq);
      if (header.payloadHash !== undefined && row.words === 'locked') locked.miss(row.seq);
      if (header.kind === 'erasure.completed') erasures.allow(header.erased, row.seq);
      if (header.kind === 'customer.erased') locked.allow([['1', String(row.seq)]], row.seq);
      if (header.kind === 'retention.dropped')
        isDropOnRecord ||= header.droppedSeq === String(start.seq) && header.droppedHash === hex(start.hash);
      last = row;
      entries++;
      compare(row);
    },
    isSettled() {
      if (!fault) return false;
      if (fault.fault === 'modified') return tried >= LOOK_AHEAD;
      return fault.fault === 'gap' ? isSorted : true;
    },
    last: () => last,
    finish(head) {
      const missing = [erasures.missing(), locked.missing()];
      const first = missing.flatMap(({ first }) => first ?? []).toSorted((a, b) => (a < b ? -1 : 1))[0];
      if (isDropped && !isDropOnRecord) fail(1n, 'gap');
      if (first !== undefined && !isPart) fail(first, 'modified');
      if (nextAnchor < anchors.length || (head && head.seq !== last.seq)) fail(last.seq + 1n, 'truncated');
      if (head && !same(head.hash, last.hash)) fail(last.seq, 'modified');
      if (fault) return { isIntact: false, ...fault, ...(fits === undefined ? {} : { fits }) };
      const droppedUpTo = isDropped ? start.seq : 0n;
      const [erased = 0, unopenable = 0] = missing.map(({ explained }) => explained);
      const unexplained = missing.reduce((sum, { unexplained }) => sum + unexplained, 0);
      const whole = { isIntact: true, entries, seq: last.seq, hash: hex(last.hash), droppedUpTo } as const;
      return { ...whole, erased, locked: unopenable, unexplained };
    },
  };
}

/** Payloads that are gone, and what the chain itself says about that: an erasure follows what it erases. */
function createErasures() {
  const missing: { from: bigint; to: bigint }[] = [];
  const allowed: { from: bigint; to: bigint }[] = [];
  return {
    miss(seq: bigint) {
      const open = missing.at(-1);
      if (open && open.to + 1n === seq) open.to = seq;
      else missing.push({ from: seq, to: seq });
    },
    /** Words of later entries than the erasure itself are none that it took. */
    allow(ranges: unknown, by: bigint) {
      for (const range of Array.isArray(ranges) ? ranges : []) {
        if (!Array.isArray(range) || range.length !== 2 || !range.every((end) => /^\d{1,19}$/.test(String(end))))
          continue;
        const [from, to] = [BigInt(range[0]), BigInt(range[1])];
        allowed.push({ from, to: to < by ? to : by - 1n });
      }
    },
    /** How many are named by an erasure and how many by none, and the first of these. */
    missing(): { readonly explained: number; readonly unexplained: number; readonly first: bigint | undefined } {
      const ranges = allowed.toSorted((a, b) => (a.from < b.from ? -1 : 1));
      let [explained, unexplained] = [0n, 0n];
      let first: bigint | undefined;
      for (const { from, to } of missing) {
        let at = from;
        for (const range of ranges) {
          if (range.to < at || range.from > to) continue;
          if (range.from > at) {
            first ??= at;
            unexplained += range.from - at;
            at = range.from;
          }
          const end = range.to < to ? range.to : to;
          explained += end - at + 1n;
          at = end + 1n;
        }
        if (at <= to) first ??= at;
        unexplained += to - at + 1n;
      }
      return { explained: Number(explained), unexplained: Number(unexplained), first };
    },
  };
}

/** Whether another entry, or its header, is what belongs in the place of the broken one. */
function belongsIn(last: ChainPoint, broken: ChainRow, other: ChainRow): boolean {
  const seq = last.seq + 1n;
  const moved = entryHash(last.hash, seq, other.at, other.header);
  return (
    same(moved, other.hash) ||
    same(moved, broken.hash) ||
    same(entryHash(last.hash, seq, broken.at, other.header), broken.hash)
  );
}

interface Header {
  readonly [field: string]: Json | undefined;
}

/** `undefined`: no header at all, or the columns beside it say something else. */
function readHeader({ header: text, columns }: ChainRow): Header | undefined {
  try {
    const header: unknown = JSON.parse(text);
    if (header === null || typeof header !== 'object' || Array.isArray(header)) return undefined;
    const fields = header as Header; // JSON.parse gives nothing but Json
    if (!columns) return fields;
    return NAMES.every((name) => String(columns[name] ?? '') === String(fields[name] ?? '')) ? fields : undefined;
  } catch {
    return undefined;
  }
}

const NAMES = ['kind', 'operationId', 'stepNumber', 'attempt', 'success', 'durationMs'] as const;

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
