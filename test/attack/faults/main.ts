/**
 * `npm run faults`: real processes (a bot, two workers, PostgreSQL, browsers) on a practice shop and a chat of the suite's
 * own, and one fault after another. After each an oracle counts operations that were lost, effects that were doubled,
 * threads that do not say the truth, and what is not on record; any of them fails the run.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { randomFrom, shuffled } from '../../support/chance.ts';
import { complain, say, sideBySide } from '../../support/suite.ts';
import { connectionsCut } from './cut-connections.ts';
import type { Case, Fault, Hit, Row } from './fault.ts';
import { killBot } from './kill-bot.ts';
import { freezeWorker, killWorkerAtBoundaries, killWorkerAtRandom } from './kill-worker.ts';
import { brokenChains, judge, type Verdict } from './oracle.ts';
import { browserKilled, chatAway, clockJumps, databaseAway, modelAway, picturesRefused } from './surroundings.ts';
import { openWorld, type World } from './world.ts';

const FAULTS: readonly Fault[] = [
  killWorkerAtBoundaries,
  killWorkerAtRandom,
  freezeWorker,
  killBot,
  databaseAway,
  connectionsCut,
  browserKilled,
  chatAway,
  modelAway,
  picturesRefused,
  clockJumps,
];
/** As little as a step of a page takes. */
const SIMULATED = { cpuMs: 2, waitMs: 20 };
const SLICE_CASES = 3;
const LANES = 2; // as many as there are cores on a small machine

const USAGE = `Usage: npm run faults [-- OPTIONS]
  --only TEXT    faults, or single cases, whose name contains it
  --most N       at most so many cases of each fault, chosen by the seed, and ten times as many operations at once
  --simulated    every fault that can do without pages, on the simulated browser: many more cases in the same time
  --slice        a few of these, chosen by the seed, in less than a minute
  --seed N       which ones and when; printed, so that a run can be repeated`;

