import { availableParallelism, loadavg } from 'node:os';
// Stop, pressed in the thread at the worst moments: what has happened by then is said, and nothing happens afterwards.
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import {
  enterSignIn,
  openPeople,
  operationIdIn,
  type People,
  press,
  pressAndConfirm,
  RUN_MS,
  say,
  seen,
} from '../support/people.ts';
import { IS_WHOLE } from '../support/whole.ts';

/** A stop is felt within two seconds, whatever the page does; the rest is room for a busy computer. */
const FELT_WITHIN_MS = (2_000 + 2_000) * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());

let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;
/** How long the shop thinks about each path. */
let latencyMs: (path: string) => number = () => 0;

beforeAll(async () => {
  demo = await startTestDemo({ shop: { latencyMs: (path) => latencyMs(path) } });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
});
beforeEach(async () => {
  latencyMs = () => 0;
  await appoint(demo, ['approver']);
});

/** Asks, approves and enters the sign-in: the run begins. @returns the operation's id. */
async function begin(): Promise<string> {
  await people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin}`);
  const id = await operationIdIn(merchant);
  await press(approver, 'Approve');
  await enterSignIn(merchant, { user: demo.shop.username, password: demo.shop.password });
  return id;
}

const keysOf = (id: string) => demo.shop.keys().filter(({ description }) => description.includes(id));

/** The row that says whether a worker still has the operation. */
async function isHeld(id: string): Promise<boolean> {
  const jobs = await demo.sql(
    `SELECT state::text FROM pgboss.job WHERE name = 'operations' AND data->>'operationId' = $1`,
    [id],
  );
  return jobs.some(({ state }) => state !== 'completed');
}

/** Presses Stop as that person, and waits until the worker has let go. @returns how long that took, in milliseconds. */
async function stopAndWait(page: Page, id: string): Promise<number> {
  await press(page, 'Stop');
  const yes = page.getByRole('dialog').getByRole('button', { name: 'Stop it' });
  await yes.waitFor();
  const began = performance.now();
  await yes.click();
  await expect.poll(() => isHeld(id), { timeout: 20_000, interval: 50 }).toBe(false);
  return performance.now() - began;
}

/** How many connections wait for a row that somebody else has locked. */
const waiting = async () => {
  const rows = await demo.sql(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ 'autonomous_operations'`,
  );
  return rows.length;
};

const chainOf = async (id: string) =>
  (await demo.sql('SELECT kind FROM autonomous_operations_audit WHERE operation_id = $1 ORDER BY seq', [id])).map(
    ({ kind }) => kind,
  );

