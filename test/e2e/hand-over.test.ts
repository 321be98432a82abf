// What only a person can do, asked in the thread: a code, a page that is not as it was; and what becomes of the wait.
import pg from 'pg';
import type { Page } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { chatByHttp } from '../support/chat-by-http.ts';
import { appoint, asAdmin, type Project, startTestDemo, type TestDemo, throwawayProject } from '../support/demo.ts';
import { type DemoProcess, startDemoProcess } from '../support/demo-process.ts';
import {
  enterSignIn,
  follow,
  openPeople,
  operationIdIn,
  type People,
  press,
  pressAndConfirm,
  RUN_MS,
  say,
  seen,
} from '../support/people.ts';
import { removeAbandonedServer } from '../support/run-postgres.ts';
import { IS_WHOLE } from '../support/whole.ts';

let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;
let shop: PracticeShop;
let sql: TestDemo['sql'];
let logged = '';

/** The shop has a second factor only where a test says so. */
async function open(obstacles: { twoFactor?: boolean; captcha?: boolean }): Promise<void> {
  const line = (fields: object, words: string) => {
    logged += `${words} ${JSON.stringify(fields)}\n`;
  };
  demo = await startTestDemo({
    shop: { obstacles },
    log: { debug: line, info: line, warn: line, error: line },
  });
  ({ shop, sql } = demo);
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
}

async function close(): Promise<void> {
  await people?.close();
  await demo?.remove();
}

beforeEach(() => appoint({ sql }, ['approver']));
afterEach(() => shop.showPermissions(true));

async function begin(): Promise<string> {
  await people.begin('Merchant', `set up WooCommerce for ${shop.origin}`);
  const id = await operationIdIn(merchant);
  await press(approver, 'Approve');
  await enterSignIn(merchant, { user: shop.username, password: shop.password });
  return id;
}

async function enterCode(page: Page, code: string): Promise<void> {
  await press(page, 'Enter the code');
  const form = await follow(page, 'Open the one-time page');
  await form.getByRole('textbox', { name: 'Code' }).fill(code);
  await form.getByRole('button', { name: 'Send the code' }).click();
  await form.getByText('The worker goes on now.').waitFor();
  await form.close();
}

const keysOf = (id: string) => shop.keys().filter(({ description }) => description.includes(id));
const kindsOf = async (id: string) =>
  (await sql('SELECT kind FROM autonomous_operations_audit WHERE operation_id = $1 ORDER BY seq', [id])).map(
    ({ kind }) => kind,
  );
const stateOf = async (id: string) =>
  (await sql('SELECT status FROM autonomous_operations WHERE id = $1', [id]))[0]?.status;
const credentialsOf = async (id: string) =>
  (await sql('SELECT credential_type AS type FROM autonomous_credentials WHERE operation_id = $1', [id]))
    .map(({ type }) => type)
    .sort();
const signIns = () => shop.requests.filter(({ method, path }) => method === 'POST' && path === '/wp-login.php');
const count = (kinds: readonly unknown[], kind: string) => kinds.filter((each) => each === kind).length;

