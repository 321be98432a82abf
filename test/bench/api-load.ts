import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createApiTokens } from '../../core/customers/api-tokens.ts';
import { createDirectory } from '../../core/directory.ts';
import { makeApprovable } from './approve-to-worker.ts';
import type { Benchmark, Measure } from './benchmark.ts';
import { firstPaints } from './console-paint.ts';
import { loadOperations, numbered } from './load-operations.ts';
import { startProgram } from './program.ts';
import type { Rig, RigCustomer } from './rig.ts';

/** A token has 600 requests a minute; and their entries fill the console's first page of the trail, since nobody can open loaded ones. */
const TOKENS = 60;
const STOP_LIMIT_MS = 5_000;
const BOT = join(import.meta.dirname, 'bot-program.ts');

/**
 * The HTTP API of a bot in a process of its own, asked over loopback, with a customer's 100,000 operations and 2,000,000 audit
 * entries in the database: an offline generator makes the entries' chain, and COPY loads it. Then the console's pages.
 */
export const apiLoad: Benchmark = {
  name: 'api-load',
  async run(bench) {
    const rig = await bench.rig();
    const customer = await rig.addCustomer();
    await bench.open(
      () => rig.queue.start(),
      () => rig.queue.stop(STOP_LIMIT_MS),
    );
    const { id } = await makeApprovable(rig, customer);
    const operations = bench.isSlice ? 500 : 100_000;
    await loadOperations(bench, rig, customer, id, { to: operations });
    const tokens = await tokensOf(rig, customer);
    const { it: bot, close } = await bench.open(
      () => startProgram({ ...rig.env, ROLE: 'bot', PORT: '0' }, BOT),
      (started) => started.end(),
    );
    const paths = (n: number) =>
      n % 2 === 0 ? `/status/${numbered(1 + ((n * 7919) % operations))}` : '/operations?limit=20';
    const ask = asker(`${bot.url}/api/autonomous`, tokens, paths);
    await inFlight(5, bench.isSlice ? 20 : 400, ask); // statements that are prepared, and pages that are read into memory
    const few = await inFlight(5, bench.isSlice ? 50 : 1_000, ask);
    const many = await inFlight(50, bench.isSlice ? 100 : 6_000, ask);
    const shown = { url: bot.url, operation: id, text: numbered(Math.floor(operations / 2)).slice(3) };
    const paints = await firstPaints(bench, rig, customer, shown, bench.isSlice ? 1 : 5);
    await close();
    const of = `of ${operations} operations`;
    const rows: Measure[] = [
      { what: `status or list by the API, 5 in flight, ${of}`, unit: 'ms', values: few.ms, target: P99_FEW },
      { what: `status or list by the API, 50 in flight, ${of}`, unit: 'ms', values: many.ms, target: P99_MANY },
      { what: 'requests that the API answers, 50 in flight', unit: '/s', values: [many.perSecond] },
    ];
    return [...rows, ...paints];
  },
};

const P99_FEW = { of: 'p99', atMost: 50 } as const;
const P99_MANY = { of: 'p99', atMost: 400 } as const;

type Ask = () => Promise<number>;

function asker(base: string, tokens: readonly string[], pathOf: (n: number) => string): Ask {
  let n = 0;
  return async () => {
    const at = n++;
    const headers = { authorization: `Bearer ${tokens[at % tokens.length]}` };
    const began = performance.now();
    const answer = await fetch(`${base}${pathOf(at)}`, { headers });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`the API answered ${answer.status}: ${text.slice(0, 200)}`);
    return performance.now() - began;
  };
}

async function inFlight(
  count: number,
  requests: number,
  ask: Ask,
): Promise<{ readonly ms: readonly number[]; readonly perSecond: number }> {
  const ms: number[] = [];
  let left = requests;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (left-- > 0) ms.push(await ask());
    }),
  );
  return { ms, perSecond: (1000 * requests) / (performance.now() - began) };
}

async function tokensOf({ database, audit }: Rig, { customerId }: RigCustomer): Promise<readonly string[]> {
  const tokens = createApiTokens({ database, directory: createDirectory(database), audit });
  const made: string[] = [];
  while (made.length < TOKENS)
    made.push((await tokens.create(customerId, { scopes: ['operations:read'], days: 1 })).token.reveal());
  return made;
}
