// The main job as people do it: web chat in real Chromium, the practice shop, and what each of the three people sees.
// One program, one shop and one browser for all.
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyLines } from '../support/audit.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import {
  enterSignIn,
  fillSignIn,
  follow,
  openPeople,
  operationIdIn,
  type People,
  press,
  pressAndConfirm,
  RUN_MS,
  say,
  seen,
  shows,
} from '../support/people.ts';
import { brokenLinks, brokenPayloads, type ExportedTrail, readCsv } from '../support/trail.ts';

let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;
let admin: Page;

beforeAll(async () => {
  demo = await startTestDemo();
  people = await openPeople(demo.chatUrl);
  [merchant, approver, admin] = [people.page('Merchant'), people.page('Approver'), people.page('Admin')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
});
beforeEach(() => appoint(demo, ['approver']));

const request = () => `set up WooCommerce for ${demo.shop.origin}`;
const host = () => new URL(demo.shop.origin).host;
const stateOf = async (id: string) =>
  (await demo.sql('SELECT status FROM autonomous_operations WHERE id = $1', [id]))[0]?.status;
const grantsOf = async (id: string) =>
  (await demo.sql('SELECT permissions FROM autonomous_consent WHERE operation_id = $1', [id])).length;
const countOfOperations = async () => (await demo.sql('SELECT id FROM autonomous_operations')).length;

describe('asking', () => {
  it('asks for a missing address, refuses a broken and a private one, and goes on with the right one', async () => {
    const before = await countOfOperations();
    await people.begin('Merchant', 'can you connect my woo store?');
    await seen(merchant, 'What is the address of your shop?');
    await say(merchant, 'shop.example.com:99999');
    await seen(merchant, /The number after the colon is no port.*Nothing was done/);
    await say(merchant, 'http://10.0.0.7:8080');
    await seen(merchant, /I can't open 10\.0\.0\.7:8080 from here.*Nothing was done/);
    expect(await countOfOperations()).toBe(before);
    await say(approver, demo.shop.origin);
    await seen(approver, `What shall I set up for ${demo.shop.origin}?`);
    expect(await countOfOperations()).toBe(before);
    await say(merchant, demo.shop.origin);
    const card = await seen(approver, `Create a WooCommerce API key for ${host()}`);
    expect(await card.innerText()).toMatch(
      /Asked by Merchant[\s\S]*Approver may approve\. Nothing happens before that\./,
    );
    expect(await countOfOperations()).toBe(before + 1);
  });

  it.each([
    { words: 'set up xero', answer: /I can't set up xero yet\. Nothing was done\..*WooCommerce/s },
    { words: 'is it going to rain tomorrow?', answer: /I am not sure what you mean\. Nothing was done\./ },
    { words: 'hello', answer: /Hello Merchant\./ },
  ])('answers “$words” in the thread, and begins nothing', async ({ words, answer }) => {
    const before = await countOfOperations();
    await people.begin('Merchant', words);
    for (const page of [merchant, admin]) await seen(page, answer);
    expect(await countOfOperations()).toBe(before);
  });

  it('warns whoever pastes a key, and nobody else', async () => {
    const key = `ck_${'0123456789abcdef'.repeat(2)}01234567`;
    await people.begin('Merchant', `use ${key} for my shop`);
    await seen(merchant, 'That looks like a WooCommerce API key.');
    expect(await shows(admin, 'That looks like')).toBe(false);
  });
});

describe('who may approve', () => {
  it('is chosen by an admin the first time; a merchant who tries is refused alone', async () => {
    await appoint(demo, []);
    await people.begin('Merchant', request());
    await seen(approver, 'Nobody may approve this yet. Admin can choose who does.');
    expect(await merchant.getByRole('button', { name: 'Choose approvers' }).count()).toBe(0);
    await pressAnyway(merchant, 'Choose approvers');
    await seen(merchant, 'Only an admin can choose who approves. Nothing was changed.');
    for (const page of [approver, admin]) expect(await shows(page, 'Only an admin can choose')).toBe(false);

    await seen(admin, /Only visible to you[\s\S]*somebody has to be allowed to approve it/);
    await press(admin, 'Choose approvers');
    const form = admin.getByRole('dialog', { name: 'Who may approve?' });
    await form.getByRole('button', { name: 'Save' }).click();
    await form.getByText('Choose at least one.').waitFor();
    await form.getByRole('checkbox', { name: 'Approver', exact: true }).check();
    await form.getByRole('button', { name: 'Save' }).click();
    await form.waitFor({ state: 'hidden' });
    await seen(approver, 'Approver may approve. Nothing happens before that.');
    await approver.getByRole('button', { name: 'Approve', exact: true }).waitFor();
  });

  it('is not whoever asked, and not a merchant', async () => {
    await appoint(demo, ['approver', 'admin']);
    await people.begin('Approver', request());
    const id = await operationIdIn(approver);
    await seen(approver, 'Admin may approve.');
    for (const page of [merchant, approver])
      expect(await page.getByRole('button', { name: /^(Approve|Deny)$/ }).count()).toBe(0);
    await pressAnyway(approver, 'Approve');
    await seen(approver, 'You asked for this yourself, so somebody else has to decide. Nothing was changed.');
    for (const button of ['Approve', 'Deny', 'Choose permissions']) {
      await pressAnyway(merchant, button);
      const refusal = await seen(merchant, 'You may not decide on this request.');
      await refusal.getByRole('button', { name: 'Dismiss' }).click();
      await refusal.waitFor({ state: 'detached' });
    }
    for (const page of [approver, admin]) expect(await shows(page, 'You may not decide')).toBe(false);
    expect(await stateOf(id)).toBe('awaiting_consent');
    expect(await grantsOf(id)).toBe(0);
  });

  it('is an admin who works alone, also for own requests', async () => {
    await appoint(demo, []);
    await people.begin('Admin', request());
    const id = await operationIdIn(admin);
    await press(admin, 'I work alone');
    await seen(admin, 'Admin may approve. Nothing happens before that.');
    await press(admin, 'Approve');
    await seen(admin, /Countersigned by Admin/);
    await admin.getByRole('link', { name: 'Open the one-time page' }).waitFor();
    expect(await stateOf(id)).toBe('awaiting_credentials');
  });
});

/** Presses what only another person is shown: without the page's help. */
async function pressAnyway(page: Page, name: string, shownTo = admin): Promise<void> {
  const button = shownTo.getByRole('button', { name, exact: true });
  const form = shownTo.locator('form.act').filter({ has: button }).first();
  await form.waitFor();
  const [path, action, value] = await Promise.all([
    form.getAttribute('action'),
    form.locator('[name=action]').inputValue(),
    form.locator('[name=value]').inputValue(),
  ]);
  const as = page === merchant ? 'merchant' : 'approver';
  const answer = await fetch(new URL(path ?? '', demo.chatUrl), {
    method: 'POST',
    headers: { origin: demo.chatUrl, 'content-type': 'application/json' },
    body: JSON.stringify({ as, action, value }),
  });
  expect(answer.status).toBe(200);
}

describe('deciding', () => {
  it('makes a new plan of other permissions, and the card of the old one can no longer be approved', async () => {
    const thread = await people.begin('Merchant', request());
    const id = await operationIdIn(merchant);
    // A page without script stays as it was loaded.
    const frozen = await people.browser.newContext({ javaScriptEnabled: false });
    await frozen.addCookies([{ name: 'countersign_person', value: 'approver', url: demo.chatUrl }]);
    const stale = await frozen.newPage();
    await stale.goto(thread);

    await press(merchant, 'Choose permissions');
    const form = merchant.getByRole('dialog', { name: 'Choose permissions' });
    expect(await form.getByRole('checkbox', { name: 'Create one API key' }).isDisabled()).toBe(true);
    await form.getByRole('checkbox', { name: 'The key may read' }).uncheck();
    await form.getByRole('button', { name: 'Make the new plan' }).click();
    await form.getByText('Choose at least one of reading and changing').waitFor();
    await form.getByRole('checkbox', { name: 'The key may change' }).check();
    await form.getByRole('button', { name: 'Make the new plan' }).click();
    await form.waitFor({ state: 'hidden' });
    await seen(merchant, /The key may change products, orders and customers/);

    await stale.getByRole('button', { name: 'Approve', exact: true }).click();
    await stale.getByText('This message has changed meanwhile. Please look again.').waitFor();
    expect(await grantsOf(id)).toBe(0);
    await press(approver, 'Approve');
    await seen(merchant, /Countersigned by Approver at .* · write only/);
    const granted = await demo.sql('SELECT permissions FROM autonomous_consent WHERE operation_id = $1', [id]);
    expect(granted).toEqual([{ permissions: ['check_key', 'create_api_key', 'sign_in', 'write_shop'] }]);
    await frozen.close();
  });

  it('denies with a reason that everybody reads, and a second click changes nothing', async () => {
    const thread = await people.begin('Merchant', request());
    const id = await operationIdIn(merchant);
    const frozen = await people.browser.newContext({ javaScriptEnabled: false });
    await frozen.addCookies([{ name: 'countersign_person', value: 'approver', url: demo.chatUrl }]);
    const stale = await frozen.newPage();
    await stale.goto(thread);

    await press(approver, 'Deny');
    const form = approver.getByRole('dialog', { name: 'Deny this request?' });
    await form.getByRole('button', { name: 'Deny' }).click();
    await form.getByText('Please fill this in.').waitFor();
    await form.getByRole('textbox', { name: 'Reason' }).fill('Not before the audit <b>next week</b>');
    await form.getByRole('button', { name: 'Deny' }).click();
    for (const page of [merchant, admin]) {
      await seen(page, /Denied by Approver at .*: “Not before the audit <b>next week<\/b>”/);
      const end = await seen(page, `Denied: WooCommerce for ${host()} was not set up.`);
      expect(await end.innerText()).toContain('Nothing was done.');
    }
    await stale.getByRole('button', { name: 'Approve', exact: true }).click();
    await stale.getByText('This message has changed meanwhile.').waitFor();
    expect([await stateOf(id), await grantsOf(id)]).toEqual(['denied', 0]);
    await frozen.close();
  });

  it('shows the steps for doing it by hand, and leaves the request open', async () => {
    await people.begin('Merchant', request());
    const id = await operationIdIn(merchant);
    await press(merchant, 'How to do it by hand');
    const guide = await seen(admin, `Create a WooCommerce API key for ${host()}, by hand`);
    expect(await guide.innerText()).toMatch(/Press “Generate API key”, once\.[\s\S]*Keep the key out of chat/);
    expect(await stateOf(id)).toBe('awaiting_consent');
  });
});

describe('the one-time page', () => {
  it(
    'is for one person, spends nothing when looked at, keeps its link after a mistake, and works once',
    async () => {
      await people.begin('Merchant', request());
      const id = await operationIdIn(merchant);
      await press(approver, 'Approve');
      await pressAnyway(approver, 'Enter the sign-in', merchant);
      await seen(approver, 'Only Merchant, who asked, gets the link. Nothing was changed.');
      const form = await follow(merchant, 'Open the one-time page');
      const url = form.url();
      for (const page of [approver, admin]) {
        expect(await shows(page, 'Countersigned by Approver')).toBe(true);
        expect(await page.getByRole('link', { name: 'Open the one-time page' }).count()).toBe(0);
        expect(await page.content()).not.toContain(new URL(url).pathname);
      }
      const looks = [await fetch(url), await fetch(url)];
      expect(looks.map(({ status }) => status)).toEqual([200, 200]);
      expect(await form.getByRole('definition').allInnerTexts()).toEqual([
        'Merchant, and nobody else',
        demo.shop.origin,
        id,
        expect.stringContaining('once'),
      ]);

      const body = new URLSearchParams({ admin_username: 'thief', admin_password: 'guess' });
      const foreign = await fetch(url, { method: 'POST', body, headers: { origin: 'http://evil.example' } });
      expect(foreign.status).toBe(403);
      const anonymous = await fetch(url, { method: 'POST', body });
      expect(anonymous.status).toBe(403);

      await fillSignIn(form, { user: demo.shop.username, password: '' });
      await form.getByText('Enter the password.').waitFor();
      expect(await form.getByRole('textbox', { name: 'User name' }).inputValue()).toBe(demo.shop.username);
      expect(await stateOf(id)).toBe('awaiting_credentials');

      const wrong = 'not the password';
      await fillSignIn(form, { user: demo.shop.username, password: wrong });
      await form.getByRole('heading', { name: 'Thank you' }).waitFor();
      expect((await form.goto(url))?.status()).toBe(410);
      await form.getByRole('heading', { name: 'This link does not work' }).waitFor();
      const again = await fetch(url, { method: 'POST', body, headers: { origin: new URL(url).origin } });
      expect(again.status).toBe(410);
      await form.close();

      // The password was wrong: said clearly, and tried once.
      const end = await seen(merchant, `WooCommerce for ${host()} was not set up.`, RUN_MS);
      const words = await end.innerText();
      expect(words).toMatch(/user name or (the )?password/i);
      expect(words).toMatch(/No key was stored\. The sign-in was deleted\.[\s\S]*check the user name and password/);
      expect(demo.shop.failedSignIns()).toBe(1);
      expect(demo.shop.keys().filter((key) => key.description.includes(id))).toEqual([]);
      expect(await demo.sql('SELECT id FROM autonomous_credentials WHERE operation_id = $1', [id])).toEqual([]);
    },
    2 * RUN_MS,
  );
});

describe('a request that was carried out', () => {
  let id: string;
  let thread: string;

  beforeAll(async () => {
    await appoint(demo, ['approver']);
    thread = await people.begin('Merchant', request());
    id = await operationIdIn(merchant);
    await press(approver, 'Approve');
    await enterSignIn(merchant, { user: demo.shop.username, password: demo.shop.password });
    await seen(merchant, 'Done in', RUN_MS);
  }, 2 * RUN_MS);
  beforeEach(() => people.open(thread));

  it('shows everybody who decided, every step with its picture, and a key that was proven to work', async () => {
    for (const page of [merchant, approver, admin]) {
      await seen(
        page,
        /Countersigned by Approver at \d\d:\d\d · read only[\s\S]*Sign-in entered by Merchant at \d\d:\d\d/,
      );
      const steps = await seen(page, 'All 10 steps done');
      expect(await steps.getByRole('list').first().getByRole('listitem').count()).toBe(10);
      const pictures = steps.getByRole('link', { name: /^Enlarge: Step \d+: / });
      expect(await pictures.count()).toBe(9);
      for (const picture of await pictures.all()) {
        const answer = await page.request.get(new URL((await picture.getAttribute('href')) ?? '', demo.chatUrl).href);
        expect([answer.status(), answer.headers()['content-type']]).toEqual([200, 'image/jpeg']);
      }
      const result = await (await seen(page, 'Done in')).innerText();
      expect(result).toMatch(/WooCommerce is connected\./);
      expect(result).toContain(`“Countersign ${id}”`);
      expect(result).toContain(`${host()} answered 200, 5 products`);
      expect(result).toMatch(/\d+ entries, chain #\d+ · [0-9a-f]{16} verified/);
    }
    const made = demo.shop.keys().filter((key) => key.description === `Countersign ${id}`);
    expect(made).toMatchObject([{ permissions: 'read', isRevoked: false, lastAccess: expect.any(Date) }]);
    expect(await demo.sql('SELECT id FROM autonomous_credentials WHERE operation_id = $1', [id])).toEqual([]);
  });

  it('gives an admin the trail, verified, and both exports, whose chain can be checked from the file alone', async () => {
    await say(admin, `/audit ${id}`);
    const trail = await seen(admin, `Audit trail ${id}`);
    expect(await trail.innerText()).toMatch(/\d+ of \d+ steps, \d+ %[\s\S]*chain verified, #\d+/);
    expect(await trail.getByRole('region', { name: 'Steps' }).getByRole('row').count()).toBeGreaterThan(10);
    for (const page of [merchant, approver]) expect(await shows(page, 'Audit trail op-')).toBe(false);

    const json = await download('Export JSON');
    const checked = await verifyLines([json]);
    expect([checked.code, checked.out]).toEqual([0, expect.stringContaining(`The export about ${id}`)]);
    const document = JSON.parse(json) as ExportedTrail; // checked field by field below
    expect(document).toMatchObject({
      format: 'countersign-audit/1',
      operationId: id,
      summary: `Create a WooCommerce API key for ${host()}, asked by Merchant, countersigned by Approver, completed`,
    });
    const kinds = document.entries.map(({ header }) => (JSON.parse(header) as { kind: string }).kind);
    expect(kinds).toEqual(expect.arrayContaining(['consent.granted', 'credential.stored', 'operation.completed']));
    expect(kinds.filter((kind) => kind === 'step.finished').length).toBeGreaterThanOrEqual(10);
    expect(brokenPayloads(document)).toEqual([]);
    expect(brokenLinks(document)).toEqual([]);
    const forged = structuredClone(document);
    Object.assign(forged.entries[3] ?? {}, { at: '2020-01-01T00:00:00.000Z' });
    expect(brokenLinks(forged)).toEqual([forged.entries[3]?.seq]);

    const lines = (await download('Export lines (JSONL)')).split('\n');
    const intact = await verifyLines(lines);
    expect([intact.code, intact.out]).toEqual([0, expect.stringContaining(`The export about ${id}`)]);
    expect((await verifyLines(lines.toSpliced(5, 1))).out).toMatch(/There is a gap: entry #\d+ is missing/);

    const csv = readCsv(await download('Export CSV'));
    expect(csv.columns.slice(0, 3)).toEqual(['seq', 'at', 'kind']);
    const hashes = new Map(document.entries.map(({ seq, hash }) => [seq, hash]));
    const own = document.entries.filter(({ header }) => header.includes(id));
    expect(csv.rows.length).toBeGreaterThanOrEqual(own.length);
    for (const row of csv.rows) if (hashes.has(row.seq ?? '')) expect(row.hash).toBe(hashes.get(row.seq ?? ''));
    const done = csv.rows.filter(({ kind, success }) => kind === 'step.finished' && success === 'true');
    expect(new Set(done.map(({ step }) => step))).toEqual(
      new Set(Array.from({ length: 10 }, (_, at) => String(at + 1))),
    );
  });

  it('gives no export to somebody who is no admin any more, in the words for a link that never was', async () => {
    const trails = admin.getByRole('article').filter({ hasText: `Audit trail ${id}` });
    const trail = trails.nth(await trails.count()); // the one to come, whose links nobody has used
    await say(admin, `/audit ${id}`);
    const url = (await trail.getByRole('link', { name: 'Export JSON' }).getAttribute('href')) ?? '';
    const { origin } = new URL(url);
    const redeem = () => fetch(url, { method: 'POST', headers: { origin } });
    await demo.sql(`UPDATE members SET roles = array_remove(roles, 'admin') WHERE user_id = 'admin'`);
    const answers = [await redeem(), await fetch(url)];
    const unknown = await fetch(new URL(`/connect/${'A'.repeat(43)}`, url));
    await demo.sql(`UPDATE members SET roles = roles || ARRAY['admin'] WHERE user_id = 'admin'`);
    expect(answers.map(({ status }) => status)).toEqual([410, 410]);
    const words = await unknown.text();
    for (const answer of answers) expect(await answer.text()).toBe(words);
    expect(await refusedTo('admin')).toEqual(['export']);
    expect((await redeem()).status).toBe(200);
  });

  it('has each refusal to somebody without the role on record, once however often it is repeated', async () => {
    const asking = ['/countersign stop all', '/countersign settings', `/audit ${id}`];
    for (const words of [...asking, ...asking]) {
      await say(approver, words);
      const refusal = await seen(approver, 'Only an admin can');
      await refusal.getByRole('button', { name: 'Dismiss' }).click();
      await refusal.waitFor({ state: 'detached' });
    }
    expect((await refusedTo('approver')).toSorted()).toEqual(['audit', 'settings', 'stop_all']);
  });

  it('refuses the trail to everybody else, and says the same of an unknown operation and of another customer’s', async () => {
    for (const page of [merchant, approver]) {
      await say(page, `/audit ${id}`);
      await seen(page, 'Only an admin can read audit trails.');
      expect(await page.getByRole('article').filter({ hasText: 'Audit trail op-' }).count()).toBe(0);
    }
    const foreign = 'op-f4r31gn7';
    await addForeignOperation(foreign, id);
    const answers: string[] = [];
    for (const unknown of [foreign, 'op-n07h3r3e']) {
      await say(admin, `/audit ${unknown}`);
      const answer = await seen(admin, `There is no operation “${unknown}” here.`);
      answers.push((await answer.getByRole('paragraph').last().innerText()).replace(unknown, 'op-…'));
    }
    expect(answers[0]).toBe(answers[1]);
  });

  it('shows the key to an admin who asks for it, once, on a page of their own, and to nobody else', async () => {
    await press(merchant, 'Reveal');
    await seen(merchant, 'Only an admin can have a stored key shown. Nothing was shown.');
    await press(admin, 'Reveal');
    const page = await follow(admin, 'Open the one-time page');
    await page.getByRole('button', { name: 'Show it once' }).click();
    await page.getByRole('group', { name: 'Consumer key' }).getByText('Show').click();
    const key = await page.getByText(/^ck_[0-9a-f]{40}$/).innerText();
    await page.close();
    for (const person of [merchant, admin]) expect(await person.getByText(key).count()).toBe(0);
    const used = await seen(admin, /The one-time page was used by Admin at \d\d:\d\d and is closed\./);
    expect(await used.getByRole('link').count()).toBe(0);
    expect(await admin.getByRole('link', { name: 'Open the one-time page' }).count()).toBe(0);
  });

  it('takes the key out of the vault when it is revoked, and says what is left to do at the shop', async () => {
    await press(merchant, 'Revoke');
    const question = merchant.getByRole('dialog', { name: 'Revoke this key?' });
    await question.getByRole('button', { name: 'Cancel' }).click();
    expect(await storedKeys()).toBe(1);
    await pressAndConfirm(merchant, 'Revoke', 'Revoke it');
    const said = await seen(admin, `Merchant revoked the key of ${id}.`);
    expect(await said.innerText()).toMatch(/The shop still knows it\.[\s\S]*Press “Revoke” there/);
    await seen(admin, /read only, deleted from the vault/);
    expect(await merchant.getByRole('button', { name: 'Revoke', exact: true }).count()).toBe(0);
    expect(await storedKeys()).toBe(0);
  });

  /** What this person was refused for want of a role. */
  async function refusedTo(userId: string): Promise<readonly string[]> {
    const rows = await demo.sql(
      `SELECT a.header::jsonb ->> 'asked' AS asked
       FROM autonomous_operations_audit a JOIN members m ON m.id::text = a.header::jsonb ->> 'actor'
       WHERE a.kind = 'access.refused' AND m.user_id = $1`,
      [userId],
    );
    return rows.map(({ asked }) => String(asked));
  }

  async function storedKeys(): Promise<number> {
    const rows = await demo.sql(
      `SELECT id FROM autonomous_credentials WHERE credential_metadata->>'operationId' = $1`,
      [id],
    );
    return rows.length;
  }
});

/** Follows an export's link and presses the page's one button. */
async function download(name: string): Promise<string> {
  const page = await follow(admin, name);
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: /^Download/ }).click(),
  ]);
  const text = await readFile(await file.path(), 'utf8');
  expect((await page.goto(page.url()))?.status()).toBe(410);
  await page.close();
  return text;
}

/** Another customer of the same installation, with an operation like this one. */
async function addForeignOperation(foreign: string, like: string): Promise<void> {
  await demo.sql(
    `WITH customer AS (INSERT INTO customers (customer_id, name) VALUES (gen_random_uuid(), 'Another') RETURNING customer_id),
       member AS (INSERT INTO members SELECT customer_id, gen_random_uuid(), 'web', 'another', 'u', 'U', '{}' FROM customer RETURNING customer_id, id),
       thread AS (INSERT INTO threads (customer_id, id, platform, workspace_id, ref)
         SELECT customer_id, gen_random_uuid(), 'web', 'another', 't' FROM customer RETURNING id)
     INSERT INTO autonomous_operations
     SELECT copy.* FROM autonomous_operations original, member, thread, jsonb_populate_record(original,
       jsonb_build_object('customer_id', member.customer_id, 'id', $1::text, 'user_id', member.id, 'thread_id', thread.id)) copy
     WHERE original.id = $2`,
    [foreign, like],
  );
}