describe('A shop with a second factor', () => {
  beforeAll(() => open({ twoFactor: true }));
  afterAll(close);

  it(
    'gets its code from the thread, in the browser that stands there: one key, and the code is nowhere',
    async () => {
      const before = signIns().length;
      const began = performance.now();
      const id = await begin();
      const question = await seen(merchant, 'A one-time code is needed', RUN_MS);
      expect(await question.innerText()).toMatch(/Merchant: get the code[\s\S]*Open until \d\d:\d\d/);
      await question.getByRole('img').first().waitFor();
      await seen(merchant, /Waiting for you: a one-time code · step 4 of 10/);
      expect(await credentialsOf(id)).toEqual(['admin_password', 'admin_username']);
      await enterCode(approver, ` ${shop.oneTimeCode?.slice(0, 3)} ${shop.oneTimeCode?.slice(3)} `);
      await seen(merchant, 'Done in', RUN_MS);
      expect(performance.now() - began).toBeLessThan(180_000);
      expect(signIns().length - before).toBe(1); // nobody signed in anew
      expect(keysOf(id)).toHaveLength(1);
      const settled = await seen(merchant, 'A one-time code is needed');
      await expect
        .poll(() => settled.innerText(), { timeout: RUN_MS })
        .toMatch(/Code entered by Approver at \d\d:\d\d\. The worker went on\./);
      await expect.poll(() => settled.getByRole('button').count(), { timeout: RUN_MS }).toBe(0);
      await seen(approver, 'The one-time page for the code is closed.');
      const kinds = await kindsOf(id);
      expect([count(kinds, 'question.asked'), count(kinds, 'question.answered')]).toEqual([1, 1]);
      expect(await credentialsOf(id)).toEqual([]);
      const code = shop.oneTimeCode ?? '';
      const rows = await sql(
        `SELECT coalesce(string_agg(t, ' '), '') AS text FROM (
           SELECT header AS t FROM autonomous_operations_audit UNION ALL SELECT words FROM questions
           UNION ALL SELECT coalesce(note, '') FROM operation_steps) all_words`,
      );
      for (const sink of [logged, String(rows[0]?.text), await merchant.content(), await approver.content()])
        expect(sink).not.toContain(code);
    },
    3 * RUN_MS,
  );

  if (IS_WHOLE)
    it(
      'asks again when the code was wrong, and goes on with the next one',
      async () => {
        const id = await begin();
        await seen(merchant, 'A one-time code is needed', RUN_MS);
        await enterCode(merchant, '000');
        await seen(merchant, 'The site did not take the code.', RUN_MS);
        await enterCode(merchant, shop.oneTimeCode ?? '');
        await seen(merchant, 'Done in', RUN_MS);
        expect(keysOf(id)).toHaveLength(1);
        expect(count(await kindsOf(id), 'question.asked')).toBe(2);
      },
      3 * RUN_MS,
    );

  if (IS_WHOLE)
    it(
      'ends at once when it is stopped, or when its countersignature is taken back, while it waits',
      async () => {
        const stopped = await begin();
        await seen(merchant, 'A one-time code is needed', RUN_MS);
        await press(merchant, 'Enter the code');
        const link = merchant.getByRole('article').getByRole('link', { name: 'Open the one-time page' }).last();
        const url = (await link.getAttribute('href')) ?? '';
        expect((await fetch(url)).status).toBe(200);
        await pressAndConfirm(approver, 'Stop', 'Stop it');
        expect(await (await seen(merchant, 'Stopped: WooCommerce for')).innerText()).toContain('Stopped by Approver.');
        expect((await fetch(url)).status).toBe(410);
        const settled = await seen(merchant, 'A one-time code is needed');
        await expect.poll(() => settled.getByRole('button').count()).toBe(0);
        expect(await settled.innerText()).toContain('Not needed any more: the request ended');

        const revoked = await begin();
        await seen(merchant, 'A one-time code is needed', RUN_MS);
        await say(approver, '/countersign consents');
        await pressAndConfirm(approver, 'Revoke', 'Revoke it');
        expect(await (await seen(merchant, 'Stopped: WooCommerce for')).innerText()).toContain('Consent was revoked');
        for (const id of [stopped, revoked]) {
          expect(await stateOf(id)).toBe('cancelled');
          expect(keysOf(id)).toEqual([]);
          expect(await credentialsOf(id)).toEqual([]);
        }
      },
      4 * RUN_MS,
    );

  if (IS_WHOLE)
    it(
      'reminds once, is paused when nobody answers, and goes on when somebody does, as long as the approval holds',
      async () => {
        const id = await begin();
        await seen(merchant, 'A one-time code is needed', RUN_MS);
        await demo.minutesPass(16);
        await seen(merchant, 'still waits for a one-time code', RUN_MS);
        await demo.minutesPass(15);
        await seen(merchant, 'Paused: nobody answered · step 4 of 10', RUN_MS);
        expect(await stateOf(id)).toBe('paused');
        await seen(merchant, /The reminder about op-[0-9a-z]{8} is settled/);
        await press(merchant, 'Go on');
        await expect.poll(() => kindsOf(id), { timeout: RUN_MS }).toContain('question.answered');
        await expect.poll(async () => count(await kindsOf(id), 'question.asked'), { timeout: RUN_MS }).toBe(2);
        await seen(merchant, 'A one-time code is needed');
        await enterCode(merchant, shop.oneTimeCode ?? '');
        await seen(merchant, 'Done in', RUN_MS);
        expect(keysOf(id)).toHaveLength(1);
        expect(count(await kindsOf(id), 'question.reminded')).toBe(1);
      },
      4 * RUN_MS,
    );
});

