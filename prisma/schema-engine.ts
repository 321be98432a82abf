#!/usr/bin/env node
/**
 * Stands in for Prisma's native schema engine, which would have to be downloaded: the same engine compiled to
 * WebAssembly, over the program's own driver. It speaks what Prisma's command line expects of the native one, JSON-RPC 2.0
 * in lines over stdin and stdout, and the sub-command `cli`. For writing migrations only:
 * `PRISMA_SCHEMA_ENGINE_BINARY=prisma/schema-engine.ts prisma migrate …`; the program applies them by migrate.ts.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';
import { z } from 'zod';
import { createMigrationAdapter, inDatabase } from './migration-adapter.ts';

const Request = z.object({
  id: z.union([z.number(), z.string()]),
  /** Absent in an answer to what we asked the command line to print. */
  method: z.string().optional(),
  params: z.unknown().optional(),
});
type RequestId = z.infer<typeof Request>['id'];

/** Error number of the native engine's JSON-RPC for a known error. */
const KNOWN_ERROR = 4466;
/** Codes of prisma.io/docs/orm/reference/error-reference by what `pg` says. */
const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  '28P01': 'P1000',
  '3D000': 'P1003',
  '42P04': 'P1009',
  ECONNREFUSED: 'P1001',
};

const { values, positionals } = parseArgs({
  options: { datasource: { type: 'string' }, datamodels: { type: 'string', multiple: true } },
  strict: false, // the command line also passes options that only the native engine has
  allowPositionals: true,
});
const url = z
  .object({ url: z.string().optional() })
  .parse(typeof values.datasource === 'string' ? JSON.parse(values.datasource) : {}).url;

/** What the engine said last before it broke down. */
let panicMessage = '';

if (positionals[0] === 'cli') await runCommand(positionals[1]);
else await serve();

/** Checks, creates or drops the database itself. */
async function runCommand(command: string | undefined): Promise<void> {
  try {
    const target = required(url);
    const database = decodeURIComponent(new URL(target).pathname.slice(1));
    if (command === 'can-connect-to-database') await query(target, 'SELECT 1');
    else if (command === 'create-database')
      await query(inDatabase(target, 'postgres'), `CREATE DATABASE ${pg.escapeIdentifier(database)}`);
    else if (command === 'drop-database')
      await query(inDatabase(target, 'postgres'), `DROP DATABASE ${pg.escapeIdentifier(database)}`);
    else throw new Error(`unknown command ${command}`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    logError({
      error_code: CONNECTION_ERRORS[code] ?? 'P1001',
      message: messageOf(error),
      is_panic: false,
      meta: null,
    });
    process.exitCode = 1;
  }
}

async function query(target: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: target });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Answers one request after the other until stdin ends. */
async function serve(): Promise<void> {
  let current: RequestId | undefined;
  answerPanics(() => current);
  let engine: Promise<SchemaEngine> | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === '') continue;
    const request = Request.parse(JSON.parse(line));
    if (request.method === undefined) continue;
    current = request.id;
    try {
      engine ??= createEngine();
      reply(request.id, request.method, await call(await engine, request.method, request.params));
    } catch (error) {
      replyError(request.id, panicMessage || messageOf(error), error);
    }
    current = undefined;
  }
  process.exit(0); // the pool would keep us
}

function createEngine(): Promise<SchemaEngine> {
  const files = (values.datamodels ?? []).map(String);
  const datamodels = files.map((file): [string, string] => [file, readFileSync(file, 'utf8')]);
  const adapter = bindMigrationAwareSqlAdapterFactory(createMigrationAdapter(required(url)));
  return SchemaEngine.new({ datamodels: datamodels.length > 0 ? datamodels : undefined }, () => {}, adapter);
}

async function call(engine: SchemaEngine, method: string, params: unknown): Promise<unknown> {
  const name = method === 'getDatabaseVersion' ? 'version' : method;
  // The engine checks the method's parameters itself, as the native one does.
  const target = engine as unknown as Readonly<Record<string, ((input: unknown) => Promise<unknown>) | undefined>>;
  const found = target[name];
  if (!found) throw new Error(`the schema engine has no method ${method}`);
  return found.call(engine, Array.isArray(params) ? params[0] : params);
}

/** A diff's text goes by a request of its own, as the native engine sends it. */
function reply(id: RequestId, method: string, result: unknown): void {
  const diff = z.object({ exitCode: z.number(), stdout: z.string() }).safeParse(result);
  if (method === 'diff' && diff.success) {
    send({ id: `print-${id}`, method: 'print', params: { content: diff.data.stdout } });
    send({ id, result: { exitCode: diff.data.exitCode, stdout: null } });
  } else {
    send({ id, result: result ?? {} });
  }
}

function replyError(id: RequestId, message: string, error?: unknown): void {
  const details = z.object({ code: z.string().optional(), meta: z.unknown().optional() }).safeParse(error).data;
  send({
    id,
    error: {
      code: KNOWN_ERROR,
      message,
      data: { is_panic: false, message, error_code: details?.code, meta: details?.meta },
    },
  });
}

/** An engine that panics inside WebAssembly answers nothing, and the command line then ends with 0 as if all were well. */
function answerPanics(current: () => RequestId | undefined): void {
  // The engine looks for this name (wasm-bindgen, schema-engine-wasm/src/wasm/engine.rs).
  Object.assign(globalThis, {
    PRISMA_WASM_PANIC_REGISTRY: {
      set_message: (message: string) => {
        panicMessage = `schema engine panic: ${message}`;
      },
    },
  });
  process.on('uncaughtException', (error) => {
    const message = panicMessage || `schema engine: ${error.stack}`;
    const id = current();
    if (id === undefined) process.stderr.write(`${message}\n`, () => process.exit(101));
    else
      process.stdout.write(
        answer({ id, error: { code: KNOWN_ERROR, message, data: { is_panic: false, message } } }),
        () => process.exit(101),
      );
  });
}

function send(message: object): void {
  process.stdout.write(answer(message));
}

function answer(message: object): string {
  return `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`;
}

function logError(fields: object): void {
  const line = { timestamp: new Date().toISOString(), level: 'ERROR', fields, target: 'schema_engine::logger' };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function required(datasource: string | undefined): string {
  if (datasource) return datasource;
  throw new Error('no database: set DATABASE_OWNER_URL');
}
