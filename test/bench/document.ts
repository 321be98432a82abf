/**
 * `npm run bench:document -- FILE…`: docs/benchmarks.md and its plots, from what `npm run bench -- --json FILE` wrote. Several
 * files are parts of one run: of the same commit, on the same machine.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bar, barsSvg, type Plot } from './bars.ts';
import { renderMachine } from './machine.ts';
import type { Report } from './main.ts';
import { figureWords, type Row, rounded } from './table.ts';

const DOCS = join(import.meta.dirname, '../../docs');
const PICTURES = 'pictures/benchmarks';
const COUNTS = [1_000, 100_000, 1_000_000];

interface Section {
  readonly title: string;
  readonly words: string;
  readonly rows: RegExp;
  readonly table?: (rows: readonly Row[]) => string;
}

/** What belongs together, in the order of the page; a row that fits nowhere stands at the end. */
const SECTIONS: readonly Section[] = [
  {
    title: 'What people wait for',
    words:
      'From `npm run demo` to ready, from a click on Approve to the worker that has the job, also with other operations queued before it, and until the console’s pages are painted. Less than nothing between a record and the worker: PostgreSQL tells the worker of a commit before its answer has reached the bot.',
    rows: /start of the demo|^Approve|paint/,
  },
  {
    title: 'A whole operation, by how its steps are decided',
    words:
      'From the moment at which a worker takes an operation to the key that is stored and proven, at the practice services: in a browser of its own, with its pictures, trail and budget. `replay` goes by what is on record, `ladder` asks the model where the record does not lead on, `vision` asks it at every step. **The model is a simulation that answers at once**: what a real one would think comes on top. Tokens are reckoned from what was really sent (4 characters a token, pictures by their size, 250 tokens a reply, rules and tools cached), costs by the list of prices of `claude-sonnet-5-5`.',
    rows: /^(WooCommerce|WordPress|Stripe|Shopify), (replay|ladder|vision): /,
    table: operationsTable,
  },
  {
    title: 'What the checks cost',
    words:
      'The same actions by a plain Playwright script, in turns with a replay; a call through the egress proxy, and a straight one; a turn of the model rung, and one of a bare loop over the SDK.',
    rows: /^WooCommerce at |^API call, |^model turn|^picture/,
  },
  { title: 'Vault and trail', words: '', rows: /credential|secrets|^an empty transaction|^audit/ },
  { title: 'API and live stream', words: '', rows: /by the API|the API answers|^step on record/ },
  {
    title: 'Throughput and memory',
    words:
      'One worker process at 1, 2 and 4 operations at once, the practice shop served from the same computer. Memory counts what several processes share once.',
    rows: /operations of a worker|transactions for each|room in the database|^memory/,
  },
  {
    title: 'Growth',
    words: 'Rows of one customer, made by an offline generator and loaded by COPY. Pictures are not in it.',
    rows: / of them$/,
  },
];

/** @throws TypeError for reports that are not of one run. */
export function together(reports: readonly Report[]): Report {
  const [first] = reports;
  if (!first) throw new TypeError('there is no report');
  const key = ({ machine: { commit, processor, cores } }: Report) => [commit, processor, cores].join();
  if (reports.some((report) => key(report) !== key(first)))
    throw new TypeError('the reports are of several commits or machines');
  return {
    machine: first.machine,
    seconds: Object.assign({}, ...reports.map(({ seconds }) => seconds)),
    ratios: Object.assign({}, ...reports.map(({ ratios }) => ratios)),
    rows: reports.flatMap(({ rows }) => rows),
    problems: reports.flatMap(({ problems }) => problems),
    notes: reports.flatMap(({ notes }) => notes),
  };
}

