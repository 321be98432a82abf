import type { Browser, Page } from 'playwright';
import { z } from 'zod';
import { renderCard } from '../../../adapters/slack/cards.ts';
import { togetherCard } from '../../../bot/cards/together-card.ts';
import type { Person, ThreadRef } from '../../../core/ports/chat.ts';
import { stripe } from '../../../core/services/stripe/index.ts';
import { woocommerce } from '../../../core/services/woocommerce/index.ts';
import { startPracticeShop } from '../../practice/woocommerce/server.ts';
import { memberNamed, operationWith } from '../operation.ts';
import { fillSignIn } from '../people.ts';
import { type Preview, previewOf } from './preview.ts';
import { startSlackProgram } from './program.ts';
import type { KeptMessage } from './reading.ts';
import { BOT, CHANNEL } from './server.ts';

const PATIENCE_MS = 180_000;
const WIDTHS = { wide: { width: 720, height: 500 }, phone: { width: 360, height: 700 } } as const;
export type Look = keyof typeof WIDTHS;

/** A whole request in the Slack that refuses what Slack refuses, photographed as drawn by `previewOf`. */
export async function takeSlackPictures(browser: Browser, fileFor: (name: string) => string): Promise<void> {
  const shop = await startPracticeShop({ port: 0 });
  const program = await startSlackProgram({ role: 'all', targets: new URL(shop.origin).host });
  const { server, hands } = program;
  const [merchant, approver, owner] = hands.people as [Person, Person, Person]; // the stand-in begins with these
  const names = new Map([...server.users.values()].map(({ id, real_name }) => [id, String(real_name)]));
  const thread = (): ThreadRef => ({
    ...{ platform: 'slack', workspaceId: merchant.workspaceId },
    ref: `${CHANNEL}:${server.messages(CHANNEL)[0]?.ts ?? ''}`,
  });

  async function until<T>(what: string, look: () => T | undefined): Promise<T> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`no ${what}: ${JSON.stringify(server.messages(CHANNEL))}`);
      await new Promise((resolve) => setTimeout(resolve, 100)); // the stand-in tells nobody what it keeps
    }
  }
  const says = (words: RegExp, to?: Person) =>
    until(`message ${words}`, () =>
      server.messages(CHANNEL).findLast((each) => words.test(JSON.stringify(each)) && each.to === to?.userId),
    );

  async function photograph(name: string, look: Look, drawn: Pick<Preview, 'title' | 'messages' | 'view' | 'home'>) {
    const context = await browser.newContext({ viewport: WIDTHS[look], deviceScaleFactor: 1.5 });
    const page = await context.newPage();
    await page.setContent(previewOf({ ...drawn, names, pictures: server.uploaded, timeZone: 'Europe/Berlin' }));
    await page.screenshot({ path: fileFor(name), fullPage: true });
    await context.close();
  }
  const seenBy = (person: Person): readonly KeptMessage[] =>
    server.messages(CHANNEL).filter(({ to }) => to === undefined || to === person.userId);
  const shoot = (name: string, person: Person, look: Look = 'wide') =>
    photograph(name, look, { title: 'Thread in #shop-integrations', messages: seenBy(person) });
  async function home(name: string, person: Person): Promise<void> {
    await hands.event({ type: 'app_home_opened', user: person.userId, channel: `D${person.userId}`, tab: 'home' });
    const blocks = await until('Home page', () => server.homes.get(person.userId));
    await photograph(name, 'wide', { title: 'Countersign: Home', home: blocks });
  }
  async function form(name: string, title: string): Promise<void> {
    const { view } = await until('form', () => server.view(owner.userId));
    await photograph(name, 'wide', { title, view });
  }
  const press = async (person: Person, { ts }: KeptMessage, action: string) =>
    void (await hands.click(person, thread(), { ref: ts, thread: thread() }, action));

  async function together(name: string, look: Look): Promise<void> {
    const all = [woocommerce, stripe].map((service, index) => ({
      operation: operationWith({}, { service, id: `op-7k3f9q2${index}` as never }),
      people: {
        ...{ approvers: [memberNamed('Approver', '3')], admins: [], lack: undefined },
        rules: { approvalsRequired: 1, approverGroup: null },
      },
    }));
    const message = { ...renderCard(togetherCard(all, false), 'C1:1.1'), ts: '1772618520.000100', user: BOT };
    await photograph(name, look, { title: 'Thread in #shop-integrations', messages: [message] });
  }

  try {
    await together('slack-together', 'wide');
    await together('slack-together-phone', 'phone');
    await hands.say(merchant, `set up WooCommerce for ${shop.origin}`);
    const card = await says(/Asked by/);
    const first = await says(/I work alone/, owner);
    await shoot('slack-first-admin', owner);
    await press(owner, first, 'choose_approvers');
    await form('slack-approvers', 'Choose approvers');
    await hands.submit(owner, thread(), { approvers: [approver.userId], required: ['1'], rules: [] });
    await until('approver', () => (/Approver/.test(JSON.stringify(server.messages(CHANNEL))) ? true : undefined));
    await shoot('slack-consent', approver);
    await shoot('slack-consent-phone', approver, 'phone');
    await hands.command(owner, '/countersign', 'settings');
    await form('slack-settings', '/countersign settings');
    server.closeView(owner.userId);
    await home('slack-home', approver);
    await press(approver, card, 'approve');
    const link = await says(/\/connect\//, merchant);
    await shoot('slack-sign-in', merchant);
    const url = z.string().parse(/"url":"([^"]+\/connect\/[^"]+)"/.exec(JSON.stringify(link.blocks))?.[1]);
    await enterSignIn(await browser.newPage(), url, shop, fileFor('slack-one-time-page'));
    await says(/[3-9] of \d+ steps done/);
    await shoot('slack-running', merchant);
    await says(/is connected\./);
    await shoot('slack-thread', merchant);
    await shoot('slack-thread-phone', merchant, 'phone');
    await home('slack-home-admin', owner);
  } finally {
    await program.stop();
    await shop.close();
  }
}

async function enterSignIn(
  page: Page,
  url: string,
  { username, password }: { readonly username: string; readonly password: string },
  file: string,
): Promise<void> {
  await page.goto(url);
  await page.screenshot({ path: file, fullPage: true });
  await fillSignIn(page, { user: username, password });
  await page.getByRole('heading', { name: 'Thank you' }).waitFor();
  await page.close();
}
