import { expect } from 'vitest';
import { SCOPES } from '../../core/customers/api-tokens.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { OperationId } from '../../core/ids.ts';
import { type Answer, type TestApi, tokenFor } from './api.ts';
import { type Core, installShop, type Shop } from './core.ts';

export const WOOCOMMERCE = { service: 'woocommerce', metadata: { storeUrl: 'shop.example.com' } };
export const SIGN_IN = { admin_username: 'mona', admin_password: 'correct horse battery' };

/** What a file of the API has open, once it has begun. */
interface Opened {
  readonly core: Core;
  readonly api: TestApi;
}

export interface Initiated {
  readonly operationId: OperationId;
  readonly planHash: string;
  readonly permissions: readonly string[];
  readonly consentAskedIn: string;
  readonly statusUrl: string;
}

/** Of a problem: its status and its code. */
export function code(answer: Answer): readonly unknown[] {
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  return [answer.status, answer.json().code];
}

/** Customers on the database of a test file, and what they ask of its API. */
export function apiShopOn(opened: () => Opened) {
  /** A customer with a token for each of its people. */
  async function openShop() {
    const shop = await installShop(opened().core);
    const of = async (member: Member) => (await tokenFor(opened().core, shop.customerId, SCOPES, member)).token;
    return {
      shop,
      merchant: await of(shop.merchant),
      approver: await of(shop.approver),
      second: await of(shop.secondApprover),
      admin: await of(shop.admin),
    };
  }

  async function initiate(token: string, body: object = WOOCOMMERCE): Promise<Initiated> {
    const answer = await opened().api.post('/initiate', token, body);
    expect([answer.status, answer.text]).toEqual([202, expect.stringContaining('operationId')]);
    return answer.json<Initiated>();
  }

  const grant = (token: string, { operationId, planHash }: Initiated, more: object = {}) =>
    opened().api.post('/consent', token, { action: 'grant', operationId, planHash, ...more });

  async function statusOf(token: string, id: string) {
    return (await opened().api.get(`/status/${id}`, token)).json<{
      status: string;
      currentStep: number;
      totalSteps: number;
    }>();
  }

  function read({ customerId }: Shop, id: string) {
    const { core } = opened();
    return core.database.withCustomer(customerId, async (tx) => {
      const operation = await core.operations.get(tx, customerId, id);
      if (!operation) throw new Error(`${id} is not there`);
      return operation;
    });
  }

  return { openShop, initiate, grant, statusOf, read };
}
