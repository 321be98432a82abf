// The workflow of the Dev Dashboard on the practice pages, without chat or database: what stands in its way.
import { afterEach, describe, expect, test } from 'vitest';
import { createHttp } from '../../adapters/http/index.ts';
import { Secret } from '../../core/secret.ts';
import { verify } from '../../core/services/shopify/verify.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { type ReplayReport, replayWorkflow } from '../../core/workflow/replay.ts';
import { openTestBrowser } from '../support/browser.ts';
import { IS_WHOLE } from '../support/whole.ts';
import {
  type PracticeFault,
  type PracticeObstacle,
  type PracticeShopify,
  type PracticeShopifyOptions,
  startPracticeShopify,
} from './shopify/server.ts';

const workflow = createWorkflowRegistry().getDefinition('shopify_app_credentials');
const LONG_MS = 120_000;
const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function replayed(
  options: PracticeShopifyOptions,
  faults: readonly PracticeFault[] = [],
  omitted: readonly ('accounts' | 'dashboard')[] = [],
  obstacle?: PracticeObstacle,
): Promise<{ practice: PracticeShopify; report: ReplayReport }> {
  const practice = await startPracticeShopify(options);
  practice.obstruct(obstacle);
  ending.push(() => practice.close());
  const { origin, accounts, dashboard } = practice;
  const all = [origin, accounts, dashboard].map((each) => new URL(each).host);
  const tools = openTestBrowser({ privateTargets: all });
  ending.push(() => tools.close());
  const further = (['accounts', 'dashboard'] as const).filter((name) => !omitted.includes(name));
  const session = await tools.browser.open({ origins: [origin, ...further.map((name) => practice[name])] });
  ending.push(() => session.close());
  for (const fault of faults) practice.failNext(fault);
  const http = createHttp({ egress: tools.egress });
  const report = await replayWorkflow(workflow, {
    session,
    values: { base: origin, label: 'Countersign op-practice', scopes: 'read_products', dashboardBase: dashboard },
    secrets: {
      admin_email: new Secret(practice.account.email),
      admin_password: new Secret(practice.account.password),
    },
    signal: new AbortController().signal,
    verify: (credential) => verify({ base: origin, origin, credential, permissions: ['read_products'], http }),
  });
  return { practice, report };
}

/** Each at the step where it is met. */
const IN_THE_WAY: readonly {
  readonly obstacle: PracticeObstacle;
  readonly order: number;
  readonly failure: string;
  readonly words: RegExp;
  readonly apps: number;
  readonly signIns: number;
}[] = [
  { obstacle: 'captcha', order: 5, failure: 'captcha', words: /shows a CAPTCHA.*No app was made/, apps: 0, signIns: 0 },
  { obstacle: 'locked', order: 5, failure: 'sign_in_refused', words: /refused the e-mail/, apps: 0, signIns: 1 },
  { obstacle: 'closed', order: 1, failure: 'rate_limited', words: /asks to wait for 10 minutes/, apps: 0, signIns: 0 },
  {
    obstacle: 'elsewhere',
    order: 1,
    failure: 'egress_refused',
    words: /outside what was approved/,
    apps: 0,
    signIns: 0,
  },
  // What it says to whoever may not is not known: a person is asked.
  {
    obstacle: 'no-role',
    order: 5,
    failure: 'postcondition_failed',
    words: /did not lead to what was expected/,
    apps: 0,
    signIns: 0,
  },
  {
    obstacle: 'answer-lost',
    order: 9,
    failure: 'postcondition_failed',
    words: /may have taken effect/,
    apps: 1,
    signIns: 0,
  },
];

const failedStep = ({ steps }: ReplayReport) => steps.find(({ outcome }) => outcome === 'failed');

describe('the way through the Dev Dashboard', () => {
  test('takes a dashboard that answers 502 now and then', { timeout: LONG_MS }, async () => {
    const { practice, report } = await replayed({}, ['dashboard_5xx']);
    expect(failedStep(report)).toBeUndefined();
    expect(practice.counts).toMatchObject({ apps: 1, rotations: 0, automationTokens: 0 });
  });

  test('chooses no organisation among several', { timeout: LONG_MS }, async () => {
    const { practice, report } = await replayed({ obstacles: { hasTwoOrganisations: true } });
    expect(failedStep(report)).toMatchObject({
      order: 6,
      failure: 'no_access',
      words: expect.stringContaining('belongs to several organisations'),
    });
    expect(practice.counts.apps).toBe(0);
  });

  test('asks a person for a code, and makes nothing without it', { timeout: LONG_MS }, async () => {
    const { practice, report } = await replayed({ twoFactor: true });
    expect(failedStep(report)).toMatchObject({ order: 5, failure: 'code_wanted' });
    expect(practice.counts.apps).toBe(0);
  });

  test.each(IS_WHOLE ? IN_THE_WAY : IN_THE_WAY.slice(0, 1))(
    'is told in words where it meets $obstacle, and makes $apps',
    async ({ obstacle, order, failure, words, apps, signIns }) => {
      const { practice, report } = await replayed({}, [], [], obstacle);
      expect(failedStep(report)).toMatchObject({ order, failure, words: expect.stringMatching(words) });
      expect(practice.counts.apps).toBe(apps);
      expect(practice.account.failedSignIns).toBe(signIns);
    },
    LONG_MS,
  );

  test('leads to no origin that is not listed', { timeout: LONG_MS }, async () => {
    const { practice, report } = await replayed({}, [], ['accounts']);
    expect(failedStep(report)).toMatchObject({ order: 1, failure: 'egress_refused' });
    expect(practice.account.failedSignIns).toBe(0);
    expect(practice.counts.apps).toBe(0);
  });
});
