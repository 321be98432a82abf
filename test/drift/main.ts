/**
 * `npm run drift`: the whole WooCommerce workflow on the practice shop's pages as they might be after a change, one mutation
 * after another, without a model. Prints how each step found its element. Fails when anything was clicked or filled that
 * was not meant, or when less than 90 % of the mutations that are recoverable went through.
 */
import { parseArgs } from 'node:util';
import { MUTATIONS, type Mutation } from './mutations.ts';
import { type Played, play } from './play.ts';

const SLICE_MUTATIONS = 3;
const ABREAST = 2; // as many as there are cores on a small machine
const LEAST_RECOVERED = 0.9;

const USAGE = `Usage: npm run drift [-- OPTIONS]
  --only TEXT    mutations whose name contains it
  --slice        a few, chosen by the seed, in less than a minute
  --seed N       which ones; printed, so that a run can be repeated`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
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
  const wanted = MUTATIONS.filter(({ name }) => values.only === undefined || name.includes(values.only));
  const chosen = values.slice ? shuffled(wanted, seed).slice(0, SLICE_MUTATIONS) : wanted;
  if (values.slice) say(`seed ${seed}`);
  const played = await playAll(chosen);
  return report(played);
}

async function playAll(mutations: readonly Mutation[]): Promise<readonly Played[]> {
  const waiting = [...mutations.entries()];
  const played: Played[] = [];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, mutation] = next;
      played[index] = await play(mutation);
      process.stderr.write(`${lineOf(played[index])}\n`);
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, work));
  return played;
}

const SIGN: Readonly<Record<string, string>> = { replayed: '=', relocated: '~', none: '·', model: 'm', human: 'h' };

function lineOf({ mutation, rungs, left, wrong }: Played): string {
  const steps = rungs.map((rung) => SIGN[rung]).join('') + (left ? 'x' : '');
  const outcome =
    wrong.length > 0 ? `WRONG: ${wrong.join('; ')}` : left ? `left at step ${left.step}: ${left.failure}` : 'done';
  const kind = mutation.isRecoverable ? 'recoverable' : 'for model ';
  return `${steps.padEnd(11)} ${kind} ${mutation.name.padEnd(64)} ${outcome}${mutation.decoy ? `   [decoy: ${mutation.decoy}]` : ''}`;
}

function report(played: readonly Played[]): number {
  const recoverable = played.filter(({ mutation }) => mutation.isRecoverable);
  const recovered = recoverable.filter(({ left, wrong }) => !left && wrong.length === 0);
  const wrong = played.filter((one) => one.wrong.length > 0);
  const left = played.filter((one) => one.left !== undefined && one.wrong.length === 0);
  const relocated = played.flatMap(({ rungs }) => rungs).filter((rung) => rung === 'relocated').length;
  const share = recoverable.length === 0 ? 1 : recovered.length / recoverable.length;
  say(`A step each: = replayed, ~ relocated, · no element, x left to the model or a person`);
  for (const one of played) say(lineOf(one));
  say('');
  say(`${played.length} mutations, ${relocated} steps relocated, 0 calls to a model`);
  say(
    `recoverable ones done: ${recovered.length} of ${recoverable.length} (${(100 * share).toFixed(1)} %, target ≥ 90 %)`,
  );
  say(`wrong clicks or fills: ${wrong.length} (target 0)`);
  say(`left to the model or a person: ${left.length}`);
  return wrong.length === 0 && share >= LEAST_RECOVERED ? 0 : 1;
}

/** Fisher and Yates's, from a seed (mulberry32). */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const all = [...items];
  let state = seed >>> 0;
  for (let i = all.length - 1; i > 0; i--) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const j = ((mixed ^ (mixed >>> 14)) >>> 0) % (i + 1);
    [all[i], all[j]] = [all[j] as T, all[i] as T]; // both indexes lie within the list
  }
  return all;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main();
