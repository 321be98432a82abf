// The console's page of workflows over HTTP: how steps go, and what was found anew on changed pages.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Member } from '../../core/customers/customers.ts';
import { newUuid } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { listFoundAnew } from '../../core/workflow/found-anew.ts';
import { keepProposal, proposalsFor } from '../../core/workflow/proposals.ts';
import { openConsole, type TestConsole } from '../support/console.ts';
import { type Core, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let own: TestConsole;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  own = await openConsole(core);
  shop = await installShop(core);
});

afterAll(async () => {
  await own.close();
  await core.close();
  await testDatabase.drop();
});

const inside = <T>(of: Shop, work: Parameters<typeof core.database.withCustomer<T>>[1]) =>
  core.database.withCustomer(of.customerId, work);

test('a workflow names what a plan fills in by words', async () => {
  const { text } = await (await own.signIn(shop.admin)).get('/console/workflows');
  const said = [...text.matchAll(/<td class="right">\d+<\/td><td>([^<]*)<\/td>/g)].map(([, intent]) => intent ?? '');
  expect(said).toContain('Name it as the plan says');
  expect(said.join('\n')).not.toMatch(/[{}]|“\w+”|\b(?:label|oldLabel|scopeWords|scopes|base|baseHost|\w+_level)\b/);
});

test('a step that fails more often is shown to admins, with a picture of then and one of now', async () => {
  const operation = await requestOperation(core, shop);
  const { workflowId, workflowVersion } = operation.plan;
  const { customerId } = shop;
  const [then, now] = [newUuid(), newUuid()];
  await core.database.withCustomer(customerId, async (tx) => {
    const picture = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 640, height: 400, alt: '' };
    for (const id of [then, now])
      await tx.screenshot.create({ data: { customerId, id, operationId: operation.id, step: 4, ...picture } });
    const rates = { beforeDone: 11, beforeAll: 12, recentDone: 6, recentAll: 10 };
    const step = { customerId, id: newUuid(), workflowId, workflowVersion, step: 4, ...rates };
    await tx.stepEpisode.create({ data: { ...step, oldPicture: then, newPicture: now } });
  });
  const { text } = await (await own.signIn(shop.admin)).get('/console/workflows');
  expect(text).toContain('60 % of 10 tries in 7 days, 92 % of 12 in the 30 days before');
  const at = (id: string) => text.indexOf(`/console/operations/${operation.id}/pictures/${id}`);
  expect(at(then)).toBeGreaterThan(0);
  expect(at(now)).toBeGreaterThan(at(then));
});

const PICTURE = { sealed: Buffer.from('x'), mediaType: 'image/png', width: 640, height: 400, alt: '' };

/** The link “Add key” of step 6 has become a button, or a part of another step’s result is shown in one. */
async function findAnew(
  of: Shop,
  operation: Operation,
  name = 'Generate key',
  part?: { readonly step: number; readonly field: string },
): Promise<string> {
  const { workflowId, workflowVersion, base: target } = operation.plan;
  const element = { tag: 'button', role: 'button', name };
  const heal = {
    ...{ fingerprint: element, identity: element, score: 1, margin: 1 },
    locators: [{ by: 'role', role: 'button', name } as const],
    ...(part && { field: part.field }),
  };
  const place = { workflowId, workflowVersion, target };
  await inside(of, (tx) =>
    keepProposal(tx, of.customerId, place, {
      operationId: operation.id,
      step: part?.step ?? 6,
      heal,
      hide: (value) => value,
    }),
  );
  const rows = await inside(of, (tx) =>
    tx.workflowProposal.findMany({ where: { customerId: of.customerId }, orderBy: { createdAt: 'desc' } }),
  );
  const found = rows.find(({ element: kept }) => JSON.stringify(kept).includes(name));
  if (!found) throw new Error('nothing was kept');
  return found.id;
}

/** As step 6 of the operation was done. @returns the id of its picture */
async function pictured(of: Shop, { id: operationId }: Operation, rung: string): Promise<string> {
  const { customerId } = of;
  const screenshotId = newUuid();
  await inside(of, async (tx) => {
    await tx.screenshot.create({ data: { customerId, id: screenshotId, operationId, step: 6, ...PICTURE } });
    const done = { state: 'done', rung, screenshotId, finishedAt: new Date() };
    await tx.operationStep.updateMany({ where: { customerId, operationId, number: 6 }, data: done });
  });
  return screenshotId;
}

const page = async (of: Member) => (await (await own.signIn(of)).get('/console/workflows')).text;

