import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import { createDeadlines } from '../../core/operations/deadlines.ts';
import { forgetSession, handOver, takeOnce, takeSeat } from '../../core/operations/hand-over.ts';
import { type Lease, takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  type Answer,
  answerQuestion,
  codePlace,
  latestQuestion,
  MOST_QUESTIONS,
  type Question,
  questionsOf,
} from '../../core/operations/questions.ts';
import { wayOn } from '../../core/operations/resume.ts';
import type { Browser, BrowserSession, BrowserSessionOptions } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import {
  type Core,
  cancel,
  installShop,
  kinds,
  look,
  noSecrets,
  openCore,
  queuedOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';

const SIGN_IN_STEP = 4;
const LATER_STEP = 8;
const COOKIES = '{"cookies":[{"name":"wordpress_logged_in","value":"6f1d"}],"origins":[]}';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let opened: BrowserSessionOptions[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});
beforeEach(() => {
  opened = [];
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

/** A signed-in browser: all that a hand-over asks of it. */
const session = () =>
  ({
    storage: async () => new Secret(COOKIES),
    waitFor: async () => undefined,
    close: async () => {},
  }) as Pick<BrowserSession, 'storage' | 'waitFor' | 'close'> as BrowserSession;

const browser: Browser = {
  async open(options) {
    opened.push(options);
    return session();
  },
  close: async () => {},
};

async function lease({ customerId, id }: Operation): Promise<Lease> {
  const taken = await takeLease(core, { customerId, operationId: id }, new AbortController().signal);
  taken?.release();
  if (!taken) throw new Error('somebody else has it');
  return taken;
}

/** Its worker takes it and asks at that step. @returns false when it may not ask any more. */
async function asks(operation: Operation, kind: 'code' | 'help', step = SIGN_IN_STEP): Promise<boolean> {
  const held = await lease(operation);
  const workflow = core.workflows.getDefinition(operation.plan.workflowId);
  return handOver({ ...core, browser }, held, workflow, { step, question: kind, words: 'Why.' }, session(), noSecrets);
}

async function asked(kind: 'code' | 'help', step = SIGN_IN_STEP): Promise<Operation> {
  const operation = await queuedOperation(core, shop);
  expect(await asks(operation, kind, step)).toBe(true);
  return look(core, operation);
}

const question = async (operation: Operation): Promise<Question> => {
  const found = await core.database.withCustomer(shop.customerId, (tx) =>
    latestQuestion(tx, shop.customerId, operation.id),
  );
  if (!found) throw new Error('nothing was asked');
  return found;
};
const code = (text = '123456'): Answer => ({ kind: 'code', code: new Secret(text) });
const GO_ON: Answer = { kind: 'go_on' };

async function answer(operation: Operation, given: Answer, by: Member = shop.merchant): Promise<boolean> {
  const { id } = await question(operation);
  return core.database.withCustomer(shop.customerId, (tx) => answerQuestion(tx, core, operation, id, given, by.id));
}

const comes = ({ customerId, id }: Operation) => createDeadlines(core)({ customerId, operationId: id });
const { minutesPass } = clockOf(() => testDatabase);
const jobsOf = async ({ id }: Operation) =>
  sql(testDatabase.adminUrl, `SELECT FROM pgboss.job WHERE name = 'operations' AND data->>'operationId' = $1`, [id]);
const sealedOf = async ({ id }: Operation) =>
  (
    await sql<{ type: string }>(
      testDatabase.adminUrl,
      'SELECT credential_type AS type FROM autonomous_credentials WHERE operation_id = $1',
      [id],
    )
  )
    .map(({ type }) => type)
    .filter((type) => type === 'session' || type === 'one_time_code')
    .sort();
const seat = async (operation: Operation) => {
  const held = await lease(operation);
  const workflow = core.workflows.getDefinition(operation.plan.workflowId);
  const effect = { kind: 'fresh', label: operation.plan.label, attempt: 1 } as const;
  const way = wayOn(workflow, new Map());
  if (!way) throw new Error('there is a way from the beginning');
  const { steps, ...taken } = await takeSeat({ ...core, browser }, held, way, effect, noSecrets);
  return { ...taken, from: steps[0]?.order };
};

describe('a question', () => {
  test('has its operation wait, on record, for half an hour', async () => {
    const operation = await asked('code');
    expect(operation.state).toBe('waiting_for_human');
    expect((await kinds(core, operation)).at(-1)).toBe('question.asked');
    const { askedAt, expiresAt, ...open } = await question(operation);
    expect(open).toMatchObject({ kind: 'code', step: SIGN_IN_STEP, words: 'Why.', closed: null, answeredBy: null });
    expect(expiresAt.getTime() - askedAt.getTime()).toBe(30 * 60_000);
  });

  test('stays open no longer than its countersignature', async () => {
    const operation = await queuedOperation(core, shop);
    await minutesPass(45);
    await asks(operation, 'help');
    expect((await question(operation)).expiresAt).toEqual(operation.grant?.expiresAt);
    await minutesPass(16);
    await comes(operation);
    expect(await look(core, operation)).toMatchObject({
      state: 'expired',
      errorMessage: 'Nobody answered its question in time.',
    });
    expect(await question(operation)).toMatchObject({ closed: 'withdrawn' });
    expect(await answer(operation, GO_ON)).toBe(false);
  });

  test('takes one of many answers at once: one job, one entry, one name', async () => {
    const operation = await asked('help', LATER_STEP);
    const before = await jobsOf(operation);
    const people = [shop.merchant, shop.approver, shop.secondApprover, shop.admin];
    const link = await core.database.withCustomer(shop.customerId, (tx) =>
      core.links.issue(tx, shop.customerId, {
        ...{ purpose: 'answer', operationId: operation.id, memberId: shop.merchant.id },
      }),
    );
    const taken = await Promise.all([...people, ...people].map((by) => answer(operation, GO_ON, by)));
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await core.links.look(link.token)).toBeUndefined();
    expect((await jobsOf(operation)).length - before.length).toBe(1);
    expect((await look(core, operation)).state).toBe('queued');
    expect((await kinds(core, operation)).filter((kind) => kind === 'question.answered')).toHaveLength(1);
    const winner = people[taken.indexOf(true) % people.length];
    expect(await question(operation)).toMatchObject({ closed: 'answered', answeredBy: winner?.id });
  });

  test('has its operation go on before whatever of its customer has not begun: its code would lapse in that line', async () => {
    const operation = await asked('code');
    const line = [await queuedOperation(core, shop), await queuedOperation(core, shop)];
    expect(await answer(operation, code())).toBe(true);
    const rows = await sql<{ id: string }>(
      testDatabase.adminUrl,
      `SELECT o.id FROM autonomous_operations o JOIN pgboss.job j ON j.name = 'operations' AND j.id = o.job_id
       WHERE o.id = ANY ($1) ORDER BY j.priority DESC, j.created_on LIMIT 1`,
      [[operation, ...line].map(({ id }) => id)],
    );
    expect(rows).toEqual([{ id: operation.id }]);
  });

  test('takes no answer of another kind, and none to an earlier question', async () => {
    const operation = await asked('code');
    expect(await answer(operation, GO_ON)).toBe(false);
    const earlier = await question(operation);
    expect(await answer(operation, code('1'))).toBe(true);
    await asks(operation, 'code');
    const late = await core.database.withCustomer(shop.customerId, (tx) =>
      answerQuestion(tx, core, operation, earlier.id, code('2'), shop.merchant.id),
    );
    expect(late).toBe(false);
    expect((await look(core, operation)).state).toBe('waiting_for_human');
  });

  test('is reminded of once, lapses into a pause, and can still be gone on from, without a code that is old by then', async () => {
    const operation = await asked('code');
    const link = await core.database.withCustomer(shop.customerId, (tx) =>
      core.links.issue(tx, shop.customerId, {
        ...{ purpose: 'answer', operationId: operation.id, memberId: shop.merchant.id },
      }),
    );
    await minutesPass(14);
    await comes(operation);
    expect((await question(operation)).remindedAt).toBeNull();
    await minutesPass(1);
    for (const _ of [1, 2]) await comes(operation);
    expect((await kinds(core, operation)).filter((kind) => kind === 'question.reminded')).toHaveLength(1);
    await minutesPass(15);
    for (const _ of [1, 2]) await comes(operation);
    expect((await look(core, operation)).state).toBe('paused');
    expect((await kinds(core, operation)).slice(-1)).toEqual(['question.lapsed']);
    expect(await core.links.look(link.token)).toBeUndefined();
    expect(await answer(operation, code())).toBe(false);
    expect(await answer(operation, GO_ON)).toBe(true);
    expect((await look(core, operation)).state).toBe('queued');
    expect(await answer(operation, GO_ON)).toBe(false);
  });

  test('takes no code once its time is over, even before anybody has seen that', async () => {
    const operation = await asked('code');
    await minutesPass(30);
    expect(await answer(operation, code())).toBe(false);
    expect((await look(core, operation)).state).toBe('waiting_for_human');
    await comes(operation);
    expect(await answer(operation, GO_ON)).toBe(true);
    const entries = await core.database.withCustomer(shop.customerId, (tx) =>
      core.audit.entriesOf(tx, shop.customerId, operation.id),
    );
    const entry = entries.findLast(({ kind }) => kind === 'question.answered');
    expect(entry?.payload).toEqual({ kind: 'code', answer: 'go_on' });
  });

  test('is withdrawn when its operation ends: no answer, no job, nothing sealed is left', async () => {
    for (const isPaused of [false, true]) {
      const operation = await asked('help', LATER_STEP);
      if (isPaused) await minutesPass(30);
      await comes(operation);
      expect((await look(core, operation)).state).toBe(isPaused ? 'paused' : 'waiting_for_human');
      const before = await jobsOf(operation);
      await cancel(core, operation);
      expect(await answer(operation, GO_ON)).toBe(false);
      expect(await jobsOf(operation)).toHaveLength(before.length);
      expect(await sealedOf(operation)).toEqual([]);
    }
  });

  test('ends with its operation when the countersignature is taken back', async () => {
    const operation = await asked('help');
    await core.database.withCustomer(shop.customerId, (tx) => core.consents.revoke(tx, operation, shop.admin));
    expect(await look(core, operation)).toMatchObject({ state: 'cancelled', errorMessage: 'Consent was revoked' });
    expect((await kinds(core, operation)).slice(-2)).toEqual(['consent.revoked', 'operation.cancelled']);
    expect(await question(operation)).toMatchObject({ closed: 'withdrawn' });
  });

  test('is the fifth at most: then its operation may not ask any more', async () => {
    const operation = await queuedOperation(core, shop);
    for (let n = 0; n < MOST_QUESTIONS; n++) {
      expect(await asks(operation, 'help')).toBe(true);
      expect(await answer(operation, GO_ON)).toBe(true);
    }
    expect(await asks(operation, 'help')).toBe(false);
    expect((await look(core, operation)).state).toBe('in_progress');
    const all = await core.database.withCustomer(shop.customerId, (tx) =>
      questionsOf(tx, shop.customerId, operation.id),
    );
    expect(all).toHaveLength(MOST_QUESTIONS);
  });
});

describe('a code', () => {
  const take = async (held: Lease) => (await takeOnce(core, held, codePlace(held.operation), 'code'))?.reveal();

  test('is sealed for two minutes, and gone before it is used', async () => {
    const operation = await asked('code');
    await answer(operation, code('314159'));
    const [row] = await sql<{ seconds: number; plain: boolean }>(
      testDatabase.adminUrl,
      `SELECT extract(epoch FROM expires_at - updated_at)::int AS seconds, position('314159'::bytea IN encrypted_credential) > 0 AS plain
       FROM autonomous_credentials WHERE operation_id = $1 AND credential_type = 'one_time_code'`,
      [operation.id],
    );
    expect(row).toEqual({ seconds: 120, plain: false });
    const held = await lease(operation);
    expect(await take(held)).toBe('314159');
    expect(await sealedOf(operation)).toEqual([]);
    expect(await take(held)).toBeUndefined();
  });

  test('is worth nothing after two minutes', async () => {
    const operation = await asked('code');
    await answer(operation, code());
    await minutesPass(2);
    expect(await take(await lease(operation))).toBeUndefined();
  });

  test('is deleted after two minutes when nobody has used it by then, and not before', async () => {
    const operation = await asked('code');
    await answer(operation, code());
    const looks = await sql(
      testDatabase.adminUrl,
      `SELECT FROM pgboss.job j JOIN questions q ON q.operation_id = j.data->>'operationId'
       WHERE q.operation_id = $1 AND j.name = 'deadlines' AND j.start_after = q.closed_at + interval '2 minutes'`,
      [operation.id],
    );
    expect(looks).toHaveLength(1);
    await comes(operation);
    expect(await sealedOf(operation)).toEqual(['one_time_code']);
    await minutesPass(2);
    await comes(operation);
    expect(await sealedOf(operation)).toEqual([]);
    expect((await kinds(core, operation)).at(-1)).toBe('credential.deleted');
    expect((await look(core, operation)).state).toBe('queued');
  });

  test('goes with its operation', async () => {
    const operation = await asked('code');
    await answer(operation, code());
    expect(await sealedOf(operation)).toEqual(['one_time_code']);
    await cancel(core, operation);
    expect(await sealedOf(operation)).toEqual([]);
  });
});

describe('a browser that was asked from', () => {
  test('goes on in place with a code', async () => {
    const operation = await asked('code');
    await answer(operation, code());
    expect(await seat(operation)).toMatchObject({ from: SIGN_IN_STEP, answered: SIGN_IN_STEP });
    expect(opened).toEqual([]);
  });

  test('that is gone leaves its session, sealed, to every browser that comes after, until the site refuses it', async () => {
    const operation = await asked('help', LATER_STEP);
    await core.parking.take(shop.customerId, operation.id)?.session.close();
    expect(await sealedOf(operation)).toEqual(['session']);
    await answer(operation, GO_ON);
    expect(await seat(operation)).toMatchObject({ from: SIGN_IN_STEP + 1, isKept: true, answered: LATER_STEP });
    expect(await seat(operation)).toMatchObject({ from: SIGN_IN_STEP + 1, isKept: true });
    expect(opened.map(({ storage }) => storage?.reveal())).toEqual([COOKIES, COOKIES]);
    await forgetSession(core, await lease(operation));
    expect(await sealedOf(operation)).toEqual([]);
    expect(await seat(operation)).toMatchObject({ from: 1, isKept: false });
    expect(opened[2]).not.toHaveProperty('storage');
  });

  test('that was not signed in yet leaves nothing', async () => {
    const operation = await asked('code');
    await core.parking.take(shop.customerId, operation.id)?.session.close();
    expect(await sealedOf(operation)).toEqual([]);
    await answer(operation, code());
    expect(await seat(operation)).toMatchObject({ from: 1, isKept: false });
  });
});
