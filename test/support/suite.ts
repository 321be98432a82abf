import { parseArgs } from 'node:util';

/** What a suite that is a command is begun with. */
export interface SuiteOptions {
  /** Which of it alone, in the suite's own words. */
  readonly only: string | undefined;
  /** A few of it, chosen by the seed, in less than a minute. */
  readonly slice: boolean;
  readonly seed: number;
}

/**
 * Runs the suite `npm run NAME`, and ends the process with the code that it comes to; `--help` prints how to call it. `only` is
 * the line of the option `--only`, from its value on.
 */
export async function runSuite(
  name: string,
  only: string,
  run: (options: SuiteOptions) => Promise<number>,
): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      slice: { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return say(usageOf(name, only));
  const seed = Number(values.seed ?? Date.now() % 100_000);
  process.exitCode = await run({ only: values.only, slice: values.slice, seed });
}

function usageOf(name: string, only: string): string {
  return `Usage: npm run ${name} [-- OPTIONS]
  --only ${only}
  --slice        a few, chosen by the seed, in less than a minute
  --seed N       which ones; printed, so that a run can be repeated`;
}

/** Does the work for each item; whichever of the hands is free takes the next one, and its place in the list. */
export async function sideBySide<Item, Hand>(
  items: readonly Item[],
  hands: readonly Hand[],
  work: (item: Item, hand: Hand, index: number) => Promise<void>,
): Promise<void> {
  const waiting = [...items.entries()];
  const workWith = async (hand: Hand) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next[1], hand, next[0]);
  };
  await Promise.all(hands.map(workWith));
}

/** For whoever reads the outcome. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** For whoever watches. */
export function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}
