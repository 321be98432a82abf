// The whole program in front of a Teams that refuses what Teams refuses: from the app's installation to a countersignature.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
import type { ShownMessage } from '../contracts/chat.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { problemsOf } from '../support/teams/card-problems.ts';
import { startTeamsProgram, type TeamsProgram } from '../support/teams/program.ts';
import { partsOf } from '../support/teams/reading.ts';
import { type Answer, CHANNEL, GROUP, TENANT } from '../support/teams/server.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };

const SECRET = 'correct horse battery staple 42';

let program: TeamsProgram;
let merchant: Person;
let approver: Person;
let admin: Person;
let outsider: Person;
beforeAll(async () => {
  program = await startTeamsProgram({ database: await createEmptyDatabase() });
  const [first, second, third, fourth] = program.hands.people;
  if (!first || !second || !third || !fourth) throw new Error('the stand-in for Teams has nobody in it');
  [merchant, approver, admin, outsider] = [first, second, third, fourth];
}, 120_000);
afterAll(() => program?.stop());

const personal = ({ userId }: Person): ThreadRef => ({
  ...{ platform: 'teams', workspaceId: TENANT },
  ref: `personal:${program.server.personalChat(userId)}`,
});
const statuses = () => program.sql('SELECT id, status FROM autonomous_operations ORDER BY created_at');
const statusOf = async (id: string) => (await statuses()).find((row) => row.id === id)?.status;

/** What a thread shows to that person, once something says so. */
async function shown(thread: ThreadRef, person: Person, words: RegExp): Promise<ShownMessage> {
  return vi.waitFor(async () => {
    const all = await program.hands.transcriptFor(person, thread);
    const found = all.findLast(({ text }) => words.test(text));
    if (!found) throw new Error(`nothing says ${words}: ${all.map(({ text }) => text).join('\n')}`);
    return found;
  }, PATIENCE);
}

/** @returns the thread of a request whose card stands there, and the card. */
async function ask(place?: string): Promise<{ thread: ThreadRef; id: string; card: MessageRef }> {
  const before = (await statuses()).length;
  await program.hands.say(merchant, `set up WooCommerce for http://${program.target}`, place);
  await vi.waitUntil(async () => (await statuses()).length > before, PATIENCE);
  const id = String((await statuses()).at(-1)?.id);
  const [row] = await vi.waitFor(async () => {
    const found = await program.sql(
      `SELECT m.ref AS message, t.ref AS thread FROM thread_messages m JOIN threads t ON t.id = m.thread_id
       WHERE m.slot = 'consent:' || $1 AND m.ref <> ''`,
      [id],
    );
    if (found.length === 0) throw new Error('no card yet');
    return found;
  }, PATIENCE);
  const thread: ThreadRef = { platform: 'teams', workspaceId: TENANT, ref: String(row?.thread) };
  return { thread, id, card: { thread, ref: String(row?.message) } };
}

