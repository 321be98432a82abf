import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { z } from 'zod';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { makeApprovable } from './approve-to-worker.ts';
import type { Bench, Benchmark, Measure } from './benchmark.ts';
import { startProgram } from './program.ts';
import { createRig, type Rig } from './rig.ts';
import { timed } from './samples.ts';

const CONCURRENCIES = [1, 2, 4] as const;
/** The first byte of a shop's admin pages, as measured on real ones. */
const VENDOR_MS = 1_100;
const ROUNDS = 3; // operations for each place, so that what begins and ends counts for little
const LOOK_MS = 500;
const STOP_LIMIT_MS = 40_000;

/**
 * One worker process as a program of its own, with real Chromium on the practice shop, which is served from this process:
 * how many operations it gets through, the most memory that it and its browsers take meanwhile, and what that asks of PostgreSQL. Each operation is another
 * customer's. A shop that answers at once shows what the processor allows; one that is as slow as a real one, what waiting does.
 */
export const throughput: Benchmark = {
  name: 'throughput',
  async run(bench) {
    const rig = await createRig(bench);
    await bench.open(
      () => rig.queue.start(),
      () => rig.queue.stop(STOP_LIMIT_MS),
    );
    const measures: Measure[] = [];
    for (const latencyMs of bench.isSlice ? [0] : [0, VENDOR_MS])
      for (const concurrency of bench.isSlice ? [2] : CONCURRENCIES)
        measures.push(...(await measure(bench, rig, latencyMs, concurrency)));
    return measures;
  },
};

async function measure(bench: Bench, rig: Rig, latencyMs: number, concurrency: number): Promise<readonly Measure[]> {
  const { it: shop, close: closeShop } = await bench.open(
    () => startPracticeShop({ latencyMs, obstacles: { adminEmailCheck: false } }),
    (started) => started.close(),
  );
  const { it: worker, close: stop } = await bench.open(
    () =>
      startProgram({
        ...{ ...rig.env, ROLE: 'worker', PORT: '0', WORKER_CONCURRENCY: String(concurrency) },
        ALLOW_PRIVATE_TARGETS: new URL(shop.origin).host,
      }),
    ({ end }) => end(),
  );
  if (!bench.isSlice) await runAll(rig, shop, 1); // code that is compiled and files that are read once
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(worker.pid));
  }, LOOK_MS);
  const count = bench.isSlice ? 2 : ROUNDS * concurrency;
  const before = await costs(rig);
  const ms = await timed(() => runAll(rig, shop, count)).finally(() => clearInterval(watch));
  const after = await costs(rig);
  await stop();
  await closeShop();
  const where = `${concurrency} at once, ${latencyMs === 0 ? 'a shop without latency' : 'a vendor’s latency'}`;
  return [
    { what: `operations of a worker, ${where}`, unit: '/h', values: [(count * 3_600_000) / ms] },
    { what: `transactions for each, ${where}`, unit: '×', values: [(after.commits - before.commits) / count] },
    {
      what: `room in the database for each, ${where}`,
      unit: 'kB',
      values: [(after.bytes - before.bytes) / 1000 / count],
    },
    ...(most > 0 ? [{ what: `memory with browsers, ${where}`, unit: 'MB', values: [most] } as const] : []),
  ];
}

const costRows = z.tuple([z.object({ commits: z.coerce.number(), bytes: z.coerce.number() })]);

/** What the database has done and taken so far, everything that runs beside the worker included. */
async function costs({ env }: Rig): Promise<{ readonly commits: number; readonly bytes: number }> {
  const client = new pg.Client({ connectionString: env.DATABASE_URL ?? '' });
  await client.connect();
  try {
    const { rows } = await client.query(`SELECT xact_commit AS commits, pg_database_size(datname) AS bytes
      FROM pg_stat_database WHERE datname = current_database()`);
    return costRows.parse(rows)[0];
  } finally {
    await client.end();
  }
}

/** Countersigns so many operations and waits until the last one is over. @throws Error when one of them failed. */
async function runAll(rig: Rig, shop: PracticeShop, count: number): Promise<void> {
  const signIn = { admin_username: shop.username, admin_password: shop.password };
  const left = new Set<() => Promise<boolean>>();
  for (let i = 0; i < count; i++) {
    const customer = await rig.addCustomer();
    const { customerId } = customer;
    const { id, planHash } = await makeApprovable(rig, customer, { origin: shop.origin, signIn });
    await rig.consents.grant(customerId, { operationId: id, planHash, by: customer.approver, method: 'web' });
    left.add(async () => {
      const operation = await rig.database.withCustomer(customerId, (tx) => rig.operations.get(tx, customerId, id));
      if (operation?.state === 'failed') throw new Error(`an operation failed: ${operation.errorMessage}`);
      return operation?.state === 'completed';
    });
  }
  for (; left.size > 0; await wait(LOOK_MS)) for (const isOver of left) if (await isOver()) left.delete(isOver);
}

/**
 * Megabytes of a process and all that descend from it, where what several share counts once (PSS). 0 where there is no /proc
 * that tells.
 */
function memoryOf(pid: number): number {
  try {
    const parents = new Map(readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [parentOf(name)] : [])));
    let kilobytes = 0;
    for (const id of parents.keys()) if (descends(id, pid, parents)) kilobytes += sharedOf(id);
    return kilobytes / 1000;
  } catch {
    return 0;
  }
}

/** Field 4 of proc(5) `stat`, counted from the name's closing bracket; 0 of one that has just ended. */
function parentOf(name: string): readonly [number, number] {
  const text = readProc(`/proc/${name}/stat`);
  return [Number(name), Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1] ?? 0)];
}

function descends(id: number, from: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at: number | undefined = id; at; at = parents.get(at)) if (at === from) return true;
  return false;
}

function sharedOf(id: number): number {
  return Number(/^Pss: +(\d+) kB$/m.exec(readProc(`/proc/${id}/smaps_rollup`))?.[1] ?? 0);
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}
