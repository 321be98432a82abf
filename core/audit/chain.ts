import { createHash } from 'node:crypto';
import { z } from 'zod';

/** What the chain needs of a row. */
export interface ChainRow {
  readonly seq: bigint;
  readonly at: Date;
  readonly header: string;
  readonly prev: Uint8Array;
  readonly hash: Uint8Array;
  /** Read from the header by app.append_audit; queries go by them, so they must still say the same. */
  readonly kind: string;
  readonly operationId: string | null;
  readonly stepNumber: number | null;
  readonly attempt: bigint | null;
  readonly success: boolean | null;
  readonly durationMs: number | null;
}

export type ChainVerdict =
  | { readonly isIntact: true; readonly entries: number; readonly seq: bigint; readonly hash: string }
  /** `seq`: the first entry that is wrong. */
  | { readonly isIntact: false; readonly seq: bigint; readonly fault: 'modified' | 'gap' | 'truncated' };

const DOMAIN = Buffer.from('audit-v1\0', 'utf8');

/** SHA-256("audit-v1\0" || prev || seq as 8 bytes || ms since 1970 as 8 bytes || header), the same as app.append_audit. */
export function entryHash(prev: Uint8Array, seq: bigint, at: Date, header: string): Buffer {
  const numbers = Buffer.alloc(16);
  numbers.writeBigInt64BE(seq, 0);
  numbers.writeBigInt64BE(BigInt(at.getTime()), 8);
  return createHash('sha256').update(DOMAIN).update(prev).update(numbers).update(header, 'utf8').digest();
}

/** Checks rows from the first entry on, ordered by seq, against the head that the database keeps. */
export function checkChain(
  rows: readonly ChainRow[],
  head: { seq: bigint; hash: Uint8Array } | undefined,
): ChainVerdict {
  let prev: Uint8Array = Buffer.alloc(32);
  let seq = 0n;
  for (const row of rows) {
    if (row.seq !== seq + 1n) return { isIntact: false, seq: seq + 1n, fault: 'gap' };
    const expected = entryHash(prev, row.seq, row.at, row.header);
    if (!expected.equals(row.hash) || !Buffer.from(row.prev).equals(prev) || !saysItsHeader(row))
      return { isIntact: false, seq: row.seq, fault: 'modified' };
    prev = row.hash;
    seq = row.seq;
  }
  if (seq !== (head?.seq ?? 0n)) return { isIntact: false, seq: seq + 1n, fault: 'truncated' };
  if (head && !Buffer.from(head.hash).equals(prev)) return { isIntact: false, seq, fault: 'modified' };
  return { isIntact: true, entries: rows.length, seq, hash: Buffer.from(prev).toString('hex') };
}

const COLUMNS = ['kind', 'operationId', 'stepNumber', 'attempt', 'success', 'durationMs'] as const;

function saysItsHeader(row: ChainRow): boolean {
  try {
    const header = z.record(z.string(), z.unknown()).parse(JSON.parse(row.header));
    return COLUMNS.every((name) => String(row[name] ?? '') === String(header[name] ?? ''));
  } catch {
    return false;
  }
}
