// Shopify by the pages of its Dev Dashboard, as far as documentation tells of them: in both sighted wordings.
import type { Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { services } from '../../core/services/index.ts';
import { type PracticeShopify, type PracticeShopifyOptions, startPracticeShopify } from '../practice/shopify/server.ts';
import { practiceService } from '../practice/shopify/service.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { follow, openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';
import { IS_WHOLE } from '../support/whole.ts';

const SITES: readonly { readonly name: string; readonly options: PracticeShopifyOptions }[] = [
  { name: 'in its older wording', options: {} },
  {
    name: 'in its newer wording, with everything in between',
    options: { obstacles: { wording: 'new', passkeyFirst: true, accountPicker: true }, twoFactor: true },
  },
];

describe.each(IS_WHOLE ? SITES : SITES.slice(-1))('the Dev Dashboard $name', ({ options }) => {
  let practice: PracticeShopify;
  let demo: TestDemo;
  let people: People;
  let merchant: Page;
  let approver: Page;

  beforeAll(async () => {
    practice = await startPracticeShopify(options);
    const hosts = [practice.origin, practice.dashboard, practice.accounts].map((origin) => new URL(origin).host);
    demo = await startTestDemo({
      env: { ALLOW_PRIVATE_TARGETS: hosts.join(',') },
      services: services.map((service) => (service.id === 'shopify' ? practiceService(practice) : service)),
    });
    people = await openPeople(demo.chatUrl);
    [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
    await appoint(demo, ['approver']);
  });
  afterAll(async () => {
    await people?.close();
    await demo?.remove();
    await practice?.close();
  });

  async function ask(password: string): Promise<string> {
    await people.begin('Merchant', 'set up Shopify for my-shop');
    await seen(merchant, 'Connect a Shopify app');
    const before = await operationIdIn(merchant);
    await press(merchant, 'Do it for me');
    const card = await seen(approver, 'Make one app, release it and install it on your store');
    await card.getByText('What will be done, and why').click();
    const pages = [practice.origin, practice.accounts, practice.dashboard].join(', ');
    expect(await card.innerText()).toContain(`only ${pages}`);
    await press(approver, 'Approve');
    const form = await follow(merchant, 'Open the one-time page');
    await form.getByLabel('E-mail address of the Shopify account').fill(practice.account.email);
    await form.getByLabel('Password', { exact: true }).fill(password);
    await form.getByRole('button', { name: 'Send it to the vault' }).click();
    await form.getByRole('heading', { name: 'Thank you' }).waitFor();
    await form.close();
    return before;
  }

  it('is told of a wrong password once, and makes nothing', { timeout: 2 * RUN_MS }, async () => {
    const id = await ask('not the password');
    await seen(merchant, /Shopify refused the e-mail address or the password/, RUN_MS);
    const [row] = await demo.sql('SELECT status FROM autonomous_operations WHERE id = $1', [id]);
    expect(row?.status).toBe('failed');
    expect(practice.account.failedSignIns).toBe(1);
    expect(practice.counts.apps).toBe(0);
  });

  it('gives one app that may do what was approved, and nothing beside it is pressed', {
    timeout: 3 * RUN_MS,
  }, async () => {
    const id = await ask(practice.account.password);
    const code = practice.account.oneTimeCode;
    if (code !== undefined) await enterCode(code);
    await seen(merchant, /the app has read_products, and nothing beyond that/, RUN_MS);
    expect(practice.apps()).toMatchObject([
      { name: `Countersign ${id}`, scopes: ['read_products'], installed: ['read_products'] },
    ]);
    expect(practice.counts).toMatchObject({ apps: 1, rotations: 0, automationTokens: 0 });
    const [row] = await demo.sql('SELECT status, plan FROM autonomous_operations WHERE id = $1', [id]);
    expect(row?.status).toBe('completed');
    expect(JSON.parse(String(row?.plan))).toMatchObject({
      way: 'browser',
      origins: [practice.accounts, practice.dashboard],
    });
    expect(await demo.sql('SELECT id FROM autonomous_credentials WHERE operation_id = $1', [id])).toEqual([]);
  });

  async function enterCode(code: string): Promise<void> {
    await seen(merchant, 'A one-time code is needed', RUN_MS);
    await press(merchant, 'Enter the code');
    const form = await follow(merchant, 'Open the one-time page');
    await form.getByRole('textbox', { name: 'Code' }).fill(code);
    await form.getByRole('button', { name: 'Send the code' }).click();
    await form.getByText('The worker goes on now.').waitFor();
    await form.close();
  }
});
