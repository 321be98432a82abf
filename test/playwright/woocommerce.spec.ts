import { expect } from 'playwright/test';
import { test as base, input, secret } from '../../adapters/browser/recording/index.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { KeysPage, SignInPage } from './woocommerce-pages.ts';

/** A fresh practice shop; with `--base`, the shop there, whose account the environment names. */
const test = base.extend<{ site: string; account: { username: string; password: string } }, { shop: PracticeShop }>({
  shop: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads from the pattern which fixtures are used
    async ({}, use) => {
      const shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
      await use(shop);
      await shop.close();
    },
    { scope: 'worker' },
  ],
  baseURL: async ({ baseURL, shop }, use) => use(baseURL ?? shop.origin),
  site: async ({ baseURL, shop }, use) => use(baseURL ?? shop.origin),
  account: async ({ shop }, use) => {
    const { WOOCOMMERCE_USERNAME: username, WOOCOMMERCE_PASSWORD: password } = process.env;
    await use({ username: username ?? shop.username, password: password ?? shop.password });
  },
});

test('WooCommerce: create a REST API key', {
  annotation: [
    { type: 'workflow', description: 'woocommerce_api_key_generation' },
    { type: 'permission', description: 'create_api_key' },
    { type: 'vendor', description: 'WooCommerce 11.0.1, WordPress 7.1' },
    { type: 'verify', description: 'Check that it works' },
  ],
}, async ({ page, site, account, request }) => {
  const signIn = new SignInPage(page);
  await signIn.open(site);
  await signIn.signIn(secret('admin_username', account.username), secret('admin_password', account.password));

  const keys = new KeysPage(page);
  await keys.open(site);
  const form = await keys.startNewKey();
  await form.describe(input('label', 'Countersign recording'));
  await form.allow(input('scope', 'read'), input('scopeWords', 'Read'));
  const made = await form.generate();

  const authorization = `Basic ${Buffer.from(`${made.key}:${made.secret}`).toString('base64')}`;
  const answer = await request.get(`${site}/wp-json/wc/v3/products?per_page=1`, { headers: { authorization } });
  expect([200, 401]).toContain(answer.status()); // over http WooCommerce takes signed requests alone
});
