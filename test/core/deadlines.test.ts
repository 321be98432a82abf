import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createDeadlines, createLateDeadlines } from '../../core/operations/deadlines.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import {
  type Core,
  click,
  grant,
  grantedOperation,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  storeSignIn,
  trail,
} from '../support/core.ts';
import { clockOf, createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
const { minutesPass, putBack } = clockOf(() => testDatabase);

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterEach(putBack);

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const comes = ({ customerId, id }: Operation) => createDeadlines(core)({ customerId, operationId: id });

describe('a deadline comes, and', () => {
  test('a request that nobody answered is over, with a reason', async () => {
    const operation = await requestOperation(core, shop);
    const issued = await core.database.withCustomer(shop.customerId, (tx) =>
      core.links.issue(tx, shop.customerId, {
        purpose: 'credentials',
        operationId: operation.id,
        memberId: shop.merchant.id,
      }),
    );
    await minutesPass(14);
    await comes(operation);
    expect((await look(core, operation)).state).toBe('awaiting_consent');
    expect(await core.links.look(issued.token)).toBeDefined();
    await minutesPass(1);
    await comes(operation);
    expect(await look(core, operation)).toMatchObject({
      state: 'expired',
      errorMessage: 'Nobody approved it in time.',
      request: { decision: 'expired', decidedBy: null },
      completedAt: expect.any(Date),
    });
    expect((await trail(core, operation)).at(-1)).toMatchObject({
      kind: 'operation.expired',
      payload: { why: 'Nobody approved it in time.' },
    });
    expect(await core.links.look(issued.token)).toBeUndefined();
  });

  test('a countersigned request whose sign-in nobody entered is over, and half of a sign-in with it', async () => {
    const operation = await grantedOperation(core, shop);
    await core.database.withCustomer(shop.customerId, (tx) => storeSignIn(core, tx, operation));
    await minutesPass(59);
    await comes(operation);
    expect((await look(core, operation)).state).toBe('awaiting_credentials');
    await minutesPass(1);
    await comes(operation);
    expect(await look(core, operation)).toMatchObject({
      state: 'expired',
      errorMessage: 'The sign-in was not entered in time.',
    });
    expect(
      await sql(testDatabase.adminUrl, 'SELECT FROM autonomous_credentials WHERE operation_id = $1', [operation.id]),
    ).toEqual([]);
  });

  test('coming twice, it changes nothing the second time', async () => {
    const operation = await requestOperation(core, shop);
    await minutesPass(16);
    await Promise.all([comes(operation), comes(operation), comes(operation)]);
    const before = await kinds(core, operation);
    await comes(operation);
    expect(await kinds(core, operation)).toEqual(before);
    expect(before.filter((kind) => kind === 'operation.expired')).toHaveLength(1);
  });

  test.each<[string, (operation: Operation) => Promise<unknown>, string]>([
    ['was approved in time', (operation) => grant(core, operation, shop.approver), 'awaiting_credentials'],
    ['was denied', (operation) => core.consents.deny(shop.customerId, click(operation, shop.approver), 'no'), 'denied'],
  ])('a request that %s stays as it is', async (_, answer, state) => {
    const operation = await requestOperation(core, shop);
    await answer(operation);
    await minutesPass(16);
    await comes(operation);
    expect((await look(core, operation)).state).toBe(state);
  });

  test('a request whose plan was made anew has its fifteen minutes from then', async () => {
    const operation = await requestOperation(core, shop);
    await minutesPass(10);
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.choosePermissions(tx, operation, [...operation.plan.permissions, 'write_shop'], shop.merchant),
    );
    await minutesPass(6); // the first question would be over
    await comes(operation);
    expect((await look(core, operation)).state).toBe('awaiting_consent');
    await minutesPass(9);
    await comes(operation);
    expect((await look(core, operation)).state).toBe('expired');
  });

  test('an operation that was in the queue for too long is not begun', async () => {
    const operation = await queuedOperation(core, shop);
    await minutesPass(61);
    await comes(operation);
    const job = { customerId: shop.customerId, operationId: operation.id };
    await expect(takeLease(core, job, new AbortController().signal)).rejects.toMatchObject({
      why: 'consent',
      message: 'Consent required: Consent has expired',
    });
  });

  test('nothing happens to an operation that is not there, or is not theirs', async () => {
    const operation = await requestOperation(core, shop);
    const stranger = await installShop(core);
    await minutesPass(16);
    await createDeadlines(core)({ customerId: stranger.customerId, operationId: operation.id });
    expect((await look(core, operation)).state).toBe('awaiting_consent');
  });
});

test('what can’t be closed in time ends, and says that nothing was done only of what was not begun', async () => {
  const [unanswered, unentered, paused] = [
    await requestOperation(core, shop),
    await grantedOperation(core, shop),
    await queuedOperation(core, shop),
  ];
  await core.control.pause(shop.customerId, { operationId: paused.id, by: shop.merchant });
  await sql(
    testDatabase.adminUrl,
    `CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON autonomous_operations_audit FOR EACH ROW
       WHEN (NEW.kind = 'operation.expired') EXECUTE FUNCTION public.refuse()`,
  );
  await minutesPass(61);
  const said: (string | null)[] = [];
  for (const operation of [unanswered, unentered, paused]) {
    const job = { customerId: shop.customerId, operationId: operation.id };
    await expect(createLateDeadlines(core)(job)).rejects.toThrow();
    const { state, errorCode, errorMessage } = await look(core, operation);
    expect([state, errorCode]).toEqual(['failed', 'given_up']);
    said.push(errorMessage);
  }
  await sql(testDatabase.adminUrl, 'DROP FUNCTION public.refuse() CASCADE');
  expect(said).toEqual([
    'Nobody approved it in time, and closing it failed again and again. Nothing was done.',
    'The sign-in was not entered in time, and closing it failed again and again. Nothing was done.',
    'It was paused by Mona, and did not go on in time: Consent has expired, and closing it failed again and again.',
  ]);
});

test('the queue looks at each by itself when its time has come, and not before', async () => {
  const [unanswered, unentered, later] = [
    await requestOperation(core, shop),
    await grantedOperation(core, shop),
    await grantedOperation(core, shop),
  ];
  const seen: string[] = [];
  const deadlines = createDeadlines(core);
  await core.queue.workDeadlines(async (job) => {
    seen.push(job.operationId);
    await deadlines(job);
  });
  const until = async (operation: Operation, state: string) => {
    await vi.waitUntil(async () => (await look(core, operation)).state === state, { timeout: 30_000, interval: 50 });
  };
  await minutesPass(16);
  await until(unanswered, 'expired');
  expect((await look(core, unentered)).state).toBe('awaiting_credentials');
  await core.database.withCustomer(shop.customerId, (tx) =>
    core.mover.move(tx, shop.customerId, {
      operationId: later.id,
      from: ['awaiting_credentials'],
      to: 'cancelled',
      entry: { kind: 'operation.cancelled' },
    }),
  );
  await minutesPass(45);
  await until(unentered, 'expired');
  expect((await look(core, later)).state).toBe('cancelled');
  expect(seen).toContain(unanswered.id);
});
