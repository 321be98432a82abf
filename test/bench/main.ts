/**
 * `npm run bench`: how long it takes what people wait for, and what stands behind it. Prints one table; figures are reported and never
 * asserted, so that only a benchmark that could not run, or measured nothing, makes it fail.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { apiLoad } from './api-load.ts';
import { approveToWorker } from './approve-to-worker.ts';
import { auditAppend } from './audit-append.ts';
import { auditVerify } from './audit-verify.ts';
import { comparison, keepBaseline, type Ratios, ratiosOf, readBaseline } from './baseline.ts';
import type { Bench, Benchmark } from './benchmark.ts';
import { credentialOpen } from './credential-open.ts';
import { egressOverhead } from './egress-overhead.ts';
import { createEndings, type Endings } from './endings.ts';
import { removeAbandonedHomes } from './folder.ts';
import { growth } from './growth.ts';
import { liveStream } from './live-stream.ts';
import { type Machine, machineFacts, renderMachine } from './machine.ts';
import { modelTurn } from './model-turn.ts';
import { operationAt } from './operation.ts';
import { picture } from './picture.ts';
import { queueLength } from './queue-length.ts';
import { replayOverhead } from './replay-overhead.ts';
import { createRig, type Rig } from './rig.ts';
import { type Row, renderTable, toRow } from './table.ts';
import { throughput } from './throughput.ts';
import { warmStart } from './warm-start.ts';

/** The demo's start comes first, while nothing else of ours is running. */
const BENCHMARKS: readonly Benchmark[] = [
  ...[warmStart, approveToWorker, queueLength, credentialOpen, auditAppend, auditVerify],
  ...[liveStream, apiLoad, egressOverhead, picture, replayOverhead, modelTurn],
  ...['woocommerce', 'wordpress', 'stripe', 'shopify'].map(operationAt),
  ...[growth, throughput],
];

const USAGE = `Usage: npm run bench [-- OPTIONS]
  --slice        a small part, in less than a minute
  --only NAMES   with commas, of: ${BENCHMARKS.map(({ name }) => name).join(', ')}
  --json FILE    also as JSON, for docs/benchmarks.md (npm run bench:document)
  --keep         stores the ratios in test/bench/baseline.json`;

/** What `--json` writes. */
export interface Report {
  readonly machine: Machine;
  /** How many seconds each benchmark took, by its name. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly ratios: Ratios;
  readonly rows: readonly Row[];
  /** Of benchmarks that could not run or measured nothing. */
  readonly problems: readonly string[];
  /** What else could not be measured, and why. */
  readonly notes: readonly string[];
}

async function main(endings: Endings): Promise<number> {
  const { values } = parseArgs({
    options: {
      slice: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const chosen = BENCHMARKS.filter(({ name, isLeftOutOfSlice = false }) =>
    values.only === undefined ? !(values.slice && isLeftOutOfSlice) : values.only.split(',').includes(name),
  );
  if (values.help || chosen.length === 0) {
    (values.help ? process.stdout : process.stderr).write(`${USAGE}\n`);
    return values.help ? 0 : 2;
  }
  const machine = machineFacts();
  await removeAbandonedHomes().catch((error: unknown) =>
    complain(`What an earlier run left could not be removed: ${error}`),
  );
  const notes: string[] = [];
  const found = await runAll(chosen, createBench(values.slice, endings, notes));
  const report: Report = { machine, ratios: ratiosOf(found.rows), ...found, notes };
  process.stdout.write(`${renderMachine(machine)}\n\n${renderTable(report.rows)}\n`);
  const kind = values.slice ? 'slice' : 'whole';
  const compared = comparison(report.ratios, readBaseline(kind));
  if (compared.length > 0) process.stdout.write(`\n${compared.join('\n')}\n`);
  if (values.keep) keepBaseline(kind, report.ratios);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  return report.problems.length === 0 ? 0 : 1;
}

function createBench(isSlice: boolean, endings: Endings, notes: string[]): Bench {
  let rig: Promise<Rig> | undefined;
  return {
    isSlice,
    rig: () => (rig ??= createRig(endings)),
    open: endings.open,
    note: (words) => {
      notes.push(words);
      complain(words);
    },
  };
}

/** One after the other; one that fails doesn't keep the next from running. */
async function runAll(
  benchmarks: readonly Benchmark[],
  bench: Bench,
): Promise<Omit<Report, 'machine' | 'ratios' | 'notes'>> {
  const rows: Row[] = [];
  const seconds: Record<string, number> = {};
  const problems: string[] = [];
  for (const { name, run } of benchmarks) {
    const began = performance.now();
    try {
      const found = (await run(bench)).map(toRow);
      if (found.length === 0) throw new RangeError('nothing was measured');
      rows.push(...found);
      seconds[name] = Math.round((performance.now() - began) / 100) / 10;
      complain(`${name} took ${seconds[name]} s`);
    } catch (error) {
      problems.push(`${name} could not run: ${error instanceof Error ? error.message : error}`);
      complain(problems.at(-1) ?? '');
    }
  }
  return { rows, seconds, problems };
}

/** Progress and problems; the table alone goes to the standard output. */
function complain(words: string): void {
  process.stderr.write(`${words}\n`);
}

async function finish(endings: Endings, code: number): Promise<never> {
  for (const problem of await endings.endAll()) complain(`Not ended in order: ${problem}`);
  process.exit(code);
}

const endings = createEndings();
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(signal, () => void finish(endings, code));
try {
  await finish(endings, await main(endings));
} catch (error) {
  complain(error instanceof Error ? error.message : String(error));
  await finish(endings, 2);
}
