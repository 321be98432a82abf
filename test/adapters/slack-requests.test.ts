import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CountersignError } from '../../core/errors.ts';
import { listenOnLoopback } from '../../core/http-listen.ts';
import type { Card, ChatEvent, ThreadRef } from '../../core/ports/chat.ts';
import { sentence } from '../contracts/chat.ts';
import { type OpenedSlack, openSlackByHand } from '../support/slack/by-hand.ts';
import { signed } from '../support/slack/delivery.ts';
import { BOT, CHANNEL, TEAM } from '../support/slack/server.ts';

let slack: OpenedSlack;
let events: ChatEvent[];
beforeEach(async () => {
  slack = await openSlackByHand();
  events = [];
  slack.listen(async (event) => {
    events.push(event);
    return undefined;
  });
});
afterEach(() => slack.close());

const TS = '1700000000.000100';
const thread: ThreadRef = { platform: 'slack', workspaceId: TEAM, ref: `${CHANNEL}:${TS}` };
const message = (more: object = {}) => ({
  ...{ type: 'message', channel: CHANNEL, channel_type: 'channel', user: 'U0001', text: `<@${BOT}> hello`, ts: TS },
  ...more,
});
const now = () => Math.floor(Date.now() / 1000);
const choice: Card = {
  summary: 'choose',
  blocks: [{ kind: 'actions', buttons: [{ label: 'Approve', style: 'primary', action: 'approve', value: 'op-1' }] }],
};

async function request(headers: Record<string, string>, body = bodyOf(message())): Promise<number> {
  const type = { 'Content-Type': 'application/json' };
  const response = await fetch(slack.url, { method: 'POST', headers: { ...type, ...headers }, body });
  await response.arrayBuffer();
  return response.status;
}
const bodyOf = (event: object, more: object = {}) =>
  JSON.stringify({ type: 'event_callback', team_id: TEAM, event_id: 'Ev1', event, ...more });

describe('a request to the events address', () => {
  const body = bodyOf(message());

  test.each([
    { what: 'no signature', headers: () => ({}) },
    { what: 'another secret’s signature', headers: () => signed(body, now(), 'another secret') },
    { what: 'the signature of another body', headers: () => signed('{}', now()) },
    { what: 'a signature that is five minutes old', headers: () => signed(body, now() - 301) },
    { what: 'a signature from the future', headers: () => signed(body, now() + 120) },
    { what: 'a time that is no number', headers: () => ({ ...signed(body, now()), 'X-Slack-Request-Timestamp': 'x' }) },
  ])('is refused with $what', async ({ headers }) => {
    expect(await request(headers(), body)).toBe(401);
    expect(events).toEqual([]);
  });

  test('is taken once with the same signature', async () => {
    const headers = signed(body, now());
    expect(await request(headers, body)).toBe(200);
    expect(await request(headers, body)).toBe(401);
    expect(events).toHaveLength(1);
  });

  test('is taken again, signed anew, when it was not taken before', async () => {
    slack.listen(async (event) => {
      events.push(event);
      if (events.length === 1) throw new Error('the database is away');
      return undefined;
    });
    expect(await request(signed(body, now() - 1), body)).toBe(500);
    expect(await request(signed(body, now()), body)).toBe(200);
    expect(events.map(({ id }) => id)).toEqual([events[0]?.id, events[0]?.id]);
  });

  test('answers the question whether the address is ours, signed only', async () => {
    const challenge = JSON.stringify({ type: 'url_verification', challenge: 'abc' });
    const headers = { 'Content-Type': 'application/json', ...signed(challenge, now()) };
    const response = await fetch(slack.url, { method: 'POST', headers, body: challenge });
    expect(await response.json()).toEqual({ challenge: 'abc' });
    expect(await request({}, challenge)).toBe(401);
  });

  test('is acknowledged within a second although Slack’s own methods hang', async () => {
    slack.server.fail('users.info', { hangs: true });
    const { isTaken, ms } = await slack.event(message());
    expect(isTaken).toBe(true);
    expect(ms).toBeLessThan(1_000);
    expect(events).toMatchObject([{ kind: 'message', from: { userId: 'U0001' } }]);
  });

  test('that is no request for us at all is not found', async () => {
    expect((await fetch(slack.url.replace('/events', '/other'), { method: 'POST' })).status).toBe(404);
    expect((await fetch(slack.url)).status).toBe(404);
  });
});

