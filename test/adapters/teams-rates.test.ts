// How the adapter keeps to Teams' rates, tries again, and stops where it is not wanted.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { linesFor } from '../../adapters/teams/limits.ts';
import type { Limit } from '../../core/limits.ts';
import type { ThreadRef } from '../../core/ports/chat.ts';
import { sentence } from '../contracts/chat.ts';
import { type OpenedTeams, openTeamsByHand } from '../support/teams/by-hand.ts';
import { GROUP, TEAM, TENANT } from '../support/teams/server.ts';

let teams: OpenedTeams;
let booked: string[];
let waitMs: number;
beforeEach(async () => {
  [booked, waitMs] = [[], 0];
  teams = await openTeamsByHand('azure', {
    line: {
      book: async ({ name }: Limit) => {
        booked.push(name);
        return waitMs;
      },
    },
  });
  await teams.say(teams.merchant, 'hello', GROUP);
  booked = [];
});
afterEach(() => teams.close());

const thread: ThreadRef = { platform: 'teams', workspaceId: TENANT, ref: `group:${GROUP}` };
const messages = () => teams.server.calls.filter(({ type }) => type === 'message');

describe('Teams’ rates', () => {
  test.each([
    { seconds: 1, most: 7 },
    { seconds: 2, most: 8 },
    { seconds: 30, most: 60 },
    { seconds: 3_600, most: 1_800 },
  ])('let through at most $most in any $seconds s of a thread, held-back places included', ({ seconds, most }) => {
    const [line] = linesFor(TENANT, GROUP, false);
    const rate = (line?.quota ?? 0) / (line?.windowSeconds ?? 1);
    expect(rate).toBeGreaterThan(0);
    expect((line?.quota ?? 0) + rate * (seconds + 2)).toBeLessThanOrEqual(most);
  });

  test('keep edits in a thread two seconds apart', () => {
    const [, edits] = linesFor(TENANT, GROUP, true);
    expect(edits).toMatchObject({ quota: 1, windowSeconds: 2 });
  });

  test('are waited for by whoever sends without a place, and not by whoever has one', async () => {
    waitMs = 300;
    expect(await teams.chat.place?.(thread, 'post')).toBe(300);
    const began = performance.now();
    const posted = await teams.chat.post(thread, sentence('first'), { key: 'a', hasPlace: true });
    expect(booked).toHaveLength(1);
    await teams.chat.update(posted, sentence('second'));
    expect(performance.now() - began).toBeGreaterThanOrEqual(299);
    expect(booked.slice(1)).toEqual([`teams ${TENANT} ${GROUP}`, `teams edits ${TENANT} ${GROUP}`]);
  });

  test('that are so far away that nobody waits for them are an outage that passes', async () => {
    waitMs = 120_000;
    await expect(teams.chat.post(thread, sentence('x'), { key: 'a' })).rejects.toMatchObject({
      ...{ code: 'chat_unavailable', isRetryable: true, retryAfterMs: 120_000 },
    });
    expect(messages()).toEqual([]);
  });
});

describe('a call that Teams does not take', () => {
  test.each([412, 429, 502, 504])('with %i is made again after a pause', async (status) => {
    teams.server.failNext(status, 1);
    const began = performance.now();
    await teams.chat.post(thread, sentence('arrives'), { key: 'a' });
    expect(performance.now() - began).toBeGreaterThanOrEqual(245);
    expect(messages().map((call) => call.status)).toEqual([status, 201]);
    expect(teams.server.messages(GROUP).filter(({ card }) => card !== undefined)).toHaveLength(1);
  });

  test('is made as late as Teams asks for', async () => {
    teams.server.failNext(429, 1, { retryAfter: 1 });
    const began = performance.now();
    await teams.chat.post(thread, sentence('arrives'), { key: 'a' });
    expect(performance.now() - began).toBeGreaterThanOrEqual(995);
  });

  test('is an outage that passes after four tries', async () => {
    teams.server.failNext(502, 9);
    await expect(teams.chat.post(thread, sentence('x'), { key: 'a' })).rejects.toMatchObject({
      ...{ code: 'chat_unavailable', isRetryable: true },
    });
    expect(messages()).toHaveLength(4);
  });

  test.each([
    [400, 'BadArgument'],
    [413, 'MessageSizeTooBig'],
  ])('with %i is not made again', async (status, code) => {
    teams.server.failNext(status, 1, { code });
    await expect(teams.chat.post(thread, sentence('x'), { key: 'a' })).rejects.toMatchObject({
      ...{ code: 'chat_unavailable', isRetryable: false },
    });
    expect(messages()).toHaveLength(1);
  });
});

