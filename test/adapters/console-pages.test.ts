// The console over HTTP: what pages say, and how they stay as things are.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tamper } from '../support/audit.ts';
import { openConsole, type TestConsole } from '../support/console.ts';
import {
  type Core,
  grantedOperation,
  installShop,
  kinds,
  newcomer,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
/** What is kept out of what is handed out, wherever it was written. */
const SECRET = 'sk_live_of_a_name';

let own: TestConsole;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  own = await openConsole(core, {}, (text) => text.replaceAll(SECRET, '[secret]'));
  shop = await installShop(core);
});

afterAll(async () => {
  await own.close();
  await core.close();
  await testDatabase.drop();
});

describe('what stays as it is on the server', () => {
  const source = (page: string) => /data-live="([^"]+)"/.exec(page)?.[1]?.replaceAll('&#38;', '&') ?? '';

  test('the list of operations asks for itself with its filters, and is told the counts', async () => {
    const visitor = await own.signIn(shop.admin);
    const page = await visitor.get('/console/operations?state=awaiting_consent&service=woocommerce');
    expect(source(page.text)).toBe('/console/operations/live?state=awaiting_consent&service=woocommerce');
    const operation = await requestOperation(core, shop);
    const open = await visitor.get(source(page.text));
    expect(open.text).toContain(operation.id);
    expect(open.text).not.toMatch(/<html|<nav aria-label="Console"/);
    await visitor.post(`/console/operations/${operation.id}/stop`);
    const over = await visitor.get(source(page.text));
    expect(over.text).not.toContain(operation.id);
    for (const name of ['countersign-open', 'countersign-waiting'])
      expect(Number(over.headers.get(name))).toBe(Number(open.headers.get(name)) - 1);
  });

  test('a question is not replaced beneath whoever reads it: its page is told that what waits has changed', async () => {
    const visitor = await own.signIn(shop.approver);
    const mark = (text: string) => /data-mark="(\w+)"/.exec(text)?.[1];
    const page = await visitor.get('/console/approvals');
    expect(source(page.text)).toBe('/console/approvals/live');
    const before = await visitor.get('/console/approvals/live');
    expect([mark(before.text), before.text.length < 200]).toEqual([mark(page.text), true]);
    await requestOperation(core, shop);
    expect(mark((await visitor.get('/console/approvals/live')).text)).not.toBe(mark(page.text));
  });
});

