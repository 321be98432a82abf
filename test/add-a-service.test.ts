// docs/add-a-service.md, done: in a copy of the project, with the files of test/example/, block by block as it stands there.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { followRecipe, readRecipe } from './support/recipe.ts';
import { IS_WHOLE } from './support/whole.ts';

const PROJECT = join(import.meta.dirname, '..');
const EXAMPLE = join(PROJECT, 'test', 'example');
const RECIPE = readRecipe(PROJECT);
/** Nothing of the recipe reads them, or they are made anew. */
const LEFT_OUT = ['.git', '.countersign', 'node_modules', 'test/example', 'docs/pictures'];
const RECIPE_MS = 600_000; // a minute where nothing else runs

let copy: string;

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'countersign-recipe-'));
  cpSync(PROJECT, copy, { recursive: true, filter: (from) => !LEFT_OUT.includes(relative(PROJECT, from)) });
  symlinkSync(join(PROJECT, 'node_modules'), join(copy, 'node_modules'));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** Every file below a folder, without those that are left out of the copy. */
function filesIn(folder: string): ReadonlyMap<string, string> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !LEFT_OUT.some((name) => path.startsWith(`${name}/`)));
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path), 'latin1')]));
}

test(
  'the recipe for a new service gives one that works, and touches nothing but the files that it names',
  async () => {
    const before = filesIn(copy);
    const { named } = RECIPE;
    for (const path of filesIn(EXAMPLE).keys()) cpSync(join(EXAMPLE, path), join(copy, path), { recursive: true });
    const said: string[] = [];
    // The files of the example are checked where they lie; what the recipe makes of others takes a minute to check.
    for await (const followed of followRecipe(copy, RECIPE, { without: IS_WHOLE ? [] : ['npm run check'] }))
      if (followed.said !== '') said.push(followed.said);
    expect(said[0]).toMatch(/acme_token new[\s\S]*acme_token v1 {2}passed[\s\S]*1 passed, 0 failed/);
    expect(said[1]).toMatch(/acme\.test\.ts[\s\S]*\d passed, 0 failed/);
    const after = filesIn(copy);
    const touched = [...after].filter(([path, text]) => before.get(path) !== text).map(([path]) => path);
    const unnamed = touched.filter((path) => !named.some((name) => path === name || path.startsWith(name)));
    expect(unnamed).toEqual([]);
    expect(named.filter((name) => !touched.some((path) => path === name || path.startsWith(name)))).toEqual([]);
    expect([...before.keys()].filter((path) => !after.has(path))).toEqual([]);
  },
  RECIPE_MS,
);
