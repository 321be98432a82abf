// One browser for all: what people see, type and press on the page of web chat.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright';
import { PNG } from 'pngjs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WebChat } from '../../adapters/web/index.ts';
import type { Card, ChatEvent, ChatListener, Form, StepLine, ThreadRef } from '../../core/ports/chat.ts';
import { launchChromium, openPageAs, openWebChat, webChatFolder } from '../support/web-chat.ts';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const words = (text: string) => [{ kind: 'text', text } as const];

const consent: Card = {
  summary: 'Approver, please countersign: a WooCommerce API key',
  blocks: [
    { kind: 'heading', text: words('Create a WooCommerce API key for shop.example.com') },
    {
      kind: 'text',
      tone: 'quiet',
      text: [
        ...words('Plan '),
        { kind: 'code', text: '9f2c…a41e' },
        ...words(' · expires '),
        { kind: 'time', at: new Date('2026-03-01T12:30:00Z'), form: 'datetime' },
      ],
    },
    {
      kind: 'list',
      items: [{ text: words('Create one API key'), detail: 'read only' }, { text: words('Check the key') }],
    },
    {
      kind: 'text',
      text: [
        { kind: 'person', person: { platform: 'web', workspaceId: 'demo', userId: 'approver', name: 'Approver' } },
        ...words(', do you countersign this?'),
      ],
    },
    {
      kind: 'details',
      summary: 'All steps',
      blocks: [{ kind: 'list', isNumbered: true, items: [{ text: words('Sign in') }, { text: words('Create it') }] }],
    },
    {
      kind: 'actions',
      buttons: [
        { label: 'Approve', style: 'primary', action: 'approve', value: 'op-1' },
        { label: 'Change', style: 'plain', action: 'change', value: 'op-1' },
        {
          label: 'Deny',
          style: 'danger',
          action: 'deny',
          value: 'op-1',
          confirm: { title: 'Deny it?', text: 'Nothing will be done.', yes: 'Deny it' },
        },
      ],
    },
  ],
};

const form: Form = {
  form: 'change',
  value: 'op-1',
  title: 'Change permissions',
  submit: 'Ask again',
  intro: 'This makes a new plan.',
  fields: [
    {
      kind: 'checkboxes',
      name: 'may',
      label: 'The key may',
      options: [
        { value: 'read', label: 'Read', isChecked: true, isLocked: true },
        { value: 'write', label: 'Write', isChecked: false },
      ],
    },
    { kind: 'text', name: 'why', label: 'Reason', isRequired: true, help: 'Shown to the approver' },
    { kind: 'people', name: 'who', label: 'Ask', isRequired: true, initial: ['approver'] },
  ],
};

function progress(step: number, seconds = 1): Card {
  const names = ['Open the sign-in page', 'Sign in', 'Create the key'];
  const items = names.map(
    (text, index): StepLine => ({
      text,
      state: index < step ? 'done' : index === step ? 'running' : 'waiting',
      ...(index < step && { detail: '1.1 s' }),
    }),
  );
  const pictures = names
    .slice(0, step + 1)
    .map((alt) => ({ url: `/pictures/${encodeURIComponent(alt)}`, alt, width: 640, height: 360 }));
  return {
    summary: `Working on it, ${seconds} s`,
    blocks: [
      { kind: 'heading', text: words(`Working on it · ${seconds} s`) },
      { kind: 'steps', items },
      { kind: 'pictures', items: pictures },
      { kind: 'facts', rows: [{ label: 'Key', value: words('…47a9, in the vault') }] },
      {
        kind: 'table',
        caption: 'Entries',
        columns: [
          { label: '#', align: 'right' },
          { label: 'What', align: 'left' },
        ],
        rows: [[words('1'), words('Asked')]],
      },
      { kind: 'signature', tone: 'granted', text: words('Countersigned by Approver') },
      { kind: 'details', summary: 'More', blocks: [{ kind: 'text', text: words('folded away') }] },
      { kind: 'text', tone: 'warning', text: words('It expires soon.') },
      { kind: 'actions', buttons: [{ label: 'Stop', style: 'danger', action: 'stop', value: 'op-1' }] },
    ],
  };
}