/** The page, and the plots that it shows by their file names. */
export function pageOf(report: Report): { readonly text: string; readonly plots: ReadonlyMap<string, string> } {
  const { machine, rows, seconds } = report;
  const unmeasured = [...report.problems, ...report.notes];
  const plots = new Map(plotsOf(rows).map(([name, plot]) => [name, barsSvg(plot)]));
  const left = new Set(rows);
  const take = (pattern: RegExp) => rows.filter((row) => left.has(row) && pattern.test(row.what) && left.delete(row));
  const sections = SECTIONS.map(({ rows: pattern, ...section }) => ({ table: tableOf, ...section, of: take(pattern) }));
  const shown = [...sections, { title: 'Further', words: '', table: tableOf, of: [...left] }].filter(
    ({ of }) => of.length > 0,
  );
  const pictureOf = (title: string) =>
    [...plots.keys()]
      .filter((name) => PLACES[name] === title)
      .map((name) => `![${titleOf(name)}](${PICTURES}/${name}.svg)\n\n`)
      .join('');
  const text = `# Benchmarks

Made by \`npm run bench -- --json FILE\` and \`npm run bench:document -- FILE\`, not by hand. One run, one thing at a time; what is
compared with each other was measured in turns.

${renderMachine(machine).replaceAll(' · ', '\\\n')}

The whole run took ${Math.round(Object.values(seconds).reduce((sum, each) => sum + each, 0) / 60)} minutes. Of times the last
figure is p99, of rates the largest; of fewer than 20 values p95 is the largest. Targets are reported, nothing fails by them.
${unmeasured.length === 0 ? '' : `\n${unmeasured.map((words) => `- **Not measured:** ${words}`).join('\n')}\n`}
${shown.map(({ title, words, table, of }) => `## ${title}\n\n${words ? `${words}\n\n` : ''}${pictureOf(title)}${table(of)}\n`).join('\n')}
${costOf(rows)}${ratiosOf(report)}`;
  return { text, plots };
}

/** A row for each service and mode: of its time the spread, of everything else, which hardly varies, the median. */
function operationsTable(rows: readonly Row[]): string {
  const modes = [...new Set(rows.map(({ what }) => what.replace(/: .*/, '')))];
  const lines = modes.map((mode) => {
    const of = (what: string) => rows.find((row) => row.what === `${mode}: ${what}`);
    const time = of('an operation');
    const times = [time?.min, time?.median, time?.p95].map((value) =>
      value === undefined ? '' : figureWords(value, 'ms'),
    );
    const others = ['model calls', 'tokens, modelled', 'model cost, modelled', 'pictures, sealed'].map((what) => {
      const row = of(what);
      return row ? figureWords(row.median, row.unit) : '';
    });
    return `| ${[mode, time?.n ?? '', ...times, ...others].join(' | ')} |`;
  });
  return [
    '| | n | min | median | p95 | model calls | tokens | model cost | pictures |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...lines,
  ].join('\n');
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ what, unit, n, min, median, p95, p99, max, target, isMet }) => {
    const figures = [min, median, p95, unit.startsWith('/') ? max : p99].map((value) => figureWords(value, unit));
    return `| ${[what, n, ...figures, target ? `${target}: ${isMet ? 'met' : '**not met**'}` : ''].join(' | ')} |`;
  });
  return ['| | n | min | median | p95 | p99/max | target |', '|---|--:|--:|--:|--:|--:|---|', ...lines].join('\n');
}

/** In which section a plot stands. */
const PLACES: Readonly<Record<string, string>> = {
  waits: 'What people wait for',
  operations: 'A whole operation, by how its steps are decided',
  cost: 'A whole operation, by how its steps are decided',
  overhead: 'What the checks cost',
  throughput: 'Throughput and memory',
};

function titleOf(name: string): string {
  return (
    { waits: 'Waits', operations: 'Whole operations', cost: 'Model cost', overhead: 'Overhead' }[name] ?? 'Throughput'
  );
}

function plotsOf(rows: readonly Row[]): readonly (readonly [name: string, plot: Plot])[] {
  const plot = (name: string, title: string, subtitle: string, pattern: RegExp, label = (what: string) => what) => {
    const bars = rows.filter(({ what }) => pattern.test(what)).map((row) => barOf(row, label(row.what)));
    return bars.length === 0 ? [] : [[name, { title, subtitle, bars }] as const];
  };
  const untilColon = (what: string) => what.replace(/: .*/, '');
  return [
    ...plot(
      'waits',
      'From Approve to the worker',
      'median; the line reaches from the least to p95; shorter is better',
      /^Approve clicked, until the worker/,
      (what) =>
        /, (\d+) queued/.test(what)
          ? what.replace(
              /.*, (\d+?)(000)? queued/,
              (_, n, thousand) => `${n}${thousand ? ',000' : ''} queued before it`,
            )
          : 'an empty queue',
    ),
    ...plot(
      'operations',
      'A whole operation',
      'median; the line reaches from the least to p95; the simulated model answers at once',
      / an operation$/,
      untilColon,
    ),
    ...plot(
      'cost',
      'Model cost of an operation, modelled',
      'median, in US dollars',
      /model cost, modelled$/,
      untilColon,
    ),
    ...plot(
      'overhead',
      'Replay over a plain Playwright script',
      'times the script’s duration; 1 would be as fast',
      /replay over script/,
      (what) =>
        what
          .replace('WooCommerce at ', '')
          .replace(', replay over script in a browser as lean', ', as lean a browser')
          .replace(', replay over script', ''),
    ),
    ...plot(
      'throughput',
      'Operations of one worker in an hour',
      'longer is better',
      /^operations of a worker/,
      (what) => what.replace('operations of a worker, ', ''),
    ),
  ];
}

function barOf({ unit, min, median, p95 }: Row, label: string): Bar {
  const words =
    unit === 'ms' && median >= 1_000
      ? `${rounded(median / 1000)} s`
      : unit === 'USD'
        ? `$${median === 0 ? 0 : median.toFixed(3)}`
        : figureWords(median, unit);
  return { label, value: median, low: min, high: p95, words };
}

/** By the medians of an operation, times so many. */
function costOf(rows: readonly Row[]): string {
  const usd = rows.filter(({ what }) => what.endsWith('model cost, modelled'));
  const stored = rows.findLast(({ what }) => what.startsWith('database for an operation')); // that of the most
  const pictures = rows.filter(({ what }) => /, ladder: pictures, sealed$/.test(what));
  const money = (value: number) => `$${Math.round(value).toLocaleString('en')}`;
  const gigabytes = (kB: number) => `${rounded(kB / 1e6)} GB`;
  const line = (what: string, of: (count: number) => string) => `| ${[what, ...COUNTS.map(of)].join(' | ')} |`;
  const lines = [
    ...usd.map(({ what, median }) => line(what.replace(': model cost, modelled', ': model'), (n) => money(n * median))),
    ...(stored ? [line('rows in PostgreSQL', (n) => gigabytes(n * stored.median))] : []),
    ...pictures.map(({ what, median }) =>
      line(what.replace(', ladder: pictures, sealed', ': pictures'), (n) => gigabytes(n * median)),
    ),
  ];
  if (lines.length === 0) return '';
  const most = Number(/(\d+) of them$/.exec(stored?.what ?? '')?.[1] ?? 0);
  const loaded = stored ? `, rows by the bytes that ${most.toLocaleString('en')} of them took` : '';
  const heads = COUNTS.map((count) => count.toLocaleString('en'));
  return `## What operations cost as they grow in number

**Computed**: the median of one operation times so many${loaded}. How long it takes to read one among so many is measured above.

| operations | ${heads.join(' | ')} |
|---|${heads.map(() => '--:').join('|')}|
${lines.join('\n')}

`;
}

function ratiosOf({ ratios }: Report): string {
  const lines = Object.entries(ratios).map(([name, ratio]) => `| ${name} | × ${rounded(ratio)} |`);
  if (lines.length === 0) return '';
  return `## Ratios

The machine’s speed is in both sides of each. CI measures a slice of them, and reports one that is a fifth worse than
\`test/bench/baseline.json\`.

| | |
|---|--:|
${lines.join('\n')}
`;
}

if (import.meta.main) {
  const files = process.argv.slice(2);
  if (files.length === 0) {
    process.stderr.write('Usage: npm run bench:document -- FILE…, as npm run bench -- --json FILE wrote them\n');
    process.exitCode = 2;
  } else {
    // The files are this program's own.
    const report = together(files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Report));
    const { text, plots } = pageOf(report);
    const folder = join(DOCS, PICTURES);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const [name, svg] of plots) writeFileSync(join(folder, `${name}.svg`), svg);
    writeFileSync(join(DOCS, 'benchmarks.md'), text);
  }
}
