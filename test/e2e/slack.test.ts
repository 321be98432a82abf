// The main job in Slack as people do it: a Slack of our own in real Chromium, the program as npm start runs it, a practice shop.
import type { Browser, Locator, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ShownMessage } from '../contracts/chat.ts';
import { fillSignIn, RUN_MS } from '../support/people.ts';
import { hasLocalSlack, LOCAL, type LocalMessage, MEMBERS } from '../support/slack/local-slack.ts';
import { shownAs } from '../support/slack/reading.ts';
import { type SlackWorkspace, startSlackWorkspace } from '../support/slack/workspace.ts';
import { launchChromium } from '../support/web-chat.ts';
import { IS_WHOLE } from '../support/whole.ts';

const PATIENCE_MS = 30_000;
type Name = (typeof MEMBERS)[number]['name'];

it.runIf(process.env.CI === 'true' && process.platform === 'linux' && process.arch === 'x64')(
  'the Slack of our own is installed where it is made for (asked with CI=true)',
  () => expect(hasLocalSlack).toBe(true),
);

const WAYS = [
  { way: 'http', words: 'over HTTP' },
  { way: 'socket', words: 'over a socket' },
] as const;

describe.runIf(hasLocalSlack).each(WAYS)(
  'Slack $words (on Linux for x64, which the Slack of our own is made for)',
  ({ way }) => {
    let workspace: SlackWorkspace;
    let browser: Browser;
    let page: Page;

    beforeAll(async () => {
      workspace = await startSlackWorkspace(way);
      browser = await launchChromium();
      const context = await browser.newContext({ viewport: { width: 1300, height: 1000 } });
      context.setDefaultTimeout(PATIENCE_MS);
      page = await context.newPage();
      await page.goto(workspace.slack.url);
      await channel();
    });
    afterAll(async () => {
      await browser?.close();
      await workspace?.stop();
    });

    const host = () => new URL(workspace.shop.origin).host;
    const thread = () => page.locator('.thread-pane');
    const as = (name: Name) => page.locator('.actas select').selectOption({ label: name });
    const channel = () => page.locator('.sidebar').getByText('shop-integrations').click();
    const only = () => thread().locator('.msg').filter({ hasText: 'only visible to you' });

    async function say(words: string, where: Locator = page.locator('.main')): Promise<void> {
      await where.locator('.composer-input').fill(words);
      await where.locator('.composer-send').click();
    }

    /** @returns the request's message, which the thread is under. */
    async function ask(): Promise<string> {
      const requests = async () =>
        (await workspace.slack.messages()).filter(({ user, thread_ts }) => user === 'U0MERCHANT' && !thread_ts);
      const { length: before } = await requests();
      await as('Merchant');
      await say(`<@${LOCAL.bot}> set up WooCommerce for ${workspace.shop.origin}`);
      await page.locator('.main .msg').filter({ hasText: 'set up WooCommerce' }).nth(before).waitFor();
      const ts = (await requests()).at(-1)?.ts ?? '';
      await page.locator(`.main .msg[data-ts="${ts}"] .thread-summary`).click();
      await thread().getByText(`Create a WooCommerce API key for ${host()}`).first().waitFor();
      return ts;
    }

    async function press(name: string, where: Locator = thread()): Promise<void> {
      await where.getByRole('button', { name, exact: true }).last().click();
    }

    /** The newest message that says so, as a client that knows every block shows it. */
    async function shown(
      words: RegExp,
      timeout = PATIENCE_MS,
    ): Promise<ShownMessage & { readonly message: LocalMessage }> {
      const names = new Map<string, string>(MEMBERS.map(({ id, name }) => [id, name]));
      return vi.waitFor(
        async () => {
          const all = (await workspace.slack.messages()).map((message) => ({ ...shownAs(message, names), message }));
          const found = all.findLast(({ text }) => words.test(text));
          if (!found) throw new Error(`nothing says ${words}: ${all.map(({ text }) => text).join('\n')}`);
          return found;
        },
        { timeout, interval: 100 },
      );
    }

    it(
      'carries a request from the mention to the result: admin, approver, outsider, sign-in page, pictures, trail',
      async () => {
        const root = await ask();
        const asked = await shown(/Nobody may approve this yet\. Admin can choose who does\./);
        expect(asked.message.thread_ts).toBe(root);

        // The first admin is told, alone, and chooses in a modal that says what is wrong.
        expect((await shown(/^Welcome\./)).message.ephemeral_to).toBe('U0ADMIN');
        await as('Admin');
        await press('Choose approvers', only().last());
        const modal = page.locator('.modal-overlay');
        await modal.getByRole('button', { name: 'Save' }).click();
        await modal.getByText('Choose at least one.').waitFor();
        await modal.getByRole('checkbox').first().check();
        await modal.getByRole('button', { name: 'Save' }).click();
        await modal.waitFor({ state: 'detached' });
        await shown(/Saved\. every admin may approve\./i);

        // Whoever asked, and an outsider, are refused, each alone; nothing runs.
        for (const name of ['Outsider', 'Merchant'] as const) {
          await as(name);
          await press('Approve');
          const told = MEMBERS.find((member) => member.name === name)?.id;
          await vi.waitFor(
            async () => expect((await shown(/You may not decide on this request/)).message.ephemeral_to).toBe(told),
            { timeout: PATIENCE_MS, interval: 100 },
          );
        }
        expect(await workspace.sql('SELECT id FROM autonomous_consent')).toEqual([]);

        await as('Admin');
        await press('Approve');
        const card = await shown(/Countersigned by Admin at/);
        expect(card.message.ts).toBe(asked.message.ts);
        expect(card.buttons).not.toContain('Approve');

        // The Slack of our own opens no page for a button: its address is followed by hand.
        const link = await shown(/Open the one-time page/);
        expect(link.message.ephemeral_to).toBe('U0MERCHANT');
        const url = /"url":"([^"]+\/connect\/[^"]+)"/.exec(JSON.stringify(link.message.blocks))?.[1] ?? '';
        const tab = await page.context().newPage();
        await tab.goto(url);
        await fillSignIn(tab, { user: workspace.shop.username, password: workspace.shop.password });
        await tab.getByRole('heading', { name: 'Thank you' }).waitFor();
        await tab.close();

        const result = await shown(/Done in .* WooCommerce is connected\./, RUN_MS);
        await thread()
          .getByText(/Done in .*WooCommerce is connected\./)
          .waitFor();
        expect(result.mentions).toEqual(['U0MERCHANT']);
        expect(result.message.thread_ts).toBe(root);
        const messages = await workspace.slack.messages();
        const pictures = messages.filter(({ files }) => files !== undefined);
        expect(pictures.length).toBeGreaterThanOrEqual(5);
        expect(pictures.every(({ thread_ts }) => thread_ts === root)).toBe(true);
        expect(pictures.every(({ ts }) => ts < result.message.ts)).toBe(true);
        const live = await shown(/All 10 steps done/);
        expect(live.message.blocks.map(({ type }) => type)).toContain('plan');
        expect(JSON.stringify(messages)).not.toContain(workspace.shop.password);

        await as('Admin');
        await press('Audit trail');
        const trail = await shown(/Audit trail op-\w{8}.*chain verified/);
        expect(trail.message.ephemeral_to).toBe('U0ADMIN');
      },
      2 * RUN_MS,
    );

    // What is left out is the adapter's, and the same: the way in changes nothing about it.
    if (way === 'socket' && !IS_WHOLE) return;

    it('takes a denial with its reason in a modal, which the thread then says', async () => {
      await ask();
      await as('Admin');
      await press('Deny');
      const modal = page.locator('.modal-overlay');
      await modal.locator('textarea, input').first().fill('Not before the sale is over.');
      await modal.getByRole('button', { name: 'Deny' }).click();
      await shown(/Denied by Admin at .*“Not before the sale is over\.”/);
      await shown(/Denied: WooCommerce for .* was not set up\..*Nothing was done\./);
    });

    it('makes the plan anew when the request is edited, and offers to withdraw it when it is deleted', async () => {
      const ts = await ask();
      const before = await shown(/Asked by Merchant/);
      expect(before.message.thread_ts).toBe(ts);
      const words = `<@${LOCAL.bot}> set up WooCommerce for ${workspace.shop.origin}, with read and write access`;
      const at = { channel: LOCAL.channel, ts, user: 'U0MERCHANT' };
      await workspace.slack.control('edit-message', { ...at, text: words });
      await vi.waitFor(
        async () => {
          const latest = await shown(/Asked by Merchant/);
          expect(latest.message.ts).not.toBe(before.message.ts);
          expect(latest.text).toMatch(/write/i);
        },
        { timeout: PATIENCE_MS, interval: 100 },
      );
      await shown(/Stopped: WooCommerce for .* was not set up\./);
      await workspace.slack.control('delete-message', at);
      const offer = await shown(/You deleted your request.*Shall it be withdrawn\?/);
      expect(offer).toMatchObject({ buttons: ['Withdraw it'], message: { ephemeral_to: 'U0MERCHANT' } });
    });

    it('answers in a direct message, in its thread', async () => {
      await as('Merchant');
      await page.locator('.sidebar').getByText('Countersign').click();
      // Whoever opens our page has a conversation with us from then on.
      await page.locator('.sidebar').getByText('Merchant', { exact: true }).click();
      await say('what can you do?');
      await page.locator('.main .thread-summary').last().click();
      await thread().locator('.msg').filter({ hasText: 'Nothing runs that nobody countersigned.' }).waitFor();
      await channel();
    });

    it('begins a thread of its own for a command, and answers others to whoever gave them', async () => {
      const command = { channel: LOCAL.channel, user: 'U0MERCHANT' };
      const text = `set up WooCommerce for ${workspace.shop.origin}`;
      await workspace.slack.control('command', { ...command, command: '/countersign', text });
      const root = await shown(/^Merchant asks: set up WooCommerce/);
      expect(root.message.thread_ts).toBeUndefined();
      await vi.waitFor(async () => expect((await shown(/Asked by Merchant/)).message.thread_ts).toBe(root.message.ts), {
        timeout: PATIENCE_MS,
        interval: 100,
      });
      await workspace.slack.control('command', { ...command, command: '/audit', text: 'op-abcdefgh' });
      const refusal = await shown(/Only an admin can read audit trails/);
      expect(refusal.message.ephemeral_to).toBe('U0MERCHANT');
      await workspace.slack.control('command', { ...command, user: 'U0ADMIN', command: '/audit', text: '' });
      expect((await shown(/the newest are:/)).message.ephemeral_to).toBe('U0ADMIN');
    });

    it('does not join in when people talk among themselves, in its threads and elsewhere', async () => {
      const talk = { channel: LOCAL.channel, user: 'U0OUTSIDER' };
      const before = (await workspace.slack.messages()).length;
      await workspace.slack.control('message', { ...talk, text: 'is it going to rain tomorrow?' });
      const root = (await shown(/^Merchant asks:/)).message.ts;
      await workspace.slack.control('message', { ...talk, text: 'hello everybody', thread_ts: root });
      // The bot is asked after that: when its answer is there, those before have been heard.
      await workspace.slack.control('message', { ...talk, text: `<@${LOCAL.bot}> hello`, thread_ts: root });
      await shown(/Hello Outsider\./);
      expect((await workspace.slack.messages()).length - before).toBe(4);
    });

    it('shows what waits and what is connected on its own page', async () => {
      await workspace.slack.control('open-home', { user: 'U0ADMIN' });
      await as('Admin');
      await page.locator('.sidebar').getByText('Countersign').click();
      await page.getByText('Waiting for approval', { exact: true }).waitFor();
      await page.getByText('Connected', { exact: true }).waitFor();
    });
  },
);
