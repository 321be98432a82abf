import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Transaction } from '../../core/database.ts';
import { CountersignError } from '../../core/errors.ts';
import { effectState, keepResult, writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { type Lease, takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Stopped } from '../../core/operations/stopped.ts';
import { Secret } from '../../core/secret.ts';
import {
  type Core,
  cancel,
  installShop,
  kinds,
  look,
  noSecrets,
  openCore,
  patiently,
  queuedOperation,
  type Shop,
  sql,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { createLeases, jobOf, type Leases, never } from '../support/leases.ts';
import { openPostgresRelay, type PostgresRelay } from '../support/postgres-relay.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let leases: Leases;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  leases = createLeases(core);
});

afterEach(() => leases.release());

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const take = (operation: Operation, signal?: AbortSignal) => leases.take(operation, signal);
const taken = (operation: Operation) => leases.taken(operation);
const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);

const held = (lease: Lease) =>
  inside((tx) => lease.hold(tx)).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Stopped && error.why === 'moved') return false;
      throw error;
    },
  );

const revoke = (operation: Operation) => inside((tx) => core.consents.revoke(tx, operation, shop.merchant));

describe('taking an operation', () => {
  test('starts it, under a new fence number', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    expect(lease.fence).toBe(operation.fence + 1n);
    const now = await look(core, operation);
    expect(now).toMatchObject({ state: 'in_progress', fence: lease.fence, startedAt: expect.any(Date) });
    expect((await kinds(core, operation)).at(-1)).toBe('operation.started');
    await expect(lease.guard('create_api_key')).resolves.toBeUndefined();
  });

  test('by twenty workers at once leaves one of them in charge', async () => {
    const operation = await queuedOperation(core, shop);
    const got = (await Promise.all(Array.from({ length: 20 }, () => take(operation)))).filter(
      (lease) => lease !== undefined,
    );
    expect(new Set(got.map(({ fence }) => fence)).size).toBe(got.length);
    const inCharge = await Promise.all(got.map(held));
    expect(inCharge.filter(Boolean)).toHaveLength(1);
    const { fence } = await look(core, operation);
    expect(got.find((_, index) => inCharge[index])?.fence).toBe(fence);
    const starts = (await kinds(core, operation)).filter((kind) => kind === 'operation.started');
    expect(starts).toHaveLength(1);
  });

  test('from a worker that died is on record, and keeps the time of the first start', async () => {
    const operation = await queuedOperation(core, shop);
    await taken(operation);
    const first = await look(core, operation);
    const second = await taken(operation);
    expect(second.fence).toBe(first.fence + 1n);
    expect((await kinds(core, operation)).slice(-2)).toEqual(['operation.started', 'operation.taken_over']);
    expect((await look(core, operation)).startedAt).toEqual(first.startedAt);
  });

  test.each(['completed', 'cancelled', 'failed', 'denied', 'expired'] as const)(
    'that is %s is nothing to do',
    async (to) => {
      const operation = await queuedOperation(core, shop);
      await taken(operation);
      await inside((tx) =>
        core.mover.move(tx, shop.customerId, {
          operationId: operation.id,
          from: ['in_progress'],
          to,
          entry: { kind: 'operation.cancelled' },
        }),
      );
      const before = await look(core, operation);
      expect(await take(operation)).toBeUndefined();
      expect(await look(core, operation)).toEqual(before);
    },
  );

  test('of nobody, or of another customer, is nothing to do', async () => {
    const operation = await queuedOperation(core, shop);
    const stranger = await installShop(core);
    expect(await takeLease(core, { ...jobOf(operation), customerId: stranger.customerId }, never)).toBeUndefined();
    expect((await look(core, operation)).state).toBe('queued');
  });

  test.each<[string, (operation: Operation) => Promise<unknown>]>([
    ['paused', (operation) => to(operation, 'paused')],
    [
      'waiting for a person',
      async (operation) => {
        await taken(operation);
        await to(operation, 'waiting_for_human');
      },
    ],
  ])('that is %s is refused: its job is an old one', async (_, make) => {
    const operation = await queuedOperation(core, shop);
    await make(operation);
    const before = await look(core, operation);
    expect(await take(operation)).toBeUndefined();
    expect(await look(core, operation)).toEqual(before);
  });

  function to(operation: Operation, state: 'paused' | 'waiting_for_human') {
    return inside((tx) =>
      core.mover.move(tx, shop.customerId, {
        operationId: operation.id,
        from: ['queued', 'in_progress'],
        to: state,
        entry: { kind: 'operation.queued' },
      }),
    );
  }
});