describe('Teams', () => {
  it('makes whoever adds the app the first admin, and asks them who may approve', async () => {
    const place = program.server.personalChat(admin.userId);
    const added = program.hands.activity(admin, place, { type: 'installationUpdate', action: 'add' });
    expect((await program.server.deliver(added)).status).toBe(200);
    expect(await program.sql("SELECT user_id, roles FROM members WHERE 'admin' = ANY (roles)")).toEqual([
      { user_id: admin.userId, roles: ['merchant', 'admin'] },
    ]);
    await shown(personal(admin), admin, /^Welcome\./);
    // Somebody else who adds it somewhere else is no admin.
    await program.server.deliver(
      program.hands.activity(outsider, CHANNEL, { type: 'installationUpdate', action: 'add' }),
    );
    expect(await program.sql("SELECT count(*)::int AS n FROM members WHERE 'admin' = ANY (roles)")).toEqual([{ n: 1 }]);
  });

  it('takes the approvers from a form in place of that card', async () => {
    await program.hands.press(admin, personal(admin), undefined, 'choose_approvers');
    await shown(personal(admin), admin, /Who may approve\?/);
    const errors = await program.hands.submit(admin, personal(admin), { approvers: [], required: ['1'] });
    expect(errors).toEqual({ approvers: expect.stringMatching(/at least one/i) });
    expect(
      await program.hands.submit(admin, personal(admin), { approvers: [approver.userId], required: ['1'] }),
    ).toBeUndefined();
    await shown(personal(admin), admin, /Saved\. Ben Approver may approve\./);
  });

  it('carries a request to one countersignature, however often and from where it is pressed at once', async () => {
    const { thread, id, card } = await ask();
    expect(thread.ref).toMatch(/^channel:.*;messageid=\d+$/);
    const { buttons } = await shown(thread, approver, /Create a WooCommerce API key/);
    expect(buttons).toEqual(expect.arrayContaining(['Approve', 'Deny', 'Choose permissions', 'Withdraw']));

    const refused = await program.server.deliver(program.hands.click(outsider, thread, card, 'approve').activity);
    expect(refused.body).toMatchObject({ value: expect.stringMatching(/You may not decide on this request/) });
    expect(await statusOf(id)).toBe('awaiting_consent');

    const clicks = Array.from({ length: 6 }, (_, index) => ({
      ...program.hands.click(approver, thread, card, 'approve').activity,
      id: `click-${index % 3}`,
    }));
    const answers = await Promise.all(clicks.map((click) => program.server.deliver(click)));
    for (const { status, body, ms } of answers) {
      expect(status).toBe(200);
      expect(ms).toBeLessThan(3_000);
      expect(body).toMatchObject({ statusCode: 200, type: expect.any(String), value: expect.anything() });
    }
    await vi.waitUntil(async () => (await statusOf(id)) === 'awaiting_credentials', PATIENCE);
    const grants = 'SELECT collection_method FROM autonomous_consent WHERE operation_id = $1';
    expect(await program.sql(grants, [id])).toEqual([{ collection_method: 'teams_card' }]);
    const after = await shown(thread, outsider, /Countersigned by Ben Approver/);
    expect(after.buttons).not.toContain('Approve');

    // The link is for whoever asked, in the chat with them alone.
    const link = await shown(personal(merchant), merchant, /Enter the WooCommerce sign-in|one-time page/);
    expect(link.buttons).toContain('Open the one-time page');
    expect(JSON.stringify(program.server.messages(thread.ref.slice('channel:'.length)))).not.toContain('/connect/');

    const late = await program.server.deliver({ ...clicks[0], id: 'much-later' });
    expect(late.status).toBe(200);
    expect(await program.sql(grants, [id])).toHaveLength(1);
  });

  it('takes a denial with its reason in a form, which the thread then says', async () => {
    const { thread, id, card } = await ask(GROUP);
    await program.hands.press(approver, thread, card, 'deny');
    expect(await program.hands.submit(approver, thread, { reason: ['Not before the sale is over.'] })).toBeUndefined();
    await vi.waitUntil(async () => (await statusOf(id)) === 'denied', PATIENCE);
    await shown(thread, merchant, /Denied by Ben Approver.*Not before the sale is over\./);
  });

  it('shows the steps instead, and other permissions as another plan', async () => {
    const { thread, id, card } = await ask(program.server.personalChat(merchant.userId));
    await program.hands.press(merchant, thread, card, 'guide');
    await shown(thread, merchant, /1\. /);
    await program.hands.press(merchant, thread, card, 'choose_permissions');
    const [before] = await program.sql('SELECT plan_hash FROM autonomous_operations WHERE id = $1', [id]);
    await shown(thread, merchant, /Make the new plan/);
    expect(await program.hands.submit(merchant, thread, { permissions: ['read_shop', 'write_shop'] })).toBeUndefined();
    await vi.waitFor(async () => {
      const [now] = await program.sql('SELECT plan_hash FROM autonomous_operations WHERE id = $1', [id]);
      expect(now?.plan_hash).not.toEqual(before?.plan_hash);
    }, PATIENCE);
  });

  it('finds every thread again after a restart', async () => {
    const { thread, id, card } = await ask();
    await program.restart();
    await program.hands.press(approver, thread, card, 'approve');
    await vi.waitUntil(async () => (await statusOf(id)) === 'awaiting_credentials', PATIENCE);
    await shown(thread, outsider, /Countersigned by Ben Approver/);
    await vi.waitFor(
      async () =>
        expect((await shown(personal(merchant), merchant, new RegExp(id))).buttons).toContain('Open the one-time page'),
      PATIENCE,
    );
  });

  const dialog = (name: string, value: object, person = merchant) =>
    program.server.deliver(
      program.hands.activity(person, program.server.personalChat(person.userId), { type: 'invoke', name, value }),
    );
  const inputsOf = ({ body }: Answer) => partsOf(body).filter(({ type }) => type === 'Input.Text');

  it('takes a sign-in in a dialog with a masked field, once, from the card', async () => {
    const { thread, id, card } = await ask();
    await program.hands.press(approver, thread, card, 'approve');
    const sent = await vi.waitFor(() => {
      const found = program.server
        .messages(program.server.personalChat(merchant.userId))
        .flatMap((message) => partsOf(message.card).filter(({ type }) => type === 'Action.Submit'))
        .at(-1);
      if (!found || !JSON.stringify(program.server.messages(program.server.personalChat(merchant.userId))).includes(id))
        throw new Error('no dialog yet');
      return z.object({ data: z.looseObject({ connect: z.string() }) }).parse(found);
    }, PATIENCE);
    const opened = await dialog('task/fetch', { data: sent.data });
    expect(inputsOf(opened).map(({ style }) => style)).toEqual([undefined, 'Password']);
    const { card: asked } = z
      .object({ task: z.object({ value: z.looseObject({ card: z.object({ content: z.unknown() }) }) }) })
      .parse(opened.body).task.value;
    expect(problemsOf(asked.content)).toEqual(['a secret input']); // here alone
    const wrong = await dialog('task/submit', { data: { connect: sent.data.connect, 'entered-0': 'shop' } });
    expect(inputsOf(wrong)).toHaveLength(2);
    expect(await statusOf(id)).toBe('awaiting_credentials');
    const right = { connect: sent.data.connect, 'entered-0': 'shop', 'entered-1': SECRET };
    expect((await dialog('task/submit', { data: right })).body).toMatchObject({
      task: { type: 'message', value: expect.stringMatching(/^Thank you/) },
    });
    expect(await statusOf(id)).toBe('queued');
    for (const step of ['task/submit', 'task/fetch'] as const)
      expect((await dialog(step, { data: right })).body).toMatchObject({
        task: { value: expect.stringMatching(/closed/) },
      });
    expect(JSON.stringify(program.server.everything())).not.toContain(SECRET);
  });

  it('opens the same dialog by the message extension’s command, for whoever has something to enter', async () => {
    const { thread, id, card } = await ask();
    await program.hands.press(approver, thread, card, 'approve');
    await vi.waitUntil(async () => (await statusOf(id)) === 'awaiting_credentials', PATIENCE);
    const opened = await dialog('composeExtension/fetchTask', { commandId: 'enter' });
    const [submit] = partsOf(opened.body).filter(({ type }) => type === 'Action.Submit');
    const { data } = z.object({ data: z.looseObject({ connect: z.string() }) }).parse(submit);
    expect((await dialog('composeExtension/fetchTask', { commandId: 'enter' }, outsider)).body).toMatchObject({
      task: { type: 'message', value: expect.stringMatching(/nothing to enter/) },
    });
    const filled = { ...data, 'entered-0': 'shop', 'entered-1': SECRET };
    await dialog('composeExtension/submitAction', { commandId: 'enter', data: filled });
    expect(await statusOf(id)).toBe('queued');
  });

  it('answers audit op-…, with a slash and without, to admins', async () => {
    const [first] = await statuses();
    for (const words of [`/audit ${first?.id}`, `audit ${first?.id}`]) {
      await program.hands.say(admin, words, personal(admin).ref.slice('personal:'.length));
      await shown(personal(admin), admin, new RegExp(`Audit trail.*${first?.id}`));
    }
    await program.hands.say(outsider, `audit ${first?.id}`, program.server.personalChat(outsider.userId));
    await shown(personal(outsider), outsider, /Only an admin can read audit trails/);
  });

  it('stayed within Teams’ rates all the time, and sent no card that Teams would not show', () => {
    expect(program.server.rates.refused).toBe(0);
    expect(program.server.calls.filter(({ status }) => status >= 400)).toEqual([]);
    const cards = program.server.everything().flatMap(({ card, views }) => [card, ...views.values()]);
    expect(cards.length).toBeGreaterThan(15);
    for (const card of cards.filter((each) => each !== undefined)) expect(problemsOf(card)).toEqual([]);
  });
});
