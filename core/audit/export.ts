import { z } from 'zod';
import type { Json } from '../canonical.ts';
import type { Customers } from '../customers/customers.ts';
import type { Database, Transaction } from '../database.ts';
import type { CustomerId, MemberId, OperationId } from '../ids.ts';
import type { Redact } from '../redacted-ports.ts';
import type { Audit } from './audit.ts';
import { BUNDLE_FORMAT, type BundleEntry, type BundleHead } from './bundle.ts';
import type { Checkpoints } from './checkpoints.ts';
import { csvLine } from './csv.ts';
import type { AuditEntry } from './entry.ts';

export interface ExportScope {
  /** By the time of the entries; both ends are included. */
  readonly from?: Date;
  readonly to?: Date;
  /** From its first entry to its last one; the words of what lies between and is not its own are withheld. */
  readonly operationId?: OperationId;
  /** On to the first checkpoint that was signed after the last of these entries, where there is one: it vouches for all of them. */
  readonly isToCheckpoint?: boolean;
}

export interface ExportDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly checkpoints: Checkpoints;
}

/** A trail to take away, a piece at a time: a head, and then entries as they are chained and as they read. */
export interface TrailExport {
  readonly head: BundleHead;
  entries(): AsyncIterable<ExportedEntry>;
}

export interface ExportedEntry {
  readonly line: BundleEntry;
  readonly entry: AuditEntry;
  /** Of the operation that was asked for, or of whatever when none was. */
  readonly isAsked: boolean;
}

const NOTHING = { seq: 0n, hash: new Uint8Array(32), at: new Date(0) };
const BATCH = 200; // each payload is opened, which takes a while
const HASH_WORDS =
  'SHA-256("audit-v1\\0" || prev (32 bytes) || seq || milliseconds since 1970 (both 8 bytes, big-endian) || header as UTF-8)';
const PAYLOAD_WORDS = 'SHA-256(salt (32 bytes) || payload as RFC 8785 text), as named in the header';
const boundsRow = z.tuple([z.object({ first: z.bigint().nullable(), last: z.bigint().nullable(), now: z.date() })]);

/** Reading a trail is itself a fact: whoever exports appends `trail.read` first. */
export async function exportTrail(
  deps: ExportDeps,
  customerId: CustomerId,
  scope: ExportScope = {},
): Promise<TrailExport> {
  const { database, audit, checkpoints } = deps;
  const { operationId } = scope;
  const { checkpoints: held } = await checkpoints.held(customerId);
  const keys = await checkpoints.keys();
  const head = await database.withCustomer(customerId, async (tx): Promise<BundleHead> => {
    const end = (await tx.auditHead.findUnique({ where: { customerId } })) ?? NOTHING;
    const [{ first, last, now }] = await bounds(tx, customerId, end.seq, scope);
    const before = await startBefore(tx, customerId, first ?? end.seq + 1n);
    const isFromBeginning = scope.from === undefined && operationId === undefined;
    const signed = scope.isToCheckpoint ? held.find(({ seq }) => seq >= (last ?? 0n) && seq <= end.seq) : undefined;
    const upTo = first === null || last === null ? before.seq : (signed?.seq ?? last);
    return {
      format: BUNDLE_FORMAT,
      customerId,
      ...(operationId ? { operationId } : {}),
      exportedAt: (end.at > now ? end.at : now).toISOString(), // the clock may have gone back; the chain's doesn't
      hash: HASH_WORDS,
      payloadHash: PAYLOAD_WORDS,
      after: { seq: String(before.seq), hash: hex(before.hash) },
      isAfterDropped: isFromBeginning && before.seq > 0n,
      upTo: String(upTo),
      head: { seq: String(end.seq), hash: hex(end.hash) },
      keys: keys.map(({ text }) => text),
      checkpoints: held.filter(({ seq }) => seq >= before.seq && seq <= end.seq).map(({ note }) => note),
    };
  });
  return { head, entries: () => readEntries(database, audit, customerId, head) };
}

