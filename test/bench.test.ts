import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { barsSvg } from './bench/bars.ts';
import { comparison, ratiosOf } from './bench/baseline.ts';
import { pageOf, together } from './bench/document.ts';
import { createEndings } from './bench/endings.ts';
import type { Report } from './bench/main.ts';
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

describe('ratios', () => {
  const ms = (what: string, value: number) => toRow({ what, unit: 'ms', values: [value] });
  const NAME = 'an API call through the egress proxy over a straight one';

  test('are of the medians that were measured', () => {
    const rows = [ms('API call, straight', 2), ms('API call, through the egress proxy', 3), ms('a click', 1)];
    expect(ratiosOf(rows)).toEqual({ [NAME]: 1.5 });
    expect(ratiosOf(rows.slice(1))).toEqual({});
  });

  test('say so when one is worse by more than a fifth, and nothing of what has no baseline', () => {
    expect(comparison({ [NAME]: 1.79, other: 3 }, { [NAME]: 1.5 })).toEqual([`${NAME}: × 1.79, baseline × 1.50`]);
    expect(comparison({ [NAME]: 1.9 }, { [NAME]: 1.5 })).toEqual([`WORSE by 27 %: ${NAME}: × 1.90, baseline × 1.50`]);
  });
});

describe('the page of a run', () => {
  const machine = { cores: 2, processor: 'A', load: 0, node: 'v24', postgres: '17', date: '2026-01-01', commit: 'abc' };
  const row = (what: string, unit: 'ms' | 'USD', values: number[]) => toRow({ what, unit, values });
  const report = (rows: Report['rows'], more: Partial<Report> = {}): Report => ({
    ...{ machine, rows, seconds: { a: 90 }, ratios: { 'one over the other': 1.25 }, problems: [], notes: [] },
    ...more,
  });

  test('has every figure, what could not be measured, and costs computed for a million', () => {
    const rows = [
      row('WooCommerce, vision: an operation', 'ms', [9_000, 10_000, 12_000]),
      row('WooCommerce, vision: model cost, modelled', 'USD', [0.1]),
      row('something new', 'ms', [1]),
    ];
    const { text, plots } = pageOf(report(rows, { notes: ['Stripe in mode vision: it asks'] }));
    expect(text).toContain('| WooCommerce, vision | 3 | 9000 ms | 10000 ms | 12000 ms |  |  | 0.10 USD |  |');
    expect(text.split('| something new |')).toHaveLength(2);
    expect(text).toContain('2 cores (A), load 0\\\nNode v24');
    expect(text).toContain('- **Not measured:** Stripe in mode vision: it asks');
    expect(text).toContain('| WooCommerce, vision: model | $100 | $10,000 | $100,000 |');
    expect(text).toMatch(/\*\*Computed\*\*: the median of one operation/);
    expect(text).toContain('| one over the other | × 1.25 |');
    expect([...plots.keys()]).toEqual(['operations', 'cost']);
    for (const name of plots.keys()) expect(text).toContain(`](pictures/benchmarks/${name}.svg)`);
  });

  test('is of parts of one run alone', () => {
    const parts = [report([row('a', 'ms', [1])]), report([row('b', 'ms', [2])])];
    expect(together(parts).rows.map(({ what }) => what)).toEqual(['a', 'b']);
    const other = report([], { machine: { ...machine, commit: 'def' } });
    expect(() => together([...parts, other])).toThrow('several commits');
  });

  test('draws what a name holds as text, and longer bars for more', () => {
    const bar = (label: string, value: number) => ({ label, value, low: value, high: value, words: `${value} ms` });
    const svg = barsSvg({ title: 'A < B & C', subtitle: '', bars: [bar('<script>', 50), bar('b', 100)] });
    expect(svg).toContain('&lt;script>');
    expect(svg).toContain('A &lt; B &amp; C');
    const widths = [...svg.matchAll(/class="bar" .*?width="([\d.]+)"/g)].map(([, width]) => Number(width));
    expect(widths[1]).toBe(2 * (widths[0] ?? 0));
  });
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
    expect(err).toContain('warm-start, approve-to-worker, queue-length, credential-open');
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
