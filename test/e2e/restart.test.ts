// kill -9 at the worst moments, and a start on the same data: the shop and the people are here, the demo is a process.
import { createServer } from 'node:net';
import pg from 'pg';
import type { Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { appoint, asAdmin, type Project, throwawayProject } from '../support/demo.ts';
import { type DemoProcess, runningOf, startDemoProcess, tryDemoProcess } from '../support/demo-process.ts';
import { enterSignIn, openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';
import { removeAbandonedServer } from '../support/run-postgres.ts';
import { IS_WHOLE } from '../support/whole.ts';

let shop: PracticeShop;
let shopHost: string;

beforeAll(async () => {
  shop = await startPracticeShop();
  shopHost = new URL(shop.origin).host;
});
afterAll(() => shop?.close());

describe('ended', () => {
  let project: Project;
  let demo: DemoProcess;
  let admin: pg.Pool;
  let people: People;
  let merchant: Page;
  let approver: Page;

  beforeAll(async () => {
    project = await throwawayProject();
    demo = await startDemoProcess(project, { shopHost });
    admin = new pg.Pool({ connectionString: asAdmin(demo.databaseUrl), max: 1 });
    admin.on('error', () => {}); // the server ends before the pool does when a test failed
    people = await openPeople(demo.chatUrl);
    [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
    await appoint({ sql: async (text, values = []) => (await admin.query(text, [...values])).rows }, ['approver']);
  });
  afterAll(async () => {
    await people?.close();
    await admin?.end();
    // A test that failed may have left its database alone.
    await demo?.interrupt().catch(() => removeAbandonedServer(project.postgresDir));
    project?.remove();
  });

  beforeEach(async () => {
    if (!demo.isRunning()) await start();
  });

  /** Kills the demo, starts it again on the same data, and has everybody come back to the thread. */
  async function killAndStart(thread: string): Promise<void> {
    await demo.kill();
    await expect.poll(() => runningOf(project).programs, { timeout: 10_000 }).toEqual([]);
    await start();
    await people.open(thread);
  }

  async function start(): Promise<void> {
    demo = await startDemoProcess(project, { shopHost });
    people.moveTo(demo.chatUrl);
  }

  const liveKeysOf = (id: string) =>
    shop.keys().filter(({ description, isRevoked }) => description.includes(id) && !isRevoked);
  const rowsOf = async (text: string, id: string) => (await admin.query<Record<string, unknown>>(text, [id])).rows;

  if (IS_WHOLE)
    it(
      'by kill -9 while it waits for the approver, while it waits for the sign-in, and while it signs in: goes on to the end',
      async () => {
        const thread = await people.begin('Merchant', `set up WooCommerce for ${shop.origin}`);
        const id = await operationIdIn(merchant);
        await killAndStart(thread);
        await press(approver, 'Approve');
        await seen(merchant, 'Countersigned by Approver');
        await merchant.getByRole('link', { name: 'Open the one-time page' }).waitFor();

        await killAndStart(thread);
        await press(merchant, 'Enter the sign-in');
        await expect.poll(() => merchant.getByRole('link', { name: 'Open the one-time page' }).count()).toBe(2);
        const before = shop.requests.length;
        await enterSignIn(merchant, { user: shop.username, password: shop.password });
        const isSigningIn = () =>
          shop.requests.slice(before).some(({ method, path }) => method === 'POST' && path.startsWith('/wp-login.php'));
        await expect.poll(isSigningIn, { timeout: RUN_MS, interval: 5 }).toBe(true);

        await killAndStart(thread);
        const result = await seen(merchant, 'Done in', RUN_MS);
        expect(await result.innerText()).toMatch(/WooCommerce is connected\.[\s\S]*answered 200[\s\S]* verified/);
        expect(liveKeysOf(id)).toMatchObject([{ description: `Countersign ${id}`, lastAccess: expect.any(Date) }]);
        expect(shop.failedSignIns()).toBe(0);
        const kinds = await rowsOf('SELECT kind FROM autonomous_operations_audit WHERE operation_id = $1', id);
        expect(kinds.filter(({ kind }) => kind === 'operation.taken_over')).toHaveLength(1);
        expect(kinds.filter(({ kind }) => kind === 'consent.granted')).toHaveLength(1);
        for (const words of ['Create a WooCommerce API key', 'All 10 steps done', 'Done in'])
          expect(await approver.getByRole('article').filter({ hasText: words }).count()).toBe(1);
      },
      3 * RUN_MS,
    );

  it(
    'by kill -9 when the shop has made the key and before it is stored: makes no second one, and names the one that is left',
    async () => {
      const thread = await people.begin('Merchant', `set up WooCommerce for ${shop.origin}`);
      const id = await operationIdIn(merchant);
      await press(approver, 'Approve');
      // The shop's answer, which brings the key, does not arrive: so the kill can't come too late.
      shop.failNext('generate-answer-lost');
      await enterSignIn(merchant, { user: shop.username, password: shop.password });
      await expect.poll(() => liveKeysOf(id).length, { timeout: RUN_MS, interval: 5 }).toBe(1);

      await killAndStart(thread);
      const end = await (await seen(merchant, `WooCommerce for ${shopHost} was not set up.`, RUN_MS)).innerText();
      expect(end).toContain(`just after a key named “Countersign ${id}” was made, before it could be stored`);
      expect(end).toMatch(/No second key was made\. Revoke “Countersign op-[0-9a-z]{8}” in the shop's list of keys/);
      expect(end).toMatch(/No key was stored\. The sign-in was deleted\.[\s\S]*Next: look at the shop's list of keys/);
      expect(liveKeysOf(id)).toMatchObject([{ description: `Countersign ${id}`, lastAccess: undefined }]);
      const [operation] = await rowsOf('SELECT status, error_code FROM autonomous_operations WHERE id = $1', id);
      expect(operation).toEqual({ status: 'failed', error_code: 'effect_unsure' });
      expect(await rowsOf('SELECT id FROM autonomous_credentials WHERE operation_id = $1', id)).toEqual([]);
    },
    3 * RUN_MS,
  );

  it(
    'by Ctrl-C when there is nothing to do: exits with 0, and leaves neither PostgreSQL nor a browser behind',
    async () => {
      await people.begin('Merchant', `set up WooCommerce for ${shop.origin}`);
      await press(approver, 'Approve');
      await enterSignIn(merchant, { user: shop.username, password: 'not the password' });
      await seen(merchant, `WooCommerce for ${shopHost} was not set up.`, RUN_MS);
      expect(runningOf(project).databases.join()).toMatch(/postgres/);
      await expect.poll(() => runningOf(project).programs.join(), { timeout: RUN_MS }).toMatch(/chrom/); // it is warmed up
      expect(await demo.interrupt()).toBe(0);
      expect(runningOf(project)).toEqual({ databases: [], programs: [] });
    },
    3 * RUN_MS,
  );
});

describe('a start', () => {
  let project: Project;
  const running: DemoProcess[] = [];

  beforeAll(async () => {
    project = await throwawayProject();
  });
  afterEach(async () => {
    for (const demo of running.splice(0)) await demo.interrupt().catch(() => undefined); // it may have ended in the test
  });
  afterAll(() => project?.remove());

  async function start(): Promise<DemoProcess> {
    const demo = await startDemoProcess(project, { shopHost });
    running.push(demo);
    return demo;
  }

  it('says in one sentence that it runs already, and leaves what runs alone', async () => {
    const demo = await start();
    const second = await tryDemoProcess(project, { shopHost });
    expect(second).toEqual({
      exitCode: 1,
      said: `Countersign is already running on ${project.postgresDir}: stop it first, or use another folder.`,
    });
    expect((await fetch(demo.chatUrl)).status).toBe(200);
  });

  it.each(['chatPort', 'httpPort'] as const)(
    'says in one sentence that its %s is taken, and leaves nothing',
    async (which) => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      const address = taken.address();
      const port = typeof address === 'object' && address ? address.port : Number.NaN;
      try {
        const started = await tryDemoProcess(project, { shopHost, [which]: port });
        expect(started).toMatchObject({
          exitCode: 1,
          said: expect.stringMatching(/^Port \d+ is (already )?in use[^\n]*$/),
        });
        expect(started).toMatchObject({ said: expect.stringContaining(String(port)) });
        expect(runningOf(project)).toEqual({ databases: [], programs: [] });
      } finally {
        taken.close();
      }
    },
  );
});