describe('56 a zombie with an old fence', () => {
  /** A worker that was frozen while another one took its operation. */
  async function zombie() {
    const operation = await queuedOperation(core, shop);
    const [old, current] = [await taken(operation), await taken(operation)];
    return { operation, old, current };
  }

  const rows = async ({ id }: Operation) => {
    const [row] = await sql(
      testDatabase.adminUrl,
      `SELECT o.*, (SELECT count(*) FROM operation_intents i WHERE i.operation_id = o.id) AS intents,
        (SELECT count(*) FROM autonomous_operations_audit a WHERE a.operation_id = o.id) AS entries,
        (SELECT count(*) FROM autonomous_credentials c WHERE c.operation_id = o.id) AS secrets,
        (SELECT jsonb_agg(s ORDER BY number) FROM operation_steps s WHERE s.operation_id = o.id) AS steps
      FROM autonomous_operations o WHERE id = $1`,
      [id],
    );
    return row;
  };

  test('may not act', async () => {
    const { old, current } = await zombie();
    await expect(old.guard('create_api_key')).rejects.toMatchObject({ why: 'moved' });
    await expect(current.guard('create_api_key')).resolves.toBeUndefined();
  });

  test('writes nothing: no intent, no key, no end', async () => {
    const { operation, old, current } = await zombie();
    const before = await rows(operation);
    const attempts: ((tx: Transaction) => Promise<unknown>)[] = [
      (tx) => writeIntent(tx, core.audit, operation, 9, operation.plan.label, old.fence),
      (tx) =>
        keepResult(tx, core, operation, {
          step: 9,
          fence: old.fence,
          label: 'x',
          fields: { consumer_key: new Secret('ck_x') },
        }),
    ];
    for (const attempt of attempts)
      await expect(
        inside(async (tx) => {
          await old.hold(tx);
          return attempt(tx);
        }),
      ).rejects.toMatchObject({ why: 'moved' });
    await expect(inside((tx) => old.holdToKeep(tx))).rejects.toMatchObject({ why: 'moved' });
    await endOperation(core, old, { kind: 'failed', code: 'internal', words: 'zombie' }, noSecrets);
    await endOperation(core, old, { kind: 'stopped', words: 'zombie' }, noSecrets);
    await endOperation(
      core,
      old,
      { kind: 'completed', verified: { kind: 'works', checked: '', method: '' } },
      noSecrets,
    );
    expect(await rows(operation)).toEqual(before);
    expect(await held(current)).toBe(true);
  });

  test('that got in first is waited for: whoever takes over sees what it wrote', async () => {
    const operation = await queuedOperation(core, shop);
    const old = await taken(operation);
    let takingOver: Promise<Lease> | undefined;
    await inside(async (tx) => {
      await old.hold(tx);
      takingOver = taken(operation);
      await untilBlocked(testDatabase, takingOver);
      await writeIntent(tx, core.audit, operation, 9, operation.plan.label, old.fence);
    });
    const current = await takingOver;
    expect(await inside((tx) => effectState(tx, operation))).toMatchObject({
      kind: 'uncertain',
      intent: { label: operation.plan.label },
    });
    expect((await kinds(core, operation)).slice(-2)).toEqual(['intent.written', 'operation.taken_over']);
    expect([await held(old), current && (await held(current))]).toEqual([false, true]);
  });

  test('hears of it within two seconds', async () => {
    const { old, current } = await zombie();
    await heard(old, 'moved');
    expect(current.signal.aborted).toBe(false);
  });
});

/**
 * Looks until the lease's signal is aborted, for this reason. Two seconds are the promise where a look takes no time to
 * speak of; on a computer that is busy with other things, the slowest look is taken off.
 */
async function heard(lease: Lease, why: string, since = Date.now()): Promise<void> {
  let slowestMs = 0;
  while (!lease.signal.aborted) {
    const begunAt = Date.now();
    await look(core, lease.operation);
    slowestMs = Math.max(slowestMs, Date.now() - begunAt);
  }
  expect(lease.signal.reason).toMatchObject({ why });
  expect(Date.now() - since - 2 * slowestMs).toBeLessThan(2_000);
}

