/**
 * `npm run stress`: many operations of many customers on simulated pages: each of an operation's steps takes 20 ms of the
 * worker's own time, 80 ms of waiting, and the product's three commits. Prints throughput with one worker and with two, at
 * 1, 2 and 4 operations at a time in each, with what of the machine that takes; how long a queued operation waits for a
 * worker, and what a queue of ten thousand changes about that.
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { approveDirectly, type Requested, requestDirectly } from '../attack/faults/direct.ts';
import { until } from '../attack/faults/program.ts';
import { type Lane, openWorld, press, type World } from '../attack/faults/world.ts';

const STEP = { cpuMs: 20, waitMs: 80 };
const CONCURRENCY = 2; // the program's own default
const CONCURRENCIES = [1, 2, 4];
const CUSTOMERS = 10;
const ABREAST = 8; // requests at a time, while the queue is filled
const KEEPS_BUSY = 500; // operations: more than two workers do while the waits are measured

const USAGE = `Usage: npm run stress [-- OPTIONS]
  --operations N  for the throughput, each time (60)
  --backlog N     queued before one more is asked for (10000)
  --samples N     how often the wait is measured (50)
  --waits         the waits alone
  --slice         one or two of each, in less than a minute`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      operations: { type: 'string' },
      backlog: { type: 'string' },
      samples: { type: 'string' },
      waits: { type: 'boolean', default: false },
      slice: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const [operations, backlog, samples] = values.slice ? [2, 4, 1] : [60, 10_000, 50];
  const amounts = {
    operations: Number(values.operations ?? operations),
    backlog: Number(values.backlog ?? backlog),
    samples: Number(values.samples ?? samples),
  };
  say(`each step ${STEP.cpuMs} ms of work and ${STEP.waitMs} ms of waiting, 10 steps; ${availableParallelism()} cores`);
  const failed = values.slice
    ? await inWorld(CONCURRENCY, async (world) => {
        await measureWaits(world, amounts);
        await measureThroughput(world, CONCURRENCY, amounts.operations);
      })
    : await measureAll(amounts, values.waits);
  say(`${failed} operations did not complete`);
  return failed === 0 ? 0 : 1;
}

/** @returns how many operations did not complete; so for the next one. */
async function measureAll(amounts: Amounts, isWaitsAlone: boolean): Promise<number> {
  let failed = await inWorld(CONCURRENCY, (world) => measureWaits(world, amounts));
  if (isWaitsAlone) return failed;
  for (const concurrency of CONCURRENCIES)
    failed += await inWorld(concurrency, (world) => measureThroughput(world, concurrency, amounts.operations));
  return failed;
}

async function inWorld(workerConcurrency: number, measure: (world: World) => Promise<void>): Promise<number> {
  const world = await openWorld({ lanes: CUSTOMERS, simulated: STEP, workerConcurrency, isRelayed: false });
  const { queue } = world.foundation;
  try {
    await queue.start();
    await measure(world);
    return await failures(world);
  } finally {
    await queue.stop(1_000);
    await world.close();
  }
}

interface Amounts {
  readonly operations: number;
  readonly backlog: number;
  readonly samples: number;
}

async function measureThroughput(world: World, concurrency: number, operations: number): Promise<void> {
  const [first, second] = twoOf(world.workers);
  await second.stop();
  const alone = await throughput(world, operations, [first]);
  say(`one worker, ${concurrency} at a time:  ${spoken(alone)}`);
  await first.stop();
  const both = await throughput(world, operations, [first, second]);
  const times = (both.perSecond / alone.perSecond).toFixed(2);
  say(`two workers, ${concurrency} at a time: ${spoken(both)}: × ${times}`);
}

function spoken({ perSecond, cores }: Throughput): string {
  return `${perSecond.toFixed(2)} operations/s, ${cores.toFixed(1)} cores busy`;
}

async function measureWaits(world: World, { backlog, samples }: Amounts): Promise<void> {
  const [first, second] = twoOf(world.workers);
  const [noisy, quiet] = twoOf(world.lanes);
  const empty = await pickUps(world, quiet, samples);
  say(`approved → started, queue empty:             ${spread(empty.startedMs)}`);
  say(`click in the chat → started, queue empty:    ${spread(empty.clickedMs)}`);
  // The first keeps the workers as busy as the second does, so that what the queue's length costs is seen apart from that.
  for (const before of backlog > KEEPS_BUSY ? [KEEPS_BUSY, backlog] : [backlog]) {
    await Promise.all([first.stop(), second.stop()]);
    await fill(world, () => noisy, before - (await queued(world)));
    await Promise.all([first.start(), second.start()]);
    const full = await pickUps(world, quiet, samples);
    const left = await queued(world);
    say(`approved → started, ${before} queued before it by another customer (${left} of them still, afterwards):`);
    say(`                                             ${spread(full.startedMs)}`);
    say(`click in the chat → started, likewise:       ${spread(full.clickedMs)}`);
  }
}