let browser: Browser;
let folder: ReturnType<typeof webChatFolder>;
let chat: WebChat;
let url: string;
let events: ChatEvent[];
let answer: ChatListener;
let problems: string[];

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  folder = webChatFolder();
  events = [];
  problems = [];
  answer = async () => undefined;
  await run(0);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await chat.stop();
  folder.remove();
  expect(problems).toEqual([]);
});

async function run(port: number): Promise<void> {
  chat = openWebChat(folder.storeFile, { port });
  chat.listen((event) => {
    events.push(event);
    return answer(event);
  });
  ({ url } = await chat.start());
}

/** The page as that person opens it; what its script throws, and what its policy refuses, fails the test. */
async function open(userId: string, path = '/', options: Parameters<typeof openPageAs>[3] = {}): Promise<Page> {
  const page = await openPageAs(browser, url, userId, { viewport: { width: 900, height: 700 }, ...options });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) problems.push(message.text());
  });
  await page.goto(url + path);
  return page;
}

/** The merchant asks on a page of their own, and the listener hears it. */
async function ask(page: Page, text = 'set up WooCommerce'): Promise<ThreadRef> {
  await page.locator('#text').fill(text);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/t\/t-/);
  await page.locator('#thread[data-live]').waitFor({ state: 'attached' });
  const event = await vi.waitFor(
    () => events.find(({ kind }) => kind === 'message') ?? Promise.reject(new Error('nothing heard yet')),
  );
  return event.thread;
}

const pathOf = (thread: ThreadRef): string => `/t/${thread.ref}`;
const message = (page: Page) => page.locator('.message');
const focused = (page: Page): Promise<string> =>
  page.evaluate('document.activeElement.textContent || document.activeElement.id');
const scrolled = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollHeight - innerHeight - scrollY');

function actions(): readonly string[] {
  return events.flatMap((event) => (event.kind === 'action' ? [`${event.from.userId} ${event.action}`] : []));
}

