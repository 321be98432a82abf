import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import type { StepResult } from '../../core/agent/engine.ts';
import { CountersignError } from '../../core/errors.ts';
import { type Lease, takeLease } from '../../core/operations/lease.ts';
import { createRunSecrets } from '../../core/operations/run-secrets.ts';
import { recordBegin, recordEnd } from '../../core/operations/step-record.ts';
import type { Screenshots } from '../../core/ports/screenshots.ts';
import { Secret } from '../../core/secret.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { type Core, installShop, look, noSecrets, openCore, queuedOperation, sql, trail } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

const workflow = createWorkflowRegistry().getDefinition('woocommerce_api_key_generation');
const [first] = workflow.steps;

let database: TestDatabase;
let core: Core;
let lease: Lease;

beforeAll(async () => {
  database = await createTestDatabase();
  core = await openCore(database);
  await sql(
    database.adminUrl,
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION USING ERRCODE = TG_ARGV[0], MESSAGE = 'no picture is taken'; END $$`,
  );
});

beforeEach(async () => {
  const { customerId, id: operationId } = await queuedOperation(core, await installShop(core));
  const taken = await takeLease(core, { customerId, operationId }, new AbortController().signal);
  if (!taken) throw new Error('the lease was not to be had');
  lease = taken;
});

afterEach(() => lease.release());

afterAll(async () => {
  await core.close();
  await database.drop();
});

/** The first step, done, with a picture. */
async function finished(screenshots: Screenshots = createScreenshots(core)) {
  if (!first) throw new Error('the workflow has steps');
  const picture = { bytes: Buffer.from('jpeg'), mediaType: 'image/jpeg', width: 1, height: 1, masks: [] } as const;
  const result: StepResult = {
    ...{ kind: 'done', rung: 'none', durationMs: 5, pageUrl: '', obstacles: [] },
    picture: { drawn: Promise.resolve({ kind: 'taken', picture }) },
  };
  const deps = { ...core, screenshots, log: silentLog };
  await recordBegin(deps, lease, first);
  await recordEnd(deps, lease, workflow, first, first.intent, result, noSecrets);
}

test('what a page says of a secret is on record without it, in the step and in its entry', async () => {
  if (!first) throw new Error('the workflow has steps');
  const secrets = createRunSecrets({ add() {}, remove() {} });
  secrets.learn(new Secret('open-sesame-7'), 'secret');
  const words = 'The page said: open-sesame-7 is wrong.';
  const result: StepResult = {
    ...{ kind: 'failed', failure: 'wrong_page', words, durationMs: 5, pageUrl: '', obstacles: [], hasActed: true },
  };
  const deps = { ...core, screenshots: createScreenshots(core), log: silentLog };
  await recordBegin(deps, lease, first);
  await recordEnd(deps, lease, workflow, first, first.intent, result, secrets);
  expect(await firstStep()).toMatchObject({ state: 'failed', note: 'The page said: [secret] is wrong.' });
  const entry = (await trail(core, lease.operation)).findLast(({ kind }) => kind === 'step.finished');
  expect(entry?.payload).toMatchObject({ error: 'The page said: [secret] is wrong.', note: expect.any(String) });
  expect(JSON.stringify(entry?.payload)).not.toContain('sesame');
});

const firstStep = async () => (await look(core, lease.operation)).steps[0];

describe('61 the picture of a step', () => {
  test('is stored, and the step and its entry name it', async () => {
    await finished();
    const step = await firstStep();
    expect(step).toMatchObject({ state: 'done', screenshotId: expect.any(String), note: null });
    const entry = (await trail(core, lease.operation)).findLast(({ kind }) => kind === 'step.finished');
    expect(entry?.payload).toMatchObject({ screenshotId: step?.screenshotId });
  });

  test.each([
    ['is full', '53100'],
    ['is read-only', '25006'],
    ['does not let us', '42501'],
  ])('fails no step where its store %s: step and entry say that there is none', async (_, code) => {
    await sql(
      database.adminUrl,
      `CREATE TRIGGER refuse BEFORE INSERT ON screenshots FOR EACH STATEMENT EXECUTE FUNCTION refuse('${code}')`,
    );
    try {
      await finished();
    } finally {
      await sql(database.adminUrl, 'DROP TRIGGER refuse ON screenshots');
    }
    expect(await firstStep()).toMatchObject({
      ...{ state: 'done', screenshotId: null },
      note: 'There is no picture of this step: it could not be stored.',
    });
    const entry = (await trail(core, lease.operation)).findLast(({ kind }) => kind === 'step.finished');
    expect(entry).toMatchObject({ success: true, payload: { pictureWithheld: 'it could not be stored' } });
    expect(entry?.payload).toMatchObject({ screenshotId: null });
  });

  test('is no reason to go on without the database: the step is left as it was, for a later try', async () => {
    const away = new CountersignError('database_unavailable', 'The database did not answer.', { isRetryable: true });
    const screenshots = { ...createScreenshots(core), put: () => Promise.reject(away) };
    await expect(finished(screenshots)).rejects.toBe(away);
    expect(await firstStep()).toMatchObject({ state: 'running' });
  });
});
