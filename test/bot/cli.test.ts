import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Command } from '../../bot/cli/command.ts';
import { runCli } from '../../bot/cli.ts';
import { CountersignError } from '../../core/errors.ts';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { countersign, type Keeper, keepTrails, type Said } from '../support/audit.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  kinds,
  openCore,
  requestOperation,
  type Shop,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';
import { readCsv } from '../support/trail.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('the command line', () => {
  const commands: readonly Command[] = [
    {
      usage: 'box open NAME [LID]',
      summary: 'Opens a box.',
      options: { slowly: { type: 'boolean', help: 'takes its time' }, with: { type: 'string', help: 'the tool' } },
      run: async ({ args, values, say }) => {
        say(`${args.join(' and ')} ${values.with ?? 'by hand'}${values.slowly ? ' slowly' : ''}`);
        return 0;
      },
    },
    {
      usage: 'box break',
      summary: 'Breaks.',
      run: () => Promise.reject(new CountersignError('network', 'The box cannot be reached.')),
    },
    { usage: 'config', summary: 'Reads.', run: async ({ config }) => (config().role === 'bot' ? 0 : 1) },
  ];
  const run = async (...argv: string[]): Promise<Said> => {
    const out: string[] = [];
    const err: string[] = [];
    const sinks = { say: (line: string) => out.push(line), complain: (line: string) => err.push(line) };
    const code = await runCli(argv, { env: { ROLE: argv.includes('config') ? 'captain' : 'bot' }, ...sinks, commands });
    return { code, out: out.join('\n'), err: err.join('\n') };
  };

  test('runs the command that its first words name, with arguments and options', async () => {
    expect(await run('box', 'open', 'red', '--with', 'a key', '--slowly')).toEqual({
      ...{ code: 0, out: 'red a key slowly', err: '' },
    });
    expect(await run('box', 'open', 'red', 'blue')).toMatchObject({ code: 0, out: 'red and blue by hand' });
  });

  test.each([
    [['box', 'open']],
    [['box', 'open', 'a', 'b', 'c']],
    [['box', 'open', 'a', '--quickly']],
    [['box', 'open', 'a', '--with']],
  ])('explains a command that is used wrongly: %j', async (argv) => {
    const { code, out, err } = await run(...argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('Usage: npm run countersign -- box open NAME [LID] [OPTIONS]\nOpens a box.');
    expect(err).toMatch(/--with VALUE +the tool/);
  });

  test.each([
    ['box', 'open', '--help'],
    ['box', 'open', '-h'],
  ])('explains a command that is asked about', async (...argv) => {
    const { code, out, err } = await run(...argv);
    expect([code, out, err]).toEqual([0, expect.stringContaining('Opens a box.'), '']);
  });

  test('lists the commands, as help and when there is no such one', async () => {
    for (const argv of [[], ['help'], ['--help']]) {
      const { code, out } = await run(...argv);
      expect([code, out]).toEqual([0, expect.stringMatching(/box open NAME \[LID\] +Opens a box\.\n.*box break/)]);
    }
    const { code, out, err } = await run('bx', 'open');
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('There is no command “bx open”.');
    expect(err).toContain('box break');
  });

  test('says in one sentence what went wrong', async () => {
    expect(await run('box', 'break')).toEqual({ code: 1, out: '', err: 'The box cannot be reached.' });
    expect(await run('config')).toEqual({ code: 1, out: '', err: 'ROLE must be one of all, bot, worker.' });
  });
});