describe('writing', () => {
  test('offers a newcomer an example, puts it there to look at, and sends it with Enter', async () => {
    const page = await open('merchant');
    await page.getByRole('button', { name: 'Set up WooCommerce for shop.example.com' }).click();
    expect(await page.locator('#text').inputValue()).toBe('Set up WooCommerce for shop.example.com');
    expect(events).toEqual([]);
    await page.keyboard.press('Enter');
    await page.locator('.words', { hasText: 'Set up WooCommerce' }).waitFor();
    expect(await page.locator('.welcome').count()).toBe(0);
    expect(await page.locator('#text').inputValue()).toBe('');
  });

  test('starts a new line with Shift+Enter, and keeps lines as they were written', async () => {
    const page = await open('merchant');
    await page.locator('#text').pressSequentially('first');
    await page.keyboard.press('Shift+Enter');
    await page.locator('#text').pressSequentially('second');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/t\/t-/);
    expect(await page.locator('.words').innerText()).toBe('first\nsecond');
  });

  test('keeps what is typed when the person is switched and when the page is loaded again', async () => {
    const page = await open('merchant');
    await ask(page);
    await page.locator('#text').fill('not sent yet');
    await page.getByRole('button', { name: 'Approver' }).click();
    await page.getByRole('textbox', { name: 'Message as Approver' }).waitFor();
    expect(await page.locator('#text').inputValue()).toBe('not sent yet');
    await page.reload();
    expect(await page.locator('#text').inputValue()).toBe('not sent yet');
    await page.keyboard.press('Enter');
    await expect.poll(() => events.at(-1)?.from.userId).toBe('approver');
  });

  test('completes commands by keyboard alone', async () => {
    const page = await open('merchant');
    await page.locator('#text').focus();
    await page.keyboard.type('/');
    const list = page.getByRole('listbox', { name: 'Commands' });
    expect(await list.getByRole('option').allInnerTexts()).toHaveLength(3);
    const box = page.getByRole('combobox');
    expect(await box.getAttribute('aria-expanded')).toBe('true');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    const active = await box.getAttribute('aria-activedescendant');
    expect(await page.locator(`#${active}`).innerText()).toContain('/countersign stop');
    await page.keyboard.press('Escape');
    expect(await list.isVisible()).toBe(false);
    expect(await page.locator('#text').inputValue()).toBe('/');

    await page.keyboard.press('Backspace');
    await page.keyboard.type('/a');
    await page.keyboard.press('Tab');
    expect(await page.locator('#text').inputValue()).toBe('/audit ');
    await page.keyboard.type('op-7k3f9q2m');
    await page.keyboard.press('Enter');
    await expect.poll(() => events.at(-1)).toMatchObject({ kind: 'command', command: 'audit', text: 'op-7k3f9q2m' });
    await page.getByText('Only visible to you').waitFor();

    await page.keyboard.type('/countersign h');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await expect.poll(() => events.at(-1)).toMatchObject({ kind: 'command', command: 'countersign', text: 'help' });
  });

  test('offers dictation only where the browser has it, and never sends what it heard', async () => {
    const without = await browser.newContext();
    const silentPage = await without.newPage();
    await silentPage.addInitScript('delete window.SpeechRecognition; delete window.webkitSpeechRecognition');
    await silentPage.goto(url);
    expect(await silentPage.locator('#speak').isVisible()).toBe(false);

    const page = await open('merchant');
    await page.addInitScript(`window.SpeechRecognition = window.webkitSpeechRecognition = class extends EventTarget {
      start() { this.dispatchEvent(new Event('start')); window.hears = (transcript) => {
        this.dispatchEvent(Object.assign(new Event('result'), { results: [[{ transcript }]] })); this.dispatchEvent(new Event('end')); } }
      stop() { this.dispatchEvent(new Event('end')) } }`);
    await page.reload();
    const button = page.getByRole('button', { name: 'Dictate' });
    await button.click();
    expect(await page.getByRole('status').innerText()).toBe('Listening…');
    expect(await button.getAttribute('aria-pressed')).toBe('true');
    await page.evaluate("hears('set up Stripe')");
    expect(await page.locator('#text').inputValue()).toBe('set up Stripe');
    expect(await page.getByRole('status').innerText()).toContain('then send');
    expect(events).toEqual([]);
  });
});