describe('a conversation that we were removed from', () => {
  const post = () => teams.chat.post(thread, sentence('x'), { key: 'a' });

  test('is written to once, and not again until it is heard of, by this process or another one', async () => {
    teams.server.leave(GROUP);
    const gone = { code: 'chat_unavailable', isRetryable: false, message: expect.stringMatching(/add Countersign/) };
    await expect(post()).rejects.toMatchObject(gone);
    await expect(post()).rejects.toMatchObject(gone);
    expect(messages()).toHaveLength(1);
    expect(await teams.references.find(thread)).toBe('forgotten');
    teams.server.join(GROUP);
    await teams.say(teams.merchant, 'hello again', GROUP);
    await post();
    expect(messages()).toHaveLength(2);
  });

  test.each([
    ['installationUpdate', { type: 'installationUpdate', action: 'remove' }],
    [
      'conversationUpdate',
      { type: 'conversationUpdate', membersRemoved: [{ id: '28:11111111-2222-4333-8444-555555555555' }] },
    ],
  ])('is one that Teams says so of (%s)', async (_words, more) => {
    await teams.server.deliver(teams.activity(teams.merchant, GROUP, more));
    await expect(post()).rejects.toMatchObject({ code: 'chat_unavailable', isRetryable: false });
    expect(messages()).toEqual([]);
  });
});

describe('an organisation', () => {
  const remove = (place: string, more: object = {}) =>
    teams.server.deliver(
      teams.activity(teams.merchant, place, { type: 'installationUpdate', action: 'remove', ...more }),
    );

  test('has the app nowhere once it was removed from each conversation: from a team in all of its channels', async () => {
    await teams.say(teams.merchant, 'in a channel');
    await teams.change('said of no team'); // as Teams does for some activities
    await remove(teams.server.personalChat(teams.merchant.userId));
    await remove(GROUP);
    expect(teams.left).toEqual([]);
    await remove(TEAM.id, { channelData: { tenant: { id: TENANT }, team: TEAM } });
    expect(teams.left).toEqual([TENANT]);
    const standings = [...teams.references.kept.values()].map(({ standing }) => standing);
    expect(standings).toEqual(standings.map(() => 'removed'));
  });

  test('has not lost the app where Teams only takes nothing of it', async () => {
    teams.server.failNext(403, 1, { code: 'ForbiddenOperationException' });
    await expect(teams.chat.post(thread, sentence('x'), { key: 'a' })).rejects.toMatchObject({ isRetryable: false });
    await remove(teams.server.personalChat(teams.merchant.userId));
    expect(teams.left).toEqual([]);
  });
});

describe('how a conversation is reached', () => {
  test('is none of our business where people only speak to each other', async () => {
    const sent = { type: 'message', text: 'who is for lunch?' };
    await teams.server.deliver(teams.activity(teams.merchant, '19:others@thread.v2', sent));
    expect([...teams.references.kept.keys()].join()).not.toContain('19:others');
  });

  test('is kept with all that Teams said, and follows when that changes', async () => {
    const kept = async () => {
      const found = await teams.references.find(thread);
      return JSON.parse(typeof found === 'object' ? found.text : '{}');
    };
    expect(await kept()).toEqual({
      ...{ serviceUrl: teams.server.serviceUrl, conversationId: GROUP, scope: 'group', tenantId: TENANT },
      ...{ botId: '28:11111111-2222-4333-8444-555555555555', botName: 'Countersign' },
    });
    const moved = teams.server.serviceUrl.replace('/teams/', '/moved/');
    const sent = teams.activity(teams.merchant, GROUP, { type: 'message', text: 'hello', serviceUrl: moved });
    const token = teams.server.issuer.token({ serviceurl: moved });
    expect((await teams.server.deliver(sent, `Bearer ${token}`)).status).toBe(200);
    expect((await kept()).serviceUrl).toBe(moved);
  });

  test('is kept with whom, where that is one person alone', async () => {
    const chat = teams.server.personalChat(teams.merchant.userId);
    await teams.say(teams.merchant, 'help', chat);
    const found = await teams.references.find({ ...thread, ref: `personal:${chat}` });
    expect(typeof found === 'object' && JSON.parse(found.text)).toMatchObject({ userId: teams.merchant.userId });
  });

  test('is known to a process that was only just started, with the whole thread', async () => {
    await teams.say(teams.merchant, 'in a channel');
    const [name] = [...teams.references.kept.keys()].filter((each) => each.includes('channel:'));
    const ref = name?.slice(TENANT.length + 1) ?? '';
    expect(ref).toMatch(/^channel:19:shops@thread\.tacv2;messageid=\d+$/);
    const other = await openTeamsByHand('azure', { running: teams.server, references: teams.references });
    try {
      const posted = await other.chat.post({ ...thread, ref }, sentence('from the other one'), { key: 'a' });
      expect(posted.thread.ref).toBe(ref);
      expect(teams.server.messages(ref.slice('channel:'.length)).at(-1)?.summary).toBe('from the other one');
    } finally {
      await other.close();
    }
  });

  test('is not known of an organisation that never spoke to us', async () => {
    const nobody: ThreadRef = { ...thread, workspaceId: 'cccccccc-0000-4000-8000-000000000009' };
    await expect(teams.chat.post(nobody, sentence('x'), { key: 'a' })).rejects.toMatchObject({
      ...{ code: 'chat_unavailable', isRetryable: false },
    });
  });
});