describe('audit', () => {
  let testDatabase: TestDatabase;
  let core: Core;
  let keeper: Keeper;
  let shop: Shop;
  let operation: Operation;
  let env: Readonly<Record<string, string>>;
  const at = (name: string) => join(folder, name);

  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    core = await openCore(testDatabase);
    keeper = keepTrails(core);
    env = {
      DATABASE_URL: testDatabase.programUrl,
      ENCRYPTION_KEY: TEST_ENCRYPTION_KEY,
      CHECKPOINT_DIR: keeper.dir,
    };
    shop = await installShop(core);
    operation = await grantedOperation(core, shop);
    await requestOperation(core, shop);
  });

  afterAll(async () => {
    keeper.remove();
    await core.close();
    await testDatabase.drop();
  });

  const audit = (...argv: string[]) => countersign(['audit', ...argv], env);
  const exportTo = (file: string, ...options: string[]) =>
    audit('export', '--customer', shop.customerId, '--out', file, ...options);

  test('export and verify go together, offline, in JSON Lines and JSON; the reading is on record', async () => {
    await keeper.checkpoints.make(shop.customerId);
    for (const [name, options] of [
      ['trail.jsonl', []],
      ['trail.json', ['--format', 'json']],
    ] as const) {
      const written = await exportTo(at(name), ...options);
      expect([written.code, written.err]).toEqual([0, '']);
      expect(written.out).toMatch(/^Wrote \d+ lines to .*: entries #1 to #\d+\.$/);
      expect(statSync(at(name)).mode & 0o777).toBe(0o600);
      // Without any environment: no database, no key.
      const { code, out } = await countersign(['audit', 'verify', at(name), '--checkpoints', keeper.dir]);
      expect(code).toBe(0);
      expect(out).toMatch(/^The export of 20\S+Z is intact: \d+ entries, the last one #\d+ · [0-9a-f]{8}\.$/m);
      expect(out).toMatch(
        /^It agrees with 1 signed checkpoint, the last one at #7 of 20\S+Z, less than a minute ago\.$/m,
      );
      expect(out).toMatch(/^So it is vouched for up to entry #7\.\nNothing but the chain itself vouches for #8/m);
    }
    const document = JSON.parse(readFileSync(at('trail.json'), 'utf8')) as { entries: { header: string }[] };
    expect(document.entries.at(-1)?.header).toContain('"kind":"trail.read"');
    writeFileSync(at('bad.json'), readFileSync(at('trail.json'), 'utf8').replace('consent.granted', 'consent.refused'));
    const { code, out } = await audit('verify', at('bad.json'));
    expect([code, out]).toEqual([1, 'Entry #4 was modified: it is not what was put on record.']);
  });

  test('verify is a program of its own, with an exit code, that needs nothing but the file', async () => {
    await exportTo(at('own.jsonl'));
    const program = join(import.meta.dirname, '../../bot/cli.ts');
    const run = (file: string) =>
      promisify(execFile)(process.execPath, [program, 'audit', 'verify', file], { env: {}, cwd: folder }).then(
        ({ stdout }) => ({ code: 0, stdout }),
        ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
      );
    expect(await run(at('own.jsonl'))).toMatchObject({ code: 0, stdout: expect.stringContaining('is intact') });
    const lines = readFileSync(at('own.jsonl'), 'utf8').split('\n');
    writeFileSync(at('cut.jsonl'), lines.toSpliced(3, 1).join('\n'));
    expect(await run(at('cut.jsonl'))).toEqual({ code: 1, stdout: 'There is a gap: entry #3 is missing.\n' });
  });

  test('verify never calls an export complete: what ends at a checkpoint may have been cut there, and a witness tells', async () => {
    const own = await installShop(core);
    await requestOperation(core, own);
    await keeper.checkpoints.make(own.customerId);
    const { id } = await requestOperation(core, own);
    const rows = await core.database.withCustomer(own.customerId, (tx) =>
      tx.auditEntry.findMany({ orderBy: { seq: 'asc' }, select: { seq: true, hash: true } }),
    );
    const places = rows.map(({ seq, hash }) => ({ seq, hash: Buffer.from(hash).toString('hex') }));
    const [third, signed, newest] = [places[2], places.at(-4), places.at(-1)];
    expect([id, third?.seq, signed?.seq, newest?.seq]).toEqual([id, 3n, 3n, 6n]);
    await audit('export', '--customer', own.customerId, '--out', at('whole.jsonl'));
    // Cut to the checkpoint, with a head that says so: all that is left holds together, and is signed.
    const [head = '', ...entries] = readFileSync(at('whole.jsonl'), 'utf8').trim().split('\n');
    const cut = { seq: String(signed?.seq), hash: signed?.hash };
    const shorter = JSON.stringify({ ...JSON.parse(head), upTo: cut.seq, head: cut });
    writeFileSync(at('shorter.jsonl'), [shorter, ...entries.slice(0, 3)].join('\n'));
    const alone = await audit('verify', at('shorter.jsonl'), '--checkpoints', keeper.dir);
    expect(alone.out.split('\n').slice(2)).toEqual([
      'So it is vouched for up to entry #3.',
      'That entries after #3 were cut off cannot be excluded: compare with the newest result message in the chat, and give what it says after “chain” (--witness NUMBER:HASH).',
    ]);
    const witness = `${newest?.seq}:${newest?.hash.slice(0, 8)}`;
    expect(await audit('verify', at('shorter.jsonl'), '--witness', witness)).toMatchObject({
      code: 1,
      out: expect.stringContaining(
        'The trail is said to end at entry #3, but the witness saw entry #6: the newest entries were cut off.',
      ),
    });
    const copied = `#${newest?.seq} · ${newest?.hash.slice(0, 16)}`; // as the message has it
    for (const where of [[at('whole.jsonl')], ['--customer', own.customerId]]) {
      const said = await audit('verify', ...where, '--witness', copied);
      expect(said).toMatchObject({
        code: 0,
        out: expect.stringContaining('It holds entry #6 as the chat witnessed it.'),
      });
      expect(said.out).toContain('So it is vouched for up to entry #6.');
      const other = await audit('verify', ...where, '--witness', `6:${'0'.repeat(16)}`);
      expect(other).toMatchObject({
        code: 1,
        out: expect.stringContaining('Entry #6 is another one than the witness says'),
      });
    }
    for (const words of ['6', '6:abc', 'six:0123456789'])
      expect(await audit('verify', at('whole.jsonl'), '--witness', words)).toMatchObject({
        ...{ code: 2, err: expect.stringContaining('A witness looks like 412:5be0aa00') },
      });
  });

  test('export of one operation shows its words, withholds those of others, and verifies', async () => {
    const { code } = await exportTo(at('one.jsonl'), '--operation', operation.id.toUpperCase());
    expect(code).toBe(0);
    const text = readFileSync(at('one.jsonl'), 'utf8');
    const payloads = text
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse(line) as { header: string; payload: unknown }); // prettier-ignore
    for (const { header, payload } of payloads) {
      const isOwn = header.includes(operation.id);
      if (header.includes('payloadHash')) expect(payload === 'withheld').toBe(!isOwn);
    }
    const said = await audit('verify', at('one.jsonl'));
    expect(said.out).toContain(`The export about ${operation.id} of`);
    expect(said.out).toMatch(/\d+ payloads are withheld: they belong to other operations\./);
    expect(said.code).toBe(0);
    expect(await kinds(core, operation)).toContain('trail.read');
  });

  test('export by time says what was not asked for', async () => {
    expect((await exportTo(at('range.jsonl'), '--from', '2020-01-01', '--to', '2020-01-02')).out).toContain(
      'no entry is asked for',
    );
    const rows = await core.database.withCustomer(shop.customerId, (tx) =>
      tx.auditEntry.findMany({ orderBy: { seq: 'asc' } }),
    );
    const third = rows[2]?.at.toISOString() ?? '';
    await exportTo(at('range.jsonl'), '--from', third);
    const { code, out } = await audit('verify', at('range.jsonl'));
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/It begins behind entry #\d: what lies before was not asked for/),
    ]);
    await exportTo(at('range.jsonl'), '--to', third);
    expect((await audit('verify', at('range.jsonl'))).out).toMatch(
      /It ends before the trail did, which then stood at #\d+/,
    );
  });

  test('export as CSV is a table with names in it', async () => {
    await exportTo(at('trail.csv'), '--format', 'csv');
    const { columns, rows } = readCsv(readFileSync(at('trail.csv'), 'utf8'));
    expect(columns.slice(0, 4)).toEqual(['seq', 'at', 'kind', 'operation']);
    expect(rows.find(({ kind }) => kind === 'consent.granted')).toMatchObject({
      actor: 'Abel',
      operation: operation.id,
    });
    const { code, err } = await audit('verify', at('trail.csv'));
    expect([code, err]).toEqual([2, expect.stringContaining('is no audit export')]);
  });

  test('verify of the database compares with the checkpoints outside', async () => {
    const { code, out } = await audit('verify', '--customer', shop.customerId);
    expect(out).toMatch(/The chain in the database is intact: \d+ entries/);
    expect(out).toMatch(/It agrees with 1 signed checkpoint,/);
    expect(code).toBe(0);
    const young = await installShop(core);
    const nothing = await audit('verify', '--customer', young.customerId, '--checkpoints', folder);
    expect([nothing.code, nothing.out]).toEqual([0, expect.stringContaining('no signed checkpoint to compare with')]);
  });

  test.each([
    [['verify'], 'Name the export to check'],
    [['verify', '/nowhere/trail.jsonl'], '/nowhere/trail.jsonl could not be read: ENOENT.'],
    [['verify', '--customer', 'me'], 'There is no customer “me”.'],
    [['export', '--customer', newUuid()], 'where to write (--out FILE)'],
    [['export', '--customer', newUuid(), '--out', 'x', '--format', 'pdf'], 'jsonl, json or csv'],
    [['export', '--customer', newUuid(), '--out', 'x', '--operation', '7'], 'op-7k3f9q2m'],
    [['export', '--customer', newUuid(), '--out', 'x', '--from', 'yesterday'], '2026-01-31'],
  ])('says what is missing from %j', async (argv, sentence) => {
    const { code, out, err } = await audit(...argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(sentence);
  });

  test('verify without readable keys says so', async () => {
    await exportTo(at('keys.jsonl'));
    const { code, err } = await audit('verify', at('keys.jsonl'), '--keys', at('none.txt'));
    expect([code, err]).toEqual([1, expect.stringContaining('none.txt could not be read')]);
  });
});
