// What a click in Teams is answered with, and how often it counts.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Card, ChatEvent, ChatReply, Person, ThreadRef } from '../../core/ports/chat.ts';
import { sentence } from '../contracts/chat.ts';
import { type OpenedTeams, openTeamsByHand } from '../support/teams/by-hand.ts';
import { partsOf } from '../support/teams/reading.ts';
import { type Answer, CHANNEL, TEAM } from '../support/teams/server.ts';

/** Teams waits ten seconds or so; people think that it is broken after three. */
const SOON_MS = 3_000;

let teams: OpenedTeams;
let heard: ChatEvent[];
let answer: (event: ChatEvent) => Promise<ChatReply>;
let thread: ThreadRef;
beforeEach(async () => {
  [heard, answer] = [[], async () => undefined];
  teams = await openTeamsByHand('azure');
  teams.listen((event) => {
    heard.push(event);
    return answer(event);
  });
  await teams.say(teams.merchant, 'set up WooCommerce');
  thread = heard[0]?.thread ?? { platform: 'teams', workspaceId: '', ref: '' };
  heard = [];
});
afterEach(() => teams.close());

const asked = (label: string): Card => ({
  summary: label,
  blocks: [{ kind: 'actions', buttons: [{ label, style: 'primary', action: 'approve', value: 'op-1 hash' }] }],
});
const card = async (label = 'Approve') => teams.chat.post(thread, asked(label), { key: 'consent' });
const parts = ({ body }: Answer) => {
  // The stand-in read it as JSON; each part is looked at by the test that it is for.
  const { statusCode, type, value } = body as { statusCode?: unknown; type?: unknown; value?: unknown };
  return { statusCode, type, value };
};
const MESSAGE = 'application/vnd.microsoft.activity.message';
const CARD = 'application/vnd.microsoft.card.adaptive';

