import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertQuestion } from '../../core/consent/records.ts';
import { setWork } from '../../core/customers/settings.ts';
import type { Transaction } from '../../core/database.ts';
import { type OperationId, parseOperationId } from '../../core/ids.ts';
import type { Move } from '../../core/operations/move.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { planHash, planText } from '../../core/operations/plan.ts';
import { isEnd, isLegalMove, type OperationState, STATES } from '../../core/operations/states.ts';
import type { ThreadRef } from '../../core/ports/chat.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  kinds,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  trail,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);
const entry = { kind: 'operation.cancelled' } as const;
const move = (operation: Operation, changes: Pick<Move, 'from' | 'to'> & Partial<Move>) =>
  inside((tx) => core.mover.move(tx, shop.customerId, { operationId: operation.id, entry, ...changes }));

/** Rolls everything back and says what the work came to. */
async function undone<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  let result: { value: T } | undefined;
  const rollback = new Error('undo');
  await inside(async (tx) => {
    result = { value: await work(tx) };
    throw rollback;
  }).catch((error: unknown) => {
    if (error !== rollback) throw error;
  });
  if (!result) throw rollback;
  return result.value;
}

describe('a request', () => {
  test('waits for a countersignature, with its plan, its steps and fifteen minutes to answer', async () => {
    const operation = await requestOperation(core, shop);
    expect(operation).toMatchObject({
      state: 'awaiting_consent',
      fence: 0n,
      threadId: shop.threadId,
      requester: { id: shop.merchant.id },
      request: { decision: null, planHash: operation.planHash },
      grant: null,
      result: null,
    });
    expect(operation.planHash).toBe(planHash(operation.plan));
    expect(operation.plan.operationId).toBe(operation.id);
    expect(operation.steps.map(({ number, state, intent }) => ({ order: number, state, intent }))).toEqual(
      operation.plan.steps.map(({ order, intent }) => ({ order, state: 'waiting', intent })),
    );
    const { askedAt, expiresAt } = operation.request ?? {};
    expect((expiresAt?.getTime() ?? 0) - (askedAt?.getTime() ?? 0)).toBe(15 * 60_000);
    expect(await kinds(core, operation)).toEqual(['operation.requested', 'plan.made', 'consent.requested']);
    const [row] = await sql<{ plan: string }>(
      testDatabase.adminUrl,
      'SELECT plan FROM autonomous_operations WHERE id = $1',
      [operation.id],
    );
    expect(row?.plan).toBe(planText(operation.plan));
  });

  test('names the earlier one that asks for the same and is not over, and no other', async () => {
    const base = 'https://twice.example.com';
    const about = { origin: base, base };
    const first = await requestOperation(core, shop, about);
    const second = await requestOperation(core, shop, about);
    const elsewhere = await requestOperation(core, shop, {
      origin: 'https://once.example.com',
      base: 'https://once.example.com',
    });
    expect([first.twin, second.twin, elsewhere.twin]).toEqual([null, first.id, null]);
    expect((await look(core, first)).twin).toBeNull();
    await move(first, { from: ['awaiting_consent'], to: 'cancelled' });
    expect((await look(core, second)).twin).toBeNull();
  });

  test('is whole or not there: an unknown thread leaves nothing behind', async () => {
    const before = await sql(testDatabase.adminUrl, 'SELECT id FROM autonomous_operations');
    const jobs = await sql(testDatabase.adminUrl, 'SELECT id FROM pgboss.job');
    await expect(requestOperation(core, shop, { threadId: shop.merchant.id })).rejects.toMatchObject({ code: 'P2003' });
    expect(await sql(testDatabase.adminUrl, 'SELECT id FROM autonomous_operations')).toEqual(before);
    expect(await sql(testDatabase.adminUrl, 'SELECT id FROM pgboss.job')).toEqual(jobs);
  });

  test('can not be made for another customer, or by a member of one', async () => {
    const stranger = await installShop(core);
    await expect(requestOperation(core, shop, { requester: stranger.merchant })).rejects.toMatchObject({
      code: 'P2003',
    });
    await expect(requestOperation(core, shop, { threadId: stranger.threadId })).rejects.toMatchObject({
      code: 'P2003',
    });
  });

  test('is found by its id, its thread and its time, and by nobody else', async () => {
    const own = await installShop(core);
    const made: string[] = [];
    for (let n = 0; n < 3; n++) made.push((await requestOperation(core, own)).id);
    const foreign = await requestOperation(core, shop);
    await core.database.withCustomer(own.customerId, async (tx) => {
      const ids = (operations: readonly Operation[]) => operations.map(({ id }) => id);
      const ofThread = async (options?: { since: bigint }) =>
        ids(await core.operations.ofThread(tx, own.customerId, own.threadId, options));
      expect(await ofThread()).toEqual(made);
      // Of those that are over, the ones alone that an entry is about which the thread has not shown.
      const over = parseOperationId(made[1] ?? '') as OperationId;
      const entry = { kind: 'operation.cancelled' } as const;
      const by = { operationId: over, from: ['awaiting_consent'], to: 'cancelled', entry } as const;
      await core.mover.move(tx, own.customerId, by);
      const { seq } = await tx.auditHead.findUniqueOrThrow({ where: { customerId: own.customerId } });
      expect(await ofThread({ since: seq - 1n })).toEqual(made);
      expect(await ofThread({ since: seq })).toEqual(made.filter((id) => id !== over));
      expect(ids(await core.operations.latest(tx, own.customerId, 2))).toEqual([...made].reverse().slice(0, 2));
      expect((await core.operations.get(tx, own.customerId, made[1] ?? ''))?.id).toBe(made[1]);
      for (const id of [foreign.id, 'op-00000000', '', "op-' OR true --"])
        expect(await core.operations.get(tx, own.customerId, id), id).toBeUndefined();
      expect(await core.operations.get(tx, shop.customerId, foreign.id)).toBeUndefined();
    });
  });

  test.each([
    { installation: 3, own: 1 },
    { installation: 1, own: 3 },
  ])('counts against the lower limit of both: $installation and $own an hour', async ({ installation, own }) => {
    const limited = await openCore(testDatabase, { perHour: installation });
    try {
      const asking = await installShop(limited);
      const settings = { isGuideOnly: false, operationsPerHour: own, allowedTargets: [], allowedChannels: [] };
      await limited.database.withCustomer(asking.customerId, (tx) => setWork(tx, asking.customerId, settings));
      await requestOperation(limited, asking);
      await expect(requestOperation(limited, asking)).rejects.toThrow('comes too soon');
    } finally {
      await limited.close();
    }
  });

  test('has an id that people can type', async () => {
    const { id } = await requestOperation(core, shop);
    expect(id).toMatch(/^op-[2-9a-hjkmnp-z]{8}$/);
    expect(parseOperationId(`  ${id.toUpperCase()} `)).toBe(id);
    for (const word of ['op-1234567', 'op-123456789', 'op 12345678', 'op-1234567ä', ''])
      expect(parseOperationId(word), word).toBeUndefined();
  });
});

