import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectRoutes } from '../../adapters/api/connect.ts';
import { type ApiServer, createApiServer } from '../../adapters/api/server.ts';
import { createConnectPages } from '../../bot/connect.ts';
import type { Context } from '../../bot/context.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { Secret } from '../../core/secret.ts';
import { type Core, grantedOperation, installShop, openCore, type Shop, sql, trail } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';
import { launchChromium } from '../support/web-chat.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let operation: Operation;
let server: ApiServer;
let origin: string;
let browser: Browser;

const KEY = 'ck_0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d';
const SECRET = 'cs_f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0';

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  // The pages use nothing of a context but what core has.
  const context = { ...core, publicUrl: () => origin, log: silentLog } as unknown as Context;
  const routes = [connectRoutes({ pages: createConnectPages(context, (text) => text), publicUrl: () => origin })];
  server = createApiServer({ port: 0, isLocal: true, routes, log: silentLog, isReady: async () => true });
  origin = `http://localhost:${(await server.start()).port}`;
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
  await server.stop();
  await core.close();
  await testDatabase.drop();
});

beforeEach(async () => {
  operation = await grantedOperation(core, shop);
  await core.vault.store(shop.customerId, 'woocommerce', 'api_key', {
    target: operation.plan.base,
    value: { consumer_key: new Secret(KEY), consumer_secret: new Secret(SECRET) },
    metadata: { operationId: operation.id, label: operation.plan.label },
  });
});

async function link(member: Member = shop.admin): Promise<string> {
  const { token } = await core.database.withCustomer(shop.customerId, (tx) =>
    core.links.issue(tx, shop.customerId, { purpose: 'reveal', operationId: operation.id, memberId: member.id }),
  );
  return `${origin}/connect/${token}`;
}

const post = (url: string, from = origin) => fetch(url, { method: 'POST', headers: { origin: from } });
const revealed = async () => (await trail(core, operation)).filter(({ kind }) => kind === 'credential.revealed');

/** As a superuser could, or an admin who takes the role away. */
const setRoles = (member: Member, roles: string) =>
  sql(testDatabase.adminUrl, 'UPDATE members SET roles = $1 WHERE id = $2', [roles, member.id]);

async function onPage<T>(work: (page: Page) => Promise<T>): Promise<T> {
  const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
  try {
    return await work(await context.newPage());
  } finally {
    await context.close();
  }
}

describe('a one-time link to a stored key', () => {
  test('says what it opens and for whom, as often as it is looked at, and spends nothing by that', async () => {
    const url = await link();
    for (let look = 0; look < 3; look++) {
      const answer = await fetch(url);
      const page = await answer.text();
      expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
      for (const words of ['Ada, and nobody else', operation.id, operation.plan.label]) expect(page).toContain(words);
      for (const secret of [KEY, SECRET]) expect(page).not.toContain(secret);
    }
    expect(await revealed()).toEqual([]);
  });

  test('shows the key once, hidden until asked for, and puts on record to whom', async () => {
    const url = await link();
    await onPage(async (page) => {
      await page.goto(url);
      await page.getByRole('button', { name: 'Show it once' }).click();
      await page.getByRole('heading', { name: 'The stored key' }).waitFor();
      expect(await page.getByText(KEY).isVisible()).toBe(false);
      expect(await page.getByText(SECRET).isVisible()).toBe(false);
      await page.getByRole('group', { name: 'Consumer secret' }).getByText('Show').click();
      expect(await page.getByText(SECRET).isVisible()).toBe(true);
      expect(await page.getByText(KEY).isVisible()).toBe(false);
      await page.getByRole('button', { name: 'Copy Consumer key' }).click();
      await page.getByText('Consumer key is copied.').waitFor();
      await page.setContent('<textarea autofocus aria-label="Paste here"></textarea>');
      await page.getByLabel('Paste here').press('ControlOrMeta+V');
      expect(await page.getByLabel('Paste here').inputValue()).toBe(KEY);
      await page.goto('about:blank');
      await expect(page.goBack()).rejects.toThrow('ERR_CACHE_MISS'); // it was not kept, and is not asked for again
      expect((await fetch(url)).status).toBe(410);
    });
    expect(await revealed()).toMatchObject([{ actor: shop.admin.id, credentialType: 'api_key', why: 'reveal' }]);
  });

  test('works without a script, but for copying', async () => {
    const url = await link();
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(url);
    await page.getByRole('button', { name: 'Show it once' }).click();
    await page.getByText('Show', { exact: true }).first().click();
    expect(await page.getByText(KEY).isVisible()).toBe(true);
    expect(await page.getByRole('button', { name: /^Copy/ }).count()).toBe(0);
    await context.close();
  });

  test('is not spent by a form on another page, nor by a request that names no page', async () => {
    const url = await link();
    expect((await post(url, 'https://evil.example.net')).status).toBe(403);
    expect((await fetch(url, { method: 'POST' })).status).toBe(403);
    expect(await revealed()).toEqual([]);
    expect(await (await post(url)).text()).toContain(SECRET);
  });

  test('shows it to one of twenty who press at once', async () => {
    const url = await link();
    const answers = await Promise.all(Array.from({ length: 20 }, async () => (await post(url)).text()));
    expect(answers.filter((page) => page.includes(SECRET))).toHaveLength(1);
    expect(await revealed()).toHaveLength(1);
  });

  test('opens nothing for whoever is no admin at that moment, whoever they were when it was made', async () => {
    const member = shop.secondApprover;
    await setRoles(member, '{merchant,admin}');
    const url = await link(member);
    expect((await fetch(url)).status).toBe(200);
    await setRoles(member, '{merchant,approver}');
    for (const ask of [() => fetch(url), () => post(url)]) expect((await ask()).status).toBe(410);
    expect((await post(await link(shop.merchant))).status).toBe(410);
    expect(await revealed()).toEqual([]);
    const refused = (await trail(core, operation)).filter(({ kind }) => kind === 'access.refused');
    expect(refused.map(({ actor }) => actor)).toEqual([member.id, shop.merchant.id]);
  });

  test('opens nothing after a quarter of an hour, nor when the key is gone or is another one', async () => {
    const [late, gone] = [await link(), await link()];
    await shiftClock(testDatabase.ownerUrl, '16 minutes');
    try {
      expect((await post(late)).status).toBe(410);
    } finally {
      await shiftClock(testDatabase.ownerUrl, '-16 minutes');
    }
    await core.vault.store(shop.customerId, 'woocommerce', 'api_key', {
      target: operation.plan.base,
      value: 'another',
    });
    for (const ask of [() => fetch(gone), () => post(gone)]) expect((await ask()).status).toBe(410);
    expect(await revealed()).toEqual([]);
  });
});