describe('a click', () => {
  test('that leads to nothing visible is answered with the card as it is, whole and in time', async () => {
    const message = await card();
    const answered = await teams.server.deliver(teams.click(teams.approver, thread, message, 'approve').activity);
    expect(answered.status).toBe(200);
    expect(answered.ms).toBeLessThan(SOON_MS);
    expect(parts(answered)).toMatchObject({ statusCode: 200, type: CARD, value: { type: 'AdaptiveCard' } });
    expect(JSON.stringify(answered.body)).toContain('op-1 hash');
  });

  test('is answered with the card as it has become, at once', async () => {
    const message = await card();
    answer = async () => {
      await teams.chat.update(message, sentence('Countersigned by Ben'));
      return undefined;
    };
    const answered = await teams.server.deliver(teams.click(teams.approver, thread, message, 'approve').activity);
    expect(JSON.stringify(parts(answered).value)).toContain('Countersigned by Ben');
    expect(answered.ms).toBeLessThan(1_000);
    expect(teams.server.messages(`${thread.ref.slice('channel:'.length)}`).at(-1)?.edits).toBe(1);
  });

  test('is answered with words that are for whoever pressed, and for nobody else', async () => {
    const message = await card();
    answer = async (event) => {
      await teams.chat.ephemeral(thread, event.from, sentence('You may not decide on this request.'));
      return undefined;
    };
    const answered = await teams.server.deliver(teams.click(teams.merchant, thread, message, 'approve').activity);
    expect(parts(answered)).toEqual({ statusCode: 200, type: MESSAGE, value: 'You may not decide on this request.' });
    expect(await teams.directMessagesOf(teams.merchant)).toEqual([]);
  });

  test('whose answer has buttons of its own gets it in the chat with them, and is told so', async () => {
    const message = await card();
    answer = async (event) => {
      await teams.chat.ephemeral(thread, event.from, asked('Open the one-time page'));
      return undefined;
    };
    const answered = await teams.server.deliver(teams.click(teams.merchant, thread, message, 'approve').activity);
    expect(parts(answered)).toMatchObject({ type: MESSAGE, value: expect.stringMatching(/our own chat/) });
    expect((await teams.directMessagesOf(teams.merchant)).at(-1)?.buttons).toEqual(['Open the one-time page']);
    // Pressed there it still belongs to the thread, and what it leads to takes its place.
    answer = async (event) => {
      const replaces = event.kind === 'action' ? event.shown : undefined;
      await teams.chat.ephemeral(thread, event.from, sentence('Done.'), replaces ? { replaces } : {});
      return undefined;
    };
    await teams.press(teams.merchant, thread, undefined, 'approve');
    expect(heard.at(-1)).toMatchObject({ kind: 'action', thread });
    expect(heard.at(-1)).not.toHaveProperty('message');
    expect((await teams.directMessagesOf(teams.merchant)).map(({ text }) => text)).toEqual(['Done.']);
  });

  test('that could not be taken says so, and may be repeated', async () => {
    const message = await card();
    answer = async () => {
      throw new Error('the database is away');
    };
    const click = teams.click(teams.approver, thread, message, 'approve');
    expect(parts(await teams.server.deliver(click.activity)).value).toMatch(/could not take that/);
    answer = async () => undefined;
    expect(parts(await teams.server.deliver(click.activity)).type).toBe(CARD);
    expect(heard).toHaveLength(2);
  });

  test('that takes long is answered all the same', async () => {
    const message = await card();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answer = () => promise;
    const answered = await teams.server.deliver(teams.click(teams.approver, thread, message, 'approve').activity);
    expect(answered.ms).toBeLessThan(SOON_MS);
    expect(parts(answered)).toMatchObject({ type: MESSAGE, value: expect.stringMatching(/./) });
    resolve(undefined);
  });

  test('that Teams sends several times, at once and later, is one click with the same answer', async () => {
    const message = await card();
    const { activity } = teams.click(teams.approver, thread, message, 'approve');
    // What an impatient person, or a client that got no answer, sends has another id.
    const again = { ...activity, id: 'another-id' };
    const answers = await Promise.all([activity, again, activity].map((each) => teams.server.deliver(each)));
    answers.push(await teams.server.deliver(activity));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(heard).toHaveLength(1);
  });

  test('of two people is two clicks', async () => {
    const message = await card();
    await Promise.all(
      [teams.merchant, teams.approver].map((person) =>
        teams.server.deliver(teams.click(person, thread, message, 'approve').activity),
      ),
    );
    expect(heard.map(({ from }) => from.userId).toSorted()).toEqual(
      [teams.merchant.userId, teams.approver.userId].toSorted(),
    );
    expect(new Set(heard.map(({ id }) => id)).size).toBe(2);
  });

  test('of another organisation decides nothing', async () => {
    const message = await card();
    const { activity } = teams.click(teams.approver, thread, message, 'approve');
    const foreign = { ...activity, channelData: { tenant: { id: 'cccccccc-0000-4000-8000-000000000009' } } };
    expect((await teams.server.deliver(foreign)).status).toBe(403);
    expect(heard).toEqual([]);
  });

  test('names who pressed by the directory’s id, whatever name comes along', async () => {
    const message = await card();
    const { activity } = teams.click(teams.merchant, thread, message, 'approve');
    const { userId } = teams.merchant;
    await teams.server.deliver({
      ...activity,
      from: { id: `29:${userId}`, name: teams.approver.name, aadObjectId: userId },
    });
    expect(heard[0]?.from).toMatchObject({ userId, platform: 'teams' });
  });

  test('can’t say that it belongs to another thread than the one that it stands in', async () => {
    const message = await card();
    const click = teams.click(teams.merchant, thread, message, 'approve');
    const text = JSON.stringify(click.activity).replace(
      '"value":"op-1 hash"',
      '"value":"op-1 hash","thread":"channel:19:other@thread.tacv2"',
    );
    await teams.server.deliver(JSON.parse(text));
    expect(heard[0]?.thread).toEqual(thread);
  });
});

