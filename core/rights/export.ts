import { z } from 'zod';
import type { Audit } from '../audit/audit.ts';
import type { Checkpoints } from '../audit/checkpoints.ts';
import { bundleLines, exportTrail } from '../audit/export.ts';
import { type Database, databaseNow } from '../database.ts';
import { CountersignError } from '../errors.ts';
import type { CustomerId, MemberId } from '../ids.ts';
import type { Screenshots } from '../ports/screenshots.ts';
import { type PersonRule, TABLES } from './tables.ts';

/** Where an export is written. */
export interface ExportFolder {
  /** One whole file, its folders included. */
  write(
    file: string,
    pieces: AsyncIterable<string | Uint8Array>,
  ): Promise<{ readonly sha256: string; readonly bytes: number }>;
}

export interface ExportDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly checkpoints: Checkpoints;
  readonly screenshots: Screenshots;
}

/** The last file of an export: without it, the others are not all of it. */
export interface Manifest {
  readonly format: 'countersign/export/v1';
  readonly customerId: string;
  /** Of a person's export: their accounts. Absent: all of the customer. */
  readonly members?: readonly string[];
  readonly exportedAt: string;
  readonly files: readonly {
    readonly file: string;
    readonly what: string;
    readonly rows: number;
    readonly bytes: number;
    readonly sha256: string;
  }[];
  /** What stands in the tables and not in these files. */
  readonly withheld: readonly { readonly table: string; readonly column: string; readonly why: string }[];
  readonly notes: readonly string[];
}

const BATCH = 500;
const NOTES = [
  'No file holds a secret. Stored keys are the customer’s own: an admin is shown one by its one-time link, or reads it by the value route of the API.',
  'One file a table, as a JSON array of its rows; what is sealed in the database is opened into files of its own.',
];

/**
 * Everything of a customer, or what is about a person (all accounts of theirs): rows, words of the trail, pictures, and a manifest
 * with the hash of every file. On record. Rows are read a batch and a transaction at a time, as they stand then.
 */
export async function exportCustomer(
  deps: ExportDeps,
  customerId: CustomerId,
  people: readonly MemberId[] | undefined,
  folder: ExportFolder,
): Promise<Manifest> {
  const { database, audit } = deps;
  const about = people ? { members: [...people] } : {};
  const exportedAt = await database.withCustomer(customerId, async (tx) => {
    const now = await databaseNow(tx);
    const payload = { how: 'customer export', by: 'the operator', ...about };
    await audit.append(tx, customerId, { kind: 'trail.read', payload });
    return now;
  });
  const files: Manifest['files'][number][] = [];
  const add = async (file: string, what: string, pieces: Counted) => {
    const { bytes, sha256 } = await folder.write(file, pieces.all());
    files.push({ file, what, rows: pieces.rows(), bytes, sha256 });
  };
  for (const [table, { what, person }] of Object.entries(TABLES))
    if (!people || person)
      await add(`tables/${table}.json`, what, jsonArray(rowsOf(database, customerId, table, people)));
  if (people)
    await add(
      'audit.json',
      'entries of the trail that they made, or about what they asked for',
      jsonArray(entriesOf(deps, customerId, people)),
    );
  else
    await add(
      'audit.jsonl',
      'the trail with its words; “audit verify FILE” checks it',
      counted(bundleLines(await exportTrail(deps, customerId))),
    );
  let shut = 0;
  for await (const row of rowsOf(database, customerId, 'screenshots', people)) {
    const { id } = pictureRow.parse(JSON.parse(row));
    const picture = await deps.screenshots.get(customerId, id).catch(ifShut);
    if (!picture) {
      shut++;
      continue;
    }
    const { operationId, step, mediaType, alt, bytes } = picture;
    const file = `pictures/${operationId}-${String(step).padStart(2, '0')}-${id}.${mediaType.slice('image/'.length)}`;
    await add(file, `step ${step} of ${operationId}: ${alt}`, once(bytes));
  }
  const withheld = Object.entries(TABLES).flatMap(([table, rule]) =>
    Object.entries(rule.withheld ?? {}).map(([column, why]) => ({ table, column, why })),
  );
  const notes = shut > 0 ? [...NOTES, `${shut} pictures are gone, or can be opened by nobody any more.`] : NOTES;
  const format = 'countersign/export/v1';
  const manifest: Manifest = {
    format,
    customerId,
    ...about,
    exportedAt: exportedAt.toISOString(),
    files,
    withheld,
    notes,
  };
  await folder.write('manifest.json', once(Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)).all());
  return manifest;
}

