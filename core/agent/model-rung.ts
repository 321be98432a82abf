import { CountersignError } from '../errors.ts';
import type { Box, Fingerprint, FoundElement, Shot } from '../ports/browser.ts';
import type { ConversationEnd } from '../ports/model.ts';
import type { Step } from '../workflow/steps/index.ts';
import type { Failed } from './failures.ts';
import { createHands } from './model-hands.ts';
import { barePicture } from './picture.ts';
import type { Stage } from './stage.ts';

/** What a step needs of an element that somebody else points out. */
export interface Pointed {
  /** What the step was recorded on. */
  readonly recorded: Fingerprint;
  /** Says what the step does there, as an instruction: `Click it`. */
  readonly instruction: string;
  readonly does: 'click' | 'field';
  /** The step's own action on the element, every check of ours included. */
  perform(element: FoundElement): Promise<Failed | undefined>;
  /** The step reveals or makes something: its click is the end of the conversation, and there is only one. */
  readonly isFinal: boolean;
  /** Whether code sees that the step did what it should, or that it failed for good. */
  isSettled(timeoutMs: number): Promise<boolean>;
  /** What is looked for after the step, in words. */
  readonly expected: string;
  /** Taken of the element before the action, where the step's picture shows that. */
  before?(box: Box | null): Promise<Shot>;
}

export type ModelAnswer = {
  /** On record, whatever came of it. */
  readonly conversation: ConversationEnd;
} & (
  | { readonly kind: 'acted'; readonly element: FoundElement; readonly picture?: Shot }
  | { readonly kind: 'failed'; readonly failed: Failed }
  /** The model pointed nothing out that the step could be done on. */
  | { readonly kind: 'unsure' }
);

const MOST_TURNS = 6;
const CONVERSATION_MS = 90_000;

/**
 * Asks the model where the step's own action goes: one fresh conversation, at most six replies. It can look, scroll, open
 * menus and close notices; it chooses where, never what. `undefined` where there is no model to ask.
 */
export async function askModel(stage: Stage, wanted: Pointed): Promise<ModelAnswer | undefined> {
  const { model } = stage.run;
  if (model === undefined) return undefined;
  const hands = createHands(stage, wanted, model);
  const picture = await barePicture(stage);
  const brief = {
    text: briefOf(stage.step, stage.sentence, wanted, stage.run.values.base),
    ...(picture ? { picture } : {}),
    maxTurns: MOST_TURNS,
    timeoutMs: CONVERSATION_MS,
    signal: stage.run.signal,
  };
  try {
    const conversation = await stage.during(() => model.converse(brief, hands));
    const done = hands.outcome();
    return { conversation, ...(done ?? { kind: 'unsure' }) };
  } catch (error) {
    // Without the model the step is in nobody's hands but a person's; unless something was done already.
    if (!(error instanceof CountersignError) || !UNAVAILABLE.includes(error.code)) throw error;
    const done = hands.outcome();
    return done && { conversation: unfinished(error.code), ...done };
  } finally {
    // The time that it took is not the page's; after the one click it runs from there.
    if (!(wanted.isFinal && stage.hasActed)) stage.restartDeadline();
  }
}

const UNAVAILABLE: readonly string[] = ['model_unavailable', 'model_budget_spent'];

function unfinished(code: string): ConversationEnd {
  const usage = { model: '', inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0 };
  return { kind: 'out_of_time', toolset: 'browser', turns: 0, words: code, usage };
}

/** Goal, contract and postcondition, in words of ours: nothing of the page's is in it. */
function briefOf(step: Step, sentence: string, wanted: Pointed, base: string | undefined): string {
  const { recorded } = wanted;
  const last = [recorded.tag, recorded.type, recorded.role, recorded.name && `“${recorded.name}”`].filter(Boolean);
  return [
    `Step: ${sentence}.`,
    `What is to be done: ${wanted.instruction}.`,
    `Last known control: ${last.join(' ')}.`,
    ...(recorded.group === undefined ? [] : [`It is one of the group: ${recorded.group}.`]),
    ...(recorded.neighbours?.length ? [`It stood beside: ${recorded.neighbours.join(' · ')}.`] : []),
    `The step has worked when: ${wanted.expected}.`,
    ...(base === undefined ? [] : [`Only this site may be used: ${new URL(base).origin}.`]),
    step.isMutating
      ? 'This step makes something that must exist only once: click exactly once, on the right control, or do nothing.'
      : 'You may scroll, open menus and close notices on the way.',
    'If no control clearly fits, say so and do nothing: a person will be asked.',
  ].join('\n');
}
