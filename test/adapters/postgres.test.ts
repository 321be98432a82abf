import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  defaultPostgresDir,
  type PostgresOptions,
  type PostgresServer,
  prepareRoles,
  startPostgres,
} from '../../adapters/postgres/index.ts';

const isRoot = process.getuid?.() === 0;
const PROGRAM = resolve(import.meta.dirname, '../support/postgres-program.ts');

let base: string;
let dir: string;
let running: PostgresServer[] = [];
let children: ChildProcess[] = [];

beforeEach(() => {
  base = join(tmpdir(), `countersign-pg-${randomUUID().slice(0, 8)}`);
  mkdirSync(base, { mode: 0o755 });
  dir = join(base, 'pg');
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(running.map((server) => server.stop()));
  [running, children] = [[], []];
  rmSync(base, { recursive: true, force: true });
});

async function start(options: Partial<PostgresOptions> = {}): Promise<PostgresServer> {
  const server = await startPostgres({ dir, isDurable: false, ...options });
  running.push(server);
  return server;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // some tests kill the server under it
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const asAdmin = (server: PostgresServer, sql: string) => query(server.url('admin', 'postgres'), sql);
const postmasterPid = () => Number.parseInt(readFileSync(join(dir, 'data', 'postmaster.pid'), 'utf8'), 10);

/** The account that PostgreSQL runs under, for processes and files that shall look like its own. */
function account(): { uid: number; gid: number } {
  const { uid, gid } = statSync(dir);
  return { uid, gid };
}

describe('starting and stopping', () => {
  test('starts in an empty folder, and again with what was written', async () => {
    const first = await start();
    await asAdmin(first, 'CREATE TABLE box (n int); INSERT INTO box VALUES (1)');
    await first.stop();
    await expect(asAdmin(first, 'SELECT 1')).rejects.toThrow();
    const second = await start();
    expect([first.isAdopted, second.isAdopted]).toEqual([false, false]);
    expect(await asAdmin(second, 'SELECT n FROM box')).toEqual([{ n: 1 }]);
  });

  test('is reached by a socket in a closed folder, and by no port', async () => {
    const server = await start();
    expect(statSync(server.socketDir).mode & 0o777).toBe(0o700);
    expect(await asAdmin(server, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '' }]);
  });

  test('keeps every write of a durable server, and hears other settings', async () => {
    const server = await start({ isDurable: true, settings: { max_connections: '37', cluster_name: "it's, \\ fine" } });
    const rows = await asAdmin(
      server,
      `SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
              current_setting('max_connections') AS connections, current_setting('cluster_name') AS name`,
    );
    expect(rows).toEqual([{ fsync: 'on', pages: 'on', connections: '37', name: "it's, \\ fine" }]);
  });

  test('lower-cases letters beyond ASCII, in whatever locale the computer is', async () => {
    const server = await start();
    expect(await asAdmin(server, "SELECT lower('ÄÉ') AS lower, current_setting('timezone') AS zone")).toEqual([
      { lower: 'äé', zone: 'UTC' },
    ]);
  });

  test('works in a folder whose name has spaces, commas and quotes', async () => {
    dir = join(base, `My "big", 'old' project`);
    const server = await start();
    expect(await asAdmin(server, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
  });

  test('works in a folder whose path is too long for a socket', async () => {
    dir = join(base, 'x'.repeat(120));
    const server = await start();
    expect(server.socketDir.startsWith(dir)).toBe(false);
    expect(statSync(server.socketDir).mode & 0o777).toBe(0o700);
    expect(await asAdmin(server, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    await server.stop();
    rmSync(server.socketDir, { recursive: true });
  });

  test('starts over when an earlier start was cut off while making the data folder', async () => {
    mkdirSync(join(dir, 'data.part-1', 'base'), { recursive: true });
    writeFileSync(join(dir, 'data.part-1', 'PG_VERSION'), '17\n');
    mkdirSync(join(dir, 'data'));
    const server = await start();
    expect(await asAdmin(server, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    expect(readdirSync(dir).filter((name) => name.startsWith('data'))).toEqual(['data']);
  });

  test('touches no folder named data that holds something else', async () => {
    mkdirSync(join(dir, 'data'), { recursive: true });
    writeFileSync(join(dir, 'data', 'diary.txt'), 'dear diary');
    await expect(start()).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining('holds files but no PostgreSQL database'),
    });
    expect(readFileSync(join(dir, 'data', 'diary.txt'), 'utf8')).toBe('dear diary');
  });

  test("says what PostgreSQL said when it doesn't start, and lets go of the folder", async () => {
    await expect(start({ settings: { max_connections: 'many' } })).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining('max_connections'),
    });
    expect((await start()).isAdopted).toBe(false);
  });

  if (isRoot) {
    test('as root, refuses a folder inside a closed one with a sentence', async () => {
      mkdirSync(join(base, 'home'), { mode: 0o700 });
      await expect(start({ dir: join(base, 'home', 'pg') })).rejects.toMatchObject({
        code: 'database_unavailable',
        message: expect.stringContaining('home is closed to it'),
      });
    });
  }

  test('names a default folder of its own for each project', () => {
    const projects = [join(base, 'a', 'shop'), join(base, 'b', 'shop')];
    for (const project of projects) mkdirSync(project, { recursive: true });
    const [one, two] = projects.map((project) => defaultPostgresDir(project));
    expect(one).not.toBe(two);
    expect(one).toMatch(
      isRoot ? /^\/var\/lib\/countersign\/shop-[0-9a-f]{12}$/ : /\/a\/shop\/\.countersign\/postgres$/,
    );
  });
});

describe('two programs on one folder', () => {
  test('refuses the second with one sentence, until the first has stopped', async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({
      code: 'already_running',
      message: expect.stringMatching(/^Countersign is already running on .*\.$/),
    });
    expect(await asAdmin(first, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    await first.stop();
    expect((await start()).isAdopted).toBe(false);
  });

  test('refuses the second from another process', async () => {
    const program = await startProgram();
    await expect(start()).rejects.toMatchObject({ code: 'already_running' });
    expect(await query(program.url, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    program.child.kill('SIGINT');
    expect(await program.exitCode).toBe(0);
  });

  test('lets exactly one of several first starts through', async () => {
    const starts = await Promise.allSettled([start(), start(), start(), start()]);
    expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of starts) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'already_running' });
    }
  });
});

describe('after a death', () => {
  test("adopts the server of a killed program with its connections, and stops it at one's own end", async () => {
    const program = await startProgram();
    await query(program.url, 'CREATE TABLE box (n int)');
    const pid = postmasterPid();
    await kill(program.child);
    expect(await query(program.url, 'SELECT n FROM box')).toEqual([]);
    const server = await start();
    expect(server.isAdopted).toBe(true);
    expect(postmasterPid()).toBe(pid);
    await server.stop();
    expect(existsSync(join(dir, 'data', 'postmaster.pid'))).toBe(false);
    await expect(asAdmin(server, 'SELECT 1')).rejects.toThrow();
  });

  test('restarts an abandoned server that runs with other settings', async () => {
    const program = await startProgram();
    await kill(program.child);
    const server = await start({ isDurable: true });
    expect(server.isAdopted).toBe(false);
    expect(await asAdmin(server, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
  });

  test('recovers what was committed when the postmaster was killed under a busy connection', async () => {
    const program = await startProgram('durable');
    await query(
      program.url,
      'CREATE TABLE box (n int); INSERT INTO box VALUES (1); CHECKPOINT; INSERT INTO box VALUES (2)',
    );
    const busy = query(program.url, 'SELECT count(*) FROM generate_series(1, 1000000000000)').catch(() => 'cut off');
    await until(async () => {
      const rows = await query(
        program.url,
        "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000000000)'",
      );
      return rows.length === 1;
    });
    process.kill(postmasterPid(), 'SIGKILL');
    await kill(program.child);
    const server = await start({ isDurable: true });
    expect(server.isAdopted).toBe(false);
    expect(await asAdmin(server, 'SELECT n FROM box ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
    expect(await busy).toBe('cut off');
  });

  test('stops at once when the postmaster was killed, and the folder starts again', async () => {
    const first = await start();
    process.kill(postmasterPid(), 'SIGKILL');
    await first.stop();
    const second = await start();
    expect(await asAdmin(second, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
  });

  test('starts although the lock files name a live process of somebody else, which it leaves alone', async () => {
    await (await start()).stop();
    const other = spawn('sleep', ['600'], { ...account(), stdio: 'ignore' });
    children.push(other);
    await once(other, 'spawn');
    leaveLockFiles(other.pid ?? 0);
    const server = await start();
    expect(await asAdmin(server, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
    expect([other.exitCode, other.signalCode]).toEqual([null, null]);
  });

  test('starts although the lock files name a zombie', async () => {
    await (await start()).stop();
    // The shell turns into `sleep`, which never asks after the child that the shell had.
    const parent = spawn('bash', ['-c', 'sleep 600 & echo $!; exec sleep 600'], {
      ...account(),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(parent);
    const [text] = await once(parent.stdout, 'data');
    const zombie = Number.parseInt(String(text), 10);
    await until(async () => readFileSync(`/proc/${parent.pid}/comm`, 'utf8') === 'sleep\n');
    process.kill(zombie, 'SIGKILL');
    await until(async () => /^State:\s+Z/m.test(readFileSync(`/proc/${zombie}/status`, 'utf8')));
    leaveLockFiles(zombie);
    const server = await start();
    expect(server.isAdopted).toBe(false);
    expect(await asAdmin(server, 'SELECT 1 AS n')).toEqual([{ n: 1 }]);
  });

  test('a Ctrl-C reaches the program alone, which can still write before it stops the server', async () => {
    const program = await startProgram();
    const { pid } = program.child;
    if (pid === undefined) throw new Error('the program did not start');
    process.kill(-pid, 'SIGINT'); // its whole process group, as the terminal does
    await program.said('drained');
    await program.said('stopped');
    expect(await program.exitCode).toBe(0);
    const server = await start();
    expect(await asAdmin(server, 'SELECT n FROM drained')).toEqual([]);
  });

  /** What a killed postmaster leaves, with a process id that has passed to something else. */
  function leaveLockFiles(pid: number): void {
    const data = join(dir, 'data');
    const lines = [pid, data, Math.floor(Date.now() / 1000), 5432, dir, '', ''].join('\n');
    for (const file of [join(data, 'postmaster.pid'), join(dir, '.s.PGSQL.5432.lock')]) {
      writeFileSync(file, lines, { mode: 0o600 });
      chownSync(file, account().uid, account().gid);
    }
  }
});

describe('roles', () => {
  test('are made once, with no more rights than they need', async () => {
    const server = await start();
    const urls = await prepareRoles(server, { database: 'shop' });
    expect(await prepareRoles(server, { database: 'shop' })).toEqual(urls);
    const rows = await asAdmin(
      server,
      `SELECT rolname, rolcanlogin AS login, rolsuper OR rolcreaterole OR rolbypassrls OR rolreplication AS mighty, rolcreatedb
       FROM pg_roles WHERE rolname LIKE 'countersign%' ORDER BY 1`,
    );
    expect(rows).toEqual([
      { rolname: 'countersign', login: true, mighty: false, rolcreatedb: false },
      { rolname: 'countersign_owner', login: true, mighty: false, rolcreatedb: true },
      { rolname: 'countersign_program', login: false, mighty: false, rolcreatedb: false },
      { rolname: 'countersign_retention', login: false, mighty: false, rolcreatedb: false },
    ]);
  });

  test('let the owner make schemas, and the program nothing', async () => {
    const server = await start();
    const { ownerUrl, programUrl } = await prepareRoles(server, { database: 'shop' });
    await query(ownerUrl, 'CREATE SCHEMA app; CREATE TABLE app.box (n int); CREATE TABLE public.box (n int)');
    for (const forbidden of [
      'CREATE SCHEMA mine',
      'CREATE TABLE public.mine (n int)',
      'SELECT FROM public.box',
      'CREATE DATABASE mine',
    ]) {
      await expect(query(programUrl, forbidden), forbidden).rejects.toMatchObject({ code: '42501' });
    }
    expect(
      await query(
        programUrl,
        "SELECT current_database() AS name, pg_has_role('countersign_program', 'member') AS member",
      ),
    ).toEqual([{ name: 'shop', member: true }]);
  });
});

interface Program {
  readonly child: ChildProcess;
  readonly url: string;
  /** Resolves with the program's line of that kind. */
  said(kind: string): Promise<Said>;
  readonly exitCode: Promise<unknown>;
}

const Said = z.object({ kind: z.string(), url: z.string().optional(), isAdopted: z.boolean().optional() });
type Said = z.infer<typeof Said>;

/** The program of test/support/postgres-program.ts in a process group of its own, once its server runs. */
async function startProgram(...flags: 'durable'[]): Promise<Program> {
  const child = spawn(process.execPath, [PROGRAM, dir, ...flags], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const exitCode = once(child, 'exit').then(([code]) => code);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const said = async (kind: string): Promise<Said> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the program ended before it said "${kind}"`);
    const line = Said.parse(JSON.parse(value));
    expect(line.kind).toBe(kind);
    return line;
  };
  const { url } = await said('started');
  return { child, url: url ?? '', said, exitCode };
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Asks again until it is so; the test's own time limit ends it. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((done) => setImmediate(done));
}
