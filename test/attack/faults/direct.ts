import { randomUUID } from 'node:crypto';
import type { Member } from '../../../core/customers/customers.ts';
import { storeEntered } from '../../../core/operations/entered.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import { defaultPermissions } from '../../../core/services/ways.ts';
import { woocommerce } from '../../../core/services/woocommerce/index.ts';
import { personOf, threadOf } from './chat-server.ts';
import type { Asked, Lane, World } from './world.ts';

/**
 * Operations past the chat, for thousands of them: the same calls of the core that the bot makes. Its sign-in lies in the
 * vault before anybody approves, so that the approval itself sends the job.
 */
export async function requestDirectly({ foundation }: World, lane: Lane): Promise<Requested> {
  const { database, customers, threads, operations, vault } = foundation;
  const { customerId, workspaceId, shop } = lane;
  const thread = `t-${randomUUID()}`;
  const { merchant, approver, threadId } = await database.withCustomer(customerId, async (tx) => ({
    merchant: await customers.member(tx, customerId, personOf(workspaceId, 'merchant')),
    approver: await customers.member(tx, customerId, personOf(workspaceId, 'approver')),
    threadId: (await threads.open(tx, customerId, threadOf(workspaceId, thread))).id,
  }));
  const type = woocommerce.operationTypes.api_key_generation;
  const operation = await operations.request(customerId, {
    ...{ threadId, requester: merchant, service: woocommerce, type },
    ...{ origin: shop.origin, base: shop.origin, permissions: defaultPermissions(type) },
  });
  if (!operation || 'tooSoon' in operation || 'closed' in operation) throw new Error('the request was not taken');
  await database.withCustomer(customerId, async (tx) => {
    const signIn = { admin_username: shop.username, admin_password: shop.password };
    await storeEntered(tx, vault, operation, signIn);
  });
  return { asked: { lane, thread, id: operation.id }, operation, approver };
}

export interface Requested {
  readonly asked: Asked;
  readonly operation: Operation;
  readonly approver: Member;
}

/** The countersignature, and with it the job. */
export async function approveDirectly({ foundation }: World, { operation, approver }: Requested): Promise<void> {
  const { customerId, id: operationId, planHash } = operation;
  const click = { operationId, planHash, by: approver, method: 'web' } as const;
  const decision = await foundation.consents.grant(customerId, click);
  if (decision.kind !== 'granted' || decision.next !== 'queued')
    throw new Error(`${operationId} was not queued: ${decision.kind}`);
}
