import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresServer, prepareRoles, startPostgres } from '../../adapters/postgres/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { migrate } from '../../prisma/migrate.ts';
import { type Core, grantedOperation, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { databaseSinks, filesIn } from '../support/sinks.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const SLOW_MS = 240_000; // processes and servers of their own

describe('17 after use nothing of a secret is left', () => {
  const CANARY = `cs_canary_${randomUUID()}`;

  test(
    '17 in the memory of the process that read it, where only buffers held it; text that was made of it stays',
    async () => {
      await core.vault.store(shop.customerId, 'stripe', 'api_key', { value: CANARY });
      const careful = await remains(false);
      expect(careful).toEqual({ inSnapshot: 0, ...(careful.inMemory === undefined ? {} : { inMemory: 0 }) });
      // What a string leaves behind, and that this search finds it: the reason why `use` is given buffers.
      const careless = await remains(true);
      expect(careless.inSnapshot).toBeGreaterThan(0);
      if (careless.inMemory !== undefined) expect(careless.inMemory).toBeGreaterThan(0);
    },
    SLOW_MS,
  );

  /** How often the canary lies in a reader's heap snapshot, and, where the system shows it (Linux), in all of its memory. */
  async function remains(isCareless: boolean): Promise<{ inSnapshot: number; inMemory?: number }> {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-memory-'));
    const snapshot = join(folder, 'of.heapsnapshot');
    const options = { url: testDatabase.programUrl, customer: shop.customerId, snapshot, isCareless };
    const program = join(import.meta.dirname, '../support/vault-reader.ts');
    const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = await once(createInterface(child.stdout), 'line');
      expect(line).toBe('read 20');
      const inMemory = countInMemory(child.pid ?? 0, CANARY);
      const inSnapshot = count(readFileSync(snapshot), Buffer.from(CANARY));
      return { inSnapshot, ...(inMemory === undefined ? {} : { inMemory }) };
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  }
});

function count(bytes: Buffer, needle: Buffer): number {
  let found = 0;
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) found++;
  return found;
}