describe('what pages say', () => {
  test('a plan made anew because another key was stored is not said to be asked for by whoever pressed', async () => {
    const base = 'https://anew.example.com';
    const operation = await requestOperation(core, shop, { origin: base, base });
    const metadata = { label: 'Countersign op-00000001', operationId: 'op-00000001' };
    await core.vault.store(shop.customerId, 'woocommerce', 'api_key', { target: base, value: 'ck_x', metadata });
    const visitor = await own.signIn(shop.approver);
    const path = `/console/approvals/${operation.id}/approve`;
    expect((await visitor.post(path, { plan: operation.planHash })).text).toContain('Another key was stored');
    const { text } = await visitor.get(`/console/operations/${operation.id}`);
    const said = text.slice(text.indexOf('<h2>Countersignatures'));
    expect(said).toContain('<b>New plan</b>, because what is stored had changed');
    expect(said).toContain('<b>Asked again</b>, because what is stored had changed');
    expect(said).not.toMatch(/(?:new plan|Asked)<\/b> by Abel/);
    expect(said).toContain(`<b>Asked</b> by ${shop.merchant.person.name}`);
  });

  test('a new plan of whoever chose other permissions is said to be theirs', async () => {
    const operation = await requestOperation(core, shop);
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.choosePermissions(tx, operation, ['read'], shop.merchant),
    );
    const { text } = await (await own.signIn(shop.approver)).get(`/console/operations/${operation.id}`);
    expect(text).toContain(`<b>Replaced by a new plan</b> by ${shop.merchant.person.name}`);
    expect(text).not.toContain('because what is stored had changed');
  });

  test('a step is “now” once at most, only while its operation runs, and one that is never reached does not wait', async () => {
    const operation = await queuedOperation(core, shop);
    const visitor = await own.signIn(shop.admin);
    const change = (statement: string) => sql(testDatabase.adminUrl, `${statement} = $1`, [operation.id]);
    const words = async () => {
      const { text } = await visitor.get(`/console/operations/${operation.id}`);
      const said = [...text.matchAll(/<span class="unseen"> \(([^)]+)\)<\/span>/g)].map(([, word]) => word);
      return { text, said: said.slice(0, 4) };
    };
    await change(`UPDATE operation_steps SET state = CASE WHEN number = 1 THEN 'done' ELSE 'running' END
      WHERE number <= 3 AND operation_id`);
    await change(`UPDATE autonomous_operations SET current_step = 3 WHERE id`);
    const set = (state: string) => change(`UPDATE autonomous_operations SET status = '${state}' WHERE id`);
    await set('in_progress');
    expect((await words()).said).toEqual(['done', 'begun, not finished', 'now', 'waiting']);
    await set('paused');
    const paused = await words();
    expect(paused.said).toEqual(['done', 'begun, not finished', 'begun, not finished', 'waiting']);
    expect(paused.text).not.toMatch(/<tr class="running"|>…<\/td>/);
    const of = /Steps<\/dt><dd>(\d+ of \d+)/.exec(paused.text)?.[1];
    const list = (await visitor.get(`/console/operations?text=${operation.id}`)).text;
    expect([of, list]).toEqual([expect.stringMatching(/^1 of/), expect.stringContaining(`>${of}</td>`)]);
    await set('failed');
    const failed = await words();
    expect(failed.said).toEqual(['done', 'begun, not finished', 'begun, not finished', 'not done']);
    expect(failed.text).not.toContain('has not begun');
    await change(`UPDATE operation_steps SET state = 'waiting' WHERE operation_id`);
    const untouched = await words();
    expect(new Set(untouched.said)).toEqual(new Set(['not done']));
    expect(untouched.text).toContain('This step was not done.');
  });

  test('words of people and sites are escaped wherever they stand', async () => {
    const evil = await newcomer(core, shop, '<img src=x onerror=alert(1)>');
    await requestOperation(core, shop, { requester: evil });
    const visitor = await own.signIn(shop.admin);
    for (const path of ['/console/operations', '/console/people', '/console/audit', '/console/approvals'])
      expect((await visitor.get(path)).text).not.toContain('<img src=x');
    const page = await visitor.get('/console/operations?text=%22%3E%3Cscript%3E&state=%3Cb%3E&after=%3Cb%3E');
    expect(page.text).not.toMatch(/"><script>|<b>&/);
  });

  test('a legal hold stands beside the policy, since when and why, until it is released', async () => {
    const visitor = await own.signIn(shop.admin);
    const people = async () => (await visitor.get('/console/people')).text;
    expect(await people()).not.toContain('Legal hold');
    await own.keeper.retention.placeHold(shop.customerId, { why: 'a <court> asked for it' });
    expect(await people()).toMatch(
      /Legal hold<\/dt><dd>all records are kept since [\s\S]*: a &#60;court&#62; asked for it/,
    );
    await own.keeper.retention.releaseHold(shop.customerId, { why: 'it is over' });
    expect(await people()).not.toContain('Legal hold');
  });

  test('a list is filtered by state, service and words, and goes on where the page before ended', async () => {
    const visitor = await own.signIn(shop.admin);
    const ids = (text: string) => [...text.matchAll(/href="\/console\/operations\/(op-\w{8})"/g)].map(([, id]) => id);
    const all = await core.database.withCustomer(shop.customerId, (tx) =>
      core.operations.latest(tx, shop.customerId, 200),
    );
    const page = await visitor.get('/console/operations?state=awaiting_consent&service=woocommerce');
    expect(new Set(ids(page.text))).toEqual(
      new Set(all.filter(({ state }) => state === 'awaiting_consent').map(({ id }) => id)),
    );
    const [one] = all;
    expect(ids((await visitor.get(`/console/operations?text=${one?.id.toUpperCase()}`)).text)).toEqual([one?.id]);
    for (const word of ['woo', 'COMMERCE', 'shop.exam'])
      expect(ids((await visitor.get(`/console/operations?text=${word}`)).text)).toContain(one?.id);
    expect((await visitor.get('/console/operations?text=mona')).text).toContain('Mona');
    expect((await visitor.get('/console/operations?text=nothing+like+that')).text).toContain('Nothing fits');
    expect((await visitor.get('/console/operations?text=100%25')).text).toContain('Nothing fits');
    expect((await visitor.get('/console/operations?service=stripe')).text).toContain('Nothing fits');
  });

  test('what no database takes as words or as a day is no failure of ours, and no trail is taken away by it', async () => {
    const admin = await own.signIn(shop.admin);
    for (const path of ['operations?text=a%00b', 'audit?from=0000-01-01&to=1969-12-31', 'audit?kind=%00'])
      expect((await admin.get(`/console/${path}`)).status, path).toBe(200);
    expect((await admin.post('/console/queue/redrive', { job: '\0' })).text).toContain('no such dead job');
    const trail = await admin.post('/console/audit/export', { from: '0000-01-01', format: 'csv' });
    expect([trail.status, trail.headers.get('location')]).toEqual([303, expect.stringContaining('/console/audit')]);
  });

  test('the trail is found by operation, person and kind, and is taken away as it is by the chat', async () => {
    const operation = await grantedOperation(core, shop);
    await newcomer(core, shop, `Nora ${SECRET}`);
    const visitor = await own.signIn(shop.admin);
    const found = await visitor.get(`/console/audit?operation=${operation.id}&person=${shop.approver.id}&kind=consent`);
    expect(found.text).toContain('consent.granted');
    expect(found.text).not.toContain('operation.requested</b>');
    expect(found.text).toContain('<option value="connection">Health of keys</option>');
    const export_ = (format: string) => visitor.post('/console/audit/export', { operation: operation.id, format });
    const json = await export_('json');
    expect(json.text).toContain('"Nora [secret]"');
    expect(JSON.parse(json.text)).toMatchObject({ format: 'countersign-audit/1', operationId: operation.id });
    expect((await export_('csv')).text).toMatch(/^seq,at,kind,/);
    const lines = (await export_('jsonl')).text.trim().split('\n');
    expect(lines.length).toBeGreaterThan(3);
    expect(await kinds(core, operation)).toContain('trail.read');
  });

  test('an entry whose words nobody can open stands there without them, and says why', async () => {
    const there = await installShop(core);
    const operation = await grantedOperation(core, there);
    const visitor = await own.signIn(there.admin);
    const entry = `customer_id = '${there.customerId}' AND operation_id = '${operation.id}' AND kind`;
    const words = 'UPDATE autonomous_operations_audit SET payload';
    await tamper(testDatabase, there, `${words} = NULL WHERE ${entry} = 'consent.granted'`);
    await tamper(
      testDatabase,
      there,
      `${words} = set_byte(payload, 40, 255 - get_byte(payload, 40)) WHERE ${entry} = 'plan.made'`,
    );
    const pages = ['audit', `audit?operation=${operation.id}`, `operations/${operation.id}`, 'people'];
    const look = async () => {
      const seen = await Promise.all(pages.map((path) => visitor.get(`/console/${path}`)));
      expect(seen.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      return seen.map(({ text }) => text);
    };
    for (const text of (await look()).slice(0, 3)) {
      expect(text).toMatch(/consent\.granted.*?words erased/s);
      expect(text).toMatch(/plan\.made.*?words can’t be opened: they are damaged/s);
    }
    const { text } = await visitor.post('/console/audit/export', { operation: operation.id, format: 'jsonl' });
    expect(text).toContain('"payload":"damaged"');
    await own.say(there.admin, `/audit ${operation.id}`);
    expect(JSON.stringify(own.chat.calls.at(-1))).toMatch(
      /#\d+: words erased.*#\d+: words can’t be opened: they are damaged/,
    );
    await tamper(testDatabase, there, "UPDATE customer_keys SET state = 'destroyed', wrapped = '' WHERE ME");
    for (const text of (await look()).slice(0, 3)) expect(text).toContain('their key was destroyed');
  });

  test.each(['operation=nonsense', 'person=nobody', 'kind=%3F', 'from=yesterday'])(
    'a search of the trail for %s finds nothing, and exports nothing',
    async (asked) => {
      const visitor = await own.signIn(shop.admin);
      const { text } = await visitor.get(`/console/audit?${asked}`);
      expect(text).toContain('Nothing fits');
      expect(text).not.toContain('Export the trail');
      if (asked === 'operation=nonsense') expect(text).toContain('value="nonsense"');
      const fields = Object.fromEntries(new URLSearchParams(asked));
      expect((await visitor.post('/console/audit/export', { ...fields, format: 'jsonl' })).status).toBe(303);
    },
  );

  test('an empty list says what to do', async () => {
    const visitor = await own.signIn(await newcomer(core, shop, 'Emma'));
    expect((await visitor.get('/console/operations')).text).toContain('set up WooCommerce for shop.example.com');
  });
});
