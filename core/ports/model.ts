import type { z } from 'zod';
import type { Picture } from './browser.ts';

/** A language model that answers one question in a given shape. It is given no secret and can do nothing. */
export interface Model {
  /**
   * @returns what the schema accepts, or `undefined` when the model refused, ran out of room or answered in another shape.
   * @throws CountersignError `model_unavailable` (network, rate limit, overload, bad key).
   */
  answer<T>(question: ModelQuestion<T>): Promise<T | undefined>;
}

export interface ModelQuestion<T> {
  readonly instructions: string;
  /** Untrusted words of a person. */
  readonly text: string;
  readonly schema: z.ZodType<T>;
  readonly timeoutMs: number;
}

/**
 * A model that looks at a page and says what to do, one fresh conversation for one step. It is given no secret, and
 * whatever it says is only a wish: `hands` decides.
 */
export interface PageModel {
  /**
   * Ends at the latest after `maxTurns` replies, at `timeoutMs` or at the signal (`out_of_time`). Every block of a reply is carried out in
   * order; the first that isn't `done` stops the rest of its reply.
   * @throws CountersignError `model_unavailable` (network, rate limit, overload, bad key) and what `hands` throws.
   */
  converse(brief: PageBrief, hands: ModelHands): Promise<ConversationEnd>;
}

export interface PageBrief {
  /** Goal, contract, allowed addresses and postcondition: said before the picture. */
  readonly text: string;
  /** Masked; absent when there is none that is sure. */
  readonly picture?: Picture;
  readonly maxTurns: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What the model may wish for: values, never text to evaluate. Coordinates are pixels of the last picture. */
export type ModelAction =
  | { readonly kind: 'screenshot' }
  | { readonly kind: 'read'; readonly what: 'controls' | 'all' | 'text' }
  | { readonly kind: 'find'; readonly query: string }
  | { readonly kind: 'click'; readonly at: ModelTarget }
  /** Text for the focused field, or for the one named, which may be a list: then it is the option's words. */
  | { readonly kind: 'type'; readonly text: string; readonly at?: ModelTarget }
  /** An option of a list by its words or value. */
  | { readonly kind: 'choose'; readonly option: string; readonly at: ModelTarget }
  | { readonly kind: 'tick'; readonly isChecked: boolean; readonly at: ModelTarget }
  /** One key or chord in Playwright's words, such as `Shift+Tab`. */
  | { readonly kind: 'key'; readonly keys: string; readonly times: number }
  /** In CSS pixels, down is positive; 0 only brings `at` into view. */
  | { readonly kind: 'scroll'; readonly at?: ModelTarget; readonly deltaY: number }
  | { readonly kind: 'hover'; readonly at: ModelTarget }
  | { readonly kind: 'navigate'; readonly url: string }
  | { readonly kind: 'wait'; readonly ms: number };

/** `ref` as a `read` or `find` named it. */
export type ModelTarget =
  | { readonly by: 'ref'; readonly ref: string }
  | { readonly by: 'point'; readonly x: number; readonly y: number };

export type ActionResult =
  /** `text` is for the model, and redacted. */
  | { readonly kind: 'done'; readonly text?: string; readonly picture?: Picture }
  /** Not carried out, and why, in a fixed phrase. */
  | { readonly kind: 'refused'; readonly text: string }
  /** The step is decided, whatever else the reply wished for: the conversation ends. */
  | { readonly kind: 'over' };

export interface ModelHands {
  /** Carries out one wish, after every check of its own. */
  perform(action: ModelAction): Promise<ActionResult>;
  /** Asked after each reply: whether the step's postcondition holds, by code. */
  isOver(): Promise<boolean>;
  /** Before each request. @throws CountersignError `model_budget_spent`. Settled after it with what it really cost. */
  reserve(usd: number): Promise<{ settle(usd: number): Promise<void> }>;
  /** Where the page is, for results that name it: origin and path, never a query. */
  where(): Promise<{ readonly url: string; readonly title: string }>;
}

/** How a conversation ended; `over` is `hands`' word, everything else the model's or the limits'. */
export interface ConversationEnd {
  readonly kind: 'over' | 'gave_up' | 'refused' | 'out_of_turns' | 'out_of_room' | 'out_of_time';
  readonly toolset: 'browser' | 'computer';
  readonly turns: number;
  /** What the model said beside its wishes, for the trail; not yet redacted. */
  readonly words: string;
  readonly usage: ModelUsage;
}

export interface ModelUsage {
  readonly model: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  /** By the list of prices in adapters/model. */
  readonly usd: number;
}
