// The workflow for Stripe's dashboard on the practice account, where the end-to-end test does not go: after a crash.
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { resultCard } from '../../bot/cards/result-card.ts';
import { writeIntent } from '../../core/operations/effect.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { answerQuestion, latestQuestion } from '../../core/operations/questions.ts';
import { Secret } from '../../core/secret.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { installShop, kinds, look, queuedOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker, type Worker, type WorkerOptions } from '../support/worker.ts';
import {
  type PracticeStripe,
  type PracticeStripeOptions,
  type StripeObstacle,
  startPracticeStripe,
} from './stripe/server.ts';

const type = stripe.operationTypes.api_key_generation;
const found = type.ways.find(({ kind }) => kind === 'browser');
if (!found) throw new Error('Stripe has a way in the browser');
const way = found;

const RUN_MS = 120_000;

let testDatabase: TestDatabase;
let practice: PracticeStripe;
let worker: Worker;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
});
afterAll(() => testDatabase?.drop());

async function open(options: PracticeStripeOptions = {}, wrap?: WorkerOptions['wrap']): Promise<void> {
  practice = await startPracticeStripe(options);
  worker = await openWorker(testDatabase, { target: new URL(practice.origin).host, ...(wrap ? { wrap } : {}) });
}
afterEach(async () => {
  await worker?.close();
  await practice?.close();
});

function queued(shop: Shop, signIn: Partial<Record<string, string>> = {}): Promise<Operation> {
  const place = { service: stripe, type, way, origin: practice.origin, base: practice.origin };
  const asked = { ...place, permissions: defaultPermissions(type, way) };
  const entered = { admin_email: practice.email, admin_password: practice.password, ...signIn };
  return queuedOperation(worker.core, shop, asked, entered);
}

test(
  'a worker that takes over finds the key of the one that died by its name, and makes no second one',
  async () => {
    await open();
    const { core } = worker;
    const shop = await installShop(core);
    const operation = await queued(shop);
    const effect = operation.plan.steps.find(({ risk }) => risk === 'creates')?.order ?? 0;
    const { label } = operation.plan;
    await core.database.withCustomer(shop.customerId, (tx) =>
      writeIntent(tx, core.audit, operation, effect, label, operation.fence),
    );
    practice.makeKey({ name: label, mode: 'test', raks: ['rak_balance_read'] }); // and then it died
    await worker.run(operation);
    const after = await look(core, operation);
    expect(after).toMatchObject({ state: 'failed', errorCode: 'effect_unsure', isKeyStored: false });
    expect(after.errorMessage).toContain(`Revoke “${label}” in Stripe's list of keys`);
    expect(practice.keys()).toHaveLength(1);
  },
  RUN_MS,
);

describe('116 a code that Stripe asks for after “Create key”', () => {
  let shop: Shop;
  let operation: Operation;

  async function asked(asksAgain: 'button' | 'by itself'): Promise<void> {
    await open({ form: { asksAgain } });
    shop = await installShop(worker.core);
    operation = await queued(shop);
    await worker.run(operation);
    await expectQuestion(1);
  }

  /** A person is asked, and nothing was made. */
  async function expectQuestion(count: number): Promise<void> {
    expect(await look(worker.core, operation)).toMatchObject({ state: 'waiting_for_human', currentStep: 21 });
    expect((await kinds(worker.core, operation)).filter((kind) => kind === 'question.asked')).toHaveLength(count);
    expect(practice.keys()).toEqual([]);
  }

  async function give(code = practice.oneTimeCode ?? ''): Promise<void> {
    const { core } = worker;
    const isTaken = await core.database.withCustomer(shop.customerId, async (tx) => {
      const question = await latestQuestion(tx, shop.customerId, operation.id);
      const answer = { kind: 'code', code: new Secret(code) } as const;
      return answerQuestion(tx, core, operation, question?.id ?? '', answer, shop.merchant.id);
    });
    expect(isTaken).toBe(true);
  }

  async function expectOneKey(label: string): Promise<void> {
    expect(await look(worker.core, operation)).toMatchObject({ state: 'completed', result: { data: { label } } });
    expect(practice.keys().map(({ name }) => name)).toEqual([label]);
    expect(practice.signIns()).toBe(1);
  }

  test(
    'is a question to a person, once more when it was wrong, and then the key that was begun is made: one',
    async () => {
      await asked('button');
      await give('000000');
      await worker.run(operation);
      await expectQuestion(2);
      await give();
      await worker.run(operation);
      await expectOneKey(operation.plan.label);
      const written = (await kinds(worker.core, operation)).filter((kind) => kind === 'intent.written');
      expect(written).toHaveLength(3); // the click, and each time that a code could have made the key
    },
    RUN_MS,
  );

  if (IS_WHOLE)
    test(
      'may be taken by the page by itself, without a button',
      async () => {
        await asked('by itself');
        await give();
        await worker.run(operation);
        await expectOneKey(operation.plan.label);
      },
      RUN_MS,
    );

  if (IS_WHOLE)
    test(
      'that comes when the browser is gone makes nothing twice: the name is looked for, and then another key is begun',
      async () => {
        await asked('button');
        await give();
        const other = await openWorker(testDatabase, { target: new URL(practice.origin).host });
        try {
          const run = other.run(operation);
          await vi.waitUntil(() => other.said.some((words) => words.includes('counts as absent')), { timeout: RUN_MS });
          await shiftClock(testDatabase.ownerUrl, '65 seconds');
          await run;
          await expectOneKey(`${operation.plan.label} 2`);
        } finally {
          await other.close();
        }
      },
      2 * RUN_MS,
    );
});