describe('Stop', () => {
  if (IS_WHOLE)
    it(
      'ends a run while the shop is slow to answer: no key is made, then or later',
      async () => {
        const before = demo.shop.requests.length;
        latencyMs = (path) => (path === '/wp-admin/admin.php' ? 15_000 : 0);
        const id = await begin();
        const asked = () => demo.shop.requests.slice(before).some(({ path }) => path.includes('section=keys'));
        await expect.poll(asked, { timeout: RUN_MS }).toBe(true);
        expect(await stopAndWait(approver, id)).toBeLessThan(FELT_WITHIN_MS);
        const end = await seen(merchant, 'Stopped: WooCommerce for');
        expect(await end.innerText()).toMatch(
          /Stopped by Approver\.[\s\S]*No key was stored\. The sign-in was deleted\./,
        );
        expect(await end.innerText()).not.toMatch(/may have been made/);
        await seen(merchant, /Stopped after [34] of 10 steps/);
        expect(await merchant.getByRole('button', { name: 'Stop', exact: true }).count()).toBe(0);
        const kinds = await chainOf(id);
        expect(kinds.at(-1)).toBe('operation.cancelled');
        expect(kinds).not.toContain('intent.written');
        expect(keysOf(id)).toEqual([]);
        expect(await demo.sql('SELECT id FROM autonomous_credentials WHERE operation_id = $1', [id])).toEqual([]);
      },
      2 * RUN_MS,
    );

  if (IS_WHOLE)
    it(
      'says which key may be left at the shop when it comes between the click and the vault',
      async () => {
        demo.shop.failNext('generate-answer-lost');
        const id = await begin();
        await expect.poll(() => keysOf(id).length, { timeout: RUN_MS, interval: 50 }).toBe(1);
        expect(await stopAndWait(merchant, id)).toBeLessThan(FELT_WITHIN_MS);
        const end = await seen(approver, 'Stopped: WooCommerce for');
        const words = await end.innerText();
        expect(words).toContain(`A key named “Countersign ${id}” may have been made in the shop`);
        expect(words).toMatch(/No key was stored\./);
        expect(words).toMatch(/revoke it/i);
        expect(keysOf(id)).toHaveLength(1);
      },
      2 * RUN_MS,
    );

  if (IS_WHOLE)
    it(
      'keeps the key that was read when it comes between the page and the vault, and offers to revoke it',
      async () => {
        latencyMs = (path) => (path === '/wp-admin/admin-ajax.php' ? 4_000 : 0);
        const id = await begin();
        await expect.poll(() => chainOf(id), { timeout: RUN_MS, interval: 20 }).toContain('intent.written');
        // While the row is locked, the stop waits first, and the worker with its key behind it.
        await demo.whileLocked(id, async () => {
          await pressAndConfirm(merchant, 'Stop', 'Stop it');
          await expect.poll(waiting, { timeout: RUN_MS, interval: 20 }).toBe(1);
          await expect.poll(waiting, { timeout: RUN_MS, interval: 20 }).toBe(2);
        });
        const end = await seen(approver, 'lies in the vault, but it was not proven to work');
        const words = await end.innerText();
        expect(words).toMatch(/Stopped: WooCommerce for[\s\S]*Stopped by Merchant\./);
        expect(words).toContain(`The new key “Countersign ${id}”`);
        expect(words).not.toMatch(/may have been made|No key was stored/);
        expect((await chainOf(id)).slice(-2)).toEqual(['operation.cancelled', 'credential.stored']);
        expect(keysOf(id)).toHaveLength(1);
        await pressAndConfirm(approver, 'Revoke', 'Revoke it');
        await seen(merchant, `Approver revoked the key of ${id}. It is deleted from the vault.`);
        await seen(merchant, 'was stored and has been deleted from the vault since');
      },
      2 * RUN_MS,
    );

  it(
    'says that the key lies in the vault when it comes after that',
    async () => {
      latencyMs = (path) => (path.startsWith('/wp-json') ? 15_000 : 0);
      const id = await begin();
      await seen(merchant, /step 10 of 10/, RUN_MS);
      expect(await stopAndWait(merchant, id)).toBeLessThan(FELT_WITHIN_MS);
      const words = await (await seen(approver, 'Stopped: WooCommerce for')).innerText();
      expect(words).toContain(`The new key “Countersign ${id}” lies in the vault`);
      expect(words).not.toContain('No key was stored');
    },
    2 * RUN_MS,
  );

  it('is refused to a merchant who did not ask, and ends everything at an admin’s word', async () => {
    const admin = people.page('Admin');
    await people.begin('Approver', `set up WooCommerce for ${demo.shop.origin}`);
    const id = await operationIdIn(merchant);
    await say(merchant, `/countersign stop ${id}`);
    await seen(merchant, 'Only whoever asked, an approver or an admin can stop it. Nothing was changed.');
    await say(merchant, '/countersign stop all');
    await seen(merchant, 'Only an admin can stop everything. Nothing was stopped.');
    await say(admin, '/countersign stop all');
    const question = await seen(admin, /Stop (?:all \d+|the one) open operations?\?/);
    expect(await merchant.getByText(/Stop (?:all \d+|the one) open operations?\?/).count()).toBe(0);
    await question.getByRole('button', { name: /^Stop (?:it|them all)$/ }).click();
    await seen(admin, /Stopped \d+ operations?\. Every thread says so\. New requests are possible\./);
    const words = await (await seen(merchant, 'Stopped: WooCommerce for')).innerText();
    expect(words).toMatch(/Stopped by Admin, with everything else\.[\s\S]*Nothing was done\./);
  });

  it('takes back a request that waits for approval, by whoever asked', async () => {
    await people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin}`);
    const card = await seen(approver, 'Approver may approve.');
    await card.getByRole('button', { name: 'Approve', exact: true }).waitFor();
    expect(await card.getByRole('button', { name: 'Withdraw', exact: true }).count()).toBe(0);
    await press(merchant, 'Withdraw');
    await merchant.getByRole('dialog', { name: 'Withdraw this request?' }).waitFor();
    await merchant.keyboard.press('Enter');
    await seen(approver, 'Cancelled before anybody approved it. Nothing was done.');
    await seen(approver, 'Stopped by Merchant.');
    await card.getByRole('button', { name: 'Approve', exact: true }).waitFor({ state: 'detached' });
  });

  it('takes back a request that waits for its sign-in, and its link with it', async () => {
    await people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin}`);
    await press(approver, 'Approve');
    const link = merchant.getByRole('link', { name: 'Open the one-time page' });
    const url = (await link.getAttribute('href')) ?? '';
    expect((await fetch(url)).status).toBe(200);
    await pressAndConfirm(merchant, 'Withdraw', 'Withdraw it');
    await seen(approver, 'Stopped: WooCommerce for');
    expect((await fetch(url)).status).toBe(410);
  });
});

if (IS_WHOLE)
  describe('A key whose place in the vault another one takes before it was checked', () => {
    it(
      'is not proven with the other one: the operation says what became of it',
      async () => {
        await demo.sql('DELETE FROM autonomous_credentials WHERE operation_id IS NULL');
        const id = await begin();
        await expect.poll(() => chainOf(id), { timeout: RUN_MS, interval: 20 }).toContain('intent.written');
        const stored = () => demo.sql('SELECT id FROM autonomous_credentials WHERE operation_id IS NULL');
        await expect.poll(async () => (await stored()).length, { timeout: RUN_MS, interval: 5 }).toBe(1);
        await demo.whileLocked(id, async () => {
          await expect.poll(waiting, { timeout: RUN_MS, interval: 20 }).toBe(1);
          await demo.sql(
            `UPDATE autonomous_credentials SET credential_metadata = credential_metadata || '{"operationId":"op-0ther000"}' WHERE operation_id IS NULL`,
          );
        });
        const words = await (await seen(approver, 'was not set up')).innerText();
        expect(words).toContain(`The key of op-0ther000 took the new one's place in the vault`);
        expect(words).toContain(`revoke “Countersign ${id}” there`);
        expect((await chainOf(id)).at(-1)).toBe('operation.failed');
      },
      2 * RUN_MS,
    );
  });
