import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import OAuth from 'oauth-1.0a';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findChromium } from '../../adapters/browser/chromium.ts';
import { silentLog } from '../support/silent-log.ts';
import { type PracticeShop, type PracticeShopOptions, startPracticeShop } from './woocommerce/server.ts';

const KEYS = '/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys';
const NO_OBSTACLES = { obstacles: { adminEmailCheck: false } };

let browser: Browser;
let context: BrowserContext;
let page: Page;
let shop: PracticeShop;

beforeAll(async () => {
  const { path, args } = await findChromium({
    configured: process.env.CHROMIUM_PATH ?? '',
    mayInstall: true,
    log: silentLog,
  });
  browser = await chromium.launch({
    executablePath: path,
    args: [...args],
    chromiumSandbox: process.getuid?.() !== 0,
  });
});
afterAll(() => browser?.close());
beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  page = await context.newPage();
});
afterEach(async () => {
  await context.close();
  await shop.close();
});

async function openShop(options: PracticeShopOptions = NO_OBSTACLES): Promise<void> {
  shop = await startPracticeShop(options);
}

async function signIn(path = KEYS): Promise<void> {
  await page.goto(shop.origin + path);
  await page.getByLabel('Username or Email Address').fill(shop.username);
  await page.getByLabel('Password', { exact: true }).fill(shop.password);
  await page.getByRole('button', { name: 'Log In' }).click();
  // Until the page behind the form has loaded: leaving earlier would break its requests off.
  await page.waitForURL((url) => !url.searchParams.has('reauth'));
}

async function generate(description: string): Promise<{ consumerKey: string; consumerSecret: string }> {
  await page.goto(`${shop.origin}${KEYS}&create-key=1`);
  await page.getByLabel('Description').fill(description);
  await page.getByRole('button', { name: 'Generate API key' }).click();
  await page.locator('.wc-api-message.updated').waitFor();
  return {
    consumerKey: await page.locator('#key_consumer_key').inputValue(),
    consumerSecret: await page.locator('#key_consumer_secret').inputValue(),
  };
}

/** One signed request over plain http, by the `oauth-1.0a` package. */
async function productsStatus(pair: { consumerKey: string; consumerSecret: string }): Promise<number> {
  const oauth = new OAuth({
    consumer: { key: pair.consumerKey, secret: pair.consumerSecret },
    signature_method: 'HMAC-SHA256',
    hash_function: (text, secret) => createHmac('sha256', secret).update(text).digest('base64'),
  });
  const url = `${shop.origin}/wp-json/wc/v3/products`;
  const headers = { ...oauth.toHeader(oauth.authorize({ url, method: 'GET' })) };
  return (await fetch(url, { headers })).status;
}

describe('the way from sign-in to a revoked key', () => {
  test('makes a key that works until it is revoked', async () => {
    await openShop({ products: 3 });
    await signIn();
    expect(page.url()).toContain('/wp-login.php?action=confirm_admin_email');
    await page.getByRole('link', { name: 'Remind me later' }).click();
    expect(page.url()).toBe(shop.origin + KEYS);

    await page.getByRole('link', { name: 'Create an API key' }).click();
    await page.getByLabel('Description').fill('Countersign op-k3m9x2a7');
    await page.locator('#select2-key_permissions-container').click();
    await page.getByRole('option', { name: 'Read/Write', exact: true }).click();
    await page.getByRole('button', { name: 'Generate API key' }).click();
    const message = page.locator('.wc-api-message.updated');
    await expect.poll(() => message.textContent()).toMatch(/^API Key generated successfully\. Make sure to copy/);
    expect(page.url()).toBe(`${shop.origin}${KEYS}&create-key=1`);
    const consumerKey = await page.locator('#key_consumer_key').inputValue();
    const consumerSecret = await page
      .getByRole('row', { name: /^Consumer secret/ })
      .getByRole('textbox')
      .inputValue();
    expect(consumerKey).toMatch(/^ck_[0-9a-f]{40}$/);
    expect(consumerSecret).toMatch(/^cs_[0-9a-f]{40}$/);
    expect(shop.keys()).toMatchObject([
      { description: 'Countersign op-k3m9x2a7', permissions: 'read_write', consumerKeyEnding: consumerKey.slice(-7) },
    ]);
    expect(await productsStatus({ consumerKey, consumerSecret })).toBe(200);

    await page.goto(shop.origin + KEYS);
    const row = page.locator('table.wp-list-table.keys tbody tr');
    await row.hover();
    await row.getByRole('link', { name: 'Revoke API key' }).click();
    expect(await page.locator('#message.updated.inline').innerText()).toBe('1 API key permanently revoked.');
    expect(shop.keys()).toMatchObject([{ isRevoked: true }]);
    expect(await productsStatus({ consumerKey, consumerSecret })).toBe(401);
  });

  test('shows a new key once: a reload gives an empty form, the edit page the last seven characters', async () => {
    await openShop();
    await signIn();
    const { consumerKey, consumerSecret } = await generate('Shown once');
    await page.reload();
    expect(await page.getByLabel('Description').inputValue()).toBe('');
    expect(await page.locator('#key_consumer_secret').count()).toBe(0);
    await page.goto(`${shop.origin}${KEYS}&edit-key=1`);
    const markup = await page.content();
    expect(markup).toContain(`…${consumerKey.slice(-7)}`);
    expect(markup).not.toContain(consumerKey);
    expect(markup).not.toContain(consumerSecret);
    expect(inspect(shop, { depth: null, showHidden: true })).not.toContain(consumerSecret.slice(3));
  });

  test('leaves the form grey and silent when the answer is lost, though the key was made', async () => {
    await openShop();
    await signIn();
    await page.goto(`${shop.origin}${KEYS}&create-key=1`);
    await page.getByLabel('Description').fill('Lost on the way');
    shop.failNext('generate-answer-lost');
    const answer = page.waitForResponse(/admin-ajax/);
    await page.getByRole('button', { name: 'Generate API key' }).click();
    expect((await answer).status()).toBe(500);
    expect(await page.locator('.blockOverlay').count()).toBe(1);
    expect(await page.locator('.wc-api-message').count()).toBe(0);
    expect(shop.keys()).toMatchObject([{ description: 'Lost on the way', isRevoked: false }]);
  });
});

