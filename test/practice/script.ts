import { readFileSync } from 'node:fs';
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright';
import { findChromium } from '../../adapters/browser/index.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Demo } from './demo.ts';

export interface ScriptOptions {
  readonly sentence: string;
  /** For a real site; the practice shop's own otherwise. */
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
}

type Role = 'Merchant' | 'Approver' | 'Admin';
const ROLES: readonly Role[] = ['Merchant', 'Approver', 'Admin'];
const PATIENCE_MS = 240_000; // a real shop takes tens of seconds

/** Who watches: what is printed, and moments at which to look at the pages. */
export interface Watcher {
  say(words: string): void;
  at?(moment: 'asked' | 'link' | 'running'): Promise<void>;
}

const printer: Watcher = { say: (words) => process.stdout.write(`${words}\n`) };

/**
 * Plays merchant, approver and admin in a real browser on the same pages that people use, and prints the thread.
 * @returns 0 when the key was made, stored, proven to work and the audit chain checks; else 1.
 */
export async function playScript(demo: Demo, options: ScriptOptions, watcher: Watcher = printer): Promise<number> {
  const password = options.passwordFile
    ? readFileSync(options.passwordFile, 'utf8').replace(/\r?\n$/, '')
    : demo.shop.password;
  const user = options.user ?? demo.shop.username;
  const found = await findChromium({ mayInstall: true, log: silentLog });
  const browser = await chromium.launch({
    executablePath: found.path,
    chromiumSandbox: process.getuid?.() !== 0,
    args: [...found.args],
  });
  try {
    const people = new Map<Role, Page>();
    for (const role of ROLES) people.set(role, await enter(await browser.newContext(), demo.chatUrl, role));
    return await converse({ demo, people, watcher, printed: new Map() }, options.sentence, { user, password });
  } finally {
    await browser.close();
  }
}

interface Stage {
  readonly demo: Demo;
  readonly people: ReadonlyMap<Role, Page>;
  readonly watcher: Watcher;
  /** Message id → its words as printed last. */
  readonly printed: Map<string, string>;
}

