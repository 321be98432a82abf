// One worker is cut off from PostgreSQL in the middle of the one effect, and another takes its operation over: whatever the
// first one still does at the shop, there is never more than one live key.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { writeIntent } from '../../core/operations/effect.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { installShop, kinds, look, queuedOperation, type Shop, trail } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { openPostgresRelay, type PostgresRelay } from '../support/postgres-relay.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const GENERATE = 'Generate API key';
const RUN_MS = 60_000;
/** The step's 25 s and the 40 s after it, from `absentFrom`. */
const SETTLED = '65 seconds';

let database: TestDatabase;
let relay: PostgresRelay;
let shop: PracticeShop;
let first: Worker;
let second: Worker;
let customer: Shop;
/** What the first worker's session goes through: nothing, unless a test freezes it. */
let freeze: ((session: BrowserSession) => BrowserSession) | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  relay = await openPostgresRelay(database.programUrl);
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  const target = new URL(shop.origin).host;
  const wrap = (session: BrowserSession) => freeze?.(session) ?? session;
  first = await openWorker({ ...database, programUrl: relay.url }, { target, wrap });
  second = await openWorker(database, { target });
  customer = await installShop(second.core);
});

beforeEach(() => {
  freeze = undefined;
});

afterEach(() => relay.mend());

afterAll(async () => {
  relay.mend();
  await first.close();
  await second.close();
  await shop.close();
  await relay.close();
  await database.drop();
});

const queued = () =>
  queuedOperation(
    second.core,
    customer,
    { origin: shop.origin, base: shop.origin },
    { admin_username: shop.username, admin_password: shop.password },
  );

const liveKeysOf = ({ id }: Operation) =>
  shop
    .keys()
    .filter(({ description, isRevoked }) => description.includes(id) && !isRevoked)
    .map(({ description }) => description);

/** Runs to the end without being waited for. */
function started(work: Promise<void>) {
  const run = { isOver: false, problem: undefined as unknown, ended: Promise.resolve() };
  run.ended = work
    .catch((error: unknown) => {
      run.problem = error;
    })
    .finally(() => {
      run.isOver = true;
    });
  return run;
}

const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: RUN_MS, interval: 20 });

const isAtStep = async (operation: Operation, step: number) =>
  (await look(second.core, operation)).currentStep === step;

/** The second worker is waiting to see whether the first one's key still comes, or has gone on without. */
const isWaitingOr = ({ isOver }: { readonly isOver: boolean }) =>
  isOver || second.said.some((words) => WAITS.test(words));
const WAITS = /is waited for before it counts as absent/;

/** Stops at the click that makes the key, as a frozen process does: feels no abort, and goes on when it is thawed. */
function frozenAtTheClick() {
  const thawed = Promise.withResolvers<void>();
  const frozen = Promise.withResolvers<void>();
  freeze = (session) => ({
    ...session,
    async act(element, action, timeoutMs) {
      if (element.identity.name === GENERATE) {
        frozen.resolve();
        await thawed.promise;
      }
      return session.act(element, action, timeoutMs);
    },
    async close() {
      await thawed.promise;
      await session.waitFor([{ kind: 'visible', locator: { by: 'css', selector: '#key_consumer_key' } }], 5_000);
      return session.close();
    },
  });
  return { frozen: frozen.promise, thaw: () => thawed.resolve() };
}

describe('a worker that is cut off at a greyed button', () => {
  /** The first worker waits for the button, and has been doing so for a while. */
  async function waitingAtTheButton() {
    const operation = await queued();
    const hold = shop.holdGenerate();
    const run = started(first.run(operation));
    await until(() => isAtStep(operation, 9));
    const before = hold.asked;
    await until(() => hold.asked > before + 20);
    return { operation, hold, run };
  }

  test(
    'clicks nothing when it is enabled after another one has taken over: there is one key',
    async () => {
      const { operation, hold, run } = await waitingAtTheButton();
      const kindsBefore = await kinds(second.core, operation);
      relay.cut();
      const other = started(second.run(operation));
      await until(() => liveKeysOf(operation).length > 0);
      hold.isHeld = false;
      await Promise.all([run.ended, other.ended]);
      expect(liveKeysOf(operation)).toEqual([`Countersign ${operation.id}`]);
      expect((await look(second.core, operation)).state).toBe('completed');
      expect(kindsBefore).not.toContain('intent.written');
    },
    3 * RUN_MS,
  );

  test(
    'lets go by itself, for the queue to hand the operation out again',
    async () => {
      const { operation, run } = await waitingAtTheButton();
      const cutAt = performance.now();
      relay.cut();
      await run.ended;
      expect(performance.now() - cutAt).toBeLessThan(10_000); // 5 s, a second for the timer, and the browser's end
      expect(run.problem).toMatchObject({ code: 'database_unavailable', isRetryable: true });
      expect(liveKeysOf(operation)).toEqual([]);
      expect((await look(second.core, operation)).state).toBe('in_progress');
      await second.run(operation);
      expect(liveKeysOf(operation)).toEqual([`Countersign ${operation.id}`]);
    },
    3 * RUN_MS,
  );
});

