/**
 * `npm run soak -- --minutes 30`: everything on, with real browsers, and one operation after another for each of two
 * customers, some of which a person stops. Prints how memory and open files of each process grew, and what was left behind.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { judge, type Verdict } from '../attack/faults/oracle.ts';
import { descendants } from '../attack/faults/program.ts';
import { ask, type Lane, openWorld, press, type World } from '../attack/faults/world.ts';
import { liveHeapMb } from './heap.ts';

const SAMPLE_MS = 5_000;
const HEAP_EVERY = 6; // samples: everything stands still while the garbage is collected
const SLICE_MINUTES = 0.4;
/** What a program needs at first is no leak. */
const WARM_UP_SHARE = 0.3;
const STOPPED_EVERY = 5;
const CHROMIUM = /chrom/i;
const AFTER_MS = 10_000;

const USAGE = `Usage: npm run soak [-- OPTIONS]
  --minutes N   how long (30)
  --slice       less than a minute`;

interface Sample {
  readonly atMs: number;
  readonly rssMb: number;
  readonly handles: number;
  /** What is still held after a garbage collection; of some samples. */
  readonly heapMb?: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      slice: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const minutes = values.slice ? SLICE_MINUTES : Number(values.minutes);
  const world = await openWorld({ lanes: 2, isInspected: true });
  try {
    return await soak(world, minutes * 60_000);
  } finally {
    await world.close();
  }
}

async function soak(world: World, lengthMs: number): Promise<number> {
  const startedAt = performance.now();
  const programs = [world.bot, ...world.workers];
  const samples = new Map(programs.map(({ name }) => [name, [] as Sample[]]));
  let taken = 0;
  const sampling = setInterval(() => {
    const withHeap = taken++ % HEAP_EVERY === 0;
    for (const program of programs)
      void sampleOf(world, program, performance.now() - startedAt, withHeap).then((sample) =>
        samples.get(program.name)?.push(sample),
      );
  }, SAMPLE_MS);
  const verdicts: Verdict[] = [];
  const live = async (lane: Lane, offset: number) => {
    for (let n = offset; performance.now() - startedAt < lengthMs; n++)
      verdicts.push(await oneOperation(world, lane, n));
  };
  await Promise.all(world.lanes.map(live));
  clearInterval(sampling);
  const browsers = await left(world);
  const bad = verdicts.flatMap(({ lost, doubled, untrue, gaps }) => [...lost, ...doubled, ...untrue, ...gaps]);
  say(
    `${verdicts.length} operations in ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes: ${bad.length === 0 ? 'each ended in truth' : 'NOT WELL'}`,
  );
  for (const words of bad) say(`    ${words}`);
  say(`${'process'.padEnd(12)}${COLUMNS.map((name) => name.padStart(12)).join('')}`);
  for (const [name, of] of samples) say(`${name.padEnd(12)}${growth(of)}`);
  say(`Chromium processes left: ${browsers}`);
  return bad.length === 0 && browsers === 0 ? 0 : 1;
}

/** `live`: what is still held after a garbage collection; Node.js lets the rest stand until it needs the room. */
const COLUMNS = [
  'live first',
  'live last',
  'live MB/h',
  'RSS first',
  'RSS last',
  'RSS MB/h',
  'files first',
  'files last',
];

/** Every fifth one is stopped by whoever asked for it. */
async function oneOperation(world: World, lane: Lane, n: number): Promise<Verdict> {
  const isStopped = n % STOPPED_EVERY === STOPPED_EVERY - 1;
  let begun: Promise<unknown> = Promise.resolve();
  const asked = await ask(world, lane, async ({ id }) => {
    begun = world.watch.next(({ operation, point }) => operation === id && point === 'step.begun 4', 300_000);
  });
  if (isStopped) {
    await begun;
    await press(world, asked, 'stop', 'merchant');
  }
  return judge(world, asked, performance.now());
}

/** Once nothing runs any more. */
async function left({ workers }: World): Promise<number> {
  const count = () => workers.reduce((sum, { pid }) => sum + descendants(pid, CHROMIUM).length, 0);
  for (const endsAt = performance.now() + AFTER_MS; count() > 0 && performance.now() < endsAt; ) await wait(500);
  return count();
}

/** Of a process without what it started. Linux alone: elsewhere there is nothing to see. */
async function sampleOf(
  { inspectors }: World,
  { name, pid }: World['bot'],
  atMs: number,
  withHeap: boolean,
): Promise<Sample> {
  const port = inspectors.get(name);
  const heapMb = withHeap && port !== undefined ? await liveHeapMb(port) : undefined;
  const heap = heapMb === undefined ? {} : { heapMb };
  try {
    const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return { atMs, rssMb: Number(kb) / 1024, handles: readdirSync(`/proc/${pid}/fd`).length, ...heap };
  } catch {
    return { atMs, rssMb: Number.NaN, handles: Number.NaN, ...heap };
  }
}

function growth(samples: readonly Sample[]): string {
  const warm = samples.slice(Math.floor(WARM_UP_SHARE * samples.length));
  const heaps = warm.flatMap(({ atMs, heapMb }) => (heapMb === undefined ? [] : [{ atMs, mb: heapMb }]));
  const sizes = warm.map(({ atMs, rssMb }) => ({ atMs, mb: rssMb }));
  const [first, last] = [warm[0], warm.at(-1)];
  if (!first || !last) return 'no samples';
  const cells = [...course(heaps), ...course(sizes), first.handles, last.handles];
  return cells.map((cell) => String(cell).padStart(12)).join('');
}

interface Size {
  readonly atMs: number;
  readonly mb: number;
}

/** First, last, and how much an hour. */
function course(sizes: readonly Size[]): readonly string[] {
  const [first, last] = [sizes[0], sizes.at(-1)];
  return first && last ? [first.mb.toFixed(1), last.mb.toFixed(1), slope(sizes).toFixed(1)] : ['-', '-', '-'];
}

/** Least squares, in MB an hour. */
function slope(sizes: readonly Size[]): number {
  const mean = (of: (size: Size) => number) => sizes.reduce((sum, one) => sum + of(one), 0) / sizes.length;
  const [meanMs, meanMb] = [mean(({ atMs }) => atMs), mean(({ mb }) => mb)];
  const covariance = mean(({ atMs, mb }) => (atMs - meanMs) * (mb - meanMb));
  const variance = mean(({ atMs }) => (atMs - meanMs) ** 2);
  return variance === 0 ? 0 : (covariance / variance) * 3_600_000;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main();
