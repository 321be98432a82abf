import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createHttp } from '../../../adapters/http/index.ts';
import { probe, runStep, type StepResult } from '../../../core/agent/engine.ts';
import type { BrowserSession } from '../../../core/ports/browser.ts';
import { woocommerce } from '../../../core/services/woocommerce/index.ts';
import { createWorkflowRegistry } from '../../../core/workflow/registry.ts';
import type { Step } from '../../../core/workflow/steps/index.ts';
import { type PracticeShop, type PracticeShopOptions, startPracticeShop } from '../../practice/woocommerce/server.ts';
import { openTestBrowser, type TestBrowser } from '../../support/browser.ts';
import { IS_WHOLE } from '../../support/whole.ts';
import { type RecordingRun, type RecordingRunOptions, recordingRun } from './recording-run.ts';

const workflow = createWorkflowRegistry().getDefinition('woocommerce_api_key_generation');
const GENERATE = 9;

/** The real browser, proxy and shop of one test. */
interface Scene extends RecordingRun {
  readonly shop: PracticeShop;
  readonly session: BrowserSession;
  /** Runs the steps from one to another, both included, up to the first failure. */
  play(from: number, to: number, change?: (step: Step) => Step): Promise<StepResult[]>;
}

const closing: (() => Promise<void>)[] = [];

async function scene(
  shopOptions: PracticeShopOptions = {},
  runOptions: Partial<RecordingRunOptions> = {},
): Promise<Scene> {
  const shop = await startPracticeShop(shopOptions);
  const target = new URL(shop.origin).host;
  const tools: TestBrowser = openTestBrowser({ privateTargets: [target] });
  closing.push(
    () => shop.close(),
    () => tools.close(),
  );
  const session = await tools.browser.open({ origins: [shop.origin] });
  const http = createHttp({ egress: tools.egress });
  const type = woocommerce.operationTypes.api_key_generation;
  const recording = recordingRun({
    session,
    base: shop.origin,
    secrets: { admin_username: shop.username, admin_password: shop.password },
    obstacles: workflow.errorRecovery,
    verify: async (credential) => {
      const permissions = (runOptions.values?.scope ?? 'read').split('_').map((power) => `${power}_shop`);
      const input = { base: shop.origin, origin: shop.origin, credential, permissions, http };
      return (await type?.verify(input)) ?? { kind: 'fails', reason: 'no such type', isRetryable: false };
    },
    ...runOptions,
  });
  const play: Scene['play'] = async (from, to, change = (step) => step) => {
    const results: StepResult[] = [];
    for (const step of workflow.steps.slice(from - 1, to)) {
      results.push(await runStep(change(step), recording.run));
      if (results.at(-1)?.kind === 'failed') break;
    }
    return results;
  };
  return { ...recording, shop, session, play };
}

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

function last(results: readonly StepResult[]): StepResult {
  const result = results.at(-1);
  if (result === undefined) throw new Error('no step ran');
  return result;
}