describe('three people', () => {
  test('tells whoever looks on whom a request waits, and shows everybody what came of it', async () => {
    const merchant = await open('merchant');
    const thread = await ask(merchant);
    const asked = await chat.post(thread, consent, { key: 'consent' });
    await merchant.getByRole('button', { name: 'Approver 1 waiting' }).waitFor();
    await merchant.getByRole('button', { name: 'Admin (unread)' }).waitFor();

    const [approver, admin] = [await open('approver'), await open('admin')];
    await merchant.locator('.people .badge').waitFor({ state: 'detached' });
    answer = async () => {
      await chat.update(asked, {
        summary: 'Countersigned',
        blocks: [{ kind: 'signature', tone: 'granted', text: words('Countersigned by Approver') }],
      });
      return undefined;
    };
    await approver.getByRole('button', { name: 'Approve', exact: true }).click();
    for (const page of [merchant, approver, admin]) {
      await page.getByText('Countersigned by Approver').waitFor();
      await page.getByText('edited').waitFor();
      expect(await message(page).count()).toBe(2);
    }
    expect(actions()).toEqual(['approver approve']);
  });

  test('shows a private card to its person alone, as it comes and after, until it is dismissed', async () => {
    const merchant = await open('merchant');
    const thread = await ask(merchant);
    const approver = await open('approver');
    const [, second] = chat.people;
    if (!second) throw new Error('people are missing');
    await chat.ephemeral(thread, second, {
      summary: 'Your link',
      blocks: [{ kind: 'text', text: words('Your link, for you alone') }],
    });
    await chat.directMessage(second, {
      summary: 'Hello',
      blocks: [{ kind: 'text', text: words('You are an approver now') }],
    });
    await chat.post(
      thread,
      { summary: 'For all', blocks: [{ kind: 'text', text: words('For everybody') }] },
      { key: 'all' },
    );
    await approver.getByText('For everybody').waitFor();
    await merchant.getByText('For everybody').waitFor();
    expect(await approver.locator('.private').allInnerTexts()).toEqual([
      expect.stringMatching(/Only visible to you[\s\S]*Your link, for you alone/),
      expect.stringMatching(/Direct message[\s\S]*You are an approver now/),
    ]);
    expect(await merchant.locator('.private').count()).toBe(0);
    await approver.getByRole('button', { name: 'Dismiss this message' }).click();
    await approver.getByText('Your link, for you alone').waitFor({ state: 'detached' });
    await approver.reload();
    expect(await approver.locator('.private').count()).toBe(1);
  });

  test('begins further threads, and finds the earlier ones in the menu', async () => {
    const page = await open('merchant');
    await ask(page, 'the first request');
    await page.locator('.menu > summary').click();
    await page.getByRole('link', { name: 'New thread' }).click();
    await page.locator('#text').fill('the second request');
    await page.keyboard.press('Enter');
    await page.locator('.words', { hasText: 'the second request' }).waitFor();
    expect(await message(page).count()).toBe(1);
    await page.locator('.menu > summary').click();
    await page.getByRole('link', { name: 'the first request' }).click();
    await page.locator('.words', { hasText: 'the first request' }).waitFor();
    await page.goto(url);
    await page.locator('.words', { hasText: 'the second request' }).waitFor();
  });

  test('gives way on the first screen of somebody who waits there as soon as a request is made', async () => {
    const waiting = await open('approver');
    await waiting.getByText('What shall we set up?').waitFor();
    await ask(await open('merchant'));
    await waiting.locator('.words', { hasText: 'set up WooCommerce' }).waitFor();
  });
});

