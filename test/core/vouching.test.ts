// Whoever countersigned is asked about once more when the work begins: core/operations/vouching.ts.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Transaction } from '../../core/database.ts';
import { notVouchedFor } from '../../core/operations/vouching.ts';
import type { Standing } from '../../core/ports/chat.ts';
import {
  type Core,
  grant,
  grantedOperation,
  installShop,
  look,
  openCore,
  requestOperation,
  type Shop,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

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

const GONE = /^Abel, who approved this, may not approve any more/;
const member = (isInGroup = false): Standing => ({ kind: 'member', isInGroup });
async function ask(identify: (group?: string) => Promise<Standing>) {
  const operation = await grantedOperation(core, shop);
  const deps = { database: core.database, log: silentLog };
  return notVouchedFor({ ...deps, identify: (_, group) => identify(group) }, await look(core, operation));
}

test('who is still there may have approved it; who is a guest, deactivated or unknown now may not', async () => {
  expect(await ask(async () => member())).toBeUndefined();
  expect(await ask(async () => ({ kind: 'guest' }))).toMatch(GONE);
  expect(await ask(async () => ({ kind: 'unknown' }))).toMatch(GONE);
});

test('what can’t be asked right now is as it was at the click', async () => {
  expect(
    await ask(async () => {
      throw new Error('Slack is away');
    }),
  ).toBeUndefined();
  expect(await ask(() => new Promise<Standing>(() => {}))).toBeUndefined();
});

test('of several who approved each is asked about, whoever of them can’t be', async () => {
  const own = await installShop(core);
  const inside = <T>(work: (tx: Transaction) => Promise<T>) => core.database.withCustomer(own.customerId, work);
  const rules = { approvalsRequired: 2, adminsApprove: false, approverGroup: null };
  await inside((tx) => core.customers.setRules(tx, own.customerId, rules));
  const operation = await requestOperation(core, own);
  for (const by of [own.approver, own.secondApprover]) await grant(core, operation, by);
  const asked = async (isAway: string) =>
    notVouchedFor(
      {
        ...{ database: core.database, log: silentLog },
        identify: async ({ name }) => {
          if (name === isAway) throw new Error('Slack is away');
          return { kind: 'guest' };
        },
      },
      await look(core, operation),
    );
  const gone = /^Anna, who approved this, may not approve any more/;
  expect(await asked('Anna')).toEqual(expect.stringMatching(GONE));
  expect(await asked('Abel')).toEqual(expect.stringMatching(gone));
});

test('who approved as one of a group has to be in it still', async () => {
  const operation = await grantedOperation(core, shop);
  await core.database.withCustomer(shop.customerId, async (tx) => {
    await core.customers.setRules(tx, shop.customerId, {
      ...{ approvalsRequired: 1, adminsApprove: false, approverGroup: 'S1' },
    });
    await core.customers.setApprovers(tx, shop.customerId, [], false);
  });
  const groups: unknown[] = [];
  const asked = async (isInGroup: boolean) =>
    notVouchedFor(
      {
        ...{ database: core.database, log: silentLog },
        identify: async (_, group) => {
          groups.push(group);
          return member(isInGroup);
        },
      },
      await look(core, operation),
    );
  expect(await asked(true)).toBeUndefined();
  expect(await asked(false)).toMatch(GONE);
  expect(groups).toEqual(['S1', 'S1']);
});
