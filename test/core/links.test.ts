import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../core/operations/operation.ts';
import type { LinkPurpose } from '../../core/vault/links.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, grantedOperation, installShop, openCore, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let operation: Operation;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  operation = await grantedOperation(core, shop);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const issue = (purpose: LinkPurpose = 'credentials', operationId = operation.id) =>
  core.database.withCustomer(shop.customerId, (tx) =>
    core.links.issue(tx, shop.customerId, { purpose, operationId, memberId: shop.merchant.id }),
  );

async function opened(token: string) {
  const link = await core.links.look(token);
  if (!link) throw new Error('the link does not open');
  return link;
}

const spend = (link: Awaited<ReturnType<typeof opened>>) =>
  core.database.withCustomer(shop.customerId, (tx) => core.links.spend(tx, link));

describe('a one-time link', () => {
  test('says for whom, what for and until when, as often as it is looked at', async () => {
    const { token, expiresAt } = await issue('reveal');
    for (let n = 0; n < 3; n++)
      expect(await core.links.look(token)).toEqual({
        customerId: shop.customerId,
        id: expect.any(String),
        purpose: 'reveal',
        operationId: operation.id,
        memberId: shop.merchant.id,
        expiresAt,
      });
  });

  test('has 256 random bits, of which only the hash is kept', async () => {
    const { token } = await issue();
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect((await issue()).token).not.toBe(token);
    const rows = await sql<{ text: string }>(testDatabase.adminUrl, 'SELECT l::text AS text FROM connect_links l');
    const all = rows.map(({ text }) => text).join('\n');
    expect(all).toContain(createHash('sha256').update(token).digest('hex'));
    for (const form of [token, Buffer.from(token).toString('hex'), Buffer.from(token, 'base64url').toString('hex')])
      expect(all).not.toContain(form);
  });

  test('is spent once, however many try', async () => {
    const link = await opened((await issue()).token);
    const spent = await Promise.all(Array.from({ length: 30 }, () => spend(link)));
    expect(spent.filter(Boolean)).toHaveLength(1);
  });

  test('stays spent, also for whoever speaks SQL in the program’s name', async () => {
    const link = await opened((await issue()).token);
    expect(await spend(link)).toBe(true);
    const unspend = (when: string) =>
      asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
        client.query(`UPDATE connect_links SET spent_at = ${when} WHERE id = $1`, [link.id]),
      );
    for (const when of ['NULL', "app.now() - interval '1 day'"])
      await expect(unspend(when)).rejects.toThrow('a link is spent once');
    expect(await spend(link)).toBe(false);
  });

  test('opens no more once it is spent', async () => {
    const { token } = await issue();
    expect(await spend(await opened(token))).toBe(true);
    expect(await core.links.look(token)).toBeUndefined();
  });

  test('is not spent by what is rolled back', async () => {
    const { token } = await issue();
    const link = await opened(token);
    const rolledBack = core.database.withCustomer(shop.customerId, async (tx) => {
      expect(await core.links.spend(tx, link)).toBe(true);
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(await spend(await opened(token))).toBe(true);
  });

  test("lasts fifteen minutes of the database's clock: it is neither shown nor spent after", async () => {
    const { token } = await issue();
    const link = await opened(token);
    await shiftClock(testDatabase.ownerUrl, '14 minutes 50 seconds');
    try {
      expect(await core.links.look(token)).toEqual(link);
      await shiftClock(testDatabase.ownerUrl, '10 seconds');
      expect(await core.links.look(token)).toBeUndefined();
      expect(await spend(link)).toBe(false);
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-15 minutes');
    }
    expect(await spend(link)).toBe(true);
  });

  test('that nobody issued opens nothing', async () => {
    const { token } = await issue();
    const last = token.endsWith('A') ? 'B' : 'A';
    for (const forged of [
      '',
      'x',
      token.slice(0, -1),
      `${token} `,
      token.slice(0, -1) + last,
      token.toLowerCase(),
      '\0',
    ])
      expect(await core.links.look(forged), JSON.stringify(forged)).toBeUndefined();
  });

  test('of another customer can not be spent', async () => {
    const link = await opened((await issue()).token);
    const stranger = await installShop(core);
    const attempts = [link, { ...link, customerId: stranger.customerId }].map((forged) =>
      core.database.withCustomer(stranger.customerId, (tx) => core.links.spend(tx, forged)),
    );
    expect(await Promise.all(attempts)).toEqual([false, false]);
    expect(await spend(link)).toBe(true);
  });

  test('for a sign-in dies with its operation; one to read what came of it does not', async () => {
    const ended = await grantedOperation(core, shop);
    const [credentials, reveal] = [await issue('credentials', ended.id), await issue('reveal', ended.id)];
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.mover.move(tx, shop.customerId, {
        operationId: ended.id,
        from: ['awaiting_credentials'],
        to: 'cancelled',
        entry: { kind: 'operation.cancelled' },
      }),
    );
    expect(await core.links.look(credentials.token)).toBeUndefined();
    expect(await core.links.look(reveal.token)).toMatchObject({ purpose: 'reveal' });
  });
});