describe('buttons and forms', () => {
  test('asks first where the card says so; Escape and Cancel mean no, and give the focus back', async () => {
    const page = await open('approver');
    const thread = await ask(page);
    await chat.post(thread, consent, { key: 'consent' });
    const deny = page.getByRole('button', { name: 'Deny', exact: true });
    await deny.click();
    await page.getByRole('dialog', { name: 'Deny it?' }).waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => focused(page)).toBe('Deny');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await expect.poll(() => focused(page)).toBe('Deny');
    expect(actions()).toEqual([]);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Deny it' }).click();
    await expect.poll(actions).toEqual(['approver deny']);
  });

  test('takes Enter for agreement where that is the safe side', async () => {
    const page = await open('approver');
    const thread = await ask(page);
    const confirm = { title: 'Stop it?', text: 'It stops before its next action.', yes: 'Stop it', isSafe: true };
    const stop = { label: 'Stop', style: 'danger', action: 'stop', value: 'op-1', confirm } as const;
    await chat.post(thread, { summary: 'Running', blocks: [{ kind: 'actions', buttons: [stop] }] }, { key: 'running' });
    const button = page.getByRole('button', { name: 'Stop', exact: true });
    await button.click();
    await expect.poll(() => focused(page)).toBe('Stop it');
    await page.keyboard.press('Escape');
    await expect.poll(() => focused(page)).toBe('Stop');
    expect(actions()).toEqual([]);
    await button.click();
    await expect.poll(() => focused(page)).toBe('Stop it');
    await page.keyboard.press('Enter');
    await expect.poll(actions).toEqual(['approver stop']);
  });

  test('sends a button once, however often it is pressed while it is on its way', async () => {
    const page = await open('approver');
    const thread = await ask(page);
    await chat.post(thread, consent, { key: 'consent' });
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answer = () => promise;
    const approve = page.getByRole('button', { name: 'Approve', exact: true });
    await approve.dblclick();
    await page.keyboard.press('Enter');
    await expect.poll(() => approve.getAttribute('aria-disabled')).toBe('true');
    resolve(undefined);
    await expect.poll(() => approve.getAttribute('aria-disabled')).toBeNull();
    expect(actions()).toEqual(['approver approve']);
  });

  test('opens a form, shows what is wrong at its fields, sends it, and gives the focus back', async () => {
    const page = await open('approver');
    const thread = await ask(page);
    await chat.post(thread, consent, { key: 'consent' });
    answer = async (event) => {
      if (event.kind === 'action') await chat.openForm(event.trigger, form);
      return event.kind === 'form' && event.fields.why?.[0] === 'x'
        ? { fieldErrors: { why: 'Please say why.' } }
        : undefined;
    };
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Change permissions' });
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await expect.poll(() => focused(page)).toBe('Change');

    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: 'Ask again' }).click();
    await dialog.getByText('Please fill this in.').waitFor();
    await dialog.getByLabel('Reason').fill('x');
    await dialog.getByRole('button', { name: 'Ask again' }).click();
    await dialog.getByText('Please say why.').waitFor();
    expect(await page.evaluate('document.activeElement.name')).toBe('field-why');
    expect(await dialog.getByLabel('Reason').getAttribute('aria-invalid')).toBe('true');
    await dialog.getByLabel('Reason').fill('the shop needs it');
    await dialog.getByLabel('Write').check();
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    expect(events.at(-1)).toMatchObject({
      kind: 'form',
      fields: { may: ['read', 'write'], why: ['the shop needs it'], who: ['approver'] },
    });
    await expect.poll(() => focused(page)).toBe('Change');
    await page.reload();
    expect(await page.getByRole('dialog').count()).toBe(0);
  });
});

