// Stripe as people set it up: web chat in real Chromium, a practice account, and what each of the three people sees.
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stripe } from '../../core/services/stripe/index.ts';
import {
  type PracticeStripe,
  type StripeKey,
  type StripeMode,
  startPracticeStripe,
} from '../practice/stripe/server.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { follow, openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';
import { IS_WHOLE } from '../support/whole.ts';

let practice: PracticeStripe;
/** Asks for a code after the password and again before it makes a key, and has the earlier wording without templates. */
let withCode: PracticeStripe;
/** Was left in live mode, whatever an address says. */
let stuck: PracticeStripe;
let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;

beforeAll(async () => {
  practice = await startPracticeStripe();
  const form = { wording: 'A', offersTemplates: false, asksAgain: 'button' } as const;
  withCode = await startPracticeStripe({ twoFactor: true, form });
  stuck = await startPracticeStripe({ stuckIn: 'live' });
  const hosts = [practice, withCode, stuck].map(({ origin }) => new URL(origin).host);
  demo = await startTestDemo({ env: { ALLOW_PRIVATE_TARGETS: hosts.join(',') } });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
  for (const account of [practice, withCode, stuck]) await account?.close();
});
beforeEach(() => appoint(demo, ['approver']));

const request = () => people.begin('Merchant', `set up Stripe for ${practice.origin}`);

/** What somebody makes in the dashboard who follows the link of the steps, and perhaps sets more than they say. */
async function makeKey(form: Page, more: readonly string[] = []): Promise<StripeKey> {
  const href = await form.getByRole('link', { name: /apikeys\/create/ }).getAttribute('href');
  const link = new URL(href ?? '');
  const mode: StripeMode = link.pathname.startsWith('/test/') ? 'test' : 'live';
  const raks = [...link.searchParams.getAll('permissions[]'), ...more];
  return practice.makeKey({ name: link.searchParams.get('name') ?? '', mode, raks });
}

async function enter(form: Page, text: string): Promise<void> {
  await form.getByLabel('Restricted key', { exact: true }).fill(text);
  await form.getByRole('button', { name: 'Send it to the vault' }).click();
}

async function approve(): Promise<void> {
  await press(approver, 'Approve');
  await seen(merchant, /Countersigned by Approver/);
}