interface Chosen {
  readonly fault: Fault;
  readonly cases: readonly Case[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      most: { type: 'string' },
      simulated: { type: 'boolean', default: false },
      slice: { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const seed = Number(values.seed ?? Date.now() % 100_000);
  say(`seed ${seed}`);
  const isAllSimulated = values.simulated || values.slice;
  const most = Number(values.most ?? Number.POSITIVE_INFINITY);
  const chosen = choose({ ...values, most }, isAllSimulated, randomFrom(seed));
  if (chosen.length === 0) {
    say('There is no such fault.');
    return 1;
  }
  const rows: Row[] = [];
  for (const isSimulated of [false, true]) {
    const faults = chosen.filter(({ fault }) => (fault.on === 'simulated' || isAllSimulated) === isSimulated);
    if (faults.length > 0) rows.push(...(await playAll(faults, isSimulated, seed)));
  }
  return report(rows);
}

function choose(
  { only, most, slice }: { only?: string | undefined; most: number; slice: boolean },
  isAllSimulated: boolean,
  random: () => number,
): readonly Chosen[] {
  const possible = FAULTS.filter(({ on }) => !(isAllSimulated && on === 'pages'));
  const all = possible
    .map((fault): Chosen => {
      const cases = fault.cases({ isSlice: slice, most, random });
      const isAll = only === undefined || fault.name.includes(only);
      const wanted = isAll ? cases : cases.filter(({ name }) => name.includes(only));
      return { fault, cases: wanted.length > most ? shuffled(wanted, random).slice(0, most) : wanted };
    })
    .filter(({ cases }) => cases.length > 0);
  if (!slice) return all;
  // Of different faults, so that a slice now and then has gone through all of them.
  return shuffled(all, random)
    .slice(0, SLICE_CASES)
    .map(({ fault, cases }) => ({ fault, cases: shuffled(cases, random).slice(0, 1) }));
}

async function playAll(chosen: readonly Chosen[], isSimulated: boolean, seed: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const world = await openWorld({
    lanes: LANES,
    ...(isSimulated ? { simulated: SIMULATED } : {}),
  });
  try {
    for (const { fault, cases } of chosen) rows.push({ isSimulated, ...(await play(world, fault, cases, seed)) });
  } finally {
    await world.close();
  }
  return rows;
}

async function play(world: World, fault: Fault, cases: readonly Case[], seed: number) {
  const verdicts: Verdict[] = [];
  const broken: string[] = [];
  const pending: Promise<unknown>[] = [];
  const lanes = fault.isAlone ? world.lanes.slice(0, 1) : world.lanes;
  const meanwhile = (going: Promise<unknown>) => void pending.push(going.catch((error) => broken.push(String(error))));
  await sideBySide(cases, lanes, async (one, lane, index) => {
    try {
      const hits = await one.run({ world, lane, random: randomFrom(seed + index), meanwhile });
      const judged = await Promise.all(hits.map((hit) => judgeHit(world, hit, hits.length)));
      verdicts.push(...judged);
      for (const verdict of judged) complain(lineOf(fault, one, verdict));
    } catch (error) {
      broken.push(`${one.name}: ${error instanceof Error ? error.message : String(error)}`);
      complain(`${fault.name}, ${one.name}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  });
  await Promise.all(pending);
  return { fault, verdicts, gaps: await brokenChains(world), broken };
}

async function judgeHit(world: World, { asked, overAt, doubled = [] }: Hit, together: number): Promise<Verdict> {
  const verdict = await judge(world, asked, overAt, together);
  // A true end, but an outage should have been survived: whoever looks into it needs the program's own words.
  if (verdict.code === 'internal') complain(faultOf(world, asked.id));
  return { ...verdict, doubled: [...verdict.doubled, ...doubled] };
}

function faultOf({ logFile }: World, id: string): string {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  return (
    lines.findLast((line) => line.includes(id) && line.includes('"level":"error"')) ?? `${id}: no log line tells why`
  );
}

function problemsOf({ lost, doubled, untrue, gaps }: Verdict): readonly string[] {
  return [
    ...lost.map((words) => `LOST ${words}`),
    ...doubled.map((words) => `DOUBLED ${words}`),
    ...untrue.map((words) => `UNTRUE ${words}`),
    ...gaps.map((words) => `GAP ${words}`),
  ];
}

function lineOf(fault: Fault, one: Case, verdict: Verdict): string {
  const { state, code, truthMs } = verdict;
  const end = `${state}${code ? ` (${code})` : ''}`.padEnd(28);
  const problems = problemsOf(verdict);
  return (
    `${fault.name}, ${one.name}:`.padEnd(66) +
    `${end} ${(truthMs / 1000).toFixed(1).padStart(6)} s  ${problems.join('; ') || 'ok'}`
  );
}

const COLUMNS = ['runs', 'lost', 'doubled', 'untrue', 'gaps', 'broken', 'truth'] as const;

function report(rows: readonly Row[]): number {
  let bad = 0;
  const count = (verdicts: readonly Verdict[], of: (verdict: Verdict) => readonly string[]) =>
    verdicts.reduce((sum, verdict) => sum + of(verdict).length, 0);
  say(`\n${'fault'.padEnd(42)}${COLUMNS.map((name) => name.padStart(9)).join('')}   ends`);
  for (const { fault, isSimulated, verdicts, gaps, broken } of rows) {
    const numbers = [
      count(verdicts, ({ lost }) => lost),
      count(verdicts, ({ doubled }) => doubled),
      count(verdicts, ({ untrue }) => untrue),
      count(verdicts, (verdict) => verdict.gaps) + gaps.length,
      broken.length,
    ];
    bad += numbers.reduce((sum, number) => sum + number, 0) + (verdicts.length === 0 ? 1 : 0);
    const longest = Math.max(0, ...verdicts.map(({ truthMs }) => truthMs));
    const cells = [verdicts.length, ...numbers].map((number) => String(number).padStart(9)).join('');
    const name = `${fault.name}${isSimulated ? ' (simulated)' : ''}`;
    say(`${name.padEnd(42)}${cells}${`${(longest / 1000).toFixed(1)} s`.padStart(14)}   ${endsOf(verdicts)}`);
    for (const problem of [...verdicts.flatMap(problemsOf), ...gaps.map((words) => `GAP ${words}`), ...broken])
      say(`    ${problem}`);
  }
  say('');
  for (const { fault } of rows) say(`${fault.name}: ${fault.words}`);
  say(
    `\n${rows.reduce((sum, { verdicts }) => sum + verdicts.length, 0)} operations: ${bad === 0 ? 'all well' : `${bad} NOT WELL`}`,
  );
  return bad === 0 ? 0 : 1;
}

/** How often each end came: `40 completed, 3 failed effect_unsure`. */
function endsOf(verdicts: readonly Verdict[]): string {
  const ends = new Map<string, number>();
  for (const { state, code } of verdicts) {
    const end = code ? `${state} ${code}` : state;
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  return [...ends].map(([end, times]) => `${times} ${end}`).join(', ');
}

process.exitCode = await main();