describe('a running operation', () => {
  test('keeps the focus, what is folded open and the pictures while its message changes', async () => {
    const page = await open('merchant');
    const thread = await ask(page);
    const live = await chat.post(thread, progress(0), { key: 'live' });
    await page.getByText('More', { exact: true }).click();
    await page.getByRole('button', { name: 'Stop' }).focus();
    await page.evaluate("document.querySelector('.picture img').dataset.kept = 'yes'");
    await chat.update(live, progress(1));
    await page.locator('.steps .running', { hasText: 'Sign in' }).waitFor();
    expect(await focused(page)).toBe('Stop');
    expect(await page.getByText('folded away').isVisible()).toBe(true);
    expect(await page.locator('.picture.small img').getAttribute('data-kept')).toBe('yes');
    expect(await message(page).count()).toBe(2);
  });

  test('is read out step by step, not second by second', async () => {
    const page = await open('merchant');
    const thread = await ask(page);
    const live = await chat.post(thread, progress(0), { key: 'live' });
    for (const [step, seconds] of [
      [0, 2],
      [0, 3],
      [1, 4],
      [1, 5],
      [2, 6],
    ] as const)
      await chat.update(live, progress(step, seconds));
    await page.getByText('Working on it · 6 s').waitFor();
    expect(await page.getByRole('log').locator('p').allTextContents()).toEqual([
      'Countersign: Working on it, 1 s',
      'Now: Sign in',
      'Now: Create the key',
    ]);
  });

  test('enlarges pictures by keyboard, goes through them, and closes', async () => {
    const page = await open('merchant');
    const thread = await ask(page);
    await chat.post(thread, progress(2), { key: 'live' });
    const large = page.getByRole('link', { name: 'Enlarge: Create the key' });
    await large.focus();
    await page.keyboard.press('Enter');
    const box = page.getByRole('dialog', { name: 'Picture' });
    await box.getByText('3 of 3').waitFor();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await box.getByText('1 of 3').waitFor();
    expect(await box.getByRole('img').getAttribute('alt')).toBe('Open the sign-in page');
    await page.keyboard.press('Escape');
    expect(await box.isVisible()).toBe(false);
    expect(await page.evaluate('document.activeElement.ariaLabel')).toBe('Enlarge: Create the key');
  });

  test('stays at the end for who is there, and only says that there is more to who reads above', async () => {
    const page = await open('merchant');
    const thread = await ask(page);
    for (const key of ['a', 'b', 'c']) await chat.post(thread, progress(2), { key });
    await expect.poll(() => message(page).count()).toBe(4);
    await expect.poll(() => scrolled(page)).toBeLessThan(3);
    await page.evaluate('scrollTo(0, 100)');
    await expect.poll(() => page.evaluate('scrollY')).toBe(100);
    await chat.post(thread, progress(1), { key: 'd' });
    const pill = page.getByRole('button', { name: 'New messages' });
    await pill.waitFor();
    expect(await page.evaluate('scrollY')).toBe(100);
    await pill.click();
    await expect.poll(() => scrolled(page)).toBeLessThan(3);
    expect(await pill.isVisible()).toBe(false);
  });

  test('says that it is reconnecting, and then has everything once', async () => {
    const page = await open('merchant');
    const thread = await ask(page);
    const live = await chat.post(thread, progress(0), { key: 'live' });
    await message(page).nth(1).waitFor();
    const port = Number(new URL(url).port);
    await chat.stop();
    await page.getByText('Reconnecting…').waitFor();
    await run(port);
    await chat.update(live, progress(2, 9));
    await chat.post(
      thread,
      { summary: 'Done', blocks: [{ kind: 'text', text: words('Done in 9 s') }] },
      { key: 'done' },
    );
    await page.getByText('Done in 9 s').waitFor();
    await expect.poll(() => page.getByRole('status').innerText()).toBe('');
    expect(await message(page).count()).toBe(3);
    await page.getByText('Working on it · 9 s').waitFor();
  });
});

