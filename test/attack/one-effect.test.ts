import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { resultCard } from '../../bot/cards/result-card.ts';
import type { Transaction } from '../../core/database.ts';
import { CountersignError } from '../../core/errors.ts';
import { effectState, keepResult, settleIntent, writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { type Lease, takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Stopped } from '../../core/operations/stopped.ts';
import { Secret } from '../../core/secret.ts';
import {
  type Core,
  installShop,
  kinds,
  look,
  noSecrets,
  openCore,
  patiently,
  queuedOperation,
  type Shop,
  sql,
  trail,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { openPostgresRelay, type PostgresRelay } from '../support/postgres-relay.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
const leases: Lease[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterEach(() => {
  for (const lease of leases.splice(0)) lease.release();
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const jobOf = ({ customerId, id }: Operation) => ({ customerId, operationId: id });
const never = new AbortController().signal;

async function take(operation: Operation, signal = never): Promise<Lease | undefined> {
  const lease = await takeLease(core, jobOf(operation), signal);
  if (lease) leases.push(lease);
  return lease;
}

async function taken(operation: Operation): Promise<Lease> {
  const lease = await take(operation);
  if (!lease) throw new Error('the lease was not to be had');
  return lease;
}

const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);

const held = (lease: Lease) =>
  inside((tx) => lease.hold(tx)).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Stopped && error.why === 'moved') return false;
      throw error;
    },
  );

const cancel = (operation: Operation) =>
  inside((tx) =>
    core.mover.move(tx, shop.customerId, {
      operationId: operation.id,
      from: ['queued', 'in_progress'],
      to: 'cancelled',
      entry: { kind: 'operation.cancelled' },
    }),
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
    ['a cancellation', 'moved', cancel],
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
    leases.push(lease);
    return lease;
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

describe('55 one effect', () => {
  test('goes fresh, uncertain, absent, fresh under another label, done; and no label twice', async () => {
    const operation = await queuedOperation(core, shop);
    const first = await taken(operation);
    const state = () => inside((tx) => effectState(tx, operation));
    const { id } = operation;
    expect(await state()).toEqual({ kind: 'fresh', label: `Countersign ${id}`, attempt: 1 });
    await inside((tx) => writeIntent(tx, core.audit, operation, 9, `Countersign ${id}`, first.fence));
    const open = await state();
    if (open.kind !== 'uncertain') throw new Error(`expected uncertain, got ${open.kind}`);
    const second = await taken(operation);
    const again = inside((tx) => writeIntent(tx, core.audit, operation, 9, `Countersign ${id}`, second.fence));
    await expect(again).rejects.toThrow(/[Uu]nique|23505/);
    await inside((tx) => settleIntent(tx, core.audit, open.intent, operation, 'absent'));
    expect(await state()).toEqual({ kind: 'fresh', label: `Countersign ${id} 2`, attempt: 2 });
    await inside((tx) => writeIntent(tx, core.audit, operation, 9, `Countersign ${id} 2`, second.fence));
    const fields = { consumer_key: new Secret('ck_0123456789abcdef'), consumer_secret: new Secret('cs_1') };
    const kept = await inside((tx) =>
      keepResult(tx, core, operation, { step: 9, fence: second.fence, label: `Countersign ${id} 2`, fields }),
    );
    expect(await state()).toEqual({ kind: 'done', label: `Countersign ${id} 2` });
    expect(kept.metadata).toEqual({ operationId: id, label: `Countersign ${id} 2`, lastFour: 'cdef' });
    expect((await kinds(core, operation)).slice(-6)).toEqual([
      ...['operation.started', 'intent.written', 'operation.taken_over'],
      ...['intent.settled', 'intent.written', 'credential.stored'],
    ]);
  });

  test('the key and the end of its intent are one transaction', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    await inside((tx) => writeIntent(tx, core.audit, operation, 9, operation.plan.label, lease.fence));
    const crashed = inside(async (tx) => {
      await keepResult(tx, core, operation, {
        step: 9,
        fence: lease.fence,
        label: operation.plan.label,
        fields: { k: new Secret('x') },
      });
      throw new Error('crash before the commit');
    });
    await expect(crashed).rejects.toThrow('crash');
    expect(await inside((tx) => effectState(tx, operation))).toMatchObject({ kind: 'uncertain' });
    expect(await inside((tx) => core.vault.within(tx).resultOf(shop.customerId, operation.id))).toBeNull();
  });

  test('that nobody saw the end of stays uncertain until somebody looked', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    await inside((tx) => writeIntent(tx, core.audit, operation, 9, operation.plan.label, lease.fence));
    const open = await inside((tx) => effectState(tx, operation));
    if (open.kind !== 'uncertain') throw new Error(`expected uncertain, got ${open.kind}`);
    await inside((tx) => settleIntent(tx, core.audit, open.intent, operation, 'uncertain'));
    expect(await inside((tx) => effectState(tx, operation))).toMatchObject({
      kind: 'uncertain',
      intent: { state: 'uncertain' },
    });
  });
});

