import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** `Export JSON`, as far as its chain goes. */
export interface ExportedTrail {
  readonly format: string;
  readonly operationId: string;
  readonly entries: readonly {
    readonly seq: string;
    readonly at: string;
    readonly prev: string;
    readonly hash: string;
    readonly header: string;
    readonly salt?: string;
    /** `withheld`: the words of another operation, between those of this one. */
    readonly payload: Readonly<Record<string, unknown>> | 'withheld' | null;
  }[];
}

/**
 * The numbers of the entries whose hash is not that of what they say, or that don't follow on the entry before. Written
 * from the document's own description of its hash, so that no code of the product takes part.
 */
export function brokenLinks(trail: ExportedTrail): readonly string[] {
  return trail.entries
    .filter((entry, index) => {
      const numbers = Buffer.alloc(16);
      numbers.writeBigInt64BE(BigInt(entry.seq), 0);
      numbers.writeBigInt64BE(BigInt(Date.parse(entry.at)), 8);
      const hash = createHash('sha256')
        .update('audit-v1\0')
        .update(Buffer.from(entry.prev, 'hex'))
        .update(numbers)
        .update(entry.header)
        .digest('hex');
      const before = trail.entries[index - 1];
      const isNext = before !== undefined && BigInt(before.seq) + 1n === BigInt(entry.seq);
      return hash !== entry.hash || (isNext && before.hash !== entry.prev);
    })
    .map(({ seq }) => seq);
}

/** The numbers of the entries whose words are not those that the chained header vouches for. */
export function brokenPayloads(trail: ExportedTrail): readonly string[] {
  return trail.entries
    .filter(({ header, salt, payload }) => {
      const { payloadHash } = JSON.parse(header) as { payloadHash?: string }; // compared, and nothing else
      if (payload === 'withheld') return header.includes(trail.operationId);
      if (payload === null) return payloadHash !== undefined;
      const bytes = Buffer.from(salt ?? '', 'hex');
      return (
        createHash('sha256')
          .update(bytes)
          .update(canonicalize(payload) ?? '')
          .digest('hex') !== payloadHash
      );
    })
    .map(({ seq }) => seq);
}

/** RFC 4180, as the export writes it. */
export function readCsv(text: string): {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, string>>[];
} {
  const [columns = [], ...lines] = text
    .trimEnd()
    .split('\r\n')
    .map((line) =>
      [...line.matchAll(/(?<=^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
        ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
      ),
    );
  return {
    columns,
    rows: lines.map((cells) => Object.fromEntries(columns.map((name, at) => [name, cells[at] ?? '']))),
  };
}
