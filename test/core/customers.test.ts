import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CustomerId } from '../../core/ids.ts';
import { endOperation } from '../../core/operations/ending.ts';
import type { Person } from '../../core/ports/chat.ts';
import { asCustomer, vouchByHand } from '../support/by-hand.ts';
import {
  type Core,
  cancel,
  installShop,
  look,
  noSecrets,
  openCore,
  queuedOperation,
  somebody,
  sql,
  trail,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const member = (customerId: CustomerId, person: Person) =>
  core.database.withCustomer(customerId, (tx) => core.customers.member(tx, customerId, person));

const members = (customerId: CustomerId, role?: 'merchant' | 'approver' | 'admin') =>
  core.database.withCustomer(customerId, (tx) => core.customers.members(tx, customerId, role));

const setApprovers = (customerId: CustomerId, people: readonly Person[], mayWorkAlone = false) =>
  core.database.withCustomer(customerId, (tx) => core.customers.setApprovers(tx, customerId, people, mayWorkAlone));

describe('installing', () => {
  test('makes a customer whose installer is its first admin, and no approver', async () => {
    const workspaceId = `W-${randomUUID()}`;
    const id = await core.customers.install(
      { platform: 'web', workspaceId, name: 'Shop' },
      somebody(workspaceId, 'Ada'),
    );
    expect(await core.directory.customerOfWorkspace('web', workspaceId)).toBe(id);
    expect(await members(id)).toMatchObject([
      { person: { name: 'Ada', userId: 'U-Ada' }, roles: ['merchant', 'admin'] },
    ]);
    expect(await members(id, 'approver')).toEqual([]);
    const rules = await core.database.withCustomer(id, (tx) => core.customers.rules(tx, id));
    expect(rules).toMatchObject({ name: 'Shop', mayWorkAlone: false, allowsModel: true });
  });

  test('a second time gives the same customer, and the second installer nothing', async () => {
    const workspaceId = `W-${randomUUID()}`;
    const install = (name: string) =>
      core.customers.install({ platform: 'web', workspaceId, name }, somebody(workspaceId, name));
    const first = await install('Ada');
    expect(await install('Eve')).toBe(first);
    expect((await members(first)).map(({ person }) => person.name)).toEqual(['Ada']);
  });

  test('by ten processes at once makes one customer with one admin', async () => {
    const workspaceId = `W-${randomUUID()}`;
    const installs = Array.from({ length: 10 }, (_, n) =>
      core.customers.install({ platform: 'web', workspaceId, name: `try ${n}` }, somebody(workspaceId, 'Ada')),
    );
    const [id, ...others] = [...new Set(await Promise.all(installs))];
    expect(others).toEqual([]);
    expect(id && (await members(id, 'admin'))).toHaveLength(1);
    const rows = await sql(testDatabase.adminUrl, "SELECT FROM customers WHERE name LIKE 'try %'");
    expect(rows).toHaveLength(1);
  });

  test('the same workspace id on another platform is another customer', async () => {
    const workspaceId = `W-${randomUUID()}`;
    const install = (platform: 'web' | 'slack') =>
      core.customers.install(
        { platform, workspaceId, name: platform },
        { platform, workspaceId, userId: 'U', name: 'Ada' },
      );
    expect(await install('web')).not.toBe(await install('slack'));
  });
});

describe('a person', () => {
  test('is a merchant when seen first, and the same member ever after, whatever they are called', async () => {
    const { customerId, workspaceId } = await installShop(core);
    const first = await member(customerId, somebody(workspaceId, 'Neo'));
    expect(first.roles).toEqual(['merchant']);
    const renamed = await member(customerId, { ...somebody(workspaceId, 'Neo'), name: 'Ada' });
    expect(renamed).toEqual({ ...first, person: { ...first.person, name: 'Ada' } });
    expect((await members(customerId)).filter(({ id }) => id === first.id)).toHaveLength(1);
  });

  test('is known by platform, workspace and user id together: a name gives nobody a role', async () => {
    const { customerId, workspaceId, approver } = await installShop(core);
    for (const changes of [{ userId: 'U-Other' }, { workspaceId: `${workspaceId}2` }, { platform: 'slack' as const }]) {
      const other = await member(customerId, { ...approver.person, ...changes });
      expect(other.id).not.toBe(approver.id);
      expect(other.roles).toEqual(['merchant']);
    }
  });

  test('seen by many events at once is one member', async () => {
    const { customerId, workspaceId } = await installShop(core);
    const seen = await Promise.all(Array.from({ length: 8 }, () => member(customerId, somebody(workspaceId, 'Neo'))));
    expect(new Set(seen.map(({ id }) => id)).size).toBe(1);
  });

  test('of two customers is two members, and neither sees the other', async () => {
    const [a, b] = [await installShop(core), await installShop(core)];
    const person = somebody('W-shared', 'Neo');
    const [inA, inB] = [await member(a.customerId, person), await member(b.customerId, person)];
    expect(inA.id).not.toBe(inB.id);
    const foreign = core.database.withCustomer(a.customerId, (tx) =>
      core.customers.memberById(tx, a.customerId, inB.id),
    );
    await expect(foreign).rejects.toMatchObject({ code: 'P2025' });
  });
});

describe('approvers', () => {
  test('are exactly those who were chosen; other roles stay', async () => {
    const { customerId, workspaceId, admin, approver } = await installShop(core);
    await setApprovers(customerId, [admin.person, somebody(workspaceId, 'Newcomer')], true);
    const now = await members(customerId, 'approver');
    expect(now.map(({ person, roles }) => [person.name, [...roles].sort()]).sort()).toEqual([
      ['Ada', ['admin', 'approver', 'merchant']],
      ['Newcomer', ['approver', 'merchant']],
    ]);
    expect((await member(customerId, approver.person)).roles).toEqual(['merchant']);
    const rules = await core.database.withCustomer(customerId, (tx) => core.customers.rules(tx, customerId));
    expect(rules.mayWorkAlone).toBe(true);
    await setApprovers(customerId, []);
    expect(await members(customerId, 'approver')).toEqual([]);
    expect(await members(customerId, 'admin')).toHaveLength(1);
  });

  test('named twice are approvers once', async () => {
    const { customerId, approver } = await installShop(core);
    await setApprovers(customerId, [approver.person, approver.person]);
    expect((await members(customerId, 'approver')).map(({ roles }) => roles)).toEqual([['merchant', 'approver']]);
  });

  test('of another customer are not touched', async () => {
    const [a, b] = [await installShop(core), await installShop(core)];
    await setApprovers(a.customerId, []);
    expect(await members(b.customerId, 'approver')).toHaveLength(2);
  });

  test('with a role that nobody knows are refused by the database', async () => {
    const { customerId, merchant } = await installShop(core);
    const attempt = asCustomer(testDatabase.programUrl, customerId, async (client) => {
      await vouchByHand(client, 'member', customerId, `${merchant.id}|roles|owner`);
      await client.query("UPDATE members SET roles = '{owner}' WHERE id = $1", [merchant.id]);
    });
    await expect(attempt).rejects.toMatchObject({ code: '23514' });
  });
});

describe('a customer whose operation still runs', () => {
  test('is not erased before it is over', async () => {
    const erased = await installShop(core);
    const { customerId } = erased;
    const operation = await queuedOperation(core, erased);
    await expect(core.keyRotation.eraseCustomer(customerId)).rejects.toMatchObject({
      code: 'operation_running',
      message: '1 operations of this customer are not over: stop them first. Nothing was erased.',
    });
    expect(await core.directory.customers()).toContain(customerId);
    expect((await trail(core, operation)).filter(({ gone }) => gone)).toEqual([]);
    await cancel(core, operation);
    await core.keyRotation.eraseCustomer(customerId);
    expect(await core.directory.customers()).not.toContain(customerId);
  });

  test('and that was erased all the same lets it end, on record without its words', async () => {
    const erased = await installShop(core);
    const { customerId } = erased;
    const operation = await queuedOperation(core, erased);
    // As it may be found: an operation that began while the customer was erased.
    for (const statement of [
      'UPDATE customers SET erased_at = app.now() WHERE customer_id = $1',
      "UPDATE customer_keys SET state = 'destroyed', wrapped = '' WHERE customer_id = $1",
    ])
      await sql(testDatabase.adminUrl, statement, [customerId]);
    const held = { customerId, operationId: operation.id, fence: undefined };
    await endOperation(core, held, { kind: 'stopped', words: 'Consent has expired' }, noSecrets);
    expect((await look(core, operation)).state).toBe('cancelled');
    const last = (await trail(core, operation)).at(-1);
    expect([last?.kind, last?.payload, last?.gone]).toEqual(['operation.cancelled', undefined, undefined]);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true });
  });
});

test('the directory knows nobody who is not there', async () => {
  expect(await core.directory.customerOfWorkspace('web', 'W-nowhere')).toBeUndefined();
  expect(await core.directory.customerOfWorkspace('slack', "' OR true --")).toBeUndefined();
  expect(await core.directory.customerOfLink(Buffer.alloc(32))).toBeUndefined();
});