describe('what stands in the way', () => {
  const inTheWay: readonly {
    readonly obstacle: StripeObstacle;
    readonly code: string;
    readonly words: RegExp;
    readonly signIns: number;
  }[] = [
    { obstacle: 'locked', code: 'sign_in_refused', words: /refused the e-mail address or the password/, signIns: 1 },
    {
      obstacle: 'captcha',
      code: 'captcha',
      words: /shows a CAPTCHA, which asks for a person.*No key was created/,
      signIns: 0,
    },
    {
      obstacle: 'no-role',
      code: 'no_access',
      words: /may not create keys\. No key was created; sign in with an administrator/,
      signIns: 1,
    },
    {
      obstacle: 'closed',
      code: 'rate_limited',
      words: /takes no more requests for now and asks to wait for 10 minutes/,
      signIns: 0,
    },
    {
      obstacle: 'elsewhere',
      code: 'egress_refused',
      words: /an address outside what was approved, so it was not opened/,
      signIns: 0,
    },
  ];
  test.each(IS_WHOLE ? inTheWay : inTheWay.slice(0, 1))(
    'at Stripe, $obstacle, is told in words, and nothing is made',
    async ({ obstacle, code, words, signIns }) => {
      await open();
      const shop = await installShop(worker.core);
      const operation = await queued(shop);
      practice.obstruct(obstacle);
      await worker.run(operation);
      const end = await look(worker.core, operation);
      expect(end).toMatchObject({ state: 'failed', errorCode: code, isKeyStored: false, intent: null });
      expect(end.errorMessage).toMatch(words);
      expect(practice.keys()).toEqual([]);
      expect(practice.signIns()).toBe(signIns);
    },
    RUN_MS,
  );

  if (IS_WHOLE) {
    test(
      'at Stripe, an answer that is lost after the key was made, is told with the name of the key',
      async () => {
        await open();
        practice.obstruct('answer-lost');
        const operation = await queued(await installShop(worker.core));
        await worker.run(operation);
        const end = await look(worker.core, operation);
        expect(end).toMatchObject({ state: 'failed', errorCode: 'postcondition_failed', isKeyStored: false });
        expect(practice.keys()).toMatchObject([{ name: operation.plan.label }]);
        expect(wordsOf(end)).toContain(
          `A key named “${operation.plan.label}” may have been made in Stripe, and nobody holds it.`,
        );
      },
      RUN_MS,
    );

    test(
      'at Stripe, the end of the session in the middle, costs one more sign-in, and one key is made',
      async () => {
        let isDue = true;
        await open({}, (session) => ({
          ...session,
          async navigate(url, timeoutMs) {
            if (isDue && url.includes('/apikeys/create')) practice.signOutEverybody();
            isDue = isDue && !url.includes('/apikeys/create');
            return session.navigate(url, timeoutMs);
          },
        }));
        const operation = await queued(await installShop(worker.core));
        await worker.run(operation);
        expect(await look(worker.core, operation)).toMatchObject({ state: 'completed' });
        expect(practice.keys()).toMatchObject([{ name: operation.plan.label }]);
        expect(practice.signIns()).toBe(2);
      },
      RUN_MS,
    );

    test(
      'at Stripe, a wrong password, is tried once',
      async () => {
        await open();
        const operation = await queued(await installShop(worker.core), { admin_password: 'not the password' });
        await worker.run(operation);
        const end = await look(worker.core, operation);
        expect(end).toMatchObject({ state: 'failed', errorCode: 'sign_in_refused', intent: null });
        expect([practice.signIns(), practice.keys()]).toEqual([1, []]);
      },
      RUN_MS,
    );

    test(
      'at Stripe, that nobody answers any more, ends it after three browsers',
      async () => {
        await open();
        const operation = await queued(await installShop(worker.core));
        await practice.close();
        await worker.run(operation);
        const end = await look(worker.core, operation);
        expect(end).toMatchObject({ state: 'failed', errorCode: 'network', intent: null, isKeyStored: false });
        expect(end.errorMessage).toContain('The site could not be reached.');
      },
      3 * RUN_MS,
    );
  }
});

const wordsOf = (operation: Operation) =>
  JSON.stringify(resultCard(operation, { entries: 1, seq: 1n, hash: '', isIntact: true }));
