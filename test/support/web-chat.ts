import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright';
import { findChromium } from '../../adapters/browser/index.ts';
import { createWebChat, type WebChat, type WebChatDeps, type WebChatOptions } from '../../adapters/web/index.ts';
import type { Person, ThreadRef } from '../../core/ports/chat.ts';
import type { OpenedChat, ShownMessage } from '../contracts/chat.ts';
import { silentLog } from './silent-log.ts';

/** A folder of its own for the store of one chat. */
export function webChatFolder(): { readonly storeFile: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'web-chat-'));
  return { storeFile: join(folder, 'chat.jsonl'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function webChatOptions(storeFile: string): WebChatOptions {
  return {
    port: 0,
    workspaceId: 'demo',
    storeFile,
    channelName: 'shop-integrations',
    people: [
      { userId: 'merchant', name: 'Merchant' },
      { userId: 'approver', name: 'Approver' },
      { userId: 'admin', name: 'Admin' },
    ],
    examples: ['Set up WooCommerce for shop.example.com', 'What can you set up?'],
    commands: [
      { command: 'audit', hint: 'op-…', help: 'Everything that was done in one request' },
      { command: 'countersign help', hint: '', help: 'What Countersign can do' },
      { command: 'countersign stop', hint: 'op-… or all', help: 'Stop what is running' },
    ],
  };
}

export function openWebChat(storeFile: string, deps: Partial<WebChatDeps> & { port?: number } = {}): WebChat {
  const { port = 0, ...rest } = deps;
  return createWebChat({ ...webChatOptions(storeFile), port }, { log: silentLog, ...rest });
}

export async function launchChromium(): Promise<Browser> {
  const { path } = await findChromium({
    configured: process.env.CHROMIUM_PATH ?? '',
    mayInstall: true,
    log: silentLog,
  });
  return chromium.launch({ executablePath: path, args: ['--no-sandbox'] });
}

/** The page as that person's browser opens it. */
export async function openPageAs(
  browser: Browser,
  url: string,
  userId: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Page> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(10_000);
  await context.addCookies([{ name: 'countersign_person', value: userId, url }]);
  return context.newPage();
}

/** What stands on the page, message by message. */
function readMessages(page: Page): Promise<readonly ShownMessage[]> {
  return page.locator('.message').evaluateAll((articles) =>
    articles.map((article) => {
      const said = article.querySelector('.said')?.cloneNode(true);
      const people = ['Merchant', 'Approver', 'Admin'];
      for (const hidden of said.querySelectorAll('.by, .unseen')) hidden.remove();
      for (const block of said.querySelectorAll('p, li, dt, dd, h2, button, .detail')) block.append(' ');
      return {
        text: (said.textContent ?? '').replace(/\s+/g, ' ').trim(),
        buttons: [...said.querySelectorAll('.button')].map((button) => (button.textContent ?? '').trim()),
        pictures: [...said.querySelectorAll('[data-picture]')].map((link) => link.getAttribute('href') ?? ''),
        mentions: [...said.querySelectorAll('.person')].flatMap(({ textContent }) =>
          people.filter((name) => name === textContent?.trim()).map((name) => name.toLowerCase()),
        ),
      };
    }),
  );
}

/** A window for each person, kept from test to test: with the page's script, or without any. */
export interface Windows {
  readonly hasScript: boolean;
  open(userId: string, url: string): Promise<Page>;
  /** Leaves the chat. */
  clear(): Promise<void>;
}

export function createWindows(browser: Browser, hasScript: boolean): Windows {
  const pages = new Map<string, Page>();
  return {
    hasScript,
    async open(userId, url) {
      const page = pages.get(userId) ?? (await openPageAs(browser, url, userId, { javaScriptEnabled: hasScript }));
      pages.set(userId, page);
      return page;
    },
    async clear() {
      for (const page of pages.values()) await page.goto('about:blank');
    },
  };
}

/** Web chat on a store of its own, used through those windows. */
export async function openWebChatByHand(windows: Windows): Promise<OpenedChat> {
  const { hasScript } = windows;
  const folder = webChatFolder();
  const chat = openWebChat(folder.storeFile);
  let answer: Parameters<OpenedChat['listen']>[0] = async () => undefined;
  chat.listen((event) => answer(event));
  const { url } = await chat.start();
  const [merchant, approver] = chat.people as [Person, Person]; // the options above name three
  let lastSaid: { body: string; type: string } | undefined;

  async function pageOf(person: Person, path: string): Promise<Page> {
    const page = await windows.open(person.userId, url);
    if (page.url() !== url + path || !hasScript) await page.goto(url + path);
    return page;
  }

  const pathOf = (thread?: ThreadRef): string => `/t/${thread?.ref ?? 'new'}`;

  return {
    chat,
    merchant,
    approver,
    listen: (listener) => {
      answer = listener;
    },
    async say(person, text, thread) {
      const page = await pageOf(person, pathOf(thread));
      await page.getByRole('textbox').or(page.getByRole('combobox')).fill(text);
      const answered = page.waitForResponse((response) => response.url().endsWith('/messages'));
      await page.getByRole('button', { name: 'Send' }).click();
      const sent = (await answered).request();
      lastSaid = { body: sent.postData() ?? '', type: sent.headers()['content-type'] ?? '' };
      if (!thread) await page.waitForURL(/\/t\/t-/);
    },
    async repeatLast() {
      const { body, type } = lastSaid ?? { body: '', type: '' };
      const response = await fetch(`${url}/messages`, {
        method: 'POST',
        redirect: 'manual',
        headers: { origin: url, 'content-type': type },
        body,
      });
      if (response.status >= 400) throw new Error(`the repetition was answered with ${response.status}`);
    },
    async press(person, thread, message, action) {
      const page = await pageOf(person, pathOf(thread));
      const within = message ? page.locator(`[id="${message.ref}"]`) : page.locator('.message.private').last();
      const answered = page.waitForResponse((response) => response.url().endsWith('/actions'));
      await within.locator(`form.act:has(input[name="action"][value="${action}"]) button`).click();
      await answered;
    },
    async submit(person, thread, fields) {
      const page = await windows.open(person.userId, url);
      if (!page.url().startsWith(url)) await pageOf(person, pathOf(thread));
      const form = page.locator('form.form');
      await form.waitFor();
      for (const [name, values] of Object.entries(fields)) await fillIn(form.locator(`[name="field-${name}"]`), values);
      const answered = page.waitForResponse((response) => /\/forms\/[^/]+$/.test(response.url()));
      await form.locator('.button.primary').click();
      if ((await answered).status() !== 422) return undefined;
      await page.locator('.error:not(:empty)').first().waitFor();
      const lines = await page
        .locator('[data-error]')
        .evaluateAll((found) => found.map((each) => [each.getAttribute('data-error') ?? '', each.textContent ?? '']));
      return Object.fromEntries(lines.filter(([, words]) => words !== ''));
    },
    transcriptFor: async (person, thread) => readMessages(await pageOf(person, pathOf(thread))),
    directMessagesOf: async (person) => readMessages(await pageOf(person, `/t/dm-${person.userId}`)),
    async close() {
      await windows.clear();
      await chat.stop();
      folder.remove();
    },
  };
}

async function fillIn(controls: ReturnType<Page['locator']>, values: readonly string[]): Promise<void> {
  for (const control of await controls.all()) {
    const isBox = (await control.getAttribute('type')) === 'checkbox';
    if (isBox) await control.setChecked(values.includes((await control.getAttribute('value')) ?? ''));
    else await control.fill(values[0] ?? '');
  }
}
