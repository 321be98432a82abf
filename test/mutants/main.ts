/**
 * `npm run mutants`: makes one small mistake after the other, each kept as a patch beside this file, and runs the tests that
 * are to notice it. A mistake that no assertion notices shows what the tests do not test, so that counts as a failure.
 */
import { join } from 'node:path';
import { inCopies, type Scratch } from '../attack/scratch.ts';
import { runTests, type TestResult } from '../attack/vitest-run.ts';
import { randomFrom, shuffled } from '../support/chance.ts';
import { RUN_POSTGRES } from '../support/global-setup.ts';
import { complain, runSuite, type SuiteOptions, say } from '../support/suite.ts';
import { startTemplate } from '../support/template.ts';
import { type Mutant, readMutants } from './mutants.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SLICE_MUTANTS = 3;
/** A mistake that keeps its tests from ending is noticed by nobody's assertion. */
const TIMEOUT_MS = 300_000;

async function main({ only, slice, seed }: SuiteOptions): Promise<number> {
  const wanted = only?.split(',');
  const all = readMutants(import.meta.dirname);
  const absent = wanted?.filter((name) => !all.some((mutant) => mutant.name === name)) ?? [];
  if (absent.length > 0) {
    say(`there is no such mutant: ${absent.join(', ')}`);
    return 1;
  }
  const mutants = all.filter(({ name }) => wanted === undefined || wanted.includes(name));
  const chosen = slice ? shuffled(mutants, randomFrom(seed)).slice(0, SLICE_MUTANTS) : mutants;
  const startedAt = performance.now();
  // None of them changes the schema: one server and one template do for all.
  const { urls, remove } = await startTemplate();
  try {
    const env = { [RUN_POSTGRES]: JSON.stringify(urls) };
    // A slice leaves the tests themselves to `npm test`, which has just run them.
    const broken = slice ? new Map<Mutant, string>() : await unpatched(chosen, env);
    const survivors = await patched(
      chosen.filter((mutant) => !broken.has(mutant)),
      env,
    );
    const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
    return report(chosen, new Map([...broken, ...survivors]), minutes, slice ? `, seed ${seed}` : '');
  } finally {
    await remove();
  }
}

type Env = Readonly<Record<string, string>>;

const isOf = ({ test, titles = '' }: Mutant, result: TestResult) =>
  result.file === test && result.titles.some((title) => title.includes(titles));

const patternOf = (mutants: readonly Mutant[]) =>
  mutants.map(({ titles = '' }) => titles.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');

/** The tests as they are, each file once. @returns why, of each whose tests do not pass even so. */
async function unpatched(mutants: readonly Mutant[], env: Env): Promise<Map<Mutant, string>> {
  const broken = new Map<Mutant, string>();
  const byFile = Object.entries(Object.groupBy(mutants, ({ test }) => test));
  await inCopies(ROOT, byFile, async ([file, some = []], { root }) => {
    const startedAt = performance.now();
    const run = { files: [file], pattern: patternOf(some), env };
    const results = await runTests(root, run).catch((error: unknown) => {
      complain(`${file}: ${firstLine(error)}`);
      return [];
    });
    for (const mutant of some) {
      const own = results.filter((result) => isOf(mutant, result));
      if (own.length === 0) broken.set(mutant, 'HAS NO SUCH TEST');
      else if (own.some(({ isPassed }) => !isPassed)) broken.set(mutant, 'ITS TESTS FAIL WITHOUT IT');
    }
    const passed = results.filter(({ isPassed }) => isPassed).length;
    complain(`${file}: ${passed} of ${results.length} tests pass as they are (${secondsSince(startedAt)} s)`);
  });
  return broken;
}

/** @returns of each that was not killed what became of it. */
async function patched(mutants: readonly Mutant[], env: Env): Promise<Map<Mutant, string>> {
  const survivors = new Map<Mutant, string>();
  await inCopies(ROOT, mutants, async (mutant, scratch) => {
    const startedAt = performance.now();
    const problem = await tryOne(mutant, scratch, env).catch(
      (error: unknown) => `COULD NOT BE TRIED: ${firstLine(error)}`,
    );
    if (problem !== undefined) survivors.set(mutant, problem);
    complain(`${mutant.name}: ${problem ?? 'killed'} (${secondsSince(startedAt)} s)`);
  });
  return survivors;
}

/** @returns `undefined` when an assertion noticed it. */
async function tryOne(mutant: Mutant, scratch: Scratch, env: Env): Promise<string | undefined> {
  scratch.apply(mutant.path);
  try {
    const run = { files: [mutant.test], pattern: patternOf([mutant]), isOverAtFirst: true, env, timeoutMs: TIMEOUT_MS };
    const own = (await runTests(scratch.root, run)).filter((result) => isOf(mutant, result));
    const failures = own.flatMap((result) => result.failures);
    if (failures.some(isAssertion)) return undefined;
    if (own.length === 0) return 'NO TEST RAN';
    return failures.length > 0 ? `FAILED BY NO ASSERTION: ${firstLine(failures[0])}` : 'SURVIVED';
  } finally {
    scratch.restore(mutant.path);
  }
}

/** Also what vitest says of a promise that came out the other way. */
function isAssertion(failure: string): boolean {
  return /^(?:AssertionError|Error: promise (?:resolved|rejected) )/.test(failure);
}

function report(
  mutants: readonly Mutant[],
  problems: ReadonlyMap<Mutant, string>,
  minutes: string,
  of: string,
): number {
  for (const mutant of mutants) {
    const outcome = problems.get(mutant) ?? 'killed';
    const promise = mutant.promise === undefined ? ' ' : String(mutant.promise);
    say(`${mutant.name.padEnd(42)} ${promise}  ${outcome.padEnd(8)} ${mutant.what}`);
  }
  const killed = mutants.length - problems.size;
  say(`\n${killed} of ${mutants.length} mutants killed in ${minutes} min${of}`);
  return problems.size === 0 && mutants.length > 0 ? 0 : 1;
}

function secondsSince(startedAt: number): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? '';
}

await runSuite('mutants', 'NAME    these alone; several by commas', main);