describe('a key that its owner makes', () => {
  it(
    'goes from the sentence in chat to a key in the vault that is proven and has exactly the approved rights',
    async () => {
      await request();
      const id = await operationIdIn(merchant);
      const card = await seen(approver, 'Create a Stripe restricted key');
      expect(await card.innerText()).toMatch(
        /Test mode: no real money[\s\S]*The key may read the balance[\s\S]*Merchant makes the key[\s\S]*Beta: not yet proven/,
      );
      expect(await card.innerText()).not.toContain('LIVE MODE');
      await approve();
      const form = await follow(merchant, 'Open the one-time page');
      const steps = form.getByRole('list').first();
      expect(await steps.innerText()).toMatch(/Set exactly these rows: Balance: Read, Charges: Read, Customers: Read/);
      const key = await makeKey(form);
      expect(key.name).toBe(`Countersign ${id}`);
      await enter(form, `  ${key.value}\n`);
      await form.getByRole('heading', { name: 'Thank you' }).waitFor();
      const result = await seen(merchant, /Done in .* Stripe is connected/, RUN_MS);
      const words = await result.innerText();
      expect(words).toContain(`…${key.value.slice(-4)}, read only, in the vault`);
      expect(words).toContain(`Stripe answered 200 in test mode of account ${practice.account}`);
      expect(words).toContain('the key was made and entered by Merchant');
      expect(words).toMatch(/chain #\d+ · [0-9a-f]{16} verified/);
      const [stored] = await demo.sql(
        'SELECT target, credential_metadata FROM autonomous_credentials WHERE service = $1',
        ['stripe'],
      );
      expect(stored).toMatchObject({
        target: practice.origin,
        credential_metadata: { operationId: id, label: key.name },
      });
      for (const page of [merchant, approver]) expect(await page.content()).not.toContain(key.value);
    },
    2 * RUN_MS,
  );

  if (IS_WHOLE)
    it(
      'is refused at once on the one-time page with another mode or prefix, and the link stays good',
      async () => {
        await request();
        await approve();
        const form = await follow(merchant, 'Open the one-time page');
        const { value } = practice.makeKey({ name: 'live', mode: 'live', raks: ['rak_balance_read'] });
        for (const [text, problem] of [
          [value, 'That key is for live mode, with real money, and test mode was approved.'],
          [`sk_test_${'a'.repeat(40)}`, 'That is a secret key (sk_…), which may do everything.'],
          [`pk_test_${'a'.repeat(40)}`, 'That is a publishable key (pk_…)'],
          ['', 'Enter the key.'],
        ] as const) {
          await enter(form, text);
          await form.getByText(problem).waitFor();
          if (text) expect(await form.content()).not.toContain(text);
        }
        await enter(form, (await makeKey(form)).value);
        await form.getByRole('heading', { name: 'Thank you' }).waitFor();
        await seen(merchant, /Done in .* Stripe is connected/, RUN_MS);
      },
      2 * RUN_MS,
    );

  if (IS_WHOLE)
    it(
      'with more power than was approved is not kept, and the thread says why',
      async () => {
        await request();
        const id = await operationIdIn(merchant);
        await approve();
        const form = await follow(merchant, 'Open the one-time page');
        await enter(form, (await makeKey(form, ['rak_payout_write'])).value);
        const result = await seen(merchant, /was not set up\./, RUN_MS);
        expect(await result.innerText()).toMatch(
          /The key may do more than was approved: it also reads payouts to your bank[\s\S]*It was not kept\.[\s\S]*What was entered was deleted; the key itself lives on at Stripe/,
        );
        expect(
          await demo.sql(
            `SELECT id FROM autonomous_credentials WHERE credential_metadata ->> 'operationId' = $1 OR operation_id = $1`,
            [id],
          ),
        ).toEqual([]);
      },
      2 * RUN_MS,
    );

  it(
    'of live mode takes a permission of its own, which the card shows',
    async () => {
      await request();
      await press(merchant, 'Choose permissions');
      const dialog = merchant.getByRole('dialog', { name: 'Choose permissions' });
      await dialog.getByRole('checkbox', { name: /^LIVE MODE/ }).check();
      await dialog.getByRole('button', { name: 'Make the new plan' }).click();
      await dialog.getByText('Choose either test mode or live mode').waitFor();
      await dialog.getByRole('checkbox', { name: /^Test mode/ }).uncheck();
      await dialog.getByRole('button', { name: 'Make the new plan' }).click();
      await dialog.waitFor({ state: 'hidden' });
      await seen(approver, /LIVE MODE: real money and real customers/);
      await approve();
      const form = await follow(merchant, 'Open the one-time page');
      const key = await makeKey(form);
      expect(key.mode).toBe('live');
      await enter(form, key.value);
      await seen(merchant, /Stripe answered 200 in live mode/, RUN_MS);
    },
    2 * RUN_MS,
  );
});

if (IS_WHOLE)
  describe('another way', () => {
    const signIn = async (account: PracticeStripe) => {
      const form = await follow(merchant, 'Open the one-time page');
      await form.getByLabel('E-mail address', { exact: true }).fill(account.email);
      await form.getByLabel('Password', { exact: true }).fill(account.password);
      await form.getByRole('button', { name: 'Send it to the vault' }).click();
      await form.getByRole('heading', { name: 'Thank you' }).waitFor();
      await form.close();
    };
    const enterCode = async () => {
      await press(merchant, 'Enter the code');
      const code = await follow(merchant, 'Open the one-time page');
      await code.getByRole('textbox', { name: 'Code' }).fill(withCode.oneTimeCode ?? '');
      await code.getByRole('button', { name: 'Send the code' }).click();
      await code.getByText('The worker goes on now.').waitFor();
      await code.close();
    };
    const chosen = async (account: PracticeStripe) => {
      await people.begin('Merchant', `set up Stripe for ${account.origin}`);
      await press(merchant, 'Do it for me');
      await seen(approver, /Sign in to your Stripe dashboard/);
    };

    it(
      'is a button on the card: the worker asks for the code after the password and for the one after “Create key”, and makes one key with exactly the approved rows',
      async () => {
        await chosen(withCode);
        const id = await operationIdIn(merchant);
        const card = await seen(approver, 'Create a Stripe restricted key');
        expect(await card.innerText()).toMatch(
          /Tell Stripe that the key powers an integration of your own[\s\S]*22 steps/,
        );
        const back = (page: Page) => page.getByRole('button', { name: 'I make the key myself' }).count();
        expect(await Promise.all([approver, merchant, people.page('Admin')].map(back))).toEqual([1, 1, 0]);
        await approve();
        await signIn(withCode);
        await seen(merchant, /Waiting for you: a one-time code · step 5 of 22/, RUN_MS);
        await enterCode();
        await seen(merchant, /Waiting for you: a one-time code · step 21 of 22/, RUN_MS);
        expect(withCode.keys()).toEqual([]);
        await enterCode();
        const result = await seen(merchant, /Done in .* Stripe is connected/, RUN_MS);
        expect(await result.innerText()).toMatch(
          /Stripe answered 200 in test mode[\s\S]*22 steps[\s\S]*the sign-in was deleted/,
        );
        const raks = ['balance', 'charge', 'customer', 'payment_intent', 'product', 'plan'].map(
          (name) => `rak_${name}_read`,
        );
        expect(withCode.keys()).toMatchObject([{ name: `Countersign ${id}`, mode: 'test' }]);
        expect(withCode.keys()[0]?.raks.toSorted()).toEqual(raks.toSorted());
        for (const page of [merchant, approver]) expect(await page.content()).not.toContain(withCode.keys()[0]?.value);
      },
      2 * RUN_MS,
    );

    it(
      'makes no key where the pages are in the other mode than the approved one',
      async () => {
        await chosen(stuck);
        await approve();
        await signIn(stuck);
        const result = await seen(merchant, /was not set up\./, RUN_MS);
        expect(await result.innerText()).toContain(
          'The page is in the other mode than the one that was approved (test mode).',
        );
        expect(stuck.keys()).toEqual([]);
      },
      2 * RUN_MS,
    );

    it('can be left again before anybody has approved', async () => {
      await chosen(practice);
      await press(merchant, 'I make the key myself');
      await seen(approver, /Keep the one restricted key that you make and enter/);
      await approve();
      await (await follow(merchant, 'Open the one-time page')).getByLabel('Restricted key', { exact: true }).waitFor();
    });
  });

describe('asking', () => {
  it('needs no address, and says so to whoever names another one', async () => {
    await people.begin('Merchant', 'set up Stripe for shop.example.com');
    await seen(merchant, /Every Stripe account is at dashboard\.stripe\.com.*Nothing was done/);
    expect(stripe.home).toBe('https://dashboard.stripe.com');
  });
});
