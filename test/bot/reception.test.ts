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
function open(converse: ChatListener, left: ChatEvent[] = [], isFull = false) {
  const [kept, settled, told] = [new Set<string>(), [] as string[], [] as Card[]];
  const chat = createRecordingChat();
  const tell = async (card: Card) => void told.push(card);
  reception = createReception({
    inbox: {
      async keep(_, event, { isLater } = {}) {
        if (kept.has(event.id)) return 'known';
        if (isFull && event.kind === 'message') return 'full';
        kept.add(event.id);
        if (isLater) left.push(event);
        return 'kept';
      },
      settle: async (_, { id }) => void settled.push(id),
      overdue: async (_, most) => left.splice(0, most),
      forgetFrom: async () => {},
      forget: async () => {},
    },
    directory: {
      customerOfWorkspace: async () => CUSTOMER,
      customers: async () => [CUSTOMER],
    },
    log: silentLog,
    converse,
    chat: () => ({
      ...chat,
      directMessage: async (to, card) => {
        await tell(card);
        return { thread: { ...to, ref: 'direct' }, ref: 'm' };
      },
      ephemeral: (_, __, card) => tell(card),
    }),
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

describe('a flood of words of one customer', () => {
  const inThread = (n: number): ChatEvent => ({ ...said(`word ${n}`), thread: { ...thread, ref: `C1:${n}.1` } });
  const press = (kind: 'action' | 'stop'): ChatEvent =>
    // its literals are those of the union
    ({ kind, id: newUuid(), thread, from: person, action: 'stop', value: 'op', trigger: 't' }) as ChatEvent;

  test('has eight places at once, is answered to its end in its order, and takes none from what is pressed', async () => {
    const unanswered = new Map<string, () => void>();
    const heard: string[] = [];
    let most = 0;
    const { settled } = open(async (event) => {
      heard.push(event.kind === 'message' ? event.text : event.kind);
      if (event.kind !== 'message') return undefined;
      await new Promise<void>((resolve) => unanswered.set(event.id, resolve));
      unanswered.delete(event.id);
      return undefined;
    });
    const words = Array.from({ length: 40 }, (_, n) => inThread(n));
    for (const event of words) await reception.listen(event);
    await vi.waitFor(() => expect(unanswered.size).toBe(8));
    await reception.listen(press('action'));
    await reception.listen(press('stop'));
    await vi.waitFor(() => expect(heard).toEqual(expect.arrayContaining(['action', 'stop'])));
    while (settled.length < 42) {
      most = Math.max(most, unanswered.size);
      for (const finish of unanswered.values()) finish();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(most).toBe(8);
    const texts = heard.filter((word) => word.startsWith('word'));
    expect(texts).toEqual(words.map((_, n) => `word ${n}`));
  });

  test('that is more than waits at all is not taken, which is said once; a button works all the same', async () => {
    const { told, settled } = open(async () => undefined, [], true);
    for (const n of [1, 2, 3]) await reception.listen(inThread(n));
    expect(told.map(({ summary }) => summary)).toEqual([
      'So much that was written here waits for me that I did not take this. Please write it again in some minutes.',
    ]);
    await reception.listen(press('action'));
    await vi.waitFor(() => expect(settled).toHaveLength(1));
  });
});
