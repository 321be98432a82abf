// The whole program in front of a Teams that refuses what Teams refuses: from the app's installation to a countersignature.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
import type { ShownMessage } from '../contracts/chat.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { sweep } from '../support/sweep.ts';
import { problemsOf } from '../support/teams/card-problems.ts';
import { startTeamsProgram, type TeamsProgram } from '../support/teams/program.ts';
import { partsOf } from '../support/teams/reading.ts';
import { type Answer, CHANNEL, GROUP, TEAM, TENANT } from '../support/teams/server.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };

const SECRET = 'hunter2-Correct-Horse';

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
    // A guest who was faster, and somebody of whom Teams says nothing now, are nobody's admin.
    const guest = { aadObjectId: outsider.userId, name: outsider.name };
    program.server.users.set(outsider.userId, { ...guest, userRole: 'guest' });
    const byGuest = program.hands.activity(outsider, CHANNEL, { type: 'installationUpdate', action: 'add' });
    expect((await program.server.deliver(byGuest)).status).toBe(200);
    program.server.users.set(outsider.userId, guest);
    expect(await program.sql('SELECT count(*)::int AS n FROM customers')).toEqual([{ n: 0 }]);
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

  it('makes one decision of one click that reaches two processes at once, and answers each of them', async () => {
    const { thread, id, card } = await ask();
    const other = await program.another();
    const { activity } = program.hands.click(approver, thread, card, 'approve');
    const clicks = Array.from({ length: 8 }, (_, index) => ({ ...activity, id: `twice-${index >> 2}` }));
    const answers = await Promise.all(
      clicks.map((click, index) => program.server.deliver(click, undefined, index % 2 === 0 ? other : undefined)),
    );
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body).toMatchObject({ statusCode: 200, type: expect.any(String), value: expect.anything() });
    }
    await vi.waitUntil(async () => (await statusOf(id)) === 'awaiting_credentials', PATIENCE);
    expect(
      await program.sql('SELECT count(*)::int AS n FROM autonomous_consent WHERE operation_id = $1', [id]),
    ).toEqual([{ n: 1 }]);
    const granted =
      "SELECT count(*)::int AS n FROM autonomous_operations_audit WHERE operation_id = $1 AND kind = 'consent.granted'";
    expect(await program.sql(granted, [id])).toEqual([{ n: 1 }]);
    // The process that did not post the card knows what it shows now.
    await shown(thread, approver, /Countersigned by Ben Approver/);
    const view = program.hands.activity(approver, thread.ref.slice('channel:'.length), {
      ...{ type: 'invoke', name: 'adaptiveCard/action', replyToId: card.ref },
      value: { action: { type: 'Action.Execute', verb: 'countersign.view', data: {} }, trigger: 'automatic' },
    });
    const seen = await program.server.deliver(view, undefined, other);
    expect(JSON.stringify(seen.body)).toMatch(/Countersigned by .*Ben Approver/);
  });

  it('decides nothing by a card whose data were changed to another request, here or elsewhere', async () => {
    const { thread, id, card } = await ask();
    const second = await ask();
    const { activity } = program.hands.click(approver, thread, card, 'approve');
    for (const other of [second.id, 'op-zzzzzzzz']) {
      const changed = JSON.parse(JSON.stringify(activity).replaceAll(id, other));
      const { body } = await program.server.deliver({ ...changed, id: `changed-${other}` });
      expect(body).toMatchObject({ value: expect.stringMatching(/earlier version of the plan|no such operation/) });
    }
    expect(await statusOf(id)).toBe('awaiting_consent');
    expect(await statusOf(second.id)).toBe('awaiting_consent');
  });

  it('gives approvers and whoever asked a view of the question of their own', async () => {
    const { thread, card } = await ask();
    for (const person of [approver, merchant]) expect(await program.hands.look(person, thread, card)).toBeDefined();
    expect(await program.hands.look(outsider, thread, card)).toBeUndefined();
    const buttons = async (person: Person) => (await shown(thread, person, /Create a WooCommerce API key/)).buttons;
    expect(await buttons(approver)).toContain('Approve');
    expect(await buttons(approver)).not.toContain('Withdraw');
    expect(await buttons(merchant)).toContain('Withdraw');
    expect(await buttons(merchant)).not.toContain('Approve');
    expect(await buttons(outsider)).toEqual(expect.arrayContaining(['Approve', 'Withdraw']));
  });

  it('takes changed words for another request, and offers to withdraw one whose words are gone', async () => {
    const { thread, id } = await ask();
    await program.hands.change(`please set up WooCommerce for http://${program.target}`); // the same in other words
    await program.hands.change(`set up WooCommerce with write access for http://${program.target}`);
    await vi.waitUntil(async () => (await statusOf(id)) === 'cancelled', PATIENCE);
    const second = await vi.waitFor(async () => {
      const last = (await statuses()).at(-1);
      if (last?.id === id || last?.status !== 'awaiting_consent') throw new Error('nothing else is asked for yet');
      return String(last.id);
    }, PATIENCE);
    await program.hands.change(`set up WooCommerce for http://${program.target}`);
    await vi.waitUntil(async () => (await statusOf(second)) === 'cancelled', PATIENCE);
    const third = await vi.waitFor(async () => {
      const last = (await statuses()).at(-1);
      if (last?.id === second || last?.status !== 'awaiting_consent') throw new Error('nothing else is asked for yet');
      return String(last.id);
    }, PATIENCE);
    await program.hands.change(undefined);
    const offer = await shown(personal(merchant), merchant, new RegExp(`You deleted your request.*${third}`));
    expect(offer.buttons).toContain('Withdraw it');
    expect(await statusOf(third)).toBe('awaiting_consent');
    expect((await shown(thread, outsider, /Create a WooCommerce API key/)).text).toContain('WooCommerce');
  });

  it('keeps to the channels that an admin has chosen', async () => {
    const place = personal(admin).ref.slice('personal:'.length);
    const choose = async (channels: readonly string[]) => {
      await program.hands.say(admin, 'settings', place);
      await shown(personal(admin), admin, /Only in these channels/);
      const fields = { approvers: [approver.userId], required: ['1'], channels };
      await vi.waitFor(
        async () => expect(await program.hands.submit(admin, personal(admin), fields)).toBeUndefined(),
        PATIENCE,
      );
    };
    await choose([CHANNEL]);
    const before = (await statuses()).length;
    await program.hands.say(merchant, `set up WooCommerce for http://${program.target}`, GROUP);
    await shown(personal(merchant), merchant, /An admin has chosen the channels/);
    expect((await statuses()).length).toBe(before);
    await ask();
    await choose([]);
  });

  it('keeps nothing of a password that somebody writes, and says where it belongs', async () => {
    const words = `set up WooCommerce for http://${program.target}, the password is ${SECRET}`;
    await program.hands.say(merchant, words, GROUP);
    await shown(personal(merchant), merchant, /That looks like .*I did not use it/);
    await vi.waitFor(async () => {
      const waiting = 'SELECT count(*)::int AS n FROM chat_events WHERE sealed IS NOT NULL';
      expect(await program.sql(waiting)).toEqual([{ n: 0 }]);
    }, PATIENCE);
    expect(sweep(await program.sinks(), { password: SECRET })).toEqual([]);
    const ours = program.server.everything().filter(({ text }) => (text !== '' ? !text.includes(SECRET) : true));
    expect(JSON.stringify(ours)).not.toContain(SECRET);
  });

  it('ends and deletes what an organisation leaves behind that has removed the app everywhere', async () => {
    const { id } = await ask();
    const references =
      "SELECT t.ref FROM thread_messages m JOIN threads t ON t.id = m.thread_id WHERE m.slot = 'reference'";
    const places = (await program.sql(references)).map(({ ref }) =>
      String(ref).replace(/^(?:personal|group|channel):/, ''),
    );
    const remove = (place: string, more: object = {}) =>
      program.server.deliver(
        program.hands.activity(merchant, place, { type: 'installationUpdate', action: 'remove', ...more }),
      );
    for (const place of places.filter((each) => !each.startsWith(CHANNEL))) await remove(place);
    expect(await statusOf(id)).toBe('awaiting_consent');
    await remove(TEAM.id, { channelData: { tenant: { id: TENANT }, team: TEAM } });
    await vi.waitUntil(async () => (await statusOf(id)) === 'cancelled', PATIENCE);
    await vi.waitFor(async () => {
      expect(
        await program.sql(
          'SELECT count(*)::int AS n FROM autonomous_consent WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())',
        ),
      ).toEqual([{ n: 0 }]);
      expect(await program.sql('SELECT count(*)::int AS n FROM autonomous_credentials')).toEqual([{ n: 0 }]);
    }, PATIENCE);
    const kinds =
      "SELECT kind, count(*)::int AS n FROM autonomous_operations_audit WHERE kind LIKE 'workspace.%' GROUP BY kind ORDER BY kind";
    expect(await program.sql(kinds)).toEqual([
      { kind: 'workspace.installed', n: 1 },
      { kind: 'workspace.removed', n: 1 },
    ]);
    // Whoever adds it again is no admin by that.
    await program.server.deliver(
      program.hands.activity(outsider, GROUP, { type: 'installationUpdate', action: 'add' }),
    );
    expect(await program.sql("SELECT user_id FROM members WHERE 'admin' = ANY (roles)")).toEqual([
      { user_id: admin.userId },
    ]);
    expect((await program.sql(kinds))[0]).toEqual({ kind: 'workspace.installed', n: 2 });
  });

  it('stayed within Teams’ rates all the time, and sent no card that Teams would not show', () => {
    expect(program.server.rates.refused).toBe(0);
    expect(program.server.calls.filter(({ status }) => status >= 400)).toEqual([]);
    const cards = program.server.everything().flatMap(({ card, views }) => [card, ...views.values()]);
    expect(cards.length).toBeGreaterThan(15);
    for (const card of cards.filter((each) => each !== undefined)) expect(problemsOf(card)).toEqual([]);
  });
});