describe('what is heard', () => {
  test('of a mention, which comes twice, is one event; also when both come at once', async () => {
    await Promise.all([slack.event(message()), slack.event(message({ type: 'app_mention' }))]);
    await slack.event(message({ type: 'app_mention' }));
    expect(events).toHaveLength(1);
    expect(events[0]).not.toHaveProperty('isOverheard');
  });

  test('in a direct message is said to us; in a channel, without our name, it is overheard', async () => {
    await slack.event(message({ text: 'set it up', channel: 'D0001', channel_type: 'im' }));
    await slack.event(message({ text: 'hello everybody', ts: '1700000000.000200', thread_ts: TS }));
    expect(events[0]).not.toHaveProperty('isOverheard');
    expect(events[1]).toMatchObject({ isOverheard: true, thread });
  });

  test.each([
    ['another bot', message({ bot_id: 'B1' })],
    ['a bot’s message', message({ subtype: 'bot_message', user: undefined })],
    ['ourselves', message({ user: BOT })],
    ['Slackbot', message({ user: 'USLACKBOT' })],
    ['somebody joining', message({ subtype: 'channel_join' })],
    ['a reaction', { type: 'reaction_added', user: 'U0001' }],
    ['something that is no message', { type: 'message', ts: 'x' }],
  ])('of %s is nothing, and is acknowledged', async (_, event) => {
    expect(await slack.event(event)).toMatchObject({ isTaken: true });
    expect(events).toEqual([]);
  });

  test('comes from the workspace that the app is in, whoever’s channel it is', async () => {
    await slack.event(message(), { team_id: 'T0002', context_team_id: TEAM });
    await slack.event(message({ ts: '1700000000.000200' }), { team_id: TEAM, context_team_id: 'T0002' });
    expect(events).toHaveLength(1);
    expect(events[0]?.thread.workspaceId).toBe(TEAM);
  });

  test('of a shortcut on somebody’s message is a request in that message’s thread, by who pressed it', async () => {
    const payload = {
      ...{ type: 'message_action', callback_id: 'set_this_up', trigger_id: 'x', action_ts: '1.2' },
      ...{ user: { id: 'U0002', name: 'approver' }, channel: { id: CHANNEL } },
      message: { ts: TS, user: 'U0001', text: 'WooCommerce for shop.example.com, please' },
    };
    await slack.server.deliver('interactive', payload);
    expect(events).toMatchObject([
      { kind: 'message', thread, from: { userId: 'U0002' }, text: 'set up WooCommerce for shop.example.com, please' },
    ]);
  });

  test('of a change is what stood there and what stands there now; of a preview that Slack adds, nothing', async () => {
    const before = { user: 'U0001', ts: TS, text: `<@${BOT}> set up WooCommerce for a.example.com` };
    const after = {
      ...before,
      text: `<@${BOT}> set up WooCommerce for b.example.com`,
      edited: { ts: '1700000001.0001' },
    };
    const changed = (text: object) => ({
      subtype: 'message_changed',
      user: undefined,
      message: text,
      previous_message: before,
    });
    await slack.event(message(changed({ ...before, attachments: [{}] })));
    await slack.event(message(changed(after)));
    await slack.event(
      message({ subtype: 'message_deleted', user: undefined, deleted_ts: TS, previous_message: before }),
    );
    const was = 'set up WooCommerce for a.example.com';
    expect(events).toMatchObject([
      { kind: 'edit', thread, from: { userId: 'U0001' }, before: was, after: 'set up WooCommerce for b.example.com' },
      { kind: 'edit', thread, from: { userId: 'U0001' }, before: was },
    ]);
    expect(events[1]).not.toHaveProperty('after');
  });

  test('of somebody who opens our page is that; who opens the conversation is offered what to ask', async () => {
    const opened = { type: 'app_home_opened', user: 'U0001', channel: 'D0001' };
    await slack.event({ ...opened, tab: 'home' });
    expect(events).toMatchObject([{ kind: 'home', from: { userId: 'U0001' } }]);
    await slack.event({ ...opened, tab: 'messages' });
    await vi.waitFor(() => expect(slack.server.calls.at(-1)?.method).toBe('assistant.threads.setSuggestedPrompts'));
    const card: Card = { summary: 'x', blocks: [{ kind: 'heading', text: [{ kind: 'text', text: 'Connected' }] }] };
    await slack.chat.showHome?.(slack.merchant, card);
    expect(JSON.stringify(slack.server.homes.get('U0001'))).toContain('Connected');
  });

  test('of a command outside of threads says so, and what answers it begins a thread', async () => {
    await slack.say(slack.merchant, '/countersign set up WooCommerce');
    const [event] = events;
    expect(event).toMatchObject({ kind: 'command', isOutsideThreads: true, text: 'set up WooCommerce' });
    const begun = await slack.chat.post({ ...thread, ref: `${CHANNEL}:` }, sentence('asked'), { key: 'a' });
    await slack.chat.post(begun.thread, sentence('answered'), { key: 'b' });
    expect(slack.server.messages(CHANNEL).map(({ thread_ts }) => thread_ts)).toEqual([undefined, begun.ref]);
  });
});