async function converse(stage: Stage, sentence: string, signIn: { user: string; password: string }): Promise<number> {
  const merchant = as(stage, 'Merchant');
  await write(merchant, sentence);
  await merchant.waitForURL(/\/t\/(?!new)/);
  for (const role of ['Approver', 'Admin'] as const) await as(stage, role).goto(merchant.url());

  const question = card(merchant, 'such as “shop.example.com”');
  const consent = merchant
    .getByRole('article')
    .filter({ has: merchant.getByRole('button', { name: 'How to do it by hand' }) });
  const several = merchant.getByRole('button', { name: 'One at a time' });
  const other = merchant.getByRole('article', { name: /^Countersign/ }).filter({ hasText: /Nothing was done|I can't/ });
  await first(consent, question, several, other);
  await print(stage);
  if ((await several.count()) > 0) return finish(stage, 'It plays one request: name one service.');
  if ((await question.count()) > 0 && (await consent.count()) === 0) {
    await write(merchant, stage.demo.shop.origin);
    await first(consent, other);
    await print(stage);
  }
  if ((await consent.count()) === 0) return finish(stage, 'There was nothing to approve.');

  await stage.watcher.at?.('asked');
  await chooseApprovers(stage);
  const approver = as(stage, 'Approver');
  await approver.getByRole('button', { name: 'Approve', exact: true }).last().click({ timeout: PATIENCE_MS });
  await enterSignIn(stage, signIn);
  const isRunning = merchant.getByRole('article').filter({ hasText: /step [678] of/ });
  const result = merchant
    .getByRole('article')
    .filter({ hasText: /Done in .* is connected|was not set up/ })
    .last();
  await first(isRunning, result);
  await stage.watcher.at?.('running');
  await result.waitFor({ timeout: PATIENCE_MS });
  await print(stage);
  return conclude(stage, await result.innerText());
}

/** The first time, nobody may approve yet: the admin is asked. */
async function chooseApprovers(stage: Stage): Promise<void> {
  const admin = as(stage, 'Admin');
  const approve = as(stage, 'Approver').getByRole('button', { name: 'Approve', exact: true });
  const choose = admin.getByRole('button', { name: 'Choose approvers' });
  await first(approve, choose);
  if ((await approve.count()) > 0) return;
  await choose.last().click();
  const form = admin.getByRole('dialog');
  await form.getByRole('checkbox', { name: 'Approver', exact: true }).check();
  await form.getByRole('button', { name: 'Save' }).click();
  await form.waitFor({ state: 'hidden' });
  await print(stage);
}

async function enterSignIn(stage: Stage, signIn: { user: string; password: string }): Promise<void> {
  const merchant = as(stage, 'Merchant');
  const link = merchant.getByRole('link', { name: 'Open the one-time page' }).last();
  await link.waitFor({ timeout: PATIENCE_MS });
  await print(stage);
  await stage.watcher.at?.('link');
  const [page] = await Promise.all([merchant.context().waitForEvent('page'), link.click()]);
  const fields = page.getByRole('textbox');
  await fields.first().fill(signIn.user);
  await page.locator('input[type=password]').fill(signIn.password);
  await page.getByRole('button', { name: 'Send it to the vault' }).click();
  await page.getByRole('heading', { name: 'Thank you' }).waitFor();
  stage.watcher.say('(on the one-time page: user name and password entered, sent to the vault)\n');
  await page.close();
}

/** Looks at the trail as the admin, and at the practice shop's own books. */
async function conclude(stage: Stage, result: string): Promise<number> {
  const id = /op-[0-9a-z]{8}/.exec(result)?.[0] ?? '';
  const admin = as(stage, 'Admin');
  await write(admin, `/audit ${id}`);
  const trail = admin
    .getByRole('article')
    .filter({ hasText: `Audit trail ${id}` })
    .last();
  await trail.waitFor();
  await print(stage);
  const words = await trail.innerText();
  const isPractice =
    result.includes(new URL(stage.demo.shop.origin).host) || words.includes(new URL(stage.demo.shop.origin).host);
  const checks: readonly (readonly [string, boolean])[] = [
    ['the key was made and is in the vault', /Done in/.test(result) && /in the vault/.test(result)],
    ['the key was proven to work', /answered 200/.test(result)],
    ['the audit chain checks', /chain verified/.test(words)],
    ...(isPractice
      ? ([
          ['the practice shop has exactly one key of this name, and it was used', usedKeys(stage.demo, id) === 1],
        ] as const)
      : []),
  ];
  for (const [claim, holds] of checks) stage.watcher.say(`${holds ? 'ok      ' : 'NOT OK  '}${claim}`);
  return finish(stage, checks.every(([, holds]) => holds) ? undefined : 'Not everything holds.');
}

function usedKeys(demo: Demo, id: string): number {
  return demo.shop.keys().filter((key) => key.description.includes(id) && !key.isRevoked && key.lastAccess).length;
}

function finish(stage: Stage, problem: string | undefined): number {
  stage.watcher.say(
    problem ? `\nThe script ends here: ${problem}` : '\nDone: asked, countersigned, carried out, proven, on record.',
  );
  return problem ? 1 : 0;
}

async function enter(context: BrowserContext, url: string, role: Role): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(url);
  await page.getByRole('navigation', { name: 'Speak as' }).getByRole('button', { name: role }).click();
  await page.goto(new URL('/t/new', url).href);
  return page;
}

function as(stage: Stage, role: Role): Page {
  const page = stage.people.get(role);
  if (!page) throw new Error(`nobody plays ${role}`);
  return page;
}

async function write(page: Page, words: string): Promise<void> {
  const box = page.getByRole('textbox', { name: 'Message as' }).or(page.getByRole('combobox', { name: 'Message as' }));
  await box.fill(words);
  await page.getByRole('button', { name: 'Send' }).click();
}

function card(page: Page, words: string): Locator {
  return page.getByRole('article').filter({ hasText: words });
}

/** Waits until one of them is there. */
async function first(...locators: readonly Locator[]): Promise<void> {
  await Promise.any(locators.map((locator) => locator.first().waitFor({ timeout: PATIENCE_MS })));
}

/** Prints what is new or has changed since the last time, in the thread's order, for all three people. */
async function print(stage: Stage): Promise<void> {
  for (const [role, page] of stage.people) {
    for (const message of await page.getByRole('article').all()) {
      const id = (await message.getAttribute('id')) ?? '';
      const words = (await message.innerText()).trim();
      const isPrivate = /Only visible to you/.test(words);
      if (stage.printed.get(id) === words || (!isPrivate && role !== 'Merchant')) continue;
      stage.printed.set(id, words);
      stage.watcher.say(`${isPrivate ? `[${role} alone] ` : ''}${words.replaceAll(/\n+/g, '\n  ')}\n`);
    }
  }
}
