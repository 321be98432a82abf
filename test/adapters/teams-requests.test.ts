// Who is believed to be Teams, and who isn't: real tokens, signed with RS256, at the level of HTTP.
import { afterAll, beforeAll, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import type { ChatEvent, ThreadRef } from '../../core/ports/chat.ts';
import { type OpenedTeams, openTeamsByHand } from '../support/teams/by-hand.ts';
import { APP_ID, BOT, CHANNEL, TENANT } from '../support/teams/server.ts';
import { signed } from '../support/teams/tokens.ts';

const hour = 3_600;
const now = Math.floor(Date.now() / 1000);
/** Whose tokens the library would take as well (botframework-connector, EmulatorValidation). */
const EMULATOR = {
  ...{ iss: 'https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/', ver: '1.0' },
  appid: APP_ID,
};
const PLACE = `${CHANNEL};messageid=1`;

let teams: OpenedTeams;
let heard: ChatEvent[];
let written: MockInstance<typeof console.error>;
beforeAll(async () => {
  written = vi.spyOn(console, 'error').mockImplementation(() => {});
  teams = await openTeamsByHand('azure');
  teams.listen(async (event) => void heard.push(event));
});
afterAll(async () => {
  await teams.close();
  vi.restoreAllMocks();
});
beforeEach(() => {
  heard = [];
});

const message = (more: object = {}) =>
  teams.activity(teams.merchant, PLACE, { type: 'message', text: 'set up WooCommerce', ...more });

describe('a request to the messaging endpoint', () => {
  test('is taken with the token of the Connector', async () => {
    expect((await teams.server.deliver(message())).status).toBe(200);
    expect(heard).toHaveLength(1);
  });

  const FORGED: readonly (readonly [string, () => string])[] = [
    ['no token', () => ''],
    ['words for a token', () => 'Bearer junk'],
    ['another scheme', () => `Basic ${teams.server.issuer.token()}`],
    ['another issuer', () => `Bearer ${teams.server.issuer.token({ iss: 'https://evil.example.com' })}`],
    ['the issuer of the emulator', () => `Bearer ${teams.server.issuer.token(EMULATOR)}`],
    ['another audience', () => `Bearer ${teams.server.issuer.token({ aud: 'another-bot' })}`],
    ['another service URL', () => `Bearer ${teams.server.issuer.token({ serviceurl: 'https://evil.example.com/' })}`],
    ['no service URL', () => `Bearer ${teams.server.issuer.token({ serviceurl: undefined })}`],
    ['an end an hour ago', () => `Bearer ${teams.server.issuer.token({ nbf: now - 2 * hour, exp: now - hour })}`],
    ['a beginning in an hour', () => `Bearer ${teams.server.issuer.token({ nbf: now + hour, exp: now + 2 * hour })}`],
    [
      'the signature of a stranger',
      () => `Bearer ${teams.server.issuer.token({}, { key: teams.server.issuer.strangersKey })}`,
    ],
    ['a key that nobody knows', () => `Bearer ${teams.server.issuer.token({}, { header: { kid: 'unknown' } })}`],
    ['no signature at all', () => `Bearer ${unsigned()}`],
    ['claims that were changed', () => `Bearer ${changed()}`],
  ];

  test.each(FORGED)('with %s is refused with 401, and nobody hears of it', async (_words, authorization) => {
    const { status } = await teams.server.deliver(message(), authorization());
    expect(status).toBe(401);
    expect(heard).toEqual([]);
  });

  test('that is refused is told to the log alone: the library would write to the console, with the public key', () => {
    expect(written).not.toHaveBeenCalled();
  });

  function unsigned(): string {
    const [header = '', claims = ''] = teams.server.issuer.token().split('.');
    const none = { ...JSON.parse(Buffer.from(header, 'base64url').toString()), alg: 'none' };
    return `${Buffer.from(JSON.stringify(none)).toString('base64url')}.${claims}.`;
  }

  function changed(): string {
    const [header = '', claims = '', signature = ''] = teams.server.issuer.token().split('.');
    const other = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), exp: now + 24 * hour };
    return `${header}.${Buffer.from(JSON.stringify(other)).toString('base64url')}.${signature}`;
  }

  test('with a key that may not speak for Teams is refused', async () => {
    const other = await openTeamsByHand('azure', { server: { endorsements: ['webchat'] } });
    try {
      const sent = other.activity(other.merchant, PLACE, { type: 'message', text: 'hello' });
      expect((await other.server.deliver(sent)).status).toBe(401);
    } finally {
      await other.close();
    }
  });

  test('is answered with 503 while the keys can’t be had, whoever it is from, and taken once they can', async () => {
    const other = await openTeamsByHand('azure', { server: { areKeysAway: true } });
    try {
      const events: ChatEvent[] = [];
      other.listen(async (event) => void events.push(event));
      const sent = other.activity(other.merchant, PLACE, { type: 'message', text: 'hello' });
      expect((await other.server.deliver(sent)).status).toBe(503);
      const forged = `Bearer ${signed({ alg: 'RS256', kid: 'x' }, { iss: 'https://api.botframework.com' }, other.server.issuer.strangersKey)}`;
      expect((await other.server.deliver(sent, forged)).status).toBe(503);
      expect(events).toEqual([]);
      other.server.setKeysAway(false);
      expect((await other.server.deliver(sent)).status).toBe(200);
      expect(events).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  test('is answered with 503 when the keys do not come within six seconds, and not left hanging', async () => {
    const other = await openTeamsByHand('azure', { server: { areKeysAway: true } });
    try {
      other.server.setKeysAway('silent');
      const answered = await other.server.deliver(
        other.activity(other.merchant, PLACE, { type: 'message', text: 'hello' }),
      );
      expect(answered.status).toBe(503);
      expect(answered.ms).toBeLessThan(8_000);
    } finally {
      await other.close();
    }
  }, 20_000);

  test.each([
    ['another organisation', { channelData: { tenant: { id: 'cccccccc-0000-4000-8000-000000000009' } } }],
    ['no organisation', { channelData: {}, conversation: { id: PLACE, conversationType: 'channel' } }],
    ['two organisations', { conversation: { id: PLACE, tenantId: 'cccccccc-0000-4000-8000-000000000009' } }],
    ['no sender', { from: {} }],
    ['a conversation that is none', { conversation: { id: 'a b', tenantId: TENANT } }],
  ])('of %s is refused with 403, although it is genuine', async (_words, more) => {
    expect((await teams.server.deliver(message(more))).status).toBe(403);
    expect(heard).toEqual([]);
  });

  test.each([
    ['no object', '[]', 400],
    ['no JSON', '{', 400],
    ['more than Teams sends', JSON.stringify({ text: 'x'.repeat(300_000) }), 413],
  ])('that is %s is not read', async (_words, body, status) => {
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${teams.server.issuer.token()}` };
    expect((await fetch(teams.url, { method: 'POST', headers, body })).status).toBe(status);
    expect(heard).toEqual([]);
  });
});

describe('a client on this computer, without credentials,', () => {
  let local: OpenedTeams;
  beforeAll(async () => {
    local = await openTeamsByHand('local');
    local.listen(async (event) => void heard.push(event));
  });
  afterAll(() => local.close());
  const send = (activity: object, headers: Record<string, string> = {}) =>
    fetch(local.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(activity),
    });
  const hello = (more: object = {}) =>
    local.activity(local.merchant, PLACE, { type: 'message', text: 'hello', ...more });

  test('is believed, and answered without a token', async () => {
    expect((await send(hello())).status).toBe(200);
    const [event] = heard;
    const thread: ThreadRef = event?.thread ?? { platform: 'teams', workspaceId: TENANT, ref: '' };
    await local.chat.post(thread, { summary: 'hello', blocks: [] }, { key: 'a' });
    expect(local.server.messages(PLACE)).toHaveLength(1);
  });

  test('is no page of a browser', async () => {
    expect((await send(hello(), { Origin: 'https://evil.example.com' })).status).toBe(403);
    expect(heard).toEqual([]);
  });

  test('has no address on another computer, which we would send to', async () => {
    expect((await send(hello({ serviceUrl: 'https://evil.example.com/' }))).status).toBe(403);
    expect((await send(hello({ serviceUrl: 'http://127.0.0.1.evil.example.com/' }))).status).toBe(403);
    expect(heard).toEqual([]);
  });
});

describe('what people write', () => {
  const write = (text: string, more: object = {}) => teams.server.deliver(message({ text, ...more }));
  const us = { type: 'mention', text: '<at>Countersign</at>', mentioned: BOT };
  const lastText = () => {
    const event = heard.at(-1);
    return event && 'text' in event ? event.text : undefined;
  };

  test.each([
    ['<at>Countersign</at>&nbsp;set up WooCommerce', 'set up WooCommerce'],
    [
      '<at>Countersign</at>\u00a0set up\u00a0WooCommerce\r\nfor shop.example.com',
      'set up WooCommerce\nfor shop.example.com',
    ],
    ['ask <at id="1">Ben Approver</at> &lt;b&gt; &amp;amp;', 'ask Ben Approver <b> &amp;'],
  ])('%j is read as words', async (text, expected) => {
    await write(text, { entities: [us] });
    expect(lastText()).toBe(expected);
    expect(heard.at(-1)).toMatchObject({ kind: 'message' });
    expect(heard.at(-1)).not.toHaveProperty('isOverheard');
  });

  test('is overheard where it does not name us, and isn’t in a chat with us alone', async () => {
    await write('who is for lunch?');
    expect(heard.at(-1)).toMatchObject({ kind: 'message', isOverheard: true });
    await teams.say(teams.merchant, 'hello', teams.server.personalChat(teams.merchant.userId));
    expect(heard.at(-1)).toMatchObject({ kind: 'message', thread: { ref: `personal:a:${teams.merchant.userId}` } });
    expect(heard.at(-1)).not.toHaveProperty('isOverheard');
  });

  test.each([
    ['/audit op-abcdefgh', 'audit', 'op-abcdefgh'],
    ['audit op-abcdefgh', 'audit', 'op-abcdefgh'],
    ['Audit', 'audit', ''],
    ['/countersign stop all', 'countersign', 'stop all'],
    ['settings', 'countersign', 'settings'],
    ['countersign operations', 'countersign', 'operations'],
    ['link op-abcdefgh', 'countersign', 'link op-abcdefgh'],
  ])('%j is a command', async (text, command, rest) => {
    await write(`<at>Countersign</at> ${text}`, { entities: [us] });
    expect(heard.at(-1)).toMatchObject({ kind: 'command', command, text: rest });
  });

  test.each(['the settings of the shop', 'audit trails are nice', 'please help me'])(
    '%j is no command',
    async (text) => {
      await write(text, { entities: [us] });
      expect(heard.at(-1)).toMatchObject({ kind: 'message', text });
    },
  );

  test.each([
    ['a bot’s own words', { type: 'typing' }],
    ['a reaction', { type: 'messageReaction', reactionsAdded: [{ type: 'like' }] }],
    ['a card that was submitted', { text: '', value: { a: 1 } }],
    [
      'words that are back',
      { type: 'messageUpdate', channelData: { tenant: { id: TENANT }, eventType: 'undeleteMessage' } },
    ],
    [
      'whoever has no id of the directory, and one that looks like it',
      { from: { id: 'bbbbbbbb-0000-4000-8000-000000000002', name: 'Ben' } },
    ],
    ['somebody who joins', { type: 'conversationUpdate', membersAdded: [{ id: '29:new' }] }],
  ])('does not hold %s', async (_words, more) => {
    expect((await teams.server.deliver(message(more))).status).toBe(200);
    expect(heard).toEqual([]);
  });

  test('brings what changes it, once however often Teams says so, and under the name of the message', async () => {
    await teams.say(teams.merchant, 'set up WooCommerce for a.example.com');
    const [said] = heard;
    await teams.change('set up WooCommerce for b.example.com');
    await teams.repeatLast();
    await teams.change(undefined);
    const edits = heard.slice(1);
    expect(edits).toMatchObject([
      { kind: 'edit', of: said?.id, after: 'set up WooCommerce for b.example.com', from: teams.merchant },
      { kind: 'edit', of: said?.id },
      { kind: 'edit', of: said?.id, from: teams.merchant },
    ]);
    expect(edits[1]?.id).toBe(edits[0]?.id);
    for (const edit of edits) {
      expect(edit.id.startsWith(`${said?.id}/`)).toBe(true);
      expect(edit).not.toHaveProperty('before');
    }
    expect(edits[2]).not.toHaveProperty('after');
  });

  test('of one person is of one person, however Teams spells their id', async () => {
    const from = { id: `29:${teams.merchant.userId}`, name: 'Ana', aadObjectId: teams.merchant.userId.toUpperCase() };
    await write('hello', { from });
    expect(heard.at(-1)?.from.userId).toBe(teams.merchant.userId);
  });

  test('comes with a name that people can read, however long Teams says it is', async () => {
    await write('hello', { from: { id: '29:x', aadObjectId: teams.merchant.userId, name: 'Ana '.repeat(10_000) } });
    expect(heard.at(-1)?.from.name.length).toBeLessThanOrEqual(200);
  });

  test('is read at once, however long it is and however often it names us', async () => {
    const began = performance.now();
    const named = Array.from({ length: 1_500 }, (_, index) => ({ ...us, text: `<at>${index}</at>` }));
    expect((await write('<at '.repeat(10_000), { entities: named })).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});