describe('what makes the form hard', () => {
  beforeEach(async () => {
    await openShop();
    await signIn();
    await page.goto(`${shop.origin}${KEYS}&create-key=1`);
  });

  test('the widgets are named by their value, not by their label', async () => {
    expect(await page.getByRole('combobox', { name: 'Permissions' }).count()).toBe(0);
    expect(await page.getByRole('combobox', { name: 'Read', exact: true }).count()).toBe(1);
    expect(await page.getByRole('combobox', { name: shop.username }).count()).toBe(1);
  });

  test('select and widget follow each other', async () => {
    const select = page.locator('#key_permissions');
    const words = page.locator('#select2-key_permissions-container');
    await select.selectOption('read_write');
    expect(await words.innerText()).toBe('Read/Write');
    await words.click();
    const options = page.locator('body > .select2-container--open').getByRole('option');
    expect(await options.allInnerTexts()).toEqual(['Read', 'Write', 'Read/Write']);
    await options.getByText('Write', { exact: true }).click();
    expect(await select.inputValue()).toBe('write');
    expect(await options.count()).toBe(0);
    // The list would open below the pointer, which marks the option that it is over.
    await page.mouse.move(0, 0);
    await page.getByRole('combobox', { name: 'Write', exact: true }).press('Enter');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    expect(await select.inputValue()).toBe('read');
  });

  test('a cleared person is missed, and found again by searching', async () => {
    await page.getByLabel('Description').fill('Whose key');
    await page.locator('.select2-selection__clear').click();
    await page.getByRole('button', { name: 'Generate API key' }).click();
    expect(await page.locator('.wc-api-message.error').innerText()).toBe('User is missing.');
    await page.locator('#select2-key_user-container').click();
    await page.keyboard.type('store');
    await page.getByRole('option', { name: /#1/ }).click();
    expect(await page.locator('#key_user').inputValue()).toBe('1');
  });

  test('an empty description is refused above the sub links, and nothing is made', async () => {
    await page.getByRole('button', { name: 'Generate API key' }).click();
    expect(await page.locator('.wc-api-message.error').innerText()).toBe('Description is missing.');
    expect(await page.locator('.wc-api-message + ul.subsubsub').count()).toBe(1);
    expect(shop.keys()).toEqual([]);
  });

  test('the new key stands in fields without a label, in markup and in a picture', async () => {
    const { consumerKey, consumerSecret } = await generate('Leaky');
    expect(await page.getByLabel('Consumer secret').count()).toBe(0);
    expect(await page.getByRole('button', { name: 'Copy' }).count()).toBe(2);
    expect(await page.content()).toContain(`value="${consumerSecret}"`);
    expect(await page.locator('#keys-qrcode > canvas').evaluate(readPattern)).toBe(`${consumerKey}|${consumerSecret}`);
  });

  test('an edited form asks before it is left; one that generated its key does not', async () => {
    const asked: string[] = [];
    page.on('dialog', (dialog) => {
      asked.push(dialog.type());
      return dialog.accept();
    });
    await page.getByLabel('Description').pressSequentially('Half done');
    await page.goto(shop.origin + KEYS);
    expect(asked).toEqual(['beforeunload']);
    await generate('Done');
    await page.goto(shop.origin + KEYS);
    expect(asked).toEqual(['beforeunload']);
  });
});

/** What `readPattern` needs of a canvas element. */
interface DrawnCanvas {
  getContext(kind: '2d'): { getImageData(x: number, y: number, width: number, height: number): { data: Uint8Array } };
}

/** Runs in the page: reads the modules of the pattern back into the text that they stand for. */
function readPattern(canvas: DrawnCanvas): string {
  const pen = canvas.getContext('2d');
  const bits: number[] = [];
  for (let y = 0; y < 33; y += 1) {
    for (let x = 0; x < 33; x += 1) {
      const isMark = (x < 8 && (y < 8 || y >= 25)) || (x >= 25 && y < 8);
      const alpha = pen.getImageData(x * 6 + 3, y * 6 + 3, 1, 1).data[3] ?? 0;
      if (!isMark) bits.push(alpha > 127 ? 1 : 0);
    }
  }
  const bytes = Array.from({ length: 87 }, (_, at) => Number.parseInt(bits.slice(at * 8, at * 8 + 8).join(''), 2));
  return String.fromCharCode(...bytes);
}

describe('what stands around the form', () => {
  test('the sign-in page has two first headings, and buttons besides the one that signs in', async () => {
    await openShop();
    await page.goto(`${shop.origin}/wp-login.php`);
    expect(await page.locator('h1').count()).toBe(2);
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    expect(await page.getByRole('button').count()).toBe(3);
    await page.getByLabel('Password', { exact: true }).fill('seen');
    await page.getByRole('button', { name: 'Show password' }).click();
    expect(await page.locator('#user_pass').getAttribute('type')).toBe('text');
  });

  test('"Settings" is there twice, notices are hidden, and the welcome panel can be dismissed', async () => {
    await openShop();
    await signIn('/wp-admin/');
    expect(await page.locator('#adminmenu a', { hasText: /^Settings$/ }).count()).toBe(2);
    expect(await page.locator('#wc-lost-connection-notice').count()).toBe(1);
    expect(await page.locator('.notice').filter({ visible: true }).count()).toBe(0);
    expect(await page.locator('#wpadminbar').innerText()).toContain('Store coming soon');
    const dismissed = page.waitForResponse(/welcome=0/);
    await page.getByRole('link', { name: 'Dismiss the welcome panel' }).click();
    await dismissed;
    await page.reload();
    expect(await page.locator('#welcome-panel').count()).toBe(0);
    await page.getByRole('link', { name: 'WooCommerce', exact: true }).hover();
    await page.locator('#menu-woocommerce').getByRole('link', { name: 'Settings' }).click();
    await page.getByRole('link', { name: 'Advanced' }).click();
    await page.getByRole('link', { name: 'REST API keys' }).click();
    expect(page.url()).toBe(shop.origin + KEYS);
  });

  test('a fresh shop begins with the setup wizard, and Home keeps leading there until it is skipped', async () => {
    await openShop({ obstacles: { adminEmailCheck: false, setupWizard: true } });
    await signIn();
    expect(page.url()).toContain('path=%2Fsetup-wizard');
    expect(await page.getByRole('checkbox').isChecked()).toBe(true);
    await page.goto(shop.origin + KEYS);
    expect(await page.getByRole('link', { name: 'Add key' }).count()).toBe(1);
    await page.goto(`${shop.origin}/wp-admin/admin.php?page=wc-admin`);
    await page.getByRole('button', { name: 'Skip guided setup' }).click();
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Home');
  });

  test('a page brings a dozen files once, and takes them from the cache afterwards', async () => {
    await openShop();
    await signIn();
    await page.goto(`${shop.origin}${KEYS}&create-key=1`);
    const files = () => shop.requests.filter(({ path }) => /\.(css|js|png)$/.test(path)).map(({ path }) => path);
    const before = files();
    expect(before.length).toBeGreaterThanOrEqual(10);
    expect(new Set(before).size).toBe(before.length);
    await page.goto(shop.origin + KEYS);
    expect(files()).toEqual(before);
  });
});