describe('a click', () => {
  test('on a card that came directly belongs to the thread that the card was made for', async () => {
    slack.server.fail('chat.postEphemeral', { error: 'user_not_in_channel' });
    await slack.chat.ephemeral(thread, slack.approver, choice);
    const direct = { ...thread, ref: 'DU0002:' };
    const [sent] = slack.server.messages('DU0002');
    await slack.click(slack.approver, direct, { thread: direct, ref: sent?.ts ?? '' }, 'approve');
    expect(events).toMatchObject([{ kind: 'action', thread, value: 'op-1', from: { userId: 'U0002' } }]);
    expect(events[0]).not.toHaveProperty('message');
  });

  test('on a button that opens a page asks nobody anything', async () => {
    const url = 'https://example.com/connect/1';
    const buttons = [{ label: 'Open', style: 'primary', action: 'open', value: '', url }] as const;
    const posted = await slack.chat.post(
      thread,
      { summary: 'x', blocks: [{ kind: 'actions', buttons }] },
      { key: 'a' },
    );
    const payload = {
      ...{ type: 'block_actions', user: { id: 'U0001' }, trigger_id: 'x', channel: { id: CHANNEL } },
      ...{ message: { ts: posted.ref }, actions: [{ action_id: 'open:open#0', block_id: '0', action_ts: '1' }] },
    };
    expect(await slack.server.deliver('interactive', payload)).toMatchObject({ isTaken: true });
    expect(events).toEqual([]);
  });
});

