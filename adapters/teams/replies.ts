import type { AdaptiveCard } from './elements.ts';

/** What a click is answered with: never nothing, since Teams sends a click again that got an empty answer. */
export type Answer =
  | { readonly kind: 'card'; readonly card: AdaptiveCard }
  /** Beside the card, for whoever pressed alone. */
  | { readonly kind: 'words'; readonly words: string }
  /** The card stays as everybody sees it. */
  | { readonly kind: 'none' };

/** A card as that person sees it; by nobody's id as everybody does. */
export type Drawing = (viewer?: string) => AdaptiveCard;

/** A click that waits for its answer. */
export interface Pressed {
  readonly triggerId: string;
  readonly userId: string;
  /** `ref` of the thread that it belongs to. */
  readonly thread: string;
  /** The card that was pressed, by `cardName`. */
  readonly card: string | undefined;
  /** It is a form that was sent: the card comes back in its place, so that words go elsewhere. */
  readonly isForm: boolean;
}

/** Clicks that wait, and whatever of ours answers one: a form, words to that person, the card as it is now. */
export interface Replies {
  begin(pressed: Pressed): { readonly answer: Promise<Answer>; end(): void };
  /** @returns whether that click still waited. */
  form(triggerId: string, card: AdaptiveCard): boolean;
  words(userId: string, thread: string, words: string): boolean;
  /** A card is as given from now on. */
  shown(name: string, drawing: Drawing): void;
  /** As this process showed it last. */
  drawing(name: string): Drawing | undefined;
}

/** Cards that are remembered, to be shown again in place of a form. */
const CARDS = 500;

export function cardName(workspaceId: string, conversationId: string, activityId: string): string {
  return `${workspaceId} ${conversationId} ${activityId}`;
}

export function createReplies(): Replies {
  const waiting = new Map<string, Pressed & { settle(answer: Answer): void }>();
  const cards = new Map<string, Drawing>();
  return {
    begin(pressed) {
      const { promise, resolve } = Promise.withResolvers<Answer>();
      const end = () => waiting.delete(pressed.triggerId);
      waiting.set(pressed.triggerId, {
        ...pressed,
        settle(answer) {
          end();
          resolve(answer);
        },
      });
      return { answer: promise, end };
    },
    form(triggerId, card) {
      const found = waiting.get(triggerId);
      found?.settle({ kind: 'card', card });
      return found !== undefined;
    },
    words(userId, thread, words) {
      const found = [...waiting.values()].findLast(
        (each) => !each.isForm && each.userId === userId && each.thread === thread,
      );
      found?.settle({ kind: 'words', words });
      return found !== undefined;
    },
    shown(name, drawing) {
      cards.delete(name);
      cards.set(name, drawing);
      const [oldest] = cards.keys();
      if (cards.size > CARDS && oldest !== undefined) cards.delete(oldest);
      for (const each of [...waiting.values()])
        if (each.card === name) each.settle({ kind: 'card', card: drawing(each.userId) });
    },
    drawing: (name) => cards.get(name),
  };
}
