// How the adapter keeps to Slack's rates, and what it does where a workspace has no agents' sessions.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { rateOf } from '../../adapters/slack/limits.ts';
import type { Limit } from '../../core/limits.ts';
import type { ChatEvent, ThreadRef } from '../../core/ports/chat.ts';
import { sentence } from '../contracts/chat.ts';
import { silentLog } from '../support/silent-log.ts';
import { type OpenedSlack, openSlackByHand } from '../support/slack/by-hand.ts';
import { CHANNEL, TEAM } from '../support/slack/server.ts';

let slack: OpenedSlack;
let booked: string[];
let said: unknown[];
let waitMs: number;
beforeEach(async () => {
  [booked, said, waitMs] = [[], [], 0];
  slack = await openSlackByHand('http', {
    log: { ...silentLog, info: (...words) => void said.push(words) },
    line: {
      book: async ({ name }: Limit) => {
        booked.push(name);
        return waitMs;
      },
    },
  });
});
afterEach(() => slack.close());

const thread: ThreadRef = { platform: 'slack', workspaceId: TEAM, ref: `${CHANNEL}:1700000000.000100` };
const card = sentence('hello');
const calls = (method: string) => slack.server.calls.filter((call) => call.method === method);

describe('Slack’s rates', () => {
  test.each([
    { method: 'chat.update', most: 50 },
    { method: 'agents.sessions.setStatus', most: 50 },
    { method: 'conversations.open', most: 50 },
    { method: 'chat.postEphemeral', most: 100 },
    { method: 'files.completeUploadExternal', most: 100 },
    { method: 'views.publish', most: 100 },
  ])('let through at most $most $method in any minute, held-back places included', ({ method, most }) => {
    const limit = rateOf(method, TEAM, CHANNEL);
    const [quota, rate] = [limit?.quota ?? 0, (limit?.quota ?? 0) / (limit?.windowSeconds ?? 1)];
    expect(quota).toBeGreaterThan(0);
    expect(quota + rate * (60 + 2)).toBeLessThanOrEqual(most);
    expect(limit?.name).toBe(`slack ${TEAM} ${method}`);
  });

  test('let a message a second into a channel', () => {
    expect(rateOf('chat.postMessage', TEAM, CHANNEL)).toMatchObject({
      ...{ name: `slack ${TEAM} chat.postMessage ${CHANNEL}`, quota: 1, windowSeconds: 1 },
    });
  });

  test('are waited for by whoever sends without a place, and not by whoever has one', async () => {
    waitMs = 300;
    expect(await slack.chat.place?.(thread, 'post')).toBe(300);
    const began = performance.now();
    const posted = await slack.chat.post(thread, card, { key: 'a', hasPlace: true });
    expect(performance.now() - began).toBeLessThan(250);
    expect(booked).toHaveLength(1);
    await slack.chat.update(posted, sentence('changed'));
    expect(performance.now() - began).toBeGreaterThanOrEqual(299);
    expect(booked).toEqual([`slack ${TEAM} chat.postMessage ${CHANNEL}`, `slack ${TEAM} chat.update`]);
  });

  test('that are so far away that nobody waits for them are an outage that passes', async () => {
    waitMs = 120_000;
    await expect(slack.chat.post(thread, card, { key: 'a' })).rejects.toMatchObject({
      ...{ code: 'chat_unavailable', isRetryable: true },
    });
    expect(calls('chat.postMessage')).toEqual([]);
  });

  test('as Slack itself says them after a 429 are added: no place before its time, and no call', async () => {
    slack.server.fail('chat.update', { retryAfter: 30 });
    const posted = await slack.chat.post(thread, card, { key: 'a' });
    await expect(slack.chat.update(posted, card)).rejects.toMatchObject({ isRetryable: true });
    expect(await slack.chat.place?.(thread, 'edit')).toBeGreaterThan(29_000);
    await expect(slack.chat.update(posted, card, { hasPlace: true })).rejects.toMatchObject({ isRetryable: true });
    expect(calls('chat.update')).toHaveLength(1);
  });

  test('leave a direct message’s channel to be asked for once', async () => {
    for (const _ of [1, 2, 3]) await slack.chat.directMessage(slack.merchant, card);
    expect(calls('conversations.open')).toHaveLength(1);
    expect(await slack.directMessagesOf(slack.merchant)).toHaveLength(3);
  });
});

describe('Slack’s own status of a thread', () => {
  const show = (activity: 'working' | 'waiting' | 'over') => slack.chat.showActivity?.(thread, activity);

  test('is processing, suspended, closed', async () => {
    for (const activity of ['working', 'waiting', 'over'] as const) await show(activity);
    expect(slack.server.statuses).toEqual(['processing', 'suspended', 'closed']);
  });

  test.each(['not_authorized', 'unknown_method', 'missing_scope'])(
    'is left out for a while, and that is said once, where Slack answers %s',
    async (error) => {
      slack.server.fail('agents.sessions.setStatus', { error });
      for (const activity of ['working', 'waiting', 'over'] as const) await show(activity);
      expect(calls('agents.sessions.setStatus')).toHaveLength(1);
      expect(JSON.stringify(said).match(/no status of agents/g)).toHaveLength(1);
      expect(await slack.chat.place?.(thread, 'activity')).toBe(0);
    },
  );

  test('is tried again after trouble that passes', async () => {
    slack.server.fail('agents.sessions.setStatus', { status: 503 });
    await expect(show('working')).rejects.toMatchObject({ code: 'chat_unavailable', isRetryable: true });
    await show('working');
    expect(slack.server.statuses).toEqual(['processing']);
  });

  test('comes with Slack’s own Stop, which stops what is in that thread', async () => {
    const events: ChatEvent[] = [];
    slack.listen(async (event) => void events.push(event));
    const stopped = { type: 'agent_session_stopped', channel: CHANNEL, user: 'U0001', thread_ts: '1700000000.000100' };
    expect((await slack.event({ ...stopped, streaming_message_ts: [], event_ts: '1700000001.000100' })).isTaken).toBe(
      true,
    );
    expect(events).toMatchObject([{ kind: 'stop', thread, from: { userId: 'U0001' } }]);
  });
});

test('the two thumbs under a result come back as what was pressed', async () => {
  const events: ChatEvent[] = [];
  slack.listen(async (event) => void events.push(event));
  const rating = { kind: 'feedback', action: 'rate', good: 'good op-1', bad: 'bad op-1' } as const;
  const posted = await slack.chat.post(thread, { summary: 'done', blocks: [rating] }, { key: 'a' });
  await slack.click(slack.merchant, thread, posted, 'rate');
  expect(events).toMatchObject([{ kind: 'action', action: 'rate', value: 'good op-1' }]);
  slack.server.refusedBlocks.add('context_actions');
  const plain = await slack.chat.post(thread, { summary: 'done', blocks: [rating] }, { key: 'b' });
  await slack.click(slack.merchant, thread, plain, 'rate');
  expect(events.map((event) => event.kind === 'action' && event.value)).toEqual(['good op-1', 'good op-1']);
});