describe('the answer to a click on a card that only one person sees', () => {
  const seen = () => slack.server.messages(CHANNEL).filter(({ to }) => to === 'U0002');
  const pressed = async () => {
    await slack.chat.ephemeral(thread, slack.approver, choice);
    await slack.click(slack.approver, thread, undefined, 'approve');
    const [event] = events.splice(0);
    return event?.kind === 'action' ? event.shown : undefined;
  };
  const answer = (replaces: string | undefined) =>
    slack.chat.ephemeral(thread, slack.approver, sentence('Decided.'), replaces === undefined ? {} : { replaces });

  test('takes its place', async () => {
    await answer(await pressed());
    expect(seen().map(({ text }) => text)).toEqual(['Decided.']);
  });

  test('is a card of its own when Slack takes no more answers there', async () => {
    const replaces = await pressed();
    for (let n = 0; n < 6; n++) await answer(replaces);
    expect(seen().map(({ text }) => text)).toEqual(['Decided.', 'Decided.']);
  });

  test('is sent to nobody but Slack, whatever address the click brought', async () => {
    const asked: string[] = [];
    const other = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end('ok');
    });
    const { port, close } = await listenOnLoopback(other, 0);
    await pressed();
    await answer(`http://127.0.0.1:${port}/`);
    await answer('not an address');
    await close();
    expect(asked).toEqual([]);
    expect(seen().map(({ text }) => text)).toEqual(['choose', 'Decided.', 'Decided.']);
  });

  test('to a card that everybody sees leaves that one alone', async () => {
    const posted = await slack.chat.post(thread, choice, { key: 'a' });
    await slack.click(slack.approver, thread, posted, 'approve');
    expect(events[0]).not.toHaveProperty('shown');
  });
});

describe('a card that this workspace does not take', () => {
  const running: Card = {
    summary: 'Working on it',
    blocks: [
      { kind: 'steps', items: [{ state: 'done', text: 'Open the sign-in page', detail: '1.1 s' }] },
      { kind: 'details', summary: 'Why', blocks: [sentence('because').blocks[0] ?? { kind: 'heading', text: [] }] },
    ],
  };

  test.each([
    { refused: ['plan'], shown: /Open the sign-in page.*because/ },
    { refused: ['plan', 'container', 'rich_text'], shown: /^Working on it$/ },
  ])('without $refused is shown more plainly', async ({ refused, shown }) => {
    for (const type of refused) slack.server.refusedBlocks.add(type);
    const posted = await slack.chat.post(thread, running, { key: 'a' });
    await slack.chat.update(posted, running);
    const [kept] = await slack.transcriptFor(slack.merchant, thread);
    expect(kept?.text).toMatch(shown);
  });
});

describe('a refusal by Slack', () => {
  const post = () => slack.chat.post(thread, sentence('x'), { key: 'a' });

  test.each([
    ...['not_in_channel', 'is_archived', 'token_revoked', 'account_inactive', 'msg_too_long', 'missing_scope'].map(
      (error) => ({ failure: { error }, isRetryable: false }),
    ),
    ...['internal_error', 'service_unavailable', 'request_timeout'].map((error) => ({
      ...{ failure: { error }, isRetryable: true },
    })),
    { failure: { status: 503 }, isRetryable: true },
    { failure: { status: 404 }, isRetryable: false },
  ])('$failure is an outage of chat, retryable: $isRetryable', async ({ failure, isRetryable }) => {
    // A text that is too long is tried more plainly first.
    for (const _ of [1, 2, 3]) slack.server.fail('chat.postMessage', failure);
    await expect(post()).rejects.toMatchObject({ code: 'chat_unavailable', isRetryable });
  });

  test('that asks for silence is kept to: no further request until the time is over', async () => {
    slack.server.fail('chat.postMessage', { retryAfter: 30 });
    const count = () => slack.server.calls.filter(({ method }) => method === 'chat.postMessage').length;
    for (const _ of [1, 2, 3])
      await expect(post()).rejects.toSatisfy(
        (error) =>
          error instanceof CountersignError &&
          /takes no chat\.postMessage for/.test(error.message) &&
          (error.retryAfterMs ?? 0) > 20_000, // the feed waits for as long
      );
    expect(count()).toBe(1);
  });

  test('that asks for a second of silence ends with it', async () => {
    slack.server.fail('chat.postMessage', { retryAfter: 1 });
    await expect(post()).rejects.toMatchObject({ isRetryable: true });
    await vi.waitFor(() => post(), { timeout: 5_000, interval: 100 });
  });

  test('of a form that is opened too late says what to do', async () => {
    slack.server.fail('views.open', { error: 'expired_trigger_id' });
    const form = { form: 'f', value: '', title: 'T', submit: 'S', fields: [] };
    await expect(slack.chat.openForm(`${TEAM} ${thread.ref} 1.2`, form)).rejects.toMatchObject({
      ...{ code: 'chat_unavailable', isRetryable: false, message: /try that once more/ },
    });
  });

  test('whose server can’t be reached at all is retryable', async () => {
    await slack.server.close();
    await expect(post()).rejects.toMatchObject({ code: 'chat_unavailable', isRetryable: true });
  });
});

