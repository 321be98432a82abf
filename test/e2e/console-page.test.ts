// The console in Chromium: a merchant, an approver and an admin sign in by their links, look at every page and act.
// One database, one console and one browser for all.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { decideProposal } from '../../core/workflow/found-anew.ts';
import { keepProposal } from '../../core/workflow/proposals.ts';
import { madeConnection } from '../support/connections.ts';
import { openConsole, type TestConsole } from '../support/console.ts';
import {
  type Core,
  installShop,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { deadJob } from '../support/dead-job.ts';
import { launchChromium } from '../support/web-chat.ts';
import { IS_WHOLE } from '../support/whole.ts';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const LONG =
  'https://a-shop-with-a-name-that-goes-on-and-on-and-on-and-on-without-a-space.example.com/and/a/long/folder/as/well';

let testDatabase: TestDatabase;
let core: Core;
let shown: TestConsole;
let shop: Shop;
let browser: Browser;
let running: Operation;
let waiting: Operation;
const contexts = new Map<string, Awaited<ReturnType<BrowserContext['storageState']>>>();

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shown = await openConsole(core);
  shop = await installShop(core);
  await requestOperation(core, shop, { base: LONG, origin: new URL(LONG).origin });
  waiting = await requestOperation(core, shop);
  running = await begun(await queuedOperation(core, shop));
  await foundAnew(running);
  browser = await launchChromium();
}, 60_000);

afterAll(async () => {
  await browser.close();
  await shown.close();
  await core.close();
  await testDatabase.drop();
});

/** A button of a very long name, and one that an admin has discarded. */
async function foundAnew({ customerId, id: operationId, plan }: Operation): Promise<void> {
  const { workflowId, workflowVersion, base: target } = plan;
  await core.database.withCustomer(customerId, async (tx) => {
    for (const name of ['Discarded', 'W'.repeat(400)]) {
      const identity = { tag: 'button', role: 'button', name };
      const heal = { fingerprint: identity, identity, locators: [{ by: 'text', text: name } as const] };
      const of = { operationId, step: 1, heal: { ...heal, score: 1, margin: 1 }, hide: <T>(value: T) => value };
      await keepProposal(tx, customerId, { workflowId, workflowVersion, target }, of);
    }
    const rows = await tx.workflowProposal.findMany({ where: { customerId } });
    const id = rows.find(({ element }) => JSON.stringify(element).includes('Discarded'))?.id ?? '';
    await decideProposal(tx, core.audit, customerId, { id, decision: 'discard', by: shop.admin.id });
  });
}

/** As a worker leaves it after its first steps, the first of which has a picture. */
async function begun(operation: Operation): Promise<Operation> {
  const { customerId, id: operationId } = operation;
  const picture = new PNG({ width: 640, height: 360 });
  picture.data.fill(200);
  const shot = { bytes: PNG.sync.write(picture), mediaType: 'image/png', width: 640, height: 360 } as const;
  const screenshotId = await shown.screenshots.put(customerId, { operationId, step: 1, alt: 'Step 1', ...shot });
  await core.database.withCustomer(customerId, async (tx) => {
    const set = (number: number, data: object) =>
      tx.operationStep.update({ where: { customerId_operationId_number: { customerId, operationId, number } }, data });
    await set(1, { state: 'done', rung: 'none', durationMs: 1120, screenshotId: screenshotId ?? null });
    await set(2, { state: 'done', rung: 'relocated', durationMs: 2904 });
    await set(3, { state: 'running' });
    const entry = { kind: 'step.finished', operationId, attempt: 1n, success: true } as const;
    await core.audit.append(tx, customerId, { ...entry, stepNumber: 1, durationMs: 1120, rung: 'none' });
    const relocated = { by: 'fingerprint', score: 0.913, margin: 0.3 };
    const step = { ...entry, stepNumber: 2, durationMs: 2904, rung: 'relocated', tokens: { input: 1200, output: 60 } };
    await core.audit.append(tx, customerId, { ...step, payload: { relocated } });
  });
  return look(core, operation);
}

