/** Every way a step can fail that the page, the network or the service causes. Refusals of our own are thrown instead. */
export const FAILURES = [
  'element_missing',
  'element_ambiguous',
  'identity_mismatch',
  'wrong_page',
  'signed_out',
  'sign_in_refused',
  'rate_limited',
  'postcondition_failed',
  'network',
  'browser_crashed',
  'egress_refused',
  'format_mismatch',
  'verification_failed',
  'no_access',
  'prohibited',
  'code_wanted',
  'captcha',
  'timeout',
] as const;
export type Failure = (typeof FAILURES)[number];

/** What is done about a failure. */
export type NextMove =
  /** A person is asked in the thread, and the step is run again once they have answered. */
  | 'ask_for_help'
  | 'ask_for_code'
  /** The work goes on in another browser, from the page of this step. */
  | 'other_browser'
  /** As that, beginning with the sign-in. */
  | 'sign_in'
  /** The operation ends: trying again would not help, or would not be harmless. */
  | 'end';

const NEXT_MOVES: Readonly<Record<Failure, NextMove>> = {
  element_missing: 'ask_for_help',
  element_ambiguous: 'ask_for_help',
  identity_mismatch: 'ask_for_help',
  wrong_page: 'ask_for_help',
  postcondition_failed: 'ask_for_help',
  timeout: 'ask_for_help',
  code_wanted: 'ask_for_code',
  signed_out: 'sign_in',
  network: 'other_browser',
  browser_crashed: 'other_browser',
  sign_in_refused: 'end',
  rate_limited: 'end',
  egress_refused: 'end',
  format_mismatch: 'end',
  verification_failed: 'end',
  no_access: 'end',
  prohibited: 'end',
  captcha: 'end',
};

export function nextMove(failure: string): NextMove {
  return isFailure(failure) ? NEXT_MOVES[failure] : 'end';
}

function isFailure(word: string): word is Failure {
  return Object.hasOwn(NEXT_MOVES, word);
}

/**
 * The question that a person could put an end to a failure with. Not to what the first step finds: that site is another one
 * than was meant, or broken, and nothing was begun that is worth a wait. And never after an effect was sent, which is not to
 * be tried again on anybody's word.
 */
export function questionFor(
  step: { readonly order: number; readonly isMutating: boolean },
  { failure, isSettled, hasActed }: Pick<Failed, 'failure' | 'isSettled'> & { readonly hasActed: boolean },
): 'code' | 'help' | undefined {
  const move = nextMove(failure);
  if (move === 'ask_for_code') return 'code';
  if (step.order === 1 || isSettled || (step.isMutating && hasActed)) return undefined;
  return move === 'ask_for_help' ? 'help' : undefined;
}

/** A phase that ended the step: what it is, and a sentence for a person. */
export interface Failed {
  readonly kind: 'failed';
  readonly failure: Failure;
  readonly words: string;
  /** What the page shows is known, and that nobody can put it right from here. */
  readonly isSettled?: boolean;
}

export function failed(failure: Failure, words: string): Failed {
  return { kind: 'failed', failure, words };
}

/** Says what was not done: the second half of every failure's words. */
export function notDone(hasActed: boolean, isMutating: boolean): string {
  if (!hasActed) return 'Nothing was clicked or typed in this step.';
  return isMutating
    ? 'The step was sent to the page, so it may have taken effect; it will not be repeated on a guess.'
    : 'The step was sent to the page, and nothing after it was done.';
}

/** The failures that browser and network cause by themselves. */
const OUTAGES = ['network', 'rate_limited', 'egress_refused', 'browser_crashed'] as const;
type Outage = (typeof OUTAGES)[number];

/** The failure that a browser or network error stands for; `undefined` for errors that are no step's outcome. */
export function failureOfCode(code: string): Outage | undefined {
  return code === 'element_stale' ? 'network' : OUTAGES.find((outage) => outage === code);
}

/** What happened, when the browser or the network ended the step. */
export function outageWords(failure: Outage, retryAfterMs?: number): string {
  switch (failure) {
    case 'network':
      return 'The site could not be reached.';
    case 'rate_limited': {
      const wait =
        retryAfterMs === undefined ? '' : ` and asks to wait for ${Math.ceil(retryAfterMs / 60_000)} minutes`;
      return `The site takes no more requests for now${wait}.`;
    }
    case 'egress_refused':
      return 'The page led to an address outside what was approved, so it was not opened.';
    case 'browser_crashed':
      return 'The browser stopped working.';
  }
}