async function bounds(tx: Transaction, customerId: CustomerId, end: bigint, scope: ExportScope) {
  const { from: earliest = null, to: latest = null, operationId = null } = scope;
  return boundsRow.parse(
    await tx.$queryRaw`
      SELECT min(seq) AS first, max(seq) AS last, app.clock() AS now FROM autonomous_operations_audit
      WHERE customer_id = ${customerId}::uuid AND seq <= ${end}
        AND (${earliest}::timestamptz IS NULL OR at >= ${earliest}) AND (${latest}::timestamptz IS NULL OR at <= ${latest})
        AND (${operationId}::text IS NULL OR operation_id = ${operationId})`,
  );
}

/** The entry before this one; where the retention period took it, what the next one says of it. */
async function startBefore(tx: Transaction, customerId: CustomerId, seq: bigint) {
  const row = await tx.auditEntry.findUnique({
    where: { customerId_seq: { customerId, seq } },
    select: { prev: true },
  });
  if (row) return { seq: seq - 1n, hash: row.prev };
  const last = await tx.auditEntry.findUnique({
    where: { customerId_seq: { customerId, seq: seq - 1n } },
    select: { hash: true },
  });
  return last ? { seq: seq - 1n, hash: last.hash } : { seq: 0n, hash: new Uint8Array(32) };
}

async function* readEntries(
  database: Database,
  audit: Audit,
  customerId: CustomerId,
  head: BundleHead,
): AsyncIterable<ExportedEntry> {
  const upTo = BigInt(head.upTo);
  for (let after = BigInt(head.after.seq); after < upTo; ) {
    const entries = await database.withCustomer(customerId, (tx) => batch(tx, audit, customerId, head, after, upTo));
    yield* entries;
    const last = entries.at(-1);
    if (!last) return; // dropped meanwhile: the reader of the file finds the gap
    after = last.entry.seq;
  }
}

async function batch(
  tx: Transaction,
  audit: Audit,
  customerId: CustomerId,
  head: BundleHead,
  after: bigint,
  upTo: bigint,
): Promise<ExportedEntry[]> {
  const rows = await tx.auditEntry.findMany({
    where: { customerId, seq: { gt: after, lte: upTo } },
    orderBy: { seq: 'asc' },
    take: BATCH,
  });
  const entries: ExportedEntry[] = [];
  for (const row of rows) {
    const isAsked = head.operationId === undefined || row.operationId === head.operationId;
    // Whatever isn't asked for stays sealed.
    const entry = await audit.read(tx, customerId, isAsked ? row : { ...row, payload: null });
    const { seq, at, prev, hash, header } = row;
    const words = isAsked ? (entry.payload ?? entry.gone ?? null) : entry.gone ? 'withheld' : null;
    const line: BundleEntry = {
      ...{ seq: String(seq), at: at.toISOString(), prev: hex(prev), hash: hex(hash), header },
      ...(entry.salt ? { salt: entry.salt } : {}),
      payload: words as BundleEntry['payload'], // the words of an entry are what zod took for JSON when it was read
    };
    entries.push({ line, entry, isAsked });
  }
  return entries;
}

export const TRAIL_FORMATS = { json: 'application/json', csv: 'text/csv', jsonl: 'application/jsonl' } as const;
export type TrailFormat = keyof typeof TRAIL_FORMATS;

/** Whoever takes a trail away, as it stands on record. */
export interface TrailReader {
  readonly actor?: MemberId;
  readonly how: Readonly<Record<string, Json>>;
}

/** `beside` is for who reads the JSON form, and part of no proof. */
export type TakenTrail = (
  format: TrailFormat,
  beside?: Readonly<Record<string, Json>>,
) => Promise<AsyncIterable<string>>;

/**
 * A trail for a member or a program to take away, once the transaction that puts the reading on record is committed. Names are as
 * they are now, without what `redact` takes out: the words of entries lost their secrets before they were hashed.
 */