describe('the customer’s switch for the model', () => {
  test('is what the next plan says, and plans that wait for approval are made anew to say it', async () => {
    const asking = await openCore(testDatabase, { hasPageModel: true });
    const own = await installShop(asking);
    const within = <T>(work: (tx: Transaction) => Promise<T>) => asking.database.withCustomer(own.customerId, work);
    const switchTo = (isAllowed: boolean) =>
      within(async (tx) => {
        const isNew = await asking.customers.setModel(tx, own.customerId, isAllowed);
        if (isNew) await asking.operations.replan(tx, own.customerId, own.admin);
        return isNew;
      });
    try {
      const [waits, granted] = [await requestOperation(asking, own), await grantedOperation(asking, own)];
      expect([waits.plan.asksModel, granted.plan.asksModel]).toEqual([true, true]);
      expect([await switchTo(false), await switchTo(false)]).toEqual([true, false]);
      const after = await look(asking, waits);
      expect(after.plan.asksModel).toBeUndefined();
      expect(after.planHash).not.toBe(waits.planHash);
      expect((await look(asking, granted)).planHash).toBe(granted.planHash);
      expect((await requestOperation(asking, own)).plan.asksModel).toBeUndefined();
      const old = { operationId: waits.id, planHash: waits.planHash, by: own.approver, method: 'web' } as const;
      expect(await asking.consents.grant(own.customerId, old)).toMatchObject({ kind: 'stale' });
      expect(await switchTo(true)).toBe(true);
      expect((await look(asking, waits)).plan.asksModel).toBe(true);
    } finally {
      await asking.close();
    }
  });
});

