// Acme as people set it up: web chat in real Chromium, its practice pages, and what they have in their books afterwards.
import type { Page } from 'playwright';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PracticeAcme, startPracticeAcme } from '../practice/acme/server.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { follow, openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';

let practice: PracticeAcme;
let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;

beforeAll(async () => {
  practice = await startPracticeAcme();
  demo = await startTestDemo({ env: { ALLOW_PRIVATE_TARGETS: new URL(practice.origin).host } });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
  await appoint(demo, ['approver']);
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
  await practice?.close();
});

async function setUp(password: string): Promise<string> {
  await people.begin('Merchant', `set up Acme for ${practice.origin}`);
  const id = await operationIdIn(merchant);
  await seen(approver, /Create one token, which may do everything that this account may/);
  await press(approver, 'Approve');
  const form = await follow(merchant, 'Open the one-time page');
  await form.getByLabel('E-mail address').fill(practice.email);
  await form.getByLabel('Password', { exact: true }).fill(password);
  await form.getByRole('button', { name: 'Send it to the vault' }).click();
  await form.getByRole('heading', { name: 'Thank you' }).waitFor();
  await form.close();
  return id;
}

it(
  'goes from the sentence in chat to a token in the vault that was made once, is proven, and that nobody saw',
  async () => {
    const id = await setUp(practice.password);
    const words = await (await seen(merchant, /Done in .* Acme is connected/, RUN_MS)).innerText();
    expect(words).toContain('answered 200 and knows the account');
    const [token, ...others] = practice.tokens();
    expect([token?.name, others]).toEqual([`Countersign ${id}`, []]);
    expect(token?.uses).toBeGreaterThan(0);
    expect(words).toContain(`…${token?.value.slice(-4)}`);
    for (const page of [merchant, approver]) expect(await page.content()).not.toContain(token?.value);
    const stored = await demo.sql('SELECT credential_metadata FROM autonomous_credentials WHERE service = $1', [
      'acme',
    ]);
    expect(stored).toMatchObject([{ credential_metadata: { operationId: id } }]); // and no sign-in
  },
  2 * RUN_MS,
);

it(
  'tries a wrong password once, makes nothing, and says so',
  async () => {
    const before = practice.tokens().length;
    await setUp('not-the-password');
    await seen(merchant, /Acme refused the e-mail address or the password[\s\S]*nothing was created/, RUN_MS);
    expect(practice.tokens()).toHaveLength(before);
  },
  2 * RUN_MS,
);