function twoOf<T>([first, second]: readonly T[]): readonly [T, T] {
  if (first === undefined || second === undefined) throw new Error('there are two');
  return [first, second];
}

/** Requests, approved and queued. @param laneOf whose the n-th is. */
async function fill(world: World, laneOf: (n: number) => Lane, count: number): Promise<readonly Requested[]> {
  const all: Requested[] = [];
  let next = 0;
  const work = async () => {
    for (let n = next++; n < count; n = next++) {
      const requested = await requestDirectly(world, laneOf(n));
      await approveDirectly(world, requested);
      all.push(requested);
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, work));
  return all;
}

interface Throughput {
  readonly perSecond: number;
  /** How many the whole machine kept busy meanwhile, with database, bot, chat and shops. */
  readonly cores: number;
}

/** Everything is queued before a worker is there; from the first start to the last end. */
async function throughput(world: World, count: number, workers: World['workers']): Promise<Throughput> {
  for (const worker of workers) await worker.stop();
  const { lanes, watch } = world;
  const all = await fill(world, (n) => lanes[n % lanes.length] as Lane, count);
  await Promise.all(workers.map((worker) => worker.start()));
  const [beganAt, idleBefore] = [performance.now(), idleMs()];
  const timesOf = (kind: string) =>
    all.flatMap(({ asked }) =>
      watch
        .of(asked.id)
        .filter(({ point }) => point === kind)
        .map(({ at }) => at),
    );
  const isOver = () =>
    all.every(({ asked }) => watch.of(asked.id).some(({ point }) => /^operation\.(completed|failed)$/.test(point)));
  if (!(await until(3_600_000, isOver, 200))) throw new Error('the operations did not end');
  const tookMs = Math.max(...timesOf('operation.completed')) - Math.min(...timesOf('operation.started'));
  const idle = (idleMs() - idleBefore) / (performance.now() - beganAt);
  return { perSecond: (1000 * count) / tookMs, cores: availableParallelism() - idle };
}

/** One operation after another, each when the one before it has ended: half by the core's own call, half by a click in the chat. */
async function pickUps(world: World, lane: Lane, samples: number) {
  const startedMs: number[] = [];
  const clickedMs: number[] = [];
  for (let n = 0; n < 2 * samples; n++) {
    const requested = await requestDirectly(world, lane);
    const { asked } = requested;
    const isByClick = n % 2 === 1;
    if (isByClick) await until(60_000, () => world.chat.button(asked.thread, 'approve', 'approver'));
    const started = world.watch.next(
      ({ operation, point }) => operation === asked.id && point === 'operation.started',
      600_000,
    );
    const ended = world.watch.next(
      ({ operation, point }) => operation === asked.id && /^operation\.(completed|failed)$/.test(point),
      600_000,
    );
    if (isByClick) await press(world, asked, 'approve', 'approver');
    else await approveDirectly(world, requested);
    const from = world.watch.of(asked.id).find(({ point }) => point === 'consent.granted')?.at;
    const clickedAt = performance.now();
    const at = (await started)?.at ?? Number.NaN;
    if (isByClick) clickedMs.push(at - clickedAt);
    else startedMs.push(at - (from ?? clickedAt));
    await ended;
  }
  return { startedMs, clickedMs };
}

function idleMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0);
}

async function queued({ admin }: World): Promise<number> {
  const { rows } = await admin.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM autonomous_operations WHERE status = 'queued'",
  );
  return rows[0]?.n ?? 0;
}

/** Of one customer, one shop: a key that takes another one's place before that was checked is told as a failure, and is none. */
async function failures({ admin }: World): Promise<number> {
  const { rows } = await admin.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM autonomous_operations WHERE status = 'failed' AND error_message NOT LIKE '%took the new one%'",
  );
  return rows[0]?.n ?? 0;
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    `${(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1)} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)} (${sorted.length} times)`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main();