describe('a replay of the WooCommerce workflow on the practice shop', () => {
  let played: Scene;
  let results: StepResult[];
  let doneInTest: (() => Promise<void>)[];

  beforeAll(async () => {
    played = await scene();
    results = await played.play(1, 10);
    doneInTest = closing.splice(0);
  });
  afterAll(() => Promise.all(doneInTest.map((close) => close())));

  test('goes from the sign-in page to a key that works', () => {
    const { shop, kept } = played;
    const ways = results.map((result) => (result.kind === 'done' ? result.rung : result.words));
    const [replayed, none] = ['replayed', 'none'];
    expect(ways).toEqual([none, replayed, replayed, replayed, none, replayed, replayed, replayed, replayed, none]);
    expect(shop.keys()).toMatchObject([{ description: 'Countersign op-7k3f9q2m', permissions: 'read' }]);
    expect(kept.consumer_key?.reveal()).toMatch(/^ck_[0-9a-f]{40}$/);
    expect(kept.consumer_secret?.reveal()).toMatch(/^cs_[0-9a-f]{40}$/);
    const checked = `${new URL(shop.origin).host} answered 200, 5 products; the key may read, and change nothing`;
    expect(last(results)).toMatchObject({ kind: 'done', verified: { kind: 'works', checked } });
  });

  test('has the key in the vault before anything else happens', () => {
    const { calls } = played;
    const generating = calls.slice(calls.indexOf('intend') - 1);
    const picture = 'picture 9 10:04:09 · replayed revealing';
    expect(generating).toEqual(['guard', 'intend', 'click', 'keep', picture, 'guard', 'verify']);
  });

  test('asks the guard right before every action', () => {
    for (const [index, call] of played.calls.entries()) {
      const before = played.calls[index - 1];
      if (['navigate', 'click', 'fill', 'select'].includes(call))
        expect(before === 'intend' ? 'guard' : before).toBe('guard');
    }
    expect(played.calls.filter((call) => call === 'click')).toHaveLength(4);
  });

  test('passes the e-mail check by "Remind me later", and opens no page twice', () => {
    const { shop } = played;
    expect(results.map(({ obstacles }) => obstacles.join())).toEqual([
      '',
      '',
      '',
      'admin_email_check',
      '',
      '',
      '',
      '',
      '',
      '',
    ]);
    const confirmed = shop.requests.filter(
      ({ method, path }) => method === 'POST' && path.includes('confirm_admin_email'),
    );
    expect(confirmed).toEqual([]);
    expect(results[4]).toMatchObject({ kind: 'done', note: 'the page was open already' });
  });

  test('tells addresses without their query, has a picture of every page, and says no secret', async () => {
    const { shop, kept } = played;
    for (const result of results.slice(0, GENERATE)) {
      expect(result.pageUrl).toMatch(/^http:\/\/localhost:\d+\/wp-(login|admin\/admin)\.php$/);
      expect((await result.picture?.drawn)?.kind).toBe('taken');
    }
    const told = JSON.stringify(results, (key, value: unknown) => (key === 'bytes' ? undefined : value));
    for (const secret of [shop.password, kept.consumer_key?.reveal(), kept.consumer_secret?.reveal()])
      expect(told).not.toContain(secret);
  });
});

