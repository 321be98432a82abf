// Two services in one sentence, as people do it: one card, one decision, two keys.
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Person, ThreadRef } from '../../core/ports/chat.ts';
import { type PracticeStripe, startPracticeStripe } from '../practice/stripe/server.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { fillSignIn, openPeople, type People, press, RUN_MS, say, seen, shows } from '../support/people.ts';
import { problemsOfBlocks } from '../support/slack/blocks.ts';
import { type SlackProgram, startSlackProgram } from '../support/slack/program.ts';
import { CHANNEL } from '../support/slack/server.ts';

let practice: PracticeStripe;
let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;

beforeAll(async () => {
  practice = await startPracticeStripe();
  demo = await startTestDemo({ env: { ALLOW_PRIVATE_TARGETS: new URL(practice.origin).host } });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
  await practice?.close();
});
beforeEach(() => appoint(demo, ['approver']));

const begin = () =>
  people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin} and Stripe for ${practice.origin}`);

/** Opens the one-time page of one of the two, which stand beside each other in the thread. */
async function pageOf(words: string): Promise<Page> {
  const link = (await seen(merchant, words)).getByRole('link', { name: 'Open the one-time page' });
  const [tab] = await Promise.all([merchant.context().waitForEvent('page'), link.click()]);
  await tab.waitForLoadState();
  return tab;
}

it(
  'goes from one sentence by one decision to two keys that are proven, each with a trail of its own',
  async () => {
    await begin();
    const card = await seen(approver, 'Set up WooCommerce and Stripe');
    expect(await card.getByRole('heading').allInnerTexts()).toEqual([
      'Set up WooCommerce and Stripe',
      `1. Create a WooCommerce API key for ${new URL(demo.shop.origin).host}`,
      `2. Create a Stripe restricted key for ${new URL(practice.origin).host}`,
    ]);
    const [woo = '', stripe = ''] = (await card.innerText()).match(/op-[0-9a-z]{8}/g) ?? [];
    await press(approver, 'Approve both');
    await seen(merchant, /Countersigned by Approver[\s\S]*Countersigned by Approver/);

    const makesKey = await pageOf('says how you make the Stripe key');
    const href = await makesKey.getByRole('link', { name: /apikeys\/create/ }).getAttribute('href');
    const link = new URL(href ?? '');
    const key = practice.makeKey({
      name: link.searchParams.get('name') ?? '',
      mode: 'test',
      raks: link.searchParams.getAll('permissions[]'),
    });
    const signIn = await pageOf('Enter the WooCommerce sign-in');
    await fillSignIn(signIn, { user: demo.shop.username, password: demo.shop.password });
    await signIn.getByRole('heading', { name: 'Thank you' }).waitFor();
    await makesKey.getByLabel('Restricted key', { exact: true }).fill(key.value);
    await makesKey.getByRole('button', { name: 'Send it to the vault' }).click();
    await makesKey.getByRole('heading', { name: 'Thank you' }).waitFor();

    const ends = [
      await seen(merchant, /Done in .* WooCommerce is connected/, RUN_MS),
      await seen(merchant, /Done in .* Stripe is connected/, RUN_MS),
    ];
    const words = await Promise.all(ends.map((end) => end.innerText()));
    for (const [index, id] of [woo, stripe].entries())
      expect(words[index]).toMatch(new RegExp(`${id}[\\s\\S]*chain #\\d+ · [0-9a-f]{16} verified`));
    expect(demo.shop.keys().filter(({ description }) => description === `Countersign ${woo}`)).toMatchObject([
      { permissions: 'read', isRevoked: false, lastAccess: expect.any(Date) },
    ]);
    const stored = await demo.sql(
      `SELECT service, credential_metadata ->> 'operationId' AS id FROM autonomous_credentials ORDER BY service`,
    );
    expect(stored).toEqual([
      { service: 'stripe', id: stripe },
      { service: 'woocommerce', id: woo },
    ]);
    const grants = await demo.sql('SELECT operation_id, plan_hash FROM autonomous_consent ORDER BY granted_at');
    expect(new Set(grants.map(({ operation_id: id }) => id))).toEqual(new Set([woo, stripe]));
    expect(new Set(grants.map(({ plan_hash: hash }) => hash)).size).toBe(2);
    for (const page of [merchant, approver]) expect(await page.content()).not.toContain(key.value);
    expect(await merchant.getByRole('link', { name: 'Open the one-time page' }).count()).toBe(0);
    // The list of threads says what is true of both.
    await merchant.reload();
    expect(await merchant.locator('a[aria-current=page]').first().textContent()).toContain('Done');
  },
  3 * RUN_MS,
);

