/** Every way a step can fail that the page, the network or the service causes. Refusals of our own are thrown instead. */
export const FAILURES = [
  'element_missing',
  'element_ambiguous',
  'identity_mismatch',
  'wrong_page',
  'signed_out',
  'sign_in_refused',
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

/** The failure that a browser or network error stands for; `undefined` for errors that are no step's outcome. */
export function failureOfCode(code: string): 'network' | 'egress_refused' | 'browser_crashed' | undefined {
  if (code === 'element_stale') return 'network';
  return code === 'network' || code === 'egress_refused' || code === 'browser_crashed' ? code : undefined;
}

/** What happened, when the browser or the network ended the step. */
export function outageWords(failure: 'network' | 'egress_refused' | 'browser_crashed'): string {
  switch (failure) {
    case 'network':
      return 'The site could not be reached.';
    case 'egress_refused':
      return 'The page led to an address outside what was approved, so it was not opened.';
    case 'browser_crashed':
      return 'The browser stopped working.';
  }
}