export async function takeTrail(
  tx: Transaction,
  deps: ExportDeps & { readonly customers: Pick<Customers, 'members'>; readonly redact: Redact },
  customerId: CustomerId,
  scope: ExportScope,
  { how, ...reader }: TrailReader,
): Promise<TakenTrail> {
  const { operationId } = scope;
  const about = operationId ? { operationId } : {};
  await deps.audit.append(tx, customerId, { kind: 'trail.read', ...about, ...reader, payload: how });
  const members = await deps.customers.members(tx, customerId);
  const people = new Map(members.map(({ id, person }) => [id as string, deps.redact(person.name)]));
  return async (format, beside = {}) => {
    const trail = await exportTrail(deps, customerId, scope);
    switch (format) {
      case 'json':
        return bundleDocument(trail, { ...beside, people: Object.fromEntries(people) });
      case 'csv':
        return trailTable(trail, (id) => people.get(id) ?? id);
      case 'jsonl':
        return bundleLines(trail);
      default:
        return format satisfies never;
    }
  };
}

/** As JSON Lines: the head, and then an entry a line, each with its line end. */
export async function* bundleLines({ head, entries }: TrailExport): AsyncIterable<string> {
  yield `${JSON.stringify(head)}\n`;
  for await (const { line } of entries()) yield `${JSON.stringify(line)}\n`;
}

/** One JSON document of the same content; `beside` is for who reads it, and part of no proof. */
export async function* bundleDocument(
  { head, entries }: TrailExport,
  beside: Readonly<Record<string, Json>> = {},
): AsyncIterable<string> {
  yield `${JSON.stringify({ ...beside, ...head }).slice(0, -1)},"entries":[`;
  let separator = '\n';
  for await (const { line } of entries()) {
    yield `${separator}${JSON.stringify(line)}`;
    separator = ',\n';
  }
  yield '\n]}\n';
}

/** The columns of the table form. */
export const TRAIL_COLUMNS = [
  ...[
    'seq',
    'at',
    'kind',
    'operation',
    'step',
    'attempt',
    'success',
    'duration_ms',
    'rung',
    'intent',
    'action',
    'page',
  ],
  ...['error', 'tokens_in', 'tokens_out', 'screenshot', 'actor', 'words', 'hash'],
] as const;

/** One row of the table form; `words` says whether they are `erased`. */
export function trailRow(entry: AuditEntry, nameOf: (memberId: string) => string): readonly string[] {
  const word = (key: string) => {
    const value = entry.payload?.[key];
    return typeof value === 'string' ? value : '';
  };
  const cells: { readonly [Column in (typeof TRAIL_COLUMNS)[number]]: string } = {
    seq: String(entry.seq),
    at: entry.at.toISOString(),
    kind: entry.kind,
    operation: entry.operationId ?? '',
    step: String(entry.stepNumber ?? ''),
    attempt: String(entry.attempt ?? ''),
    success: String(entry.success ?? ''),
    duration_ms: String(entry.durationMs ?? ''),
    rung: entry.rung ?? '',
    intent: word('intent'),
    action: word('action'),
    page: word('pageUrl'),
    error: word('error'),
    tokens_in: String(entry.tokens?.input ?? ''),
    tokens_out: String(entry.tokens?.output ?? ''),
    screenshot: word('screenshotId'),
    actor: entry.actor ? nameOf(entry.actor) : 'Countersign',
    words: entry.gone ?? '',
    hash: entry.hash,
  };
  return TRAIL_COLUMNS.map((column) => cells[column]);
}

/** The table form, a line at a time, of what was asked for alone. */
export async function* trailTable(
  { entries }: TrailExport,
  nameOf: (memberId: string) => string,
): AsyncIterable<string> {
  yield csvLine(TRAIL_COLUMNS);
  for await (const { entry, isAsked } of entries()) if (isAsked) yield csvLine(trailRow(entry, nameOf));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
