import type { Card, ChatEvent, ChatReply, Person } from '../../core/ports/chat.ts';
import type { Delivery } from './delivery.ts';
import { Refusal } from './errors.ts';
import type { NewEntry, Store } from './store.ts';
import { directTo, newId, threadRef } from './thread.ts';

/** As long as a page waits for the conversation's answer before it says that it is still being worked on. */
const ANSWER_MS = 10_000;
const COMMAND = /^\/([a-z]+)(?:\s+([\s\S]*))?$/i;

/** Makes events of what people do: stores each one first, with what the thread shows of it, and then hands it over. */
export interface Reception {
  /** Takes a message or a command; the conversation hears it meanwhile. */
  say(id: string, threadId: string, from: Person, text: string): void;
  /** Hands over a pressed button or a form, and waits for the answer as long as somebody looks at it. @throws Refusal 503 */
  hand(event: ChatEvent): Promise<ChatReply>;
}

export function createReception(workspaceId: string, store: Store, delivery: Delivery): Reception {
  function say(id: string, threadId: string, from: Person, text: string): void {
    const [, command, rest = ''] = COMMAND.exec(text) ?? [];
    const name = command?.toLowerCase();
    const event = { id, thread: threadRef(workspaceId, threadId), from };
    if (name === undefined) {
      accept(wordsOf(event, text, false), { ...event, kind: 'message', text });
    } else if (name === 'audit' || name === 'countersign') {
      accept(wordsOf(event, text, true), { ...event, kind: 'command', command: name, text: rest.trim(), trigger: id });
    } else {
      const notice = `There is no command /${name}. There are /audit and /countersign.`;
      store.append(wordsOf(event, text, true), noticeTo(from.userId, threadId, notice));
    }
  }

  function accept(shown: NewEntry, event: ChatEvent): void {
    store.append(shown, { kind: 'event', event });
    delivery.deliver(event).catch(() => undefined); // logged there; the person is told in the thread
  }

  async function hand(event: ChatEvent): Promise<ChatReply> {
    if (!store.event(event.id)) store.append({ kind: 'event', event });
    const { promise: late, reject } = Promise.withResolvers<never>();
    const words = 'Countersign is still working on that. The thread will show what came of it.';
    const timer = setTimeout(() => reject(new Refusal(503, words)), ANSWER_MS);
    try {
      return await Promise.race([delivery.deliver(event), late]);
    } catch (cause) {
      if (cause instanceof Refusal) throw cause;
      throw new Refusal(503, 'Countersign could not take that just now. Please look at the thread, then try again.');
    } finally {
      clearTimeout(timer);
    }
  }

  return { say, hand };
}

/** A person's own words as the thread shows them: a command, and anything in a direct thread, to that person alone. */
function wordsOf(
  { id, thread, from }: Pick<ChatEvent, 'id' | 'thread' | 'from'>,
  text: string,
  isCommand: boolean,
): NewEntry {
  const isDirect = directTo(thread.ref) !== undefined;
  return {
    kind: 'message',
    id: newId('m'),
    threadId: thread.ref,
    from: from.userId,
    how: isDirect ? 'direct' : isCommand ? 'ephemeral' : 'thread',
    ...((isDirect || isCommand) && { visibleTo: from.userId }),
    key: `said:${id}`,
    body: { kind: 'words', text },
  };
}

/** A line from web chat itself, to one person. */
export function noticeTo(userId: string, threadId: string, text: string): NewEntry {
  const card: Card = { summary: text, blocks: [{ kind: 'text', tone: 'warning', text: [{ kind: 'text', text }] }] };
  const how = directTo(threadId) === undefined ? 'ephemeral' : 'direct';
  return { kind: 'message', id: newId('m'), threadId, visibleTo: userId, how, body: { kind: 'card', card } };
}