describe('for everybody', () => {
  async function fullThread(): Promise<ThreadRef> {
    const page = await open('merchant');
    const thread = await ask(page, `set up ${'averylongwordthatneverends'.repeat(12)}.example.com`);
    await chat.post(thread, consent, { key: 'consent' });
    await chat.post(thread, progress(1), { key: 'live' });
    for (const person of chat.people)
      await chat.ephemeral(thread, person, {
        summary: 'Yours',
        blocks: [
          { kind: 'heading', text: words('Only yours') },
          { kind: 'text', text: words('x'.repeat(300)) },
        ],
      });
    await page.context().close();
    return thread;
  }

  async function seriousViolations(page: Page): Promise<unknown> {
    await page.evaluate(axe);
    const found: { id: string; impact: string; nodes: { html: string }[] }[] = await page.evaluate(
      'axe.run().then(({ violations }) => violations)',
    );
    return found
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }));
  }

  test.each(['light', 'dark'] as const)(
    'has no serious accessibility problem in %s: thread, menu, commands, dialogs, first screen',
    async (colorScheme) => {
      const first = await open('merchant', '/', { colorScheme });
      expect(await seriousViolations(first)).toEqual([]);
      await first.context().close();
      const thread = await fullThread();
      const page = await open('approver', pathOf(thread), { colorScheme, reducedMotion: 'reduce' });
      await page.getByText('All steps').click();
      await page.locator('.menu > summary').click();
      expect(await seriousViolations(page)).toEqual([]);
      await page.locator('#text').fill('/');
      await page.getByRole('listbox').waitFor();
      expect(await seriousViolations(page)).toEqual([]);
      await page.locator('#text').fill('');
      answer = async (event) => {
        if (event.kind === 'action') await chat.openForm(event.trigger, form);
        return undefined;
      };
      await page.getByRole('button', { name: 'Change', exact: true }).click();
      await page.getByRole('button', { name: 'Ask again' }).click();
      await page.getByText('Please fill this in.').waitFor();
      expect(await seriousViolations(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await page.locator('.picture.large').click();
      await page.getByRole('dialog', { name: 'Picture' }).waitFor();
      expect(await seriousViolations(page)).toEqual([]);
      const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      expect(ground).toBe(colorScheme === 'dark' ? 'rgb(22, 21, 19)' : 'rgb(251, 250, 248)');
    },
  );

  test.each([360, 900])('fits a width of %i px without scrolling sideways, whatever the words', async (width) => {
    const thread = await fullThread();
    const page = await open('merchant', pathOf(thread), { viewport: { width, height: 640 } });
    await page.getByText('All steps').click();
    await page.locator('.menu > summary').click();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    const menu = await page.locator('.menu-body').boundingBox();
    expect(menu && menu.x >= 0 && menu.x + menu.width <= width).toBe(true);
  });

  test('shades the edge of a table behind which there is more, on a phone', async () => {
    const thread = await fullThread();
    const page = await open('merchant', pathOf(thread), { viewport: { width: 360, height: 640 } });
    const table = page.getByRole('region', { name: 'Entries' });
    const edges = async () => {
      const { data, width, height } = PNG.sync.read(await table.screenshot());
      const redAt = (x: number) => data[4 * (width * Math.floor(height / 2) + x)];
      return [redAt(1), redAt(width - 2)].map((red) => (red === 255 ? 'plain' : 'shaded'));
    };
    expect(await edges()).toEqual(['plain', 'shaded']);
    await table.evaluate((element) => element.scrollTo(10_000, 0));
    expect(await edges()).toEqual(['shaded', 'plain']);
    await page.setViewportSize({ width: 900, height: 640 });
    expect(await edges()).toEqual(['plain', 'plain']);
  });

  test("shows times in the reader's own time zone", async () => {
    const thread = await fullThread();
    const [tokyo, newYork] = [
      await open('merchant', pathOf(thread), { timezoneId: 'Asia/Tokyo' }),
      await open('merchant', pathOf(thread), { timezoneId: 'America/New_York' }),
    ];
    expect(await tokyo.locator('.text.quiet time').innerText()).toBe('1 Mar, 21:30');
    expect(await newYork.locator('.text.quiet time').innerText()).toBe('1 Mar, 07:30');
  });

  test('is reached by Tab alone, in the order of the page, with a visible focus', async () => {
    const thread = await fullThread();
    const page = await open('approver', pathOf(thread));
    await page.evaluate('document.body.tabIndex = -1; document.body.focus()');
    const reached: string[] = [];
    for (let presses = 0; presses < 30 && reached.at(-1) !== 'Send'; presses++) {
      await page.keyboard.press('Tab');
      const [name, outline] = (await page.evaluate(
        "(() => { const e = document.activeElement; return [e.ariaLabel || e.textContent, getComputedStyle(e).outlineStyle + getComputedStyle(e.closest('.composer') || e).boxShadow] })()",
      )) as [string, string]; // the script above returns two texts
      expect(`${name}: ${outline}`).not.toMatch(/: nonenone$/);
      reached.push(name.trim());
    }
    const order = [
      'Skip to the messages',
      'Countersign',
      'Threads',
      'Merchant',
      'Approve',
      'Change',
      'Deny',
      'Stop',
      'Message as Approver',
      'Send',
    ];
    expect(order.map((name) => reached.findIndex((each) => each.startsWith(name)))).toEqual(
      order.map((name) => reached.findIndex((each) => each.startsWith(name))).toSorted((a, b) => a - b),
    );
    expect(reached).toEqual(
      expect.arrayContaining(['Approve', 'Change', 'Deny', 'Stop', 'Message as Approver', 'Send']),
    );
  });
});
