/** A customer whose operations people stop, pause, have go on and try again: in each state, and under a worker. */
import { afterAll, beforeAll } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { ask } from '../../core/operations/questions.ts';
import type { OperationState } from '../../core/operations/states.ts';
import type { EventRef } from '../../core/ports/chat.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from './core.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

export let testDatabase: TestDatabase;
export let core: Core;
export let shop: Shop;
let clicks = 0;

/** Opens all of this for the file that calls it. */
export function openControlled(): void {
  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    core = await openCore(testDatabase);
    shop = await installShop(core);
  });

  afterAll(async () => {
    await core.close();
    await testDatabase.drop();
  });
}

export const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(shop.customerId, work);
export const never = new AbortController().signal;
export const jobOf = ({ customerId, id }: Operation) => ({ customerId, operationId: id });
export const wish = ({ id }: { readonly id: string }, by: Member = shop.merchant, event?: EventRef) => ({
  ...{ operationId: id, by },
  ...(event ? { event } : {}),
});
export const aClick = (): EventRef => ({ platform: 'web', id: `click ${clicks++}` });
export const cancel = (operation: Operation, by?: Member) => core.control.cancel(shop.customerId, wish(operation, by));
export const pause = (operation: Operation, by?: Member) => core.control.pause(shop.customerId, wish(operation, by));
export const resume = (operation: Operation, by?: Member) => core.control.resume(shop.customerId, wish(operation, by));
export const retry = (operation: Operation, by?: Member) =>
  core.control.retry(shop.customerId, { ...wish(operation, by), threadId: shop.threadId });
/** How many jobs of an operation somebody has still to do. */
export async function jobsOf({ id }: Operation): Promise<number> {
  const rows = await sql(
    testDatabase.adminUrl,
    `SELECT id FROM pgboss.job WHERE name = 'operations' AND data->>'operationId' = $1 AND state < 'completed'`,
    [id],
  );
  return rows.length;
}

/** With a worker that holds it, whose timer is off. */
export async function running(): Promise<{
  operation: Operation;
  lease: NonNullable<Awaited<ReturnType<typeof takeLease>>>;
}> {
  const operation = await queuedOperation(core, shop);
  const lease = await takeLease(core, jobOf(operation), never);
  if (!lease) throw new Error('the lease was not to be had');
  lease.release();
  return { operation: await look(core, operation), lease };
}

export async function waiting(): Promise<Operation> {
  const { operation } = await running();
  await inside(async (tx) => {
    await ask(tx, core, operation, { step: 3, kind: 'help', words: 'Look at this.', screenshotId: null });
    await core.mover.move(tx, shop.customerId, {
      ...{ operationId: operation.id, from: ['in_progress'], to: 'waiting_for_human' },
      entry: { kind: 'question.asked', stepNumber: 3 },
    });
  });
  return look(core, operation);
}

export async function paused(by?: Member): Promise<Operation> {
  const { operation } = await running();
  await pause(operation, by);
  return look(core, operation);
}

/** An operation in each state that is no end. */
export const inState: Partial<Record<OperationState, () => Promise<Operation>>> = {
  awaiting_consent: () => requestOperation(core, shop),
  awaiting_credentials: () => grantedOperation(core, shop),
  queued: () => queuedOperation(core, shop),
  in_progress: async () => (await running()).operation,
  waiting_for_human: waiting,
  paused,
};
