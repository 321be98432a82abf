/**
 * `npm run attacks`: carries out every numbered attack, and then each again with its guard taken out, by a patch kept in
 * `guards/`. An attack that still "holds" without its guard tests nothing, so that counts as a failure, too.
 */
import { join } from 'node:path';
import { randomFrom, shuffled } from '../support/chance.ts';
import { complain, runSuite, type SuiteOptions, say } from '../support/suite.ts';
import { type Guard, readGuards } from './guards.ts';
import { inCopies, type Scratch } from './scratch.ts';
import { runAttacks } from './vitest-run.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** Each of its guards is for other pages, so all of them are gone through. */
const INJECTION = 68;
const SLICE_GUARDS = 5;

async function main({ only, slice, seed }: SuiteOptions): Promise<number> {
  const wanted = only?.split(',').map(Number);
  const guards = readGuards(join(import.meta.dirname, 'guards')).filter(
    ({ number }) => wanted === undefined || wanted.includes(number),
  );
  const chosen = slice && wanted === undefined ? shuffled(guards, randomFrom(seed)).slice(0, SLICE_GUARDS) : guards;
  // A slice leaves the attacks themselves to `npm test`, which has just carried them out.
  const held = slice ? new Map<number, boolean>() : await carryOut(guards, wanted);
  const noticed = await takeOut(chosen);
  return report({ held, noticed, guards, wanted, isSlice: slice, seed });
}

/** Number → whether every test of that number passed. */
async function carryOut(
  guards: readonly Guard[],
  wanted: readonly number[] | undefined,
): Promise<Map<number, boolean>> {
  const elsewhere = new Set(guards.map(({ test }) => test).filter((test) => !test.startsWith('test/attack/')));
  const results = await runAttacks(ROOT, ['test/attack', ...elsewhere], wanted, true);
  const held = new Map<number, boolean>();
  for (const { number, isPassed } of results) held.set(number, (held.get(number) ?? true) && isPassed);
  return held;
}

/** Guard → whether a test of its number failed while it was out. */
async function takeOut(guards: readonly Guard[]): Promise<Map<Guard, boolean>> {
  const noticed = new Map<Guard, boolean>();
  await inCopies(ROOT, guards, async (guard, scratch) => {
    const took = performance.now();
    // One that could not even be tried is no reason to leave the others untried.
    const isSeen = await isNoticed(guard, scratch).catch((error: unknown) => complain(`${guard.name}: ${error}`));
    noticed.set(guard, isSeen ?? false);
    const seconds = ((performance.now() - took) / 1000).toFixed(1);
    complain(`${guard.name}: ${isSeen ? 'noticed' : 'NOT NOTICED'} (${seconds} s)`);
  });
  return noticed;
}

async function isNoticed(guard: Guard, scratch: Scratch): Promise<boolean> {
  scratch.apply(guard.path);
  try {
    const results = await runAttacks(scratch.root, [guard.test], [guard.number], guard.number === INJECTION);
    // A test that could not even begin notices nothing.
    return results.some(({ isPassed }) => !isPassed);
  } finally {
    scratch.restore(guard.path);
  }
}

interface Findings {
  readonly held: ReadonlyMap<number, boolean>;
  readonly noticed: ReadonlyMap<Guard, boolean>;
  readonly guards: readonly Guard[];
  readonly wanted: readonly number[] | undefined;
  readonly isSlice: boolean;
  readonly seed: number;
}

function report({ held, noticed, guards, wanted, isSlice, seed }: Findings): number {
  const numbers = [...new Set([...held.keys(), ...[...noticed.keys()].map(({ number }) => number)])];
  let problems = 0;
  for (const number of numbers.sort((a, b) => a - b)) {
    const own = [...noticed].filter(([guard]) => guard.number === number);
    const missed = own.filter(([, isSeen]) => !isSeen);
    const result = held.get(number);
    const hasGuard = guards.some((guard) => guard.number === number);
    const isBad = result === false || missed.length > 0 || !hasGuard;
    if (isBad) problems++;
    const first = result === undefined ? 'not run' : result ? 'held' : 'BROKEN';
    const second = !hasGuard
      ? 'HAS NO GUARD TO TAKE OUT'
      : `${own.length - missed.length} of ${own.length} guards noticed when taken out${missed.map(([guard]) => `, NOT: ${guard.what}`).join('')}`;
    say(`${String(number).padStart(3)}  ${first.padEnd(7)}  ${second}`);
  }
  const absent = wanted?.filter((number) => !numbers.includes(number)) ?? [];
  for (const number of absent) say(`${String(number).padStart(3)}  there is no such attack`);
  problems += absent.length;
  if (numbers.length === 0) problems++;
  const kind = isSlice ? `a slice of ${noticed.size} guards, seed ${seed}` : `${noticed.size} guards`;
  say(`\n${numbers.length} attacks, ${kind}: ${problems === 0 ? 'all well' : `${problems} NOT WELL`}`);
  return problems === 0 ? 0 : 1;
}

await runSuite('attacks', '5,17    these numbers', main);