describe('the WooCommerce workflow', () => {
  test('leaves the setup wizard of a fresh shop to its owner', async () => {
    const { play, shop } = await scene({ obstacles: { adminEmailCheck: false, setupWizard: true } });
    expect(last(await play(1, 9))).toMatchObject({ kind: 'done' });
    expect(shop.requests.filter(({ method, path }) => method === 'POST' && path.includes('setup-wizard'))).toEqual([]);
  });

  test.each([
    { scope: 'write', scopeWords: 'Write', checked: 'it may change, and not read' },
    ...(IS_WHOLE ? [{ scope: 'read_write', scopeWords: 'Read/Write', checked: 'answered 200' }] : []),
  ])('chooses exactly $scopeWords, and proves it', async ({ checked, ...values }) => {
    const { play, shop } = await scene({ obstacles: { adminEmailCheck: false } }, { values });
    const verified = { kind: 'works', checked: expect.stringContaining(checked) };
    expect(last(await play(1, 10))).toMatchObject({ kind: 'done', verified });
    expect(shop.keys()).toMatchObject([{ permissions: values.scope }]);
  });

  test('says at once that the password was refused, and tries once only', async () => {
    const secrets = { admin_username: 'store-admin', admin_password: 'not the password' };
    const { play, shop } = await scene({}, { secrets });
    const result = last(await play(1, 10));
    expect(result).toMatchObject({ kind: 'failed', failure: 'sign_in_refused' });
    expect(result.kind === 'failed' && result.words).toContain('nothing was created');
    expect(result.durationMs).toBeLessThan(30_000);
    expect(shop.failedSignIns()).toBe(1);
  });

  test('notices in the middle that the shop signed it out', async () => {
    const { play, shop } = await scene({ obstacles: { adminEmailCheck: false } });
    await play(1, 5);
    shop.signOutEverybody();
    expect(last(await play(6, 10))).toMatchObject({ kind: 'failed', failure: 'signed_out' });
    expect(shop.keys()).toEqual([]);
  });

  test('says at once that a page of the shop broke down', async () => {
    const { play, shop } = await scene({ obstacles: { adminEmailCheck: false } });
    await play(1, 4);
    shop.failNext('page-error');
    const result = last(await play(6, 6));
    expect(result).toMatchObject({ kind: 'failed', failure: 'wrong_page' });
    expect(result.durationMs).toBeLessThan(30_000);
  });

  test.each([
    ['bad-gateway', 0],
    ['page-dropped', 0],
    ['busy', 1_000],
  ] as const)('opens a page again after %s, not before %i ms', async (fault, waitMs) => {
    const { play, shop, calls } = await scene();
    shop.failNext(fault);
    const [result] = await play(1, 1);
    expect(result).toMatchObject({ kind: 'done', note: 'it took 2 tries' });
    expect(result?.durationMs).toBeGreaterThanOrEqual(waitMs);
    expect(calls.slice(0, 4)).toEqual(['guard', 'navigate', 'guard', 'navigate']);
  });

  test('ends at once where the shop asks to wait for longer than an operation has', async () => {
    const { play, shop } = await scene();
    shop.failNext('busy-for-an-hour');
    const result = last(await play(1, 1));
    expect(result).toMatchObject({ kind: 'failed', failure: 'rate_limited' });
    expect(result.kind === 'failed' && result.words).toMatch(
      /^The site takes no more requests for now and asks to wait for 60 minutes\./,
    );
    expect(shop.requests.filter(({ path }) => path.startsWith('/wp-login.php'))).toHaveLength(1);
  });

  test('does nothing at the shop when the guard refuses, whichever step it is', async () => {
    const refusal = new Error('revoked');
    let isRefusing = false;
    const guard = () => {
      if (isRefusing) throw refusal;
    };
    const { play, calls, kept, shop } = await scene({ obstacles: { adminEmailCheck: false } }, { guard });
    const pagesAsked = () => shop.requests.filter(({ path }) => !/\.(css|js|png|ico)$/.test(path)).length;
    for (const { order } of workflow.steps) {
      const before = { asked: pagesAsked(), calls: calls.length };
      isRefusing = order !== 5; // the sign-in has led there already, so nothing is left to refuse
      if (isRefusing) await expect(play(order, order)).rejects.toBe(refusal);
      const made = calls.slice(before.calls).filter((call) => !call.startsWith('picture'));
      expect({ order, made, asked: pagesAsked() }).toEqual({
        order,
        made: isRefusing ? ['guard'] : [],
        asked: before.asked,
      });
      isRefusing = false;
      if (order < GENERATE) await play(order, order);
    }
    expect(shop.keys()).toEqual([]);
    expect(kept).toEqual({});
  });
});

describe('after a lost answer', () => {
  test('says that the key may exist, keeps nothing, and the probe finds it by its label', async () => {
    const { play, kept, shop, run } = await scene({ obstacles: { adminEmailCheck: false } });
    await play(1, 8);
    shop.failNext('generate-answer-lost');
    const result = last(await play(GENERATE, GENERATE, (step) => ({ ...step, timeoutMs: 6_000 })));
    expect(result).toMatchObject({ kind: 'failed', failure: 'postcondition_failed', hasActed: true });
    expect(result.kind === 'failed' && result.words).toContain('it will not be repeated on a guess');
    expect(result.picture).toBeUndefined();
    expect(kept).toEqual({});
    expect(shop.keys()).toHaveLength(1);
    expect(await probe(workflow, run)).toBe('found');
  });
});

describe('the probe', () => {
  test('says absent for a label that no key has, in a shop with and without keys', async () => {
    const { play, run, shop } = await scene({ obstacles: { adminEmailCheck: false } });
    await play(1, 4);
    expect(await probe(workflow, run)).toBe('absent');
    await play(5, 9);
    expect(await probe(workflow, run)).toBe('found');
    const other = { ...run, values: { ...run.values, label: 'Countersign op-7k3f9q2' } };
    expect(await probe(workflow, other)).toBe('absent');
    expect(shop.keys()).toHaveLength(1);
  });

  test('is unsure when the list is out of sight', async () => {
    const { run } = await scene();
    const looks = workflow.probe?.looks.map((look) => ({ ...look, timeoutMs: 1_500 })) ?? [];
    const impatient = workflow.probe === undefined ? workflow : { ...workflow, probe: { ...workflow.probe, looks } };
    expect(await probe(impatient, run)).toBe('unsure');
  });
});
