// docs/add-a-platform.md and docs/add-a-step-kind.md, done: in one copy of the project, block by block as it stands there.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Copy, copyProject, expectTouched, readRecipe, runInCopy } from './support/recipe.ts';
import { IS_WHOLE } from './support/whole.ts';

const PAGES = ['docs/add-a-platform.md', 'docs/add-a-step-kind.md'].map((page) => readRecipe(page));
const RECIPE_MS = 600_000; // some seconds where nothing else runs

let copy: Copy;

beforeAll(() => {
  copy = copyProject();
}, RECIPE_MS);
afterAll(() => copy.remove());

test(
  'the recipes for a platform and a step kind give ones that work, and touch nothing but the files that they name',
  async () => {
    const before = copy.files();
    copy.add('test/example-platform');
    const blocks = PAGES.flatMap((page) => page.blocks);
    for (const block of blocks.filter(({ file }) => file !== '')) copy.write(block);
    const commands = blocks.filter(({ file }) => file === '').flatMap(({ lines }) => lines);
    const tests = commands.flatMap((line) => /^npx vitest run (.+)$/.exec(line)?.[1]?.split(' ') ?? []);
    expect([...new Set(commands.map((line) => line.replace(/ run test.*/, '')))]).toEqual([
      ...['npm run docs', 'npx vitest', 'npm run check'],
    ]);
    const own = tests.filter((path) => !before.has(path));
    const run = (line: string) => runInCopy(copy, [line], { isWhole: IS_WHOLE, also: own });
    await run('npm run docs');
    expect(await run(`npx vitest run ${tests.join(' ')}`)).toMatch(/Tests {2}\d+ passed/);
    // What it says is its error: a type that does not fit ends it with a failure.
    await run('npm run check');
    expectTouched(before, copy.files(), { named: PAGES.flatMap(({ named }) => named) });
  },
  RECIPE_MS,
);