describe('a run is stopped', () => {
  const stops: [string, string, (operation: Operation) => Promise<unknown>][] = [
    ['a revocation', 'consent', revoke],
    ['a cancellation', 'moved', (operation) => cancel(core, operation)],
  ];
  test.each(stops)(
    'by %s: the next action is refused, and the signal comes within two seconds',
    async (_, why, stop) => {
      const operation = await queuedOperation(core, shop);
      const lease = await taken(operation);
      await stop(operation);
      const since = Date.now();
      await expect(lease.guard('sign_in')).rejects.toMatchObject({ why });
      await heard(lease, why, since);
    },
  );

  test('by the end of its hour', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    await shiftClock(testDatabase.ownerUrl, '61 minutes');
    try {
      await expect(lease.guard('sign_in')).rejects.toMatchObject({
        why: 'consent',
        message: 'Consent required: Consent has expired',
      });
      await heard(lease, 'consent');
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-61 minutes');
    }
  });

  test('by a plan that was changed under it', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    const check = 'ALTER TABLE autonomous_operations DROP CONSTRAINT autonomous_operations_plan_hash_check';
    await sql(testDatabase.adminUrl, check, []); // an owner's doing: the program must see it by itself
    await sql(
      testDatabase.adminUrl,
      "UPDATE autonomous_operations SET plan = replace(plan, 'shop.example.com', 'evil.example.net') WHERE id = $1",
      [operation.id],
    );
    await expect(lease.guard('sign_in')).rejects.toMatchObject({ why: 'consent' });
    await heard(lease, 'consent');
  });

  test('by a state that was written by hand, under the same fence', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    await sql(testDatabase.adminUrl, "UPDATE autonomous_operations SET status = 'paused' WHERE id = $1", [
      operation.id,
    ]);
    await expect(lease.guard('sign_in')).rejects.toMatchObject({ why: 'moved' });
    expect(await held(lease)).toBe(false);
  });

  test('by the queue, through the signal that came with the job', async () => {
    const operation = await queuedOperation(core, shop);
    const job = new AbortController();
    const lease = await take(operation, job.signal);
    job.abort(new Error('taken away'));
    expect(lease?.signal.aborted).toBe(true);
  });

  test('at an action whose permission was not granted, and at that one alone', async () => {
    const lease = await taken(await queuedOperation(core, shop));
    await expect(lease.guard('write_shop')).rejects.toMatchObject({
      why: 'consent',
      message: 'Consent required: Permission write_shop was not granted',
    });
    await expect(lease.guard('sign_in')).resolves.toBeUndefined();
    expect(await held(lease)).toBe(true);
  });
});

describe('57 a worker that does not see PostgreSQL', () => {
  let relay: PostgresRelay;
  let remote: Core;

  beforeAll(async () => {
    relay = await openPostgresRelay(testDatabase.programUrl);
    remote = await openCore({ ...testDatabase, programUrl: relay.url });
  });

  afterEach(() => relay.mend());

  afterAll(async () => {
    await remote.close();
    await relay.close();
  });

  async function takenRemotely(): Promise<Lease> {
    const lease = await takeLease(remote, jobOf(await queuedOperation(core, shop)), never);
    if (!lease) throw new Error('the lease was not to be had');
    return leases.add(lease);
  }

  test('lets go of its operation after five seconds, as an outage that a later try may survive', async () => {
    const lease = await takenRemotely();
    await lease.guard('sign_in');
    relay.cut();
    const cutAt = performance.now();
    await new Promise((done) => lease.signal.addEventListener('abort', done));
    const tookMs = performance.now() - cutAt;
    expect(lease.signal.reason).toMatchObject({ code: 'database_unavailable', isRetryable: true });
    expect(() => lease.requireSight()).toThrow(CountersignError);
    expect(tookMs).toBeGreaterThan(4_000);
    expect(tookMs).toBeLessThan(8_000);
  });

  test('may not act after a freeze of as long, before any timer had its turn', async () => {
    const lease = await takenRemotely();
    await lease.guard('sign_in');
    expect(() => lease.requireSight()).not.toThrow();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_100); // the whole process stands still
    expect(() => lease.requireSight()).toThrow(CountersignError);
  });

  test('keeps its operation through a shorter outage', async () => {
    const lease = await takenRemotely();
    relay.cut();
    const asked = lease.guard('sign_in').catch(() => undefined);
    relay.mend();
    await asked;
    await patiently(() => lease.guard('sign_in'));
    expect(lease.signal.aborted).toBe(false);
    expect(() => lease.requireSight()).not.toThrow();
  });
});
