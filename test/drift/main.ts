/**
 * `npm run drift`: the whole WooCommerce workflow on the practice shop's pages as they might be after a change, one mutation
 * after another, without a model. Prints how each step found its element. Fails when anything was clicked or filled that
 * was not meant, or when less than 90 % of the mutations that are recoverable went through.
 */
import { randomFrom, shuffled } from '../support/chance.ts';
import { complain, runSuite, type SuiteOptions, say, sideBySide } from '../support/suite.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';
import { type Played, play } from './play.ts';

const SLICE_MUTATIONS = 3;
const ABREAST = 2; // as many as there are cores on a small machine
const LEAST_RECOVERED = 0.9;

async function main({ only, slice, seed }: SuiteOptions): Promise<number> {
  const wanted = MUTATIONS.filter(({ name }) => only === undefined || name.includes(only));
  const chosen = slice ? shuffled(wanted, randomFrom(seed)).slice(0, SLICE_MUTATIONS) : wanted;
  if (slice) say(`seed ${seed}`);
  const played = await playAll(chosen);
  return report(played);
}

async function playAll(mutations: readonly Mutation[]): Promise<readonly Played[]> {
  const played: Played[] = [];
  await sideBySide(mutations, Array.from({ length: ABREAST }), async (mutation, _, index) => {
    played[index] = await play(mutation);
    complain(lineOf(played[index]));
  });
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

await runSuite('drift', 'TEXT    mutations whose name contains it', main);