/** Every readable and writable page, freed ones included. `undefined` where the system keeps its processes' memory to itself. */
function countInMemory(pid: number, text: string): number | undefined {
  if (!existsSync(`/proc/${pid}/maps`)) return undefined;
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let found = 0;
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (!range) continue;
      const [start, end] = [BigInt(`0x${range[1]}`), BigInt(`0x${range[2]}`)];
      for (const needle of [Buffer.from(text), Buffer.from(text, 'utf16le')])
        found += count(readRange(memory, start, end), needle);
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

const STEP_BYTES = 64 * 1024 * 1024;

function readRange(memory: number, start: bigint, end: bigint): Buffer {
  const parts: Buffer[] = [];
  for (let at = start; at < end; at += BigInt(STEP_BYTES)) {
    const size = Number(end - at < BigInt(STEP_BYTES) ? end - at : BigInt(STEP_BYTES));
    const part = Buffer.alloc(size);
    try {
      readSync(memory, part, 0, size, at);
    } catch {
      continue; // reserved, and nothing in it
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

test('19 a reading is one round trip: row, key, context and audit entry together', async () => {
  await core.vault.store(shop.customerId, 'stripe', 'session', { value: 'x' });
  const { url, trips, close } = await countingProxy(testDatabase.programUrl);
  const counted = await openCore({ ...testDatabase, programUrl: url });
  try {
    const read = () => counted.vault.get(shop.customerId, 'stripe', 'session');
    await read(); // connects, and prepares the statement
    const [before, entries] = [trips(), await opened()];
    for (let n = 0; n < 10; n++) expect((await read())?.value.reveal()).toBe('x');
    expect([trips() - before, (await opened()) - entries]).toEqual([10, 10]);
  } finally {
    await counted.close();
    await close();
  }
});

async function opened(): Promise<number> {
  const rows = await sql(
    testDatabase.adminUrl,
    "SELECT FROM autonomous_operations_audit WHERE kind = 'credential.opened'",
  );
  return rows.length;
}

/** Counts how often the server said that it was ready again, on those connections that have read a secret. */
async function countingProxy(url: string): Promise<{ url: string; trips(): number; close(): Promise<void> }> {
  const real = new URL(url);
  const folder = mkdtempSync(join(tmpdir(), 'countersign-proxy-'));
  const counts: { trips: number; isReader: boolean }[] = [];
  const server: Server = createServer((client) => {
    const upstream = connect(join(real.searchParams.get('host') ?? '', '.s.PGSQL.5432'));
    const own = { trips: 0, isReader: false };
    counts.push(own);
    client.on('data', (part: Buffer) => {
      own.isReader ||= part.includes('app.open_credential');
      upstream.write(part);
    });
    upstream.on('data', (part: Buffer) => {
      // ReadyForQuery (PostgreSQL 17, 53.7): Z, its length, and whether a transaction is open.
      if (part.toString('latin1', part.length - 6, part.length - 1) === 'Z\0\0\0\x05') own.trips++;
      client.write(part);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(join(folder, '.s.PGSQL.5432'), resolve));
  const proxied = new URL(url);
  proxied.searchParams.set('host', folder);
  return {
    url: proxied.href,
    trips: () => counts.filter(({ isReader }) => isReader).reduce((sum, { trips }) => sum + trips, 0),
    close: async () => {
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe('20 on the disk of the database', () => {
  test(
    '20 no secret lies in a dump, a data file, the log of changes or the log of statements, however much is logged',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'countersign-remains-'));
      chmodSync(dir, 0o755); // as root, the server runs under an account of its own
      // A worst case that an operator could set up: every statement is logged.
      const settings = { log_statement: 'all', log_min_duration_statement: '0', full_page_writes: 'on' };
      const server = await startPostgres({ dir: join(dir, 'pg'), isDurable: true, settings });
      try {
        const { kept, control } = await useEverything(server);
        await sql(server.url('admin', 'remains'), 'CHECKPOINT');
        const tables = await databaseSinks(server.url('admin', 'remains'));
        const files = filesIn(join(dir, 'pg'));
        expect(files.some(({ name }) => name.includes('pg_wal'))).toBe(true);
        const where = (text: string) =>
          [...tables, ...files]
            .filter(({ bytes }) => formsOf(text).some((form) => bytes.includes(form)))
            .map(({ name }) => name);
        expect(kept.flatMap(where)).toEqual([]);
        // One that was put into a table as it is: the search finds it in the dump, a data file, WAL and the log.
        const found = where(control).join('\n');
        for (const place of [/^table public.control$/m, /base/, /pg_wal/, /\.log$/m]) expect(found).toMatch(place);
      } finally {
        await server.stop();
        rmSync(dir, { recursive: true, force: true });
      }
    },
    SLOW_MS,
  );

  /** All that the vault does with secrets, in a database of its own. */
  async function useEverything(server: PostgresServer): Promise<{ kept: readonly string[]; control: string }> {
    const urls = await prepareRoles(server, { database: 'remains' });
    await migrate({ ownerUrl: urls.ownerUrl, rootKeys: testRootKeys });
    const used = await openCore({ ...testDatabase, programUrl: urls.programUrl });
    const canaries = Array.from({ length: 5 }, () => `cs_canary_${randomUUID()}`);
    const [first = '', second = '', third = '', words = '', picture = ''] = canaries;
    const control = `control_${randomUUID()}`;
    try {
      const { customerId, ...other } = await installShop(used);
      const operation = await grantedOperation(used, { customerId, ...other });
      await used.vault.store(customerId, 'stripe', 'api_key', { value: first });
      await used.vault.store(customerId, 'stripe', 'api_key', { value: second });
      await used.vault.store(customerId, 'stripe', 'password', { value: third });
      await used.vault.get(customerId, 'stripe', 'api_key');
      await used.vault.rotate(customerId, 'stripe', 'api_key');
      await used.database.withCustomer(customerId, (tx) =>
        used.audit.append(tx, customerId, { kind: 'rules.changed', payload: { words } }),
      );
      const size = { mediaType: 'image/png', width: 1, height: 1, alt: '' } as const;
      const bytes = Buffer.from(picture);
      await createScreenshots(used).put(customerId, { ...size, bytes, operationId: operation.id, step: 1 });
      await used.keyRotation.rotateCustomerKeys(customerId);
      await used.vault.delete(customerId, 'stripe', 'password');
      await sql(server.url('admin', 'remains'), `CREATE TABLE control AS SELECT '${control}' AS text`);
    } finally {
      await used.close();
    }
    return { kept: canaries, control };
  }

  /** As it is, and as base64 and hexadecimal show it wherever it begins. */
  function formsOf(text: string): readonly Buffer[] {
    const bytes = Buffer.from(text);
    const base64 = [0, 1, 2].map((shift) => Buffer.from(bytes.subarray(shift, shift + 18).toString('base64')));
    return [bytes, Buffer.from(text, 'utf16le'), Buffer.from(bytes.toString('hex')), ...base64];
  }
});
