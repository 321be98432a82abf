import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createEndings } from './bench/endings.ts';
import { repeat, summarise } from './bench/samples.ts';
import { renderTable, toRow } from './bench/table.ts';

describe('a summary', () => {
  test('takes the middle, and the nearest rank for p99', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(summarise(hundred)).toEqual({ n: 100, min: 1, median: 50.5, p95: 95, p99: 99, max: 100 });
    expect(summarise([3, 1, 2])).toEqual({ n: 3, min: 1, median: 2, p95: 3, p99: 3, max: 3 });
    expect(summarise([7])).toEqual({ n: 1, min: 7, median: 7, p95: 7, p99: 7, max: 7 });
  });

  test('refuses to be made of nothing', () => {
    expect(() => summarise([])).toThrow('nothing was measured');
  });
});

test('a table says of each target whether it was met', () => {
  const unit = 'ms' as const;
  const rows = [
    toRow({ what: 'a click', unit, values: [40, 50, 900], target: { of: 'median', atMost: 50 } }),
    toRow({ what: 'a start', unit, values: [40, 50, 900], target: { of: 'max', atMost: 50 } }),
    toRow({ what: 'entries', unit: '/s', values: [12.34] }),
  ];
  expect(renderTable(rows).split('\n')).toEqual([
    'what     n      min   median      p95  p99/max  target          met',
    'a click  3  40.0 ms  50.0 ms   900 ms   900 ms  median ≤ 50 ms  yes',
    'a start  3  40.0 ms  50.0 ms   900 ms   900 ms  max ≤ 50 ms     NO',
    'entries  1  12.3 /s  12.3 /s  12.3 /s  12.3 /s',
  ]);
});

test('repetitions end with their number or their time, and one is always made', async () => {
  expect(await repeat({ times: 3, withinMs: 60_000 }, async (i) => i)).toEqual([0, 1, 2]);
  expect(await repeat({ times: 3, withinMs: 0 }, async (i) => i)).toEqual([0]);
});

describe('the endings of a run', () => {
  test('end what was started, the last one first, each once, and tell what went wrong', async () => {
    const ended: string[] = [];
    const { open, endAll } = createEndings();
    const end = async (name: string) => ended.push(name);
    await open(() => 'first', end);
    await (await open(() => 'closed before', end)).close();
    await open(
      () => 'fails',
      () => Promise.reject(new Error('it fails')),
    );
    await open(() => 'last', end);
    expect(await endAll()).toEqual(['it fails']);
    expect(ended).toEqual(['closed before', 'last', 'first']);
  });

  test('wait for what is just starting, and let nothing new start', async () => {
    const { open, endAll } = createEndings();
    const gate = Promise.withResolvers<string>();
    const ended: string[] = [];
    const opening = open(
      () => gate.promise,
      async (name) => ended.push(name),
    );
    const ending = endAll();
    let isStarted = false;
    const late = open(
      () => {
        isStarted = true;
      },
      async () => {},
    );
    await expect(late).rejects.toThrow('interrupted');
    gate.resolve('slow');
    await opening;
    expect([await ending, ended, isStarted]).toEqual([[], ['slow'], false]);
  });
});

describe('npm run bench', () => {
  test('prints the machine and the table, and writes both as JSON', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bench-test-'));
    const file = join(folder, 'figures.json');
    const { code, out } = await bench(['--slice', '--only', 'egress-overhead', '--json', file]);
    const { rows } = JSON.parse(readFileSync(file, 'utf8'));
    rmSync(folder, { recursive: true });
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+ cores .* Node v\d+.* PostgreSQL \d+.* commit \w+/);
    expect(out).toMatch(/^API call, through the egress proxy +\d+ +[\d.]+ ms/m);
    expect(rows).toMatchObject([{ unit: 'ms' }, { unit: 'ms', n: expect.any(Number) }]);
  });

  test('fails when a benchmark could not run', async () => {
    const { code, err } = await bench(['--slice', '--only', 'picture'], { CHROMIUM_PATH: '/nonexistent' });
    expect(code).toBe(1);
    expect(err).toContain('picture could not run: CHROMIUM_PATH');
  });

  test('names the benchmarks when it is asked for another one', async () => {
    const { code, err } = await bench(['--only', 'nonsense']);
    expect(code).toBe(2);
    expect(err).toContain('warm-start, approve-to-worker, credential-open');
  });
});

async function bench(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const program = join(import.meta.dirname, 'bench/main.ts');
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ...env } });
  const said = { out: '', err: '' };
  child.stdout.on('data', (text: Buffer) => {
    said.out += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    said.err += text.toString();
  });
  const [code] = await once(child, 'close');
  return { code, ...said };
}
