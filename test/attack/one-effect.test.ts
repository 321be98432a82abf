import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { resultCard } from '../../bot/cards/result-card.ts';
import type { Transaction } from '../../core/database.ts';
import { effectState, keepResult, settleIntent, writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import type { Lease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
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
  trail,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createLeases, type Leases } from '../support/leases.ts';

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

const taken = (operation: Operation) => leases.taken(operation);
const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);

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
    await cancel(core, operation);
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
    await cancel(core, operation);
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
