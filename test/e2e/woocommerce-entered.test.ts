// A WooCommerce key that its owner makes: web chat in real Chromium, the practice shop's own pages, and what is kept.
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createVisitor, type MadeKey } from '../practice/woocommerce/visitor.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { follow, openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';

const WAY = 'I make the key myself';

let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;

beforeAll(async () => {
  demo = await startTestDemo({ shop: { obstacles: { adminEmailCheck: false } } });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
});
beforeEach(() => appoint(demo, ['approver']));

/** Up to the one-time page. */
async function approved(): Promise<{ readonly id: string; readonly form: Page }> {
  await people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin}`);
  const id = await operationIdIn(merchant);
  await press(merchant, WAY);
  const card = await seen(approver, /Keep the one API key that you make and enter/);
  expect(await card.innerText()).not.toContain("Sign in to your shop's admin");
  await press(approver, 'Approve');
  await seen(merchant, /Countersigned by Approver/);
  return { id, form: await follow(merchant, 'Open the one-time page') };
}

async function made(label: string, permissions: string): Promise<MadeKey> {
  const visitor = createVisitor(demo.shop);
  await visitor.signIn();
  return visitor.makeKey(label, permissions);
}

async function enter(form: Page, key: string, secret: string): Promise<void> {
  await form.getByLabel('Consumer key', { exact: true }).fill(key);
  await form.getByLabel('Consumer secret', { exact: true }).fill(secret);
  await form.getByRole('button', { name: 'Send it to the vault' }).click();
}

const credentialsOf = (id: string) =>
  demo.sql(
    `SELECT id FROM autonomous_credentials WHERE credential_metadata ->> 'operationId' = $1 OR operation_id = $1`,
    [id],
  );

it(
  'goes from the sentence in chat, by the steps on the one-time page, to a key in the vault that may only read',
  async () => {
    const { id, form } = await approved();
    const steps = await form.getByRole('list').first().innerText();
    expect(steps).toMatch(/Enter “Countersign op-\w+” as Description/);
    expect(steps).toContain('Choose “Read” under Permissions');
    const key = await made(`Countersign ${id}`, 'read');
    await enter(form, key.consumerSecret, key.consumerKey);
    await form.getByText('That is the other half: the consumer key begins with ck_.').waitFor();
    await enter(form, `  ${key.consumerKey}\n`, key.consumerSecret);
    await form.getByRole('heading', { name: 'Thank you' }).waitFor();
    const words = await (await seen(merchant, /Done in .* WooCommerce is connected/, RUN_MS)).innerText();
    expect(words).toContain('5 products; the key may read, and change nothing');
    expect(words).toContain('the key was made and entered by Merchant');
    expect(await credentialsOf(id)).toHaveLength(1);
    for (const page of [merchant, approver]) expect(await page.content()).not.toContain(key.consumerSecret);
  },
  2 * RUN_MS,
);

it(
  'a key that may change things is not kept where reading was approved, and the thread says why',
  async () => {
    const { id, form } = await approved();
    const key = await made('More than was approved', 'read_write');
    await enter(form, key.consumerKey, key.consumerSecret);
    const words = await (await seen(merchant, /was not set up\./, RUN_MS)).innerText();
    expect(words).toMatch(
      /may also change what is in the shop, which is more than was approved[\s\S]*It was not kept\./,
    );
    expect(await credentialsOf(id)).toEqual([]);
  },
  2 * RUN_MS,
);
