// What a crash costs: the step that it came in, not the operation, and no second code of a person's phone.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Operation } from '../../core/operations/operation.ts';
import { answerQuestion, latestQuestion } from '../../core/operations/questions.ts';
import type { Action, BrowserSession } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { installShop, kinds, look, queuedOperation, type Shop, sql, trail } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const RUN_MS = 60_000;

let database: TestDatabase;
let shop: PracticeShop;
let first: Worker;
let second: Worker;
let customer: Shop;
/** Done to the first worker's next sessions. */
let wrap: ((session: BrowserSession) => BrowserSession) | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false, twoFactor: true } });
  const target = new URL(shop.origin).host;
  first = await openWorker(database, { target, wrap: (session) => wrap?.(session) ?? session });
  second = await openWorker(database, { target });
  customer = await installShop(second.core);
});

let before: number;
beforeEach(() => {
  before = shop.requests.length;
});
afterEach(() => {
  wrap = undefined;
});

afterAll(async () => {
  await first.close();
  await second.close();
  await shop.close();
  await database.drop();
});

const signIns = () =>
  shop.requests.slice(before).filter(({ method, path }) => method === 'POST' && path === '/wp-login.php').length;
const keysOf = ({ id }: Operation) => shop.keys().filter(({ description }) => description.includes(id));
const countOf = async (operation: Operation, kind: string) =>
  (await kinds(second.core, operation)).filter((each) => each === kind).length;
/** Every step that was gone through, in order, also those that failed. */
const walked = async (operation: Operation) =>
  (await trail(second.core, operation)).flatMap(({ kind, stepNumber }) =>
    kind === 'step.finished' && stepNumber !== undefined ? [stepNumber] : [],
  );
const sealedOf = ({ id }: Operation) =>
  sql<{ type: string }>(
    database.adminUrl,
    'SELECT credential_type AS type FROM autonomous_credentials WHERE operation_id = $1 ORDER BY 1',
    [id],
  ).then((rows) => rows.map(({ type }) => type));

function queued(): Promise<Operation> {
  const signIn = { admin_username: shop.username, admin_password: shop.password };
  return queuedOperation(second.core, customer, { origin: shop.origin, base: shop.origin }, signIn);
}

/** The person of this shop's phone. */
async function giveCode(operation: Operation): Promise<void> {
  const { core } = second;
  const question = await core.database.withCustomer(operation.customerId, (tx) =>
    latestQuestion(tx, operation.customerId, operation.id),
  );
  const code = { kind: 'code', code: new Secret(shop.oneTimeCode ?? '') } as const;
  const isTaken = await core.database.withCustomer(operation.customerId, (tx) =>
    answerQuestion(tx, core, operation, question?.id ?? '', code, customer.merchant.id),
  );
  if (!isTaken) throw new Error('nobody asked for a code');
}

/** Signed in as far as the code, which is given: the next job goes on from there. */
async function answered(worker: Worker): Promise<Operation> {
  const operation = await queued();
  await worker.run(operation);
  await giveCode(operation);
  return operation;
}

type Doing = { readonly url: string } | { readonly action: Action; readonly name: string | undefined };

/** Once, just before this is done in a browser of the first worker, something happens; the browser dies unless told otherwise. */
function happensAt(
  isIt: (doing: Doing) => boolean,
  what: (session: BrowserSession) => Promise<void> = (session) => session.close(),
): void {
  let isDue = true;
  const at = async (session: BrowserSession, doing: Doing) => {
    if (!isDue || !isIt(doing)) return;
    isDue = false;
    await what(session);
  };
  wrap = (session) => ({
    ...session,
    async navigate(url, timeoutMs) {
      await at(session, { url });
      return session.navigate(url, timeoutMs);
    },
    async act(element, action, timeoutMs) {
      await at(session, { action, name: element.identity.name });
      return session.act(element, action, timeoutMs);
    },
  });
}

const does = (kind: Action['kind'], name?: string) => (doing: Doing) =>
  'action' in doing && doing.action.kind === kind && (name === undefined || doing.name === name);

