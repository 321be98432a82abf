// A little of `npm run stress:slack`.
import { expect, test } from 'vitest';
import { percentile, runSlackLoad } from '../stress/slack.ts';
import { createEmptyDatabase } from '../support/database.ts';

test('twenty requests within six seconds are each acknowledged before Slack sends it again, once on record, shown once, and within Slack’s rates', async () => {
  const result = await runSlackLoad(
    { requests: 20, seconds: 6, people: 5, repeatEvery: 4 },
    await createEmptyDatabase(),
  );
  expect(result).toMatchObject({ operations: 20, lost: 0, twice: 0, tooMany: 0, refusedAcks: 0 });
  expect(percentile(result.ackMs, 0.99)).toBeLessThan(3_000); // after which Slack sends it again; how fast it is, the whole one says
});