describe('a view of a card of one’s own', () => {
  const forApprover = (): Card => ({
    summary: 'a request',
    blocks: [
      {
        kind: 'actions',
        buttons: [
          { label: 'Approve', style: 'primary', action: 'approve', value: 'op-1 hash', for: [teams.approver] },
          { label: 'Withdraw', style: 'danger', action: 'stop', value: 'op-1', for: [teams.merchant] },
        ],
      },
    ],
  });
  const buttons = async (person: Person) => (await teams.transcriptFor(person, thread)).at(-1)?.buttons;

  test('shows each the buttons that are for them; whoever is not asked sees all of them, and nobody hears of it', async () => {
    const message = await teams.chat.post(thread, forApprover(), { key: 'consent' });
    for (const person of [teams.merchant, teams.approver]) {
      const answered = await teams.look(person, thread, message);
      expect(answered && parts(answered)).toMatchObject({ statusCode: 200, type: CARD });
    }
    expect(await buttons(teams.approver)).toEqual(['Approve']);
    expect(await buttons(teams.merchant)).toEqual(['Withdraw']);
    const [, , other] = teams.people;
    if (other) expect(await buttons(other)).toEqual(['Approve', 'Withdraw']);
    expect(heard).toEqual([]);
    // What is answered to a click is that person's view as well.
    answer = async () => {
      await teams.chat.update(message, forApprover());
      return undefined;
    };
    await teams.press(teams.approver, thread, message, 'approve');
    expect(await buttons(teams.approver)).toEqual(['Approve']);
  });

  test('goes without where Teams names nobody: the card is posted all the same', async () => {
    const stranger = { ...teams.approver, userId: 'bbbbbbbb-0000-4000-8000-00000000000f' };
    const [block] = forApprover().blocks;
    if (block?.kind !== 'actions') throw new Error('it is one of buttons');
    const card = {
      summary: 'x',
      blocks: [{ ...block, buttons: block.buttons.map((each) => ({ ...each, for: [stranger] })) }],
    };
    const message = await teams.chat.post(thread, card, { key: 'a' });
    expect(await teams.look(teams.approver, thread, message)).toBeUndefined();
    expect(await buttons(teams.approver)).toEqual(['Approve', 'Withdraw']);
  });

  test('of a card that nobody knows any more leaves it as it is', async () => {
    const view = teams.activity(teams.approver, thread.ref.slice('channel:'.length), {
      ...{ type: 'invoke', name: 'adaptiveCard/action', replyToId: '12345' },
      value: { action: { type: 'Action.Execute', verb: 'countersign.view', data: {} }, trigger: 'automatic' },
    });
    expect(parts(await teams.server.deliver(view))).toMatchObject({
      ...{ statusCode: 404, type: 'application/vnd.microsoft.error', value: { code: expect.any(String) } },
    });
  });

  test('and what Cancel brings back, is as it is on record, whichever process posted the card', async () => {
    const message = await card();
    const other = await openTeamsByHand('azure', {
      ...{ running: teams.server, references: teams.references },
      cardOf: async ({ ref }) => (ref === message.ref ? sentence('Countersigned by Ben') : undefined),
    });
    try {
      const close = { type: 'Action.Execute', verb: 'countersign.close', data: { action: 'countersign.close' } };
      const sent = teams.activity(teams.approver, thread.ref.slice('channel:'.length), {
        ...{ type: 'invoke', name: 'adaptiveCard/action', replyToId: message.ref, value: { action: close } },
      });
      teams.server.sendTo(other.url);
      expect(JSON.stringify(parts(await teams.server.deliver(sent)).value)).toContain('Countersigned by Ben');
    } finally {
      teams.server.sendTo(teams.url);
      await other.close();
    }
  });
});

describe('what Teams waits for an answer to', () => {
  const invoke = (more: object) =>
    teams.server.deliver(
      teams.activity(teams.merchant, thread.ref.slice('channel:'.length), { type: 'invoke', ...more }),
    );
  let nested: unknown = 'x';
  for (let depth = 0; depth < 500; depth++) nested = [nested];

  test.each([
    ['a form of another version', { action: { verb: 'countersign.submit', data: { form: 'unknown' } } }],
    ['a click that says nothing', { action: {} }],
    ['no click at all', 'words'],
    ['data that are nested without end', { action: { verb: 'approve', data: { value: nested } } }],
  ])('gets words for %s, and nobody hears of it', async (_words, value) => {
    const answered = await invoke({ name: 'adaptiveCard/action', value });
    expect(parts(answered)).toMatchObject({
      statusCode: 200,
      type: MESSAGE,
      value: expect.stringMatching(/another version/),
    });
    expect(heard).toEqual([]);
  });

  test('gets “not implemented”, and no empty success, for what is not done here', async () => {
    expect(await invoke({ name: 'signin/verifyState', value: {} })).toMatchObject({ status: 501, body: {} });
  });
});