if (IS_WHOLE)
  describe('A shop whose page lacks what a step needs', () => {
    beforeAll(() => open({}));
    afterAll(close);

    it(
      'is shown to a person, who puts it right: the work goes on, signed in as it was',
      async () => {
        shop.showPermissions(false);
        const before = signIns().length;
        const id = await begin();
        const question = await seen(merchant, 'Step 8 of 10 needs a person', RUN_MS);
        expect(await question.innerText()).toMatch(/isn't on the page\. Nothing was clicked or typed in this step\./);
        await question.getByRole('img').first().waitFor();
        expect(await credentialsOf(id)).toContain('session');
        shop.showPermissions(true);
        await press(merchant, 'I did it, go on');
        await seen(merchant, 'Done in', RUN_MS);
        expect(await (await seen(merchant, 'Step 8 of 10 needs a person')).innerText()).toMatch(
          /Answered by Merchant at \d\d:\d\d\. The worker went on\./,
        );
        expect(signIns().length - before).toBe(1);
        expect(keysOf(id)).toHaveLength(1);
        expect(await credentialsOf(id)).toEqual([]);
      },
      3 * RUN_MS,
    );

    if (IS_WHOLE)
      it(
        'is left to the first of two who answer, and to nobody who may not',
        async () => {
          shop.showPermissions(false);
          await people.begin('Admin', `set up WooCommerce for ${shop.origin}`);
          const admin = people.page('Admin');
          const id = await operationIdIn(admin);
          await press(approver, 'Approve');
          await enterSignIn(admin, { user: shop.username, password: shop.password });
          await seen(admin, 'Step 8 of 10 needs a person', RUN_MS);
          await merchant.getByRole('article').filter({ hasText: 'needs a person' }).waitFor();
          expect(await merchant.getByRole('button', { name: 'I did it, go on' }).count()).toBe(0);
          const chat = chatByHttp(demo.chatUrl);
          const { address, value } = await chat.button(new URL(admin.url()).pathname, 'admin', 'go_on');
          await chat.post(address, 'merchant', { action: 'go_on', value });
          await seen(merchant, 'Only whoever asked, an approver or an admin can answer this. Nothing was changed.');
          expect(await kindsOf(id)).toContain('access.refused');
          expect(await stateOf(id)).toBe('waiting_for_human');
          shop.showPermissions(true);
          const buttons = [admin, approver].map((page) => page.getByRole('button', { name: 'I did it, go on' }));
          await demo.whileLocked(id, async () => {
            for (const button of buttons) await button.click();
            await expect.poll(waiting, { timeout: RUN_MS }).toBe(2);
          });
          await seen(admin, 'Done in', RUN_MS);
          const told = await Promise.all(
            [admin, approver].map((page) => page.getByRole('article').filter({ hasText: 'was faster' }).count()),
          );
          expect(told.sort()).toEqual([0, 1]);
          expect(count(await kindsOf(id), 'question.answered')).toBe(1);
          expect(keysOf(id)).toHaveLength(1);
        },
        3 * RUN_MS,
      );
  });

/** How many connections wait for a row that somebody else has locked. */
const waiting = async () => {
  const rows = await sql(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ 'autonomous_operations'`,
  );
  return rows.length;
};

if (IS_WHOLE)
  describe('A program that is killed while it waits', () => {
    let project: Project;
    let program: DemoProcess;
    let admin: pg.Pool;
    const shopHost = () => new URL(shop.origin).host;

    beforeAll(async () => {
      project = await throwawayProject();
      shop = await startPracticeShop({ obstacles: { twoFactor: true } });
      program = await startDemoProcess(project, { shopHost: shopHost() });
      admin = new pg.Pool({ connectionString: asAdmin(program.databaseUrl), max: 1 });
      admin.on('error', () => {}); // the server ends before the pool does when a test failed
      people = await openPeople(program.chatUrl);
      [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
      sql = async (text, values = []) => (await admin.query(text, [...values])).rows;
    });
    afterAll(async () => {
      await people?.close();
      await admin?.end();
      await program?.interrupt().catch(() => removeAbandonedServer(project.postgresDir));
      await shop?.close();
      project?.remove();
    });

    async function killAndStart(): Promise<void> {
      const thread = merchant.url();
      await program.kill();
      program = await startDemoProcess(project, { shopHost: shopHost() });
      people.moveTo(program.chatUrl);
      await people.open(thread);
    }

    it(
      'signs in anew for a code, and goes on signed in with what was put right: one key',
      async () => {
        shop.showPermissions(false);
        const before = signIns().length;
        const id = await begin();
        await seen(merchant, 'A one-time code is needed', RUN_MS);
        await killAndStart();
        await enterCode(merchant, shop.oneTimeCode ?? '');
        await seen(merchant, 'Step 8 of 10 needs a person', RUN_MS);
        expect(signIns().length - before).toBe(2);
        await killAndStart();
        shop.showPermissions(true);
        await press(merchant, 'I did it, go on');
        await seen(merchant, 'Done in', RUN_MS);
        expect(signIns().length - before).toBe(2);
        expect(keysOf(id)).toHaveLength(1);
        expect(await credentialsOf(id)).toEqual([]);
        expect(count(await kindsOf(id), 'question.answered')).toBe(2);
      },
      4 * RUN_MS,
    );

    it(
      'begins with the first step when the site has signed it out meanwhile, and asks for its code again',
      async () => {
        shop.showPermissions(false);
        const id = await begin();
        await seen(merchant, 'A one-time code is needed', RUN_MS);
        await enterCode(merchant, shop.oneTimeCode ?? '');
        await seen(merchant, 'Step 8 of 10 needs a person', RUN_MS);
        await killAndStart();
        shop.signOutEverybody();
        shop.showPermissions(true);
        await press(merchant, 'I did it, go on');
        await expect.poll(async () => count(await kindsOf(id), 'question.asked'), { timeout: RUN_MS }).toBe(3);
        await enterCode(merchant, shop.oneTimeCode ?? '');
        await seen(merchant, 'Done in', RUN_MS);
        expect(keysOf(id)).toHaveLength(1);
      },
      4 * RUN_MS,
    );
  });

describe('A shop with a CAPTCHA', () => {
  beforeAll(() => open({ captcha: true }));
  afterAll(close);

  it(
    'is not tried: it ends in the way by hand',
    async () => {
      const id = await begin();
      const end = await seen(merchant, 'was not set up', RUN_MS);
      expect(await end.innerText()).toMatch(/shows a CAPTCHA, which asks for a person and which I never solve/);
      await press(merchant, 'How to do it by hand');
      await seen(merchant, 'by hand');
      expect(keysOf(id)).toEqual([]);
      expect(signIns()).toEqual([]);
    },
    2 * RUN_MS,
  );
});