describe('what was found anew', () => {
  test('stands beside what was looked for, with a picture of each, and says so where one is gone', async () => {
    const mine = await installShop(core);
    expect(await page(mine.admin)).not.toContain('Found anew');
    const [before, after] = [await requestOperation(core, mine), await requestOperation(core, mine)];
    const old = await pictured(mine, before, 'replayed');
    const now = await pictured(mine, after, 'relocated');
    await findAnew(mine, after, 'Generate <key>');
    const text = await page(mine.admin);
    expect(text).toMatch(
      /<p>At shop\.example\.com Countersign looked for the link “Add key”; since <time[^>]*>[^<]+<\/time> it finds the button “Generate &#60;key&#62;” instead\./,
    );
    await findAnew(mine, after, '{label}\u202edlo');
    const both = await page(mine.admin);
    expect(both).toContain('it finds the button “{label}\ufffddlo” instead.');
    expect(both.match(/<figure>/g)).toHaveLength(2); // the same two for both
    const at = (operation: Operation, id: string) => text.indexOf(`/operations/${operation.id}/pictures/${id}`);
    expect(at(before, old)).toBeGreaterThan(0);
    expect(at(after, now)).toBeGreaterThan(at(before, old));
    await sql(testDatabase.adminUrl, 'DELETE FROM screenshots WHERE id = $1', [old]);
    expect(await page(mine.admin)).toContain('As it was before: there is no picture.');
  });

  test('is discarded once, with who did it on record; no run tries it any more, also when it is found again', async () => {
    const mine = await installShop(core);
    const operation = await requestOperation(core, mine);
    const proposal = await findAnew(mine, operation);
    const { workflowId, workflowVersion, base: target } = operation.plan;
    const known = () =>
      inside(mine, (tx) => proposalsFor(tx, mine.customerId, { workflowId, workflowVersion, target }));
    expect(await known()).toHaveLength(1);
    const visitor = await own.signIn(mine.admin);
    const pressed = async (what: string) => {
      const answer = await visitor.post(`/console/workflows/${what}`, { proposal });
      return (await visitor.get(answer.headers.get('location') ?? '')).text;
    };
    const about = `<a href="#${proposal}">the button “Generate key”, step 6 of WooCommerce: create a REST API key</a>.`;
    expect(await pressed('mark')).toContain(`Marked for the operator, and on record: ${about}`);
    const marked = await pressed('mark');
    expect(marked).toContain(`Nothing was changed, as it was marked already: ${about}`);
    expect(marked).toContain(`by ${mine.admin.person.name}, <time`);
    expect(await pressed('unmark')).toContain('The mark was taken back, and that is on record:');
    expect(await pressed('unmark')).toContain('Nothing was changed, as it was not marked:');
    await pressed('mark');
    const discarded = await pressed('discard');
    expect(discarded).toContain(`Discarded, and on record: ${about}`);
    expect(discarded).toMatch(
      /<summary>1 was discarded<\/summary>.*it had found the button “Generate key” instead.*by Ada/s,
    );
    for (const again of ['discard', 'mark', 'unmark'])
      expect(await pressed(again)).toContain('Nothing was changed, as it was discarded before:');
    await findAnew(mine, operation);
    expect(await known()).toEqual([]);
    const row = await inside(mine, (tx) => tx.workflowProposal.findFirst({ where: { customerId: mine.customerId } }));
    expect(row).toMatchObject({ held: 2, discardedBy: mine.admin.id, markedAt: null });
    const entries = await sql<{ kind: string; actor: string }>(
      testDatabase.adminUrl,
      `SELECT kind, header::jsonb->>'actor' AS actor FROM autonomous_operations_audit
       WHERE customer_id = $1 AND kind LIKE 'proposal.%' ORDER BY seq`,
      [mine.customerId],
    );
    const kinds = ['proposal.marked', 'proposal.unmarked', 'proposal.marked', 'proposal.discarded'];
    expect(entries).toEqual(kinds.map((kind) => ({ kind, actor: mine.admin.id })));
    expect((await visitor.get('/console/audit?kind=proposal')).text).toContain(`${workflowId}, step 6, at ${target}`);
    expect(await pressed('restore')).toContain('To be tried again, and on record:');
    expect(await pressed('restore')).toContain('Nothing was changed, as it was not discarded:');
    expect(await known()).toHaveLength(1);
    expect((await visitor.get('/console/audit?kind=proposal')).text).toContain('proposal.restored');
  });

  test('says of a part of a result what discarding costs, and names it', async () => {
    const mine = await installShop(core);
    const operation = await requestOperation(core, mine);
    const proposal = await findAnew(mine, operation, 'Copy', { step: 9, field: 'consumer_key' });
    const visitor = await own.signIn(mine.admin);
    const { text } = await visitor.get('/console/workflows');
    expect(text).toContain('Countersign took the consumer key from the field beside “Consumer key”; since');
    expect(text).toContain('No run takes the consumer key from there any more. It is read only once it is made');
    expect(text).not.toContain('the step asks a person');
    const answer = await visitor.post('/console/workflows/discard', { proposal });
    const discarded = await visitor.get(answer.headers.get('location') ?? '');
    expect(discarded.text).toContain(`<a href="#${proposal}">the place of the consumer key, step 9 of WooCommerce`);
    expect(discarded.text).toContain(`id="${proposal}"`);
    expect((await visitor.get('/console/audit?kind=proposal')).text).toContain('step 9, consumer_key, at');
  });

  test('is decided by an admin of its own customer alone, and nobody is told that it is there', async () => {
    const [mine, other] = [await installShop(core), await installShop(core)];
    const proposal = await findAnew(mine, await requestOperation(core, mine));
    for (const member of [mine.merchant, mine.approver, other.merchant, other.approver, other.admin]) {
      const visitor = await own.signIn(member);
      for (const what of ['discard', 'restore', 'mark', 'unmark'])
        for (const id of [proposal, newUuid(), 'nonsense']) {
          const answer = await visitor.post(`/console/workflows/${what}`, { proposal: id });
          expect([answer.status, answer.text.includes('There is nothing here')]).toEqual([404, true]);
        }
    }
    const [row] = await inside(mine, (tx) => tx.workflowProposal.findMany({ where: { id: proposal } }));
    expect(row).toMatchObject({ discardedAt: null, markedAt: null });
    expect(await page(other.admin)).not.toContain('Found anew');
  });

  test('is decided by nobody any more whose role or session is over, and by no page but our own', async () => {
    const mine = await installShop(core);
    const proposal = await findAnew(mine, await requestOperation(core, mine));
    const visitor = await own.signIn(mine.admin);
    const press = '/console/workflows/discard';
    const asked = await visitor.get(`${press}?proposal=${proposal}`);
    expect([asked.status, asked.headers.get('location')]).toEqual([303, '/console/workflows']);
    expect((await visitor.post(press, { proposal, csrf: 'x' })).status).toBe(403);
    expect((await visitor.post(press, { proposal }, { origin: 'https://shop.example.com' })).status).toBe(403);
    const over = await own.signIn(mine.admin);
    const token = /name="csrf" value="([^"]+)"/.exec((await over.get('/console/workflows')).text)?.[1] ?? '';
    await over.post('/console/sign-out', { csrf: token });
    expect((await over.post(press, { proposal, csrf: token })).text).toContain('Your session is over');
    await sql(testDatabase.adminUrl, `UPDATE members SET roles = '{merchant}' WHERE id = $1`, [mine.admin.id]);
    expect((await visitor.post(press, { proposal })).status).toBe(401);
    const [row] = await inside(mine, (tx) => tx.workflowProposal.findMany({ where: { id: proposal } }));
    expect(row).toMatchObject({ discardedAt: null });
  });

  test('is called what the shop calls it, in words that can pass for none of ours', async () => {
    const mine = await installShop(core);
    const operation = await requestOperation(core, mine);
    const names = [
      'Right.” Marked by Ada “',
      'key \u202etseb\u202c {label}',
      `<script>alert(1)</script> ${'x'.repeat(3_000)}`,
    ];
    for (const name of names) await findAnew(mine, operation, name);
    const text = await page(mine.admin);
    expect(text).toContain('it finds the button “Right.’ Marked by Ada ‘” instead.');
    expect(text).toContain('it finds the button “key \ufffdtseb\ufffd {label}” instead.');
    expect(text).toContain('it finds the button “&#60;script&#62;alert(1)');
    expect(text).not.toMatch(/<script>alert|x{120}/);
  });

  test('is listed newest first, ten at a time, of versions that run', async () => {
    const mine = await installShop(core);
    const operation = await requestOperation(core, mine);
    for (let n = 1; n <= 22; n++) await findAnew(mine, operation, `Key ${n}`);
    await sql(
      testDatabase.adminUrl,
      `UPDATE workflow_proposals SET workflow_version = 1 WHERE customer_id = $1 AND element::text LIKE '%"Key 22"%'`,
      [mine.customerId],
    );
    const list = await inside(mine, (tx) => listFoundAnew(tx, mine.customerId, core.workflows.list()));
    expect([list.items.length, list.more, list.outdated]).toEqual([10, 11, 1]);
    expect(list.items[0]?.found.identity?.name).toBe('Key 21');
    const text = await page(mine.admin);
    expect(text).toContain('11 older ones are not shown here. 1 more is of earlier versions, which run no more.');
    await sql(
      testDatabase.adminUrl,
      'UPDATE workflow_proposals SET discarded_at = now(), discarded_by = $2 WHERE customer_id = $1',
      [mine.customerId, mine.admin.id],
    );
    expect(await page(mine.admin)).toMatch(/21 were discarded<\/summary>.*11 older ones are not shown here\./s);
  });
});