describe('a form', () => {
  const form = {
    ...{ form: 'deny', value: 'op-1', title: 'Why not?', submit: 'Deny' },
    fields: [{ kind: 'text', name: 'reason', label: 'Reason', isRequired: true }],
  } as const;

  test('takes the place of the card for whoever pressed alone; Cancel brings the card back', async () => {
    const message = await card();
    answer = async (event) => {
      if (event.kind === 'action') await teams.chat.openForm(event.trigger, form);
      return undefined;
    };
    await teams.press(teams.approver, thread, message, 'approve');
    expect((await teams.transcriptFor(teams.approver, thread)).at(-1)?.buttons).toEqual(['Deny', 'Cancel']);
    expect((await teams.transcriptFor(teams.merchant, thread)).at(-1)?.buttons).toEqual(['Approve']);
    await teams.press(teams.approver, thread, message, 'countersign.close');
    expect((await teams.transcriptFor(teams.approver, thread)).at(-1)?.buttons).toEqual(['Approve']);
  });

  test('that came too late says so to whoever sent it, and gives the card back', async () => {
    const message = await card();
    answer = async (event) => {
      if (event.kind === 'action') await teams.chat.openForm(event.trigger, form);
      else await teams.chat.ephemeral(thread, event.from, sentence('This was decided already.'));
      return undefined;
    };
    await teams.press(teams.approver, thread, message, 'approve');
    expect(await teams.submit(teams.approver, thread, { reason: ['no'] })).toBeUndefined();
    expect((await teams.transcriptFor(teams.approver, thread)).at(-1)?.buttons).toEqual(['Approve']);
    expect((await teams.directMessagesOf(teams.approver)).at(-1)?.text).toBe('This was decided already.');
  });

  test('that somebody asked for in words comes to them alone, and is closed once it was sent', async () => {
    answer = async (event) => {
      if (event.kind === 'command') await teams.chat.openForm(event.trigger, form);
      return undefined;
    };
    await teams.say(teams.approver, '/countersign settings', thread);
    const chat = async () => (await teams.directMessagesOf(teams.approver)).at(-1);
    await vi.waitFor(async () => expect((await chat())?.buttons).toEqual(['Deny', 'Cancel']));
    expect(await teams.submit(teams.approver, thread, { reason: ['not now'] })).toBeUndefined();
    expect(heard.at(-1)).toMatchObject({ kind: 'form', thread, fields: { reason: ['not now'] } });
    expect(await chat()).toMatchObject({ buttons: [], text: 'This form is closed.' });
  });

  test('lets channels be chosen among those of the teams that it is in, and keeps what was chosen elsewhere', async () => {
    const message = await card();
    const field = { kind: 'channels', name: 'channels', label: 'Only in these channels', isRequired: false } as const;
    answer = async (event) => {
      const fields = [{ ...field, initial: ['19:gone@thread.tacv2'] }];
      if (event.kind === 'action') await teams.chat.openForm(event.trigger, { ...form, fields });
      return undefined;
    };
    const click = teams.click(teams.merchant, thread, message, 'approve');
    const opened = await teams.server.deliver(click.activity);
    teams.answered(click, opened);
    const [input] = partsOf(parts(opened).value).filter(({ type }) => type === 'Input.ChoiceSet');
    expect(input).toMatchObject({
      value: '19:gone@thread.tacv2',
      choices: [
        { title: 'Shops: General', value: TEAM.id },
        { title: 'Shops: Orders', value: CHANNEL },
        { title: expect.stringMatching(/^Unseen/), value: '19:gone@thread.tacv2' },
      ],
    });
    await teams.submit(teams.merchant, thread, { channels: [CHANNEL] });
    expect(heard.at(-1)).toMatchObject({ kind: 'form', fields: { channels: [CHANNEL] } });
    expect(teams.chat.channelOf?.(thread)).toBe(CHANNEL);
  });

  test('lets people be chosen among those who are there, guests left out', async () => {
    const [, , third] = [...teams.server.users.values()];
    if (third) teams.server.users.set(third.aadObjectId, { ...third, userRole: 'guest' });
    const message = await card();
    answer = async (event) => {
      const fields = [
        { kind: 'people', name: 'approvers', label: 'Approvers', isRequired: true, initial: [] },
      ] as const;
      if (event.kind === 'action') await teams.chat.openForm(event.trigger, { ...form, fields });
      return undefined;
    };
    const answered = await teams.server.deliver(teams.click(teams.merchant, thread, message, 'approve').activity);
    const shown = JSON.stringify(answered.body);
    expect(shown).toContain(teams.approver.name);
    expect(shown).not.toContain(third?.name ?? 'nobody');
  });
});
