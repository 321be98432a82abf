import type { CardStatus } from '../../core/ports/chat.ts';
import { mentionsIn } from './cards.ts';
import type { Message, OpenForm, Store } from './store.ts';
import { directThreadId, directTo } from './thread.ts';

export interface ThreadSummary {
  readonly id: string;
  readonly title: string;
  /** When something last happened in it. */
  readonly at: Date;
  readonly isUnread: boolean;
  /** Where its requests stand. */
  readonly status: CardStatus | undefined;
}

/** What a person has not seen yet. */
export interface Attention {
  /** Messages for them: shown to them alone, or naming them. */
  readonly addressed: number;
  readonly isUnread: boolean;
}

/** The store as one person may see it. Nothing here shows a person what is visible to somebody else alone. */
export interface Views {
  last(): number;
  /** The messages of a page, oldest first. */
  messages(threadId: string, userId: string): readonly Message[];
  /** Whether the message stands on that page of theirs, dismissed or not. */
  isOnPage(message: Message, threadId: string, userId: string): boolean;
  /** Newest first. */
  threads(userId: string): readonly ThreadSummary[];
  hasThread(threadId: string, userId: string): boolean;
  attention(userId: string): Attention;
  forms(userId: string, threadId: string): readonly OpenForm[];
  /** The thread of the channel where something happened last. */
  liveliest(userId: string): string | undefined;
}

export function createViews(store: Store): Views {
  const isFor = (message: Message, userId: string): boolean =>
    message.visibleTo === undefined || message.visibleTo === userId;
  const isOnPage = (message: Message, threadId: string, userId: string): boolean =>
    isFor(message, userId) && (message.threadId === threadId || message.shownIn === threadId);
  const visible = (userId: string): readonly Message[] =>
    store.messages().filter((message) => isFor(message, userId) && !message.isDismissed);
  const isUnread = (message: Message, userId: string): boolean =>
    message.from !== userId &&
    [message.threadId, message.shownIn].every((id) => id === undefined || message.n > store.seen(userId, id));

  function threads(userId: string): readonly ThreadSummary[] {
    const found = Map.groupBy(visible(userId), ({ threadId }) => threadId);
    return [...found]
      .map(([id, messages]) => ({ id, messages, latest: messages.at(-1)?.n ?? 0 }))
      .sort((a, b) => b.latest - a.latest)
      .map(({ id, messages }) => ({
        id,
        title: titleOf(id, messages),
        at: messages.at(-1)?.at ?? new Date(0),
        isUnread: messages.some((message) => isUnread(message, userId)),
        status: standingOf(messages),
      }));
  }

  function attention(userId: string): Attention {
    const unread = visible(userId).filter((message) => isUnread(message, userId));
    return {
      addressed: unread.filter((message) => isAddressedTo(message, userId)).length,
      isUnread: unread.length > 0,
    };
  }

  return {
    last: store.last,
    messages: (threadId, userId) => visible(userId).filter((message) => isOnPage(message, threadId, userId)),
    isOnPage,
    threads,
    hasThread: (threadId, userId) =>
      threadId === directThreadId(userId) ||
      store.messages().some((each) => each.threadId === threadId && isFor(each, userId)),
    attention,
    forms: (userId, threadId) =>
      store.forms(userId).filter((open) => [open.threadId, open.eventThreadId].includes(threadId)),
    liveliest: (userId) => threads(userId).find(({ id }) => directTo(id) === undefined)?.id,
  };
}

function isAddressedTo({ visibleTo, body }: Message, userId: string): boolean {
  return visibleTo === userId || (body.kind === 'card' && mentionsIn(body.card).has(userId));
}

/** What waits for a person comes first, then what runs: several requests may go on in a thread. Else the newest word counts. */
function standingOf(messages: readonly Message[]): CardStatus | undefined {
  const all = messages.flatMap((message) => statusOf(message) ?? []);
  const latest = (tone: CardStatus['tone']) => all.findLast((status) => status.tone === tone);
  return latest('waiting') ?? latest('running') ?? all.at(-1);
}

export function statusOf({ body }: Message): CardStatus | undefined {
  return body.kind === 'card' ? body.card.status : undefined;
}

function titleOf(threadId: string, messages: readonly Message[]): string {
  if (directTo(threadId) !== undefined) return 'Direct messages';
  const [first] = messages;
  if (!first) return 'Thread';
  return first.body.kind === 'words' ? first.body.text : first.body.card.summary;
}
