import type { Browser, Locator, Page } from 'playwright';
import { launchChromium, openPageAs } from './web-chat.ts';

export type Role = 'Merchant' | 'Approver' | 'Admin';
const ROLES: readonly Role[] = ['Merchant', 'Approver', 'Admin'];
const PATIENCE_MS = 45_000;

/** The three people of the demo, each with a browser window of their own. */
export interface People {
  readonly browser: Browser;
  page(role: Role): Page;
  /** Begins a thread with these words; everybody else opens it, too. @returns its address. */
  begin(role: Role, words: string): Promise<string>;
  /** Everybody opens the chat of a demo that was started anew. */
  moveTo(chatUrl: string): void;
  /** Everybody opens this thread, at whatever address the chat now is. */
  open(threadUrl: string): Promise<void>;
  close(): Promise<void>;
}

export async function openPeople(chatUrl: string): Promise<People> {
  const browser = await launchChromium();
  const pages = new Map<Role, Page>();
  let origin = chatUrl;
  for (const role of ROLES) {
    const page = await openPageAs(browser, chatUrl, role.toLowerCase());
    page.context().setDefaultTimeout(PATIENCE_MS);
    pages.set(role, page);
  }
  const page = (role: Role): Page => {
    const found = pages.get(role);
    if (!found) throw new Error(`nobody plays ${role}`);
    return found;
  };
  const open = async (threadUrl: string) => {
    const { href } = new URL(new URL(threadUrl).pathname, origin);
    await Promise.all(ROLES.map((role) => page(role).goto(href)));
  };
  return {
    browser,
    page,
    async begin(role, words) {
      await page(role).goto(new URL('/t/new', origin).href);
      await say(page(role), words);
      await page(role).waitForURL(/\/t\/t-/);
      await open(page(role).url());
      return page(role).url();
    },
    moveTo: (url) => {
      origin = url;
    },
    open,
    close: () => browser.close(),
  };
}

/** Writes something into the thread that the page shows, and sends it. Nobody can write while a dialog is open, so it waits. */
export async function say(page: Page, words: string): Promise<void> {
  await page.getByRole('dialog').first().waitFor({ state: 'detached' });
  await page
    .getByRole('textbox', { name: 'Message as' })
    .or(page.getByRole('combobox', { name: 'Message as' }))
    .fill(words);
  await page.getByRole('button', { name: 'Send' }).click();
}

/** As long as a whole run may take on a computer that is busy with other tests. */
export const RUN_MS = 120_000;

/** The last message on the page with these words in it, once it is there. @throws Error with what the page shows instead. */
export async function seen(page: Page, words: string | RegExp, timeoutMs = PATIENCE_MS): Promise<Locator> {
  const message = page.getByRole('article').filter({ hasText: words }).last();
  try {
    await message.waitFor({ timeout: timeoutMs });
  } catch (cause) {
    const shown = await page.getByRole('main').innerText();
    throw new Error(`no message says ${words} after ${timeoutMs} ms; there is:\n${shown}`, { cause });
  }
  return message;
}

/** Whether the page, loaded anew, shows these words to its person. */
export async function shows(page: Page, words: string | RegExp): Promise<boolean> {
  await page.reload();
  await page.getByRole('article').first().waitFor();
  return (await page.getByRole('article').filter({ hasText: words }).count()) > 0;
}

/** Presses a button of the newest message that has it. */
export async function press(page: Page, name: string): Promise<void> {
  await page.getByRole('article').getByRole('button', { name, exact: true }).last().click();
}

/** Presses a button that asks first, and says yes. */
export async function pressAndConfirm(page: Page, name: string, yes: string): Promise<void> {
  await press(page, name);
  await page.getByRole('dialog').getByRole('button', { name: yes }).click();
}

/** The id of the operation that the thread is about. */
export async function operationIdIn(page: Page): Promise<string> {
  const words = await (await seen(page, /op-[0-9a-z]{8}/)).innerText();
  return /op-[0-9a-z]{8}/.exec(words)?.[0] ?? '';
}

/** Opens the newest link of that name, which leads to a tab of its own. */
export async function follow(page: Page, name: string): Promise<Page> {
  const link = page.getByRole('article').getByRole('link', { name }).last();
  const [tab] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
  await tab.waitForLoadState();
  return tab;
}

/** Fills in the one-time page that `page`'s person was sent, and closes it. */
export async function enterSignIn(
  page: Page,
  signIn: { readonly user: string; readonly password: string },
): Promise<void> {
  const form = await follow(page, 'Open the one-time page');
  await fillSignIn(form, signIn);
  await form.getByRole('heading', { name: 'Thank you' }).waitFor();
  await form.close();
}

export async function fillSignIn(
  form: Page,
  signIn: { readonly user: string; readonly password: string },
): Promise<void> {
  await form.getByRole('textbox', { name: 'User name or e-mail address' }).fill(signIn.user);
  await form.getByLabel('Password', { exact: true }).fill(signIn.password);
  await form.getByRole('button', { name: 'Send it to the vault' }).click();
}