/** One sign-in with its code, one key, and no session that is left behind. */
async function expectOneOfEach(operation: Operation): Promise<void> {
  expect(await look(second.core, operation)).toMatchObject({ state: 'completed' });
  expect([signIns(), await countOf(operation, 'question.asked')]).toEqual([1, 1]);
  expect(keysOf(operation)).toHaveLength(1);
  expect(await sealedOf(operation)).not.toContain('session');
}

describe('a browser that crashes', () => {
  test.each([
    ['as the form is opened', does('click', 'Add key'), [1, 2, 3, 4, 4, 5, 6, 5, 6, 7, 8, 9, 10]],
    ['as the permissions are chosen', does('select'), [1, 2, 3, 4, 4, 5, 6, 7, 8, 5, 6, 7, 8, 9, 10]],
  ])(
    '%s costs no sign-in and no code: the work goes on where the page of that step is opened',
    async (_, isIt, steps) => {
      happensAt(isIt);
      const operation = await answered(first);
      await first.run(operation);
      expect(await walked(operation)).toEqual(steps);
      await expectOneOfEach(operation);
    },
    4 * RUN_MS,
  );

  test(
    'when the site has signed it out meanwhile has the sign-in done again, code and all',
    async () => {
      happensAt(does('select'), async (session) => {
        shop.signOutEverybody();
        await session.close();
      });
      const operation = await answered(first);
      await first.run(operation);
      expect(await look(second.core, operation)).toMatchObject({ state: 'waiting_for_human' });
      await giveCode(operation);
      await first.run(operation);
      expect(await look(second.core, operation)).toMatchObject({ state: 'completed' });
      expect([signIns(), await countOf(operation, 'question.asked')]).toEqual([2, 2]);
      expect(keysOf(operation)).toHaveLength(1);
    },
    4 * RUN_MS,
  );
});

if (IS_WHOLE)
  describe('a session that the site ends in the middle', () => {
    test(
      'is begun anew with the sign-in',
      async () => {
        happensAt(does('click', 'Add key'), async () => shop.signOutEverybody());
        const operation = await answered(first);
        await first.run(operation);
        expect(await look(second.core, operation)).toMatchObject({ state: 'waiting_for_human' });
        await giveCode(operation);
        await second.run(operation);
        expect(await look(second.core, operation)).toMatchObject({ state: 'completed' });
        expect(keysOf(operation)).toHaveLength(1);
      },
      4 * RUN_MS,
    );
  });

describe('a worker that loses its job', () => {
  /** The queue takes it away in the middle of a step. */
  async function lostAt(isIt: (doing: Doing) => boolean): Promise<Operation> {
    const job = new AbortController();
    happensAt(isIt, async () => {
      job.abort(new Error('taken away'));
      throw new Error('taken away'); // nothing of what was about to be done reaches the page
    });
    const operation = await answered(first);
    await expect(first.run(operation, job.signal)).rejects.toThrow('taken away');
    return operation;
  }

  test(
    'leaves it to one that goes on signed in as it was',
    async () => {
      const operation = await lostAt(does('select'));
      expect(await sealedOf(operation)).toContain('session');
      await second.run(operation);
      expect((await walked(operation)).slice(-9)).toEqual([5, 6, 7, 5, 6, 7, 8, 9, 10]);
      await expectOneOfEach(operation);
    },
    4 * RUN_MS,
  );

  test(
    'after it had set out to make the key has that looked for without another sign-in, and never makes two',
    async () => {
      const operation = await lostAt(does('click', 'Generate API key'));
      const run = second.run(operation);
      await vi.waitUntil(() => second.said.some((words) => words.includes('counts as absent')), { timeout: RUN_MS });
      await shiftClock(database.ownerUrl, '65 seconds');
      await run;
      expect(await kinds(second.core, operation)).toContain('intent.settled');
      await expectOneOfEach(operation);
    },
    4 * RUN_MS,
  );
});
