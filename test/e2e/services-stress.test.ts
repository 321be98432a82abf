// A little of `npm run stress:services`.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withWordPress } from '../practice/wordpress/available.ts';
import { linesOf, runService } from '../stress/services.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { RUN_MS } from '../support/people.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.drop());

async function twoOfEach(service: string): Promise<void> {
  const results = await runService(database, service, 2);
  for (const result of results)
    expect([result.succeeded, result.isOneKeyEach, linesOf(result)]).toEqual([2, true, expect.any(Array)]);
}

test(
  'WooCommerce, twice in a row: both keys are proven, and there are no others',
  () => twoOfEach('woocommerce'),
  2 * RUN_MS,
);

await withWordPress('WordPress', () => {
  test(
    'twice in a row in each way: all passwords are proven, and there are no others',
    () => twoOfEach('wordpress'),
    3 * RUN_MS,
  );
});