describe('whoever takes over after the intent was written', () => {
  beforeEach(() => second.forget());

  test(
    'sees the key that a frozen worker made while it waited, and makes none',
    async () => {
      const { frozen, thaw } = frozenAtTheClick();
      const operation = await queued();
      const old = started(first.run(operation));
      await frozen;
      relay.cut();
      const current = started(second.run(operation));
      await until(() => isWaitingOr(current));
      thaw();
      await until(() => liveKeysOf(operation).includes(`Countersign ${operation.id}`));
      await shiftClock(database.ownerUrl, SETTLED);
      await Promise.all([old.ended, current.ended]);
      expect(liveKeysOf(operation)).toEqual([`Countersign ${operation.id}`]);
      const end = await look(second.core, operation);
      expect(end).toMatchObject({ state: 'failed', errorCode: 'effect_unsure' });
      expect(end.errorMessage).toContain(`Revoke “Countersign ${operation.id}” in the shop's list of keys`);
    },
    3 * RUN_MS,
  );

  /** A worker died between its intent and its click. */
  async function diedBeforeTheClick() {
    const operation = await queued();
    const { customerId, id: operationId } = operation;
    const lease = await takeLease(second.core, { customerId, operationId }, new AbortController().signal);
    if (!lease) throw new Error('the lease was not to be had');
    await second.core.database.withCustomer(customerId, (tx) =>
      writeIntent(tx, second.core.audit, operation, 9, operation.plan.label, lease.fence),
    );
    lease.release();
    return operation;
  }

  const listReads = () => shop.requests.filter(({ path }) => path.endsWith('section=keys')).length;

  test(
    'waits until nobody can make that key any more, looks again, and then makes the only one',
    async () => {
      const operation = await diedBeforeTheClick();
      const run = started(second.run(operation));
      await until(() => isWaitingOr(run));
      expect(await kinds(second.core, operation)).not.toContain('intent.settled');
      const readBefore = listReads();
      await shiftClock(database.ownerUrl, SETTLED);
      await run.ended;
      expect(listReads()).toBeGreaterThan(readBefore + 1);
      expect(liveKeysOf(operation)).toEqual([`Countersign ${operation.id} 2`]);
      const [written, settled] = (await trail(second.core, operation)).filter(({ kind }) => kind.startsWith('intent.'));
      expect((settled?.at.getTime() ?? 0) - (written?.at.getTime() ?? 0)).toBeGreaterThanOrEqual(65_000);
      expect((await look(second.core, operation)).state).toBe('completed');
    },
    3 * RUN_MS,
  );

  test(
    'stops waiting at a cancellation, within two seconds',
    async () => {
      const operation = await diedBeforeTheClick();
      const run = started(second.run(operation));
      await until(() => isWaitingOr(run));
      const { customerId, id: operationId } = operation;
      await second.core.database.withCustomer(customerId, (tx) =>
        second.core.mover.move(tx, customerId, {
          operationId,
          from: ['in_progress'],
          to: 'cancelled',
          entry: { kind: 'operation.cancelled' },
        }),
      );
      const cancelledAt = performance.now();
      await run.ended;
      expect(performance.now() - cancelledAt).toBeLessThan(4_000); // two seconds, and the browser's end
      expect(run.problem).toBeUndefined();
      expect(liveKeysOf(operation)).toEqual([]);
    },
    2 * RUN_MS,
  );
});
