// docs/add-a-service.md, done: in a copy of the project, with the files of test/example/, block by block as it stands there.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Copy, copyProject, expectTouched, followRecipe, readRecipe } from './support/recipe.ts';
import { IS_WHOLE } from './support/whole.ts';

const RECIPE = readRecipe('docs/add-a-service.md');
const RECIPE_MS = 600_000; // a minute where nothing else runs

let copy: Copy;

beforeAll(() => {
  copy = copyProject();
});
afterAll(() => copy.remove());

test(
  'the recipe for a new service gives one that works, and touches nothing but the files that it names',
  async () => {
    const before = copy.files();
    copy.add('test/example');
    const said: string[] = [];
    // The files of the example are checked where they lie; what the recipe makes of others takes a minute to check.
    for await (const followed of followRecipe(copy.folder, RECIPE, { without: IS_WHOLE ? [] : ['npm run check'] }))
      if (followed.said !== '') said.push(followed.said);
    expect(said[0]).toMatch(/acme_token new[\s\S]*acme_token v1 {2}passed[\s\S]*1 passed, 0 failed/);
    expect(said[1]).toMatch(/acme\.test\.ts[\s\S]*\d passed, 0 failed/);
    expectTouched(before, copy.files(), RECIPE);
  },
  RECIPE_MS,
);