describe('who somebody is', () => {
  const standing = (user: object, group?: string) => {
    slack.server.users.set('U0009', { id: 'U0009', name: 'x', team_id: TEAM, ...user });
    return slack.chat.standing({ ...slack.merchant, userId: 'U0009' }, group);
  };

  test.each([
    ['a member', {}, { kind: 'member', isInGroup: false }],
    ['a guest of several channels', { is_restricted: true }, { kind: 'guest' }],
    ['a guest of one channel', { is_ultra_restricted: true }, { kind: 'guest' }],
    ['somebody of another workspace', { team_id: 'T0002' }, { kind: 'guest' }],
    ['a stranger', { is_stranger: true }, { kind: 'guest' }],
    ['somebody who was deactivated', { deleted: true }, { kind: 'unknown' }],
    ['a bot', { is_bot: true }, { kind: 'unknown' }],
  ])('%s', async (_, user, expected) => {
    expect(await standing(user)).toEqual(expected);
  });

  test('is asked for their time zone, which is not known where Slack does not say', async () => {
    await standing({ tz: 'Europe/Berlin' });
    const zone = () => slack.chat.timeZone?.({ ...slack.merchant, userId: 'U0009' });
    expect(await zone()).toBe('Europe/Berlin');
    slack.server.fail('users.info', { error: 'internal_error' });
    expect(await zone()).toBeUndefined();
  });

  test('in a group is asked at the moment, and nobody is in a group that is gone', async () => {
    expect(await standing({}, 'S1')).toEqual({ kind: 'member', isInGroup: false });
    slack.server.groups.set('S1', ['U0009']);
    expect(await standing({}, 'S1')).toEqual({ kind: 'member', isInGroup: true });
  });

  test('in a group is asked once for several decisions in a row', async () => {
    slack.server.groups.set('S1', ['U0009']);
    for (const _ of [1, 2, 3]) expect(await standing({}, 'S1')).toEqual({ kind: 'member', isInGroup: true });
    expect(slack.server.calls.filter(({ method }) => method === 'usergroups.users.list')).toHaveLength(1);
  });

  test('can be a group that is chosen by its name; without the scope there is none', async () => {
    slack.server.fail('usergroups.list', { error: 'missing_scope' });
    expect(await slack.chat.groups?.(TEAM)).toEqual([]);
    slack.server.groups.set('S1', ['U0009']);
    expect(await slack.chat.groups?.(TEAM)).toEqual([{ id: 'S1', name: 'Group S1 (@s1)' }]);
  });

  test('is nobody whom Slack does not know, and an outage when Slack can’t be asked', async () => {
    expect(await slack.chat.standing({ ...slack.merchant, userId: 'U9999' })).toEqual({ kind: 'unknown' });
    slack.server.fail('users.info', { status: 500 });
    await expect(slack.chat.standing(slack.merchant)).rejects.toMatchObject({ isRetryable: true });
  });

  test('is the primary owner for whom Slack says so', async () => {
    expect(await slack.chat.primaryOwner()).toMatchObject({ userId: 'U0003', name: 'Owner', workspaceId: TEAM });
  });
});

test('a picture is uploaded with words for who can’t see it', async () => {
  const link = { url: 'https://pictures.example.com/1.png', alt: 'The sign-in page', width: 1, height: 1 };
  await slack.chat.upload(thread, link, { key: 'a' });
  expect(slack.server.messages(CHANNEL).at(-1)).toMatchObject({ thread_ts: TS, files: [{ alt: 'The sign-in page' }] });
});