describe('a key that was read from the page', () => {
  const key = { consumer_key: new Secret('ck_0123456789abcdef') };
  const keep = (lease: Lease, label: string) =>
    inside(async (tx) => {
      await lease.holdToKeep(tx);
      return keepResult(tx, core, lease.operation, { step: 9, fence: lease.fence, label, fields: key });
    });
  const intend = (lease: Lease, label: string) =>
    inside((tx) => writeIntent(tx, core.audit, lease.operation, 9, label, lease.fence));
  const record = { entries: 1, seq: 1n, hash: '', isIntact: true };

  test('is stored although somebody stopped the operation meanwhile, and the thread says what it is', async () => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    await intend(lease, operation.plan.label);
    await cancel(operation);
    await expect(lease.guard('create_api_key')).rejects.toMatchObject({ why: 'moved' });
    await keep(lease, operation.plan.label);
    const now = await look(core, operation);
    expect([now.state, now.intent?.state]).toEqual(['cancelled', 'done']);
    expect((await kinds(core, operation)).slice(-2)).toEqual(['operation.cancelled', 'credential.stored']);
    const stored = await inside((tx) => core.vault.within(tx).resultOf(shop.customerId, operation.id));
    expect(stored?.metadata).toMatchObject({ label: operation.plan.label });
    const words = JSON.stringify(resultCard(now, record));
    expect(words).toContain(`The new key “${operation.plan.label}” lies in the vault, but it was not proven to work.`);
    expect(words).toContain('"action":"revoke"');
    expect(words).not.toContain('may have been made');
  });

  test.each(['paused', 'waiting_for_human', 'failed'] as const)('is stored while the operation is %s', async (to) => {
    const operation = await queuedOperation(core, shop);
    const lease = await taken(operation);
    await intend(lease, operation.plan.label);
    const entry = { kind: 'operation.failed' } as const;
    await inside((tx) =>
      core.mover.move(tx, shop.customerId, { operationId: operation.id, from: ['in_progress'], to, entry }),
    );
    await keep(lease, operation.plan.label);
    expect(await inside((tx) => effectState(tx, operation))).toMatchObject({ kind: 'done' });
  });

  test('is not stored by a worker whose operation another one took, stopped or not', async () => {
    const operation = await queuedOperation(core, shop);
    const old = await taken(operation);
    await intend(old, operation.plan.label);
    await taken(operation);
    await expect(keep(old, operation.plan.label)).rejects.toMatchObject({ why: 'moved' });
    await cancel(operation);
    await expect(keep(old, operation.plan.label)).rejects.toMatchObject({ why: 'moved' });
    expect(await inside((tx) => core.vault.within(tx).resultOf(shop.customerId, operation.id))).toBeNull();
  });

  test('for the same shop twice at once is stored twice, and the later one names the one that it replaced', async () => {
    const target = { base: 'https://twice.example.com', origin: 'https://twice.example.com' };
    const operations = [await queuedOperation(core, shop, target), await queuedOperation(core, shop, target)] as const;
    const [first, second] = [await taken(operations[0]), await taken(operations[1])];
    const labelOf = ({ operation }: Lease) => operation.plan.label;
    await intend(first, labelOf(first));
    await intend(second, labelOf(second));
    let later: ReturnType<typeof keep> | undefined;
    await inside(async (tx) => {
      await first.holdToKeep(tx);
      await keepResult(tx, core, first.operation, { step: 9, fence: first.fence, label: labelOf(first), fields: key });
      later = keep(second, labelOf(second));
      later.catch(() => {}); // looked at below
      await untilBlocked(testDatabase, later);
    });
    expect((await later)?.metadata).toMatchObject({ label: labelOf(second), replaced: labelOf(first) });

    const works = { kind: 'completed', verified: { kind: 'works', checked: 'answered 200', method: 'rest' } } as const;
    await endOperation(core, first, works, noSecrets);
    await endOperation(core, second, works, noSecrets);
    const [one, two] = [await look(core, operations[0]), await look(core, operations[1])];
    expect(one.result?.data).toMatchObject({ label: labelOf(first), lastFour: 'cdef', replacedBy: two.id });
    expect(two.result?.data).toMatchObject({ label: labelOf(second), replaced: labelOf(first) });
    expect(two.result?.data.replacedBy).toBeUndefined();
    expect(JSON.stringify(resultCard(one, record))).toContain(`replaced by the key of ${two.id}`);
    const deleted = (await trail(core, operations[0])).find(({ kind }) => kind === 'credential.deleted');
    expect(deleted?.payload).toMatchObject({ replacedBy: two.id });
  });

  test('for one shop by ten at once ends in ten true states and one key', async () => {
    const target = { base: 'https://ten.example.com', origin: 'https://ten.example.com' };
    const leases: Lease[] = [];
    for (let n = 0; n < 10; n++) leases.push(await taken(await queuedOperation(core, shop, target)));
    for (const lease of leases) await intend(lease, lease.operation.plan.label);
    await Promise.all(
      leases.map(async (lease) => {
        await keep(lease, lease.operation.plan.label);
        await endOperation(core, lease, { kind: 'failed', code: 'internal', words: 'not checked' }, noSecrets);
      }),
    );
    const ended = await Promise.all(leases.map(({ operation }) => look(core, operation)));
    const inVault = ended.filter(({ result }) => result?.data.replacedBy === undefined);
    expect(inVault).toHaveLength(1);
    const [owner] = inVault;
    const stored = owner && (await inside((tx) => core.vault.within(tx).resultOf(shop.customerId, owner.id)));
    expect(stored?.metadata.label).toBe(owner?.plan.label);
    for (const operation of ended.filter((each) => each !== owner))
      expect(JSON.stringify(resultCard(operation, record))).toMatch(/the key of op-\w{8} has taken its place/);
  });
});