async function pageOf(member: Member, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
  const kept = contexts.get(member.id);
  const context = await browser.newContext({
    baseURL: shown.origin,
    ...options,
    ...(kept ? { storageState: kept } : {}),
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  if (kept) return page;
  await page.goto(await shown.linkFor(member));
  await page.getByRole('button', { name: `Sign in as ${member.person.name}` }).click();
  await page.waitForURL('**/console/operations');
  contexts.set(member.id, await context.storageState());
  return page;
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** Nothing that axe finds, and nothing that only scrolling sideways would show. */
async function expectGood(page: Page): Promise<void> {
  await page.evaluate(axe);
  const found = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as Violation[]; // axe-core's own
  expect(found.map(({ id, nodes }) => [page.url(), id, nodes.map(({ html }) => html)])).toEqual([]);
  const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
  expect([page.url(), overflow]).toEqual([page.url(), 0]);
}

/** What Tab leads to in the content of a page, in its order. */
const CONTROLS = `[...document.querySelectorAll('main :is(a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"])')].filter((each) => each.checkVisibility())`;
/** Which of them has the focus, and whether that can be seen. A field of a date rings the part of it that has the focus. */
const FOCUSED = `(() => {
  const element = document.activeElement;
  const { left, top, width, height } = element.getBoundingClientRect();
  const at = document.elementFromPoint(left + width / 2, top + Math.min(height, 40) / 2);
  const rings = getComputedStyle(element).outlineStyle !== 'none' || element.type === 'date';
  const isSeen = at !== null && (element.contains(at) || at.contains(element)) && rings;
  return { place: ${CONTROLS}.indexOf(element), isSeen, isInMain: element.closest('main') !== null, html: element.outerHTML.slice(0, 120) };
})()`;

interface Focused {
  readonly place: number;
  readonly isSeen: boolean;
  readonly isInMain: boolean;
  readonly html: string;
}

/** From "Skip to the content" on, Tab leads to everything, in order, where it can be seen; Shift+Tab leads back, and nothing holds the focus. */
async function expectWalkable(page: Page): Promise<void> {
  await page.evaluate('for (const each of document.querySelectorAll("main details")) each.open = true');
  const count = Number(await page.evaluate(`${CONTROLS}.length`));
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  const seen: Focused[] = [];
  let presses = 0;
  for (; presses < 5 * count; presses++) {
    await page.keyboard.press('Tab');
    const focused = (await page.evaluate(FOCUSED)) as Focused;
    if (!focused.isInMain) break;
    if (seen.at(-1)?.place !== focused.place) seen.push(focused); // a date is several stops
  }
  expect([page.url(), seen.filter(({ isSeen }) => !isSeen)]).toEqual([page.url(), []]);
  expect([page.url(), seen.map(({ place }) => place)]).toEqual([
    page.url(),
    Array.from({ length: count }, (_, n) => n),
  ]);
  // Backwards a date is fewer stops, so the end of the way is gone step by step.
  for (; presses > 9; presses--) await page.keyboard.press('Shift+Tab');
  let last = count === 0 ? 0 : -1;
  for (let n = 0; n < 20; n++) {
    await page.keyboard.press('Shift+Tab');
    const { place, isInMain } = (await page.evaluate(FOCUSED)) as Focused;
    if (isInMain) last = place;
    else if (last >= 0) break;
  }
  expect([page.url(), last]).toEqual([page.url(), 0]);
}

/** Presses Tab until something has the focus whose label or words begin so, as whoever has no mouse does. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let n = 0; n < 60; n++) {
    await page.keyboard.press('Tab');
    const says = await page.evaluate(
      '(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()',
    );
    if (String(says).startsWith(name)) return;
  }
  throw new Error(`Tab leads to nothing that is called ${name} on ${page.url()}`);
}

/** What has the focus, in words. */
const focusedWords = (page: Page) => page.evaluate('document.activeElement.textContent') as Promise<string>;

const PAGES = ['approvals', 'connections', 'workflows', 'audit', 'people', 'queue', 'health'];
const LOOKS = [
  { width: 1440, colorScheme: 'light' },
  { width: 360, colorScheme: 'dark' },
  ...(IS_WHOLE
    ? ([
        { width: 1440, colorScheme: 'dark' },
        { width: 360, colorScheme: 'light' },
        { width: 800, colorScheme: 'light' },
        { width: 960, colorScheme: 'light' },
      ] as const)
    : []),
] as const;

describe('the console', () => {
  test.each(LOOKS)('is readable for everybody at $width px, $colorScheme', async ({ width, colorScheme }) => {
    const page = await pageOf(shop.admin, { viewport: { width, height: 800 }, colorScheme, reducedMotion: 'reduce' });
    for (const path of ['operations', `operations/${running.id}`, ...PAGES, 'nothing']) {
      await page.goto(`/console/${path}`);
      await expectGood(page);
      if (width === 360 || IS_WHOLE) await expectWalkable(page);
    }
    await page.context().clearCookies();
    await page.goto('/console/operations');
    await expectGood(page);
    await page.goto(await shown.linkFor(shop.admin));
    await expectGood(page);
    await page.context().close();
  });

  test('checks the record in the browser, and says in the reader’s own time when it was', async () => {
    const signed = await shown.keeper.checkpoints.make(shop.customerId);
    const page = await pageOf(shop.admin, { timezoneId: 'Asia/Kolkata', locale: 'en-GB' });
    await page.goto(`/console/operations/${running.id}`);
    await page.getByText(`intact · #${signed?.seq}`).waitFor();
    await page.getByText('they agree with the checkpoint').waitFor();
    const time = page.locator('#live time').first();
    const at = new Date((await time.getAttribute('datetime')) ?? '');
    const clock = at.toLocaleTimeString('en-GB', { timeZone: 'Asia/Kolkata', hour: '2-digit', minute: '2-digit' });
    expect(await time.textContent()).toContain(clock);
    await page.context().close();
  });

  test('shows a running operation as it goes on, keeps the step that was chosen, and stops it by the keyboard alone', async () => {
    const page = await pageOf(shop.merchant);
    await page.goto(`/console/operations/${running.id}`);
    const steps = page.getByRole('region', { name: 'Steps' });
    await steps.getByRole('link').first().click();
    await page.getByRole('region', { name: 'Step 1' }).waitFor();
    const { customerId, id: operationId } = running;
    await core.database.withCustomer(customerId, async (tx) => {
      await tx.operationStep.update({
        where: { customerId_operationId_number: { customerId, operationId, number: 3 } },
        data: { state: 'done', durationMs: 310 },
      });
      await core.audit.append(tx, customerId, { kind: 'step.finished', operationId, stepNumber: 3, success: true });
    });
    await page.getByText(`3 of ${running.steps.length}`).waitFor();
    expect(await page.getByRole('region', { name: 'Step 1' }).isVisible()).toBe(true);
    expect(await page.evaluate("document.querySelector('figure img').naturalWidth")).toBe(640);
    const stop = page.getByRole('button', { name: 'Stop' });
    await stop.focus();
    await page.keyboard.press('Enter');
    await page.getByText('stopped', { exact: true }).first().waitFor();
    expect((await look(core, running)).state).toBe('cancelled');
    await page.context().close();
  });

  test('lets an approver read the whole plan and countersign it, which the list then says', async () => {
    const page = await pageOf(shop.approver);
    await page.goto('/console/approvals');
    const question = page.locator(`#${waiting.id}`);
    await question.getByText('What will be done, and why').click();
    await question.getByText(waiting.planHash).waitFor();
    await question.getByRole('button', { name: 'Approve' }).click();
    await question.waitFor({ state: 'detached' });
    expect((await look(core, waiting)).grant?.collectionMethod).toBe('console');
    await page.goto(`/console/operations/${waiting.id}`);
    await page
      .getByText(/by Abel in the console/)
      .first()
      .waitFor();
    await page.context().close();
  });

  test('is used by the keyboard alone: a merchant finds, pauses and resumes', async () => {
    const { id } = await queuedOperation(core, shop);
    const page = await pageOf(shop.merchant, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
    await page.goto('/console/operations');
    await tabTo(page, 'Id, service, address');
    await page.keyboard.type(id);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**text=${id}`);
    await tabTo(page, 'Create a WooCommerce API key for shop.example.com');
    await page.keyboard.press('Enter');
    for (const [press, came] of [
      ['Pause', 'Paused:'],
      ['Resume', 'Resumed:'],
    ] as const) {
      await page.getByRole('button', { name: press }).waitFor();
      await tabTo(page, press);
      await page.keyboard.press('Enter');
      await page.getByText(came).waitFor();
      expect(await focusedWords(page)).toContain(came); // it is read aloud, and Tab goes on from there
    }
    await tabTo(page, 'Enter the password');
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Step 3' }).waitFor();
    expect(await focusedWords(page)).toContain('Enter the password');
    await expect.poll(() => page.locator('#live-words').textContent()).toContain('Step 3');
    await page.context().close();
  });

  test('is used by the keyboard alone: an approver denies, with a reason', async () => {
    const asked = await requestOperation(core, shop, {
      base: 'https://no.example.com',
      origin: 'https://no.example.com',
    });
    const page = await pageOf(shop.approver);
    await page.goto(`/console/operations/${asked.id}`);
    await tabTo(page, 'Decide');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/console/approvals#*');
    await tabTo(page, 'Deny…: Create a WooCommerce API key for no.example.com');
    const reason = page.locator(`#${asked.id}`).getByLabel('Reason');
    await page.keyboard.press('Enter');
    await reason.waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Escape');
    await reason.waitFor({ state: 'hidden' });
    expect(await focusedWords(page)).toContain('Deny…');
    await page.keyboard.press('Space');
    await tabTo(page, 'Reason');
    await page.keyboard.type('not this shop');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('Denied, with your reason on record').waitFor();
    expect(await focusedWords(page)).toContain('Denied');
    expect((await look(core, asked)).state).toBe('denied');
    await page.context().close();
  });

  test('is used by the keyboard alone: an admin revokes, redrives and exports, and no change takes the focus away', async () => {
    const base = 'https://8.8.8.8'; // an address that is never asked: a plan is all that is made here
    await madeConnection(core, shop, { base, origin: base });
    const dead = await queuedOperation(core, shop);
    await deadJob(testDatabase, dead);
    const page = await pageOf(shop.admin);
    await page.goto('/console/connections');
    await tabTo(page, 'Revoke WooCommerce at 8.8.8.8');
    const other = 'https://other.example.com';
    await madeConnection(core, shop, { base: other, origin: other });
    await page.getByText('other.example.com').first().waitFor();
    expect(await focusedWords(page)).toContain('Revoke WooCommerce at 8.8.8.8');
    await page.keyboard.press('Enter');
    await page.getByText('To be revoked:').waitFor();
    await tabTo(page, 'A new operation');

    await page.goto('/console/queue');
    await tabTo(page, `Do it after all: ${dead.id}`);
    await page.keyboard.press('Space');
    await page.waitForURL(`**/console/operations/${dead.id}`);

    await page.goto('/console/audit');
    await tabTo(page, 'What');
    await page.keyboard.type('approvals');
    await tabTo(page, 'Search');
    await page.keyboard.press('Enter');
    await page.waitForURL('**kind=consent**');
    const kept = page.waitForEvent('download');
    await tabTo(page, 'CSV');
    await page.keyboard.press('Enter');
    expect((await kept).suggestedFilename()).toBe('countersign-trail.csv');
    await page.context().close();
  });

  test('keeps the list and the counts as they are, and says when the server does not answer', async () => {
    const page = await pageOf(shop.admin);
    await page.goto('/console/operations?state=awaiting_consent');
    const text = page.getByRole('searchbox');
    await text.fill('half a wo');
    const { id } = await requestOperation(core, shop);
    await page.locator(`[data-key="${id}"]`).waitFor();
    expect([await text.inputValue(), await text.evaluate('document.activeElement.name')]).toEqual([
      'half a wo',
      'text',
    ]);
    const count = () => page.locator('[data-count="waiting"] > span').first().textContent();
    expect(await count()).toBe(String(await page.locator('[data-key]').count()));
    const lost = page.getByText('The server does not answer');
    await page.route('**/live?*', (route) => route.abort());
    await requestOperation(core, shop);
    await lost.waitFor();
    expect((await lost.boundingBox())?.height).toBeGreaterThan(10);
    await page.unroute('**/live?*');
    await lost.waitFor({ state: 'detached' });
    await page.context().close();
  });

  test('is told by the stream, says when that is lost and when it is live again, and misses nothing', async () => {
    const page = await pageOf(shop.admin);
    const asked: string[] = [];
    const told = page.waitForEvent('websocket');
    await page.goto('/console/operations?state=awaiting_consent');
    await (await told).waitForEvent('framereceived');
    await expect.poll(() => page.evaluate('performance.getEntriesByType("resource").length')).toBeGreaterThan(5);
    page.on('request', (request) => asked.push(request.url()));
    const { id } = await requestOperation(core, shop);
    await page.locator(`[data-key="${id}"]`).waitFor({ timeout: 3_000 });
    expect(asked.length).toBeLessThan(4); // it looked because it was told
    shown.stream.cut();
    const lost = page.getByText('The connection is lost');
    await lost.waitFor();
    const meanwhile = await requestOperation(core, shop);
    await page.locator(`[data-key="${meanwhile.id}"]`).waitFor();
    shown.stream.mend();
    await page.getByText('Live again.').waitFor();
    await page.getByText('Live again.').waitFor({ state: 'detached' });
    await page.context().close();
  });

  test('keeps the counts as they are on pages that stand still, and says when one is signed out', async () => {
    const page = await pageOf(shop.admin);
    await page.goto('/console/people');
    const count = () => page.locator('[data-count="waiting"] > span').first().textContent();
    const before = Number(await count());
    await requestOperation(core, shop);
    await expect.poll(count).toBe(String(before + 1));
    const [session] = await core.database.withCustomer(shop.customerId, (tx) =>
      tx.consoleSession.findMany({
        where: { customerId: shop.customerId, memberId: shop.admin.id, sessionHash: { not: null }, endedAt: null },
        orderBy: { openedAt: 'desc' },
      }),
    );
    const { customerId, admin: member } = shop;
    const expiresAt = new Date();
    if (session) await core.sessions.leave({ customerId, id: session.id, member, expiresAt });
    await page.getByText('You are signed out, so this is not live any more. Write “console”').waitFor();
    contexts.delete(shop.admin.id);
    await page.context().close();
  });

  test('leaves a question that somebody reads as it is, and offers what has changed', async () => {
    const page = await pageOf(shop.approver);
    await page.goto('/console/approvals');
    const { id } = await requestOperation(core, shop);
    const link = page.getByRole('link', { name: 'Show it as it is now' });
    await link.waitFor();
    expect(await page.locator(`#${id}`).count()).toBe(0);
    await link.click();
    await page.locator(`#${id}`).waitFor();
    expect(await link.count()).toBe(0);
    await page.context().close();
  });

  test.each([1440, 360])('shows the tables beneath plots, and the queue, whole at %d px', async (width) => {
    const page = await pageOf(shop.admin, { viewport: { width, height: 800 } });
    const hidden =
      '[...document.querySelectorAll(".scroll, .list-panel")].map((each) => each.scrollWidth - each.clientWidth)';
    await page.goto('/console/health');
    for (const summary of await page.getByText('As a table').all()) await summary.click();
    expect(await page.evaluate(hidden)).toEqual([0, 0, 0, 0]);
    await page.goto('/console/queue');
    expect(await page.evaluate(hidden)).toEqual([0]);
    await page.context().close();
  });

  test('a link in another page leads a signed-in person where it says', async () => {
    const page = await pageOf(shop.admin);
    await page.goto(`data:text/html,<a href="${shown.origin}/console/people">Look</a>`);
    await page.getByRole('link', { name: 'Look' }).click();
    await page.getByRole('heading', { name: 'People and policy' }).waitFor();
    await page.context().close();
  });
});