it('asks which is meant when somebody stops it while one of them runs and the other one waits', async () => {
  await begin();
  await press(approver, 'Approve both');
  await seen(merchant, 'Enter the WooCommerce sign-in');
  await say(merchant, 'stop');
  const question = await seen(merchant, '2 requests go on in this thread. Which shall be stopped?');
  await question.getByRole('button', { name: 'Stop both' }).click();
  await seen(merchant, /WooCommerce for .* was cancelled|WooCommerce for .* was not set up/);
  await seen(merchant, /Stripe for .* was cancelled|Stripe for .* was not set up/);
  expect(await shows(approver, 'Open the one-time page')).toBe(false);
});

describe('in Slack', () => {
  let program: SlackProgram;
  let sites: readonly LoopbackSite[];
  beforeAll(async () => {
    sites = [await serveSite({ '/': 'a shop' }), await serveSite({ '/': 'a dashboard' })];
    const targets = sites.map(({ authority }) => authority).join(',');
    program = await startSlackProgram({ database: await createEmptyDatabase(), targets });
  });
  afterAll(async () => {
    await program?.stop();
    for (const site of sites) await site.close();
  });
  const PATIENCE = { timeout: 60_000, interval: 50 };

  it(
    'is one message that Slack takes, with a button that decides on both and a link for each',
    async () => {
      const { server, hands, sql } = program;
      const [merchant, approver, owner] = hands.people as [Person, Person, Person]; // the stand-in begins with these
      const messages = () => server.messages(CHANNEL);
      const states = async () => (await sql('SELECT status FROM autonomous_operations')).map(({ status }) => status);
      const card = () => messages().find(({ text }) => text.startsWith('Set up WooCommerce and Stripe'));
      const [shop, dashboard] = sites.map(({ authority }) => authority);
      await hands.say(merchant, `set up WooCommerce for http://${shop} and Stripe for http://${dashboard}`);
      await vi.waitUntil(() => card() && messages().some(({ text }) => text.startsWith('Welcome.')), PATIENCE);
      const ref = `${CHANNEL}:${messages()[0]?.ts}`;
      const thread: ThreadRef = { platform: 'slack', workspaceId: merchant.workspaceId, ref };
      await hands.click(owner, thread, undefined, 'choose_approvers');
      await vi.waitUntil(() => server.view(owner.userId) !== undefined, PATIENCE);
      await hands.submit(owner, thread, { approvers: [approver.userId], required: ['1'] });
      await vi.waitUntil(() => JSON.stringify(card()?.blocks).includes('approve_together#'), PATIENCE);
      expect(problemsOfBlocks(card()?.blocks)).toEqual([]);
      const shown = { ref: card()?.ts ?? '', thread };
      await hands.click(merchant, thread, shown, 'approve_together');
      await vi.waitUntil(
        () => messages().some(({ text }) => text.includes('None of these requests was decided')),
        PATIENCE,
      );
      expect(await states()).toEqual(['awaiting_consent', 'awaiting_consent']);
      await hands.click(approver, thread, shown, 'approve_together');
      const links = () =>
        messages().filter(({ to, blocks }) => to === merchant.userId && /\/connect\//.test(JSON.stringify(blocks)));
      await vi.waitUntil(() => links().length === 2, PATIENCE);
      expect(new Set(links().map(({ blocks }) => /\/connect\/[\w-]+/.exec(JSON.stringify(blocks))?.[0])).size).toBe(2);
      expect(await states()).toEqual(['awaiting_credentials', 'awaiting_credentials']);
      await vi.waitUntil(() => JSON.stringify(card()?.blocks).match(/Countersigned by/g)?.length === 2, PATIENCE);
      expect(JSON.stringify(card()?.blocks)).toMatch(/Enter the WooCommerce sign-in.*Enter the Stripe key/);
    },
    RUN_MS,
  );
});
