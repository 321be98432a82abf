// The console in Chromium: a merchant, an approver and an admin sign in by their links, look at every page and act.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import type { Operation } from '../../core/operations/operation.ts';
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
  browser = await launchChromium();
}, 60_000);

afterAll(async () => {
  await browser.close();
  await shown.close();
  await core.close();
  await testDatabase.drop();
});

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
    await page.getByText('You are signed out, so this is not live any more.').waitFor();
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
