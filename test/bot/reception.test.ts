import { afterEach, describe, expect, test, vi } from 'vitest';
import { createReception, type Reception } from '../../bot/reception.ts';
import { CountersignError } from '../../core/errors.ts';
import { customerId, newUuid } from '../../core/ids.ts';
import type { Card, ChatEvent, ChatListener } from '../../core/ports/chat.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';

const CUSTOMER = customerId(newUuid());
const person = { platform: 'slack', workspaceId: 'T1', userId: 'U1', name: 'Merchant' } as const;
const thread = { platform: 'slack', workspaceId: 'T1', ref: 'C1:1.1' } as const;
const said = (text: string): ChatEvent => ({ kind: 'message', id: newUuid(), thread, from: person, text });
const away = new CountersignError('database_unavailable', 'away', { isRetryable: true });

let reception: Reception;
afterEach(() => reception.stop(0));

/** An inbox in memory: the one on PostgreSQL has tests of its own. */
function open(converse: ChatListener, left: readonly ChatEvent[] = []) {
  const [kept, settled, told] = [new Set<string>(), [] as string[], [] as Card[]];
  const chat = createRecordingChat();
  reception = createReception({
    inbox: {
      keep: async (_, { id }) => !kept.has(id) && !!kept.add(id),
      settle: async (_, { id }) => void settled.push(id),
      overdue: async () => left,
    },
    directory: {
      customerOfWorkspace: async () => CUSTOMER,
      customers: async () => [CUSTOMER],
    },
    log: silentLog,
    converse,
    chat: () => ({ ...chat, directMessage: async (_, card) => void told.push(card) }),
  });
  return { settled, told };
}

describe('an event', () => {
  test('is acknowledged before it is answered, and answered once however often it comes', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const heard: string[] = [];
    const { settled } = open(async ({ id }) => {
      heard.push(id);
      await promise;
      return undefined;
    });
    const event = said('hello');
    for (const _ of [1, 2, 3]) expect(await reception.listen(event)).toBeUndefined();
    await vi.waitFor(() => expect(heard).toEqual([event.id]));
    expect(settled).toEqual([]);
    resolve();
    await vi.waitFor(() => expect(settled).toEqual([event.id]));
  });

  test('is tried again when something passing was in its way', async () => {
    const outcomes = [away, undefined];
    const { settled, told } = open(async () => {
      const outcome = outcomes.shift();
      if (outcome) throw outcome;
      return undefined;
    });
    await reception.listen(said('hello'));
    await vi.waitFor(() => expect(settled).toHaveLength(1), { timeout: 5_000 });
    expect(told).toEqual([]);
  });

  test('that can’t be answered where it was said is answered directly, with what to do about it', async () => {
    const words = 'I am not in that channel: invite me with /invite @Countersign, then ask again.';
    const { settled, told } = open(async () => {
      throw new CountersignError('chat_unavailable', words);
    });
    await reception.listen(said('set up WooCommerce'));
    await vi.waitFor(() => expect(settled).toHaveLength(1));
    expect(told).toMatchObject([{ summary: `I could not answer you where you wrote to me. ${words}` }]);
  });

  test('waits for what was said before it in its thread; a click waits for nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const heard: string[] = [];
    const { settled } = open(async (event) => {
      heard.push(event.kind);
      if (event.kind === 'message') await promise;
      return undefined;
    });
    await reception.listen(said('set up WooCommerce'));
    await reception.listen({ kind: 'edit', id: newUuid(), thread, from: person, before: 'a', after: 'b' });
    const click = { kind: 'action', id: newUuid(), thread, from: person, action: 'stop', value: 'op', trigger: 't' };
    await reception.listen(click as ChatEvent); // its literals are those of the union
    await vi.waitFor(() => expect(settled).toHaveLength(1));
    expect(heard).toEqual(['message', 'action']);
    resolve();
    await vi.waitFor(() => expect(heard).toEqual(['message', 'action', 'edit']));
  });

  test('that the platform takes no answer to for minutes stays on record, and is answered later', async () => {
    const gone = new CountersignError('chat_unavailable', 'Slack could not be reached.', { isRetryable: true });
    let tries = 0;
    const { settled, told } = open(async () => {
      tries++;
      throw gone;
    });
    await reception.listen(said('hello'));
    await vi.waitFor(() => expect(tries).toBe(4), { timeout: 20_000 });
    await reception.stop(1_000);
    expect(settled).toEqual([]);
    expect(told).toEqual([]);
  }, 30_000);

  test('that a process left behind is answered by the next one', async () => {
    const left = said('left behind');
    const { settled } = open(async () => undefined, [left]);
    reception.start();
    await vi.waitFor(() => expect(settled).toEqual([left.id]));
  });

  test('of a form is answered at once: its window is open', async () => {
    const { settled } = open(async () => ({ fieldErrors: { why: 'Say more.' } }));
    const form: ChatEvent = { kind: 'form', id: 'f', thread, from: person, form: 'deny', value: '', fields: {} };
    expect(await reception.listen(form)).toEqual({ fieldErrors: { why: 'Say more.' } });
    expect(settled).toEqual([]);
  });
});