const pictureRow = z.object({ id: z.uuid() });

function ifShut(error: unknown): undefined {
  if (!(error instanceof CountersignError && error.code === 'vault_key_missing')) throw error;
}

/** Pieces of a file, and how many rows they were once all of them are read. */
interface Counted {
  all(): AsyncIterable<string | Uint8Array>;
  rows(): number;
}

function counted(pieces: AsyncIterable<string>): Counted {
  let count = 0;
  return {
    async *all() {
      for await (const piece of pieces) {
        count++;
        yield piece;
      }
    },
    rows: () => count,
  };
}

function jsonArray(rows: AsyncIterable<string>): Counted {
  const lines = counted(rows);
  return {
    async *all() {
      let before = '[\n';
      for await (const line of lines.all()) {
        yield `${before}${line}`;
        before = ',\n';
      }
      yield before === '[\n' ? '[]\n' : '\n]\n';
    },
    rows: lines.rows,
  };
}

function once(bytes: Uint8Array): Counted {
  return {
    async *all() {
      yield bytes;
    },
    rows: () => 1,
  };
}

const tableRows = z.array(z.object({ line: z.string(), place: z.string() }));

/** The rows of a table as JSON texts, in the order of its key. */
async function* rowsOf(
  database: Database,
  customerId: CustomerId,
  table: string,
  people: readonly MemberId[] | undefined,
): AsyncIterable<string> {
  const { shown = [], person } = TABLES[table] ?? {};
  const { by = [], through = null } = person ?? {};
  for (let after: string | null | undefined = null; after !== undefined; ) {
    const last: string | null = after;
    const rows: unknown = await database.withCustomer(
      customerId,
      (tx) => tx.$queryRaw`
        SELECT line, place FROM app.export_rows(${table}, ${[...shown]}::text[], ${[...by]}::text[], ${through},
          ${people ? [...people] : null}::uuid[], ${last}::jsonb, ${BATCH}::int)`,
    );
    const found = tableRows.parse(rows);
    for (const { line } of found) yield people && person?.own ? withoutOthers(line, person.own, people) : line;
    after = found.length < BATCH ? undefined : found.at(-1)?.place;
  }
}

const anyRow = z.record(z.string(), z.unknown());

/** A row without what is about somebody else. */
function withoutOthers(
  line: string,
  { of, columns }: NonNullable<PersonRule['own']>,
  people: readonly MemberId[],
): string {
  const row = anyRow.parse(JSON.parse(line));
  if (people.some((id) => id === row[of])) return line;
  return JSON.stringify({ ...row, ...Object.fromEntries(columns.map((column) => [column, null])) });
}

const seqRow = z.object({ seq: z.number() });

/** In the words of a decision: see `collected`. */
const OF_A_BROWSER = ['ipAddress', 'userAgent'];

/** Entries of a person's trail, opened, as JSON texts. */
async function* entriesOf(
  { database, audit }: ExportDeps,
  customerId: CustomerId,
  people: readonly MemberId[],
): AsyncIterable<string> {
  for await (const row of rowsOf(database, customerId, 'autonomous_operations_audit', people)) {
    const seq = BigInt(seqRow.parse(JSON.parse(row)).seq); // of one customer: far from 2^53
    const entry = await database.withCustomer(customerId, async (tx) => {
      const found = await tx.auditEntry.findUnique({ where: { customerId_seq: { customerId, seq } } });
      return found && audit.read(tx, customerId, found);
    });
    if (!entry) continue;
    // Where somebody else's browser was is theirs alone.
    const isOwn = people.some((id) => id === entry.actor);
    const shown = (name: string, value: unknown) => (isOwn || !OF_A_BROWSER.includes(name) ? value : undefined);
    yield JSON.stringify(entry, (name, value: unknown) =>
      typeof value === 'bigint' ? String(value) : shown(name, value),
    );
  }
}
