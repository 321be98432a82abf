import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import pg from 'pg';
import type { Log, LogFields } from '../../core/ports/log.ts';
import type { Sink } from './sweep.ts';

/** Every file below a folder, whole; but for what is gone before it is read, as PostgreSQL's own files come and go. */
export function filesIn(folder: string): readonly Sink[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .flatMap((path) => {
      try {
        return [{ name: path, bytes: readFileSync(path) }];
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
        throw error;
      }
    });
}

/** A log that keeps all that it is told, at every level, before anything of it is hidden. */
export function recordingLog(): { readonly log: Log; sink(): Sink } {
  const lines: string[] = [];
  const write = (fields: LogFields, message: string) => {
    lines.push(message, inspect(fields, { depth: 12, showHidden: true }), safeJson(fields));
  };
  return {
    log: { debug: write, info: write, warn: write, error: write },
    sink: () => ({ name: 'log', bytes: Buffer.from(lines.join('\n')) }),
  };
}

function safeJson(fields: LogFields): string {
  try {
    return JSON.stringify(fields);
  } catch {
    return ''; // a cycle: inspect has shown it
  }
}

/** Every row of every table of every schema, PostgreSQL's own included: as text, and each `bytea` as the bytes that it is. */
export async function databaseSinks(adminUrl: string): Promise<readonly Sink[]> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const tables = await client.query<{ name: string; bytea: string[] }>(TABLES);
    const sinks: Sink[] = [];
    for (const { name, bytea } of tables.rows) {
      const { rows } = await client.query<{ row: string; bytes: (Buffer | null)[] }>(
        `SELECT t::text AS row, ARRAY[${bytea.join(', ')}]::bytea[] AS bytes FROM ${name} t`,
      );
      sinks.push({ name: `table ${name}`, bytes: Buffer.from(rows.map(({ row }) => row).join('\n')) });
      const binary = rows.flatMap(({ bytes }) => bytes.filter((value) => value !== null));
      if (binary.length > 0) sinks.push({ name: `table ${name}, bytes`, bytes: Buffer.concat(binary) });
    }
    return sinks;
  } finally {
    await client.end();
  }
}

/** Partitions are tables of their own; their parents would show the same rows again. */
const TABLES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name,
    ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.atttypid = 'bytea'::regtype AND a.attnum > 0 AND NOT a.attisdropped)::text[] AS bytea
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg_toast%'
  ORDER BY 1`;