describe('a move', () => {
  test('takes the next fence number and is on record in the same transaction', async () => {
    const operation = await grantedOperation(core, shop);
    const before = await kinds(core, operation);
    const to = {
      from: ['awaiting_credentials'],
      to: 'queued',
      fence: operation.fence,
      entry: { kind: 'operation.queued', actor: shop.admin.id },
    } as const;
    const rolledBack = inside(async (tx) => {
      await core.mover.move(tx, shop.customerId, { operationId: operation.id, ...to });
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await look(core, operation)).toMatchObject({ state: 'awaiting_credentials', fence: operation.fence });
    expect(await kinds(core, operation)).toEqual(before);
    expect(await move(operation, to)).toBe(operation.fence + 1n);
    expect(await look(core, operation)).toMatchObject({ state: 'queued', fence: operation.fence + 1n });
    expect((await trail(core, operation)).at(-1)).toMatchObject({ kind: 'operation.queued', actor: shop.admin.id });
  });

  test('whose entry can not be written does not happen', async () => {
    const operation = await grantedOperation(core, shop);
    const broken = {
      from: ['awaiting_credentials'],
      to: 'cancelled',
      entry: { ...entry, durationMs: Number.NaN },
    } as const;
    await expect(move(operation, broken)).rejects.toThrow();
    expect(await look(core, operation)).toMatchObject({ state: 'awaiting_credentials', fence: operation.fence });
  });

  test('from another state, with another fence, or of an unknown operation changes nothing', async () => {
    const operation = await queuedOperation(core, shop);
    const before = [await look(core, operation), await kinds(core, operation)];
    expect(await move(operation, { from: ['awaiting_consent'], to: 'cancelled' })).toBeUndefined();
    expect(await move(operation, { from: [], to: 'cancelled' })).toBeUndefined();
    for (const fence of [operation.fence - 1n, operation.fence + 1n, 0n])
      expect(await move(operation, { from: ['queued'], to: 'cancelled', fence })).toBeUndefined();
    const unknown = parseOperationId('op-00000000');
    expect(
      unknown && (await move(operation, { from: ['queued'], to: 'cancelled', operationId: unknown })),
    ).toBeUndefined();
    const stranger = await installShop(core);
    const foreign = core.database.withCustomer(stranger.customerId, (tx) =>
      core.mover.move(tx, stranger.customerId, { operationId: operation.id, from: ['queued'], to: 'cancelled', entry }),
    );
    expect(await foreign).toBeUndefined();
    expect([await look(core, operation), await kinds(core, operation)]).toEqual(before);
  });

  test('of twenty at once happens once', async () => {
    const operation = await queuedOperation(core, shop);
    const moves = Array.from({ length: 20 }, () =>
      move(operation, { from: ['queued'], to: 'paused', entry: { kind: 'operation.queued' } }),
    );
    const fences = (await Promise.all(moves)).filter((fence) => fence !== undefined);
    expect(fences).toEqual([operation.fence + 1n]);
  });

  test('between every pair of states goes by the table, and an illegal one changes nothing', async () => {
    const operation = await queuedOperation(core, shop);
    for (const from of STATES)
      for (const to of STATES) {
        const seen = await undone(async (tx) => {
          await tx.operation.updateMany({ where: { id: operation.id }, data: { status: from } });
          const fence = await core.mover.move(tx, shop.customerId, {
            operationId: operation.id,
            from: [from],
            to,
            entry,
          });
          const row = await tx.operation.findFirstOrThrow({ where: { id: operation.id } });
          return { fence, status: row.status, isOver: row.completedAt !== null };
        });
        const moved = { fence: operation.fence + 1n, status: to, isOver: isEnd(to) };
        const stayed = { fence: undefined, status: from, isOver: false };
        expect(seen, `${from} to ${to}`).toEqual(isLegalMove(from, to) ? moved : stayed);
      }
  });

  test('to an end leaves no open question', async () => {
    const decisions: Partial<Record<OperationState, string>> = {
      denied: 'denied',
      expired: 'expired',
      cancelled: 'cancelled',
      failed: 'cancelled',
    };
    for (const [to, decision] of Object.entries(decisions)) {
      const operation = await requestOperation(core, shop);
      // The keys are states, as the annotation says.
      await move(operation, { from: ['awaiting_consent'], to: to as OperationState });
      expect(await look(core, operation)).toMatchObject({
        state: to,
        request: { decision },
        completedAt: expect.any(Date),
      });
    }
  });
});

test('the database knows the same states, and has one open question an operation', async () => {
  const [check] = await sql<{ def: string }>(
    testDatabase.adminUrl,
    "SELECT pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE conname = 'valid_status'",
  );
  const known = [...(check?.def ?? '').matchAll(/'(\w+)'::/g)].map(([, state]) => state);
  expect(known.sort()).toEqual([...STATES].sort());
  const operation = await requestOperation(core, shop);
  const second = inside((tx) =>
    insertQuestion(tx, core.database, shop.customerId, {
      operationId: operation.id,
      planHash: operation.planHash,
      askedBy: shop.merchant.id,
      askedAt: new Date(),
      expiresAt: new Date(),
    }),
  );
  await expect(second).rejects.toThrow(/[Uu]nique/);
});

describe('a thread', () => {
  const thread = (ref: string): ThreadRef => ({ platform: 'web', workspaceId: shop.workspaceId, ref });

  test('is one row, however often and from wherever it is opened', async () => {
    const opened = await Promise.all(
      Array.from({ length: 8 }, () => inside((tx) => core.threads.open(tx, shop.customerId, thread('t1')))),
    );
    expect(new Set(opened.map(({ id }) => id)).size).toBe(1);
    expect(opened[0]).toMatchObject({ ref: thread('t1'), awaiting: undefined, lastSeq: 0n, cursor: 0n });
    const found = await inside((tx) => core.threads.get(tx, shop.customerId, opened[0]?.id ?? ''));
    expect(found).toEqual(opened[0]);
  });

  test('is behind from the first entry about it until it has shown the last; its cursor never goes back', async () => {
    const own = await installShop(core);
    const within = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(own.customerId, work);
    const behind = () => within((tx) => core.threads.behind(tx, own.customerId));
    expect(await behind()).toEqual([]);
    expect(await core.directory.customersBehind()).not.toContain(own.customerId);
    await requestOperation(core, own);
    expect(await behind()).toMatchObject([{ id: own.threadId, lastSeq: 3n, cursor: 0n }]);
    expect(await core.directory.customersBehind()).toContain(own.customerId);
    for (const [cursor, left] of [
      [2n, 1],
      [1n, 1],
      [3n, 0],
      [2n, 0],
    ] as const) {
      await within((tx) => core.threads.advance(tx, own.customerId, own.threadId, cursor));
      expect(await behind(), String(cursor)).toHaveLength(left);
    }
    expect(await core.directory.customersBehind()).not.toContain(own.customerId);
  });

  test('remembers what a request lacks, and which messages stand in it', async () => {
    const { customerId } = shop;
    const awaiting = {
      memberId: shop.merchant.id,
      service: 'woocommerce',
      wantsWrite: true,
      askedAt: new Date().toISOString(),
    };
    await inside(async (tx) => {
      const opened = await core.threads.open(tx, customerId, thread('t2'));
      await core.threads.setAwaiting(tx, customerId, opened.id, awaiting);
      expect((await core.threads.get(tx, customerId, opened.id))?.awaiting).toEqual(awaiting);
      await core.threads.setAwaiting(tx, customerId, opened.id, undefined);
      expect((await core.threads.get(tx, customerId, opened.id))?.awaiting).toBeUndefined();
      expect(await core.threads.messages(tx, customerId, opened, ['consent'])).toEqual(new Map());
      for (const shown of ['a', 'b']) {
        const ref = { thread: opened.ref, ref: `m-${shown}` };
        await core.threads.keepMessage(tx, customerId, opened, 'consent', ref, shown);
        expect(await core.threads.messages(tx, customerId, opened, ['consent', 'other'])).toEqual(
          new Map([['consent', { ref, shown }]]),
        );
      }
    });
  });
});
