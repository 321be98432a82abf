import { APIConnectionError, APIError, APIUserAbortError } from '@anthropic-ai/sdk';
import { CountersignError } from '../../core/errors.ts';

/** What each status means to an operator (platform.claude.com, API errors). The body is left out: it may quote the text. */
const SENTENCES: Readonly<Record<number, string>> = {
  400: 'The model service refused the request as malformed.',
  401: 'The model service refused the API key.',
  402: 'The model service wants to be paid first.',
  403: 'The API key may not use this model.',
  404: 'The model service does not know this model or address.',
  413: 'The request was too large for the model service.',
  429: 'The model service is limiting the rate.',
  529: 'The model service is overloaded.',
};

/**
 * Turns whatever the SDK throws into `model_unavailable`; also a broken body, which it throws as plain errors. What is one
 * of our own errors already stays as it is.
 */
export function translate(error: unknown): CountersignError {
  if (error instanceof CountersignError) return error;
  return new CountersignError('model_unavailable', sentenceFor(error), {
    isRetryable: isRetryable(error),
    cause: error,
  });
}

/** 408, 409, 429 and 5xx may pass by themselves, unless the service says otherwise. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof APIConnectionError) return true;
  if (!(error instanceof APIError) || error.status === undefined)
    return error instanceof APIUserAbortError || isCutOff(error);
  const advice = error.headers?.get('x-should-retry');
  if (advice === 'true' || advice === 'false') return advice === 'true';
  return [408, 409, 429].includes(error.status) || error.status >= 500;
}

/** Whether the service answered, so that the request was not carried out: anything else may have cost something. */
export function wasRefused(error: unknown): boolean {
  return error instanceof APIError && error.status !== undefined;
}

/** Whether the service refused the request because of this tool: it answers 400 and names the tool's type. */
export function isAboutTool(error: unknown, type: string): boolean {
  return error instanceof APIError && error.status === 400 && error.message.includes(type);
}

/** How long the service asks to wait, in milliseconds, by `retry-after-ms` or `retry-after` (RFC 9110, 10.2.3). */
export function askedDelayMs(error: unknown, now: Date): number | undefined {
  if (!(error instanceof APIError)) return undefined;
  const milliseconds = Number.parseFloat(error.headers?.get('retry-after-ms') ?? '');
  if (milliseconds >= 0) return milliseconds;
  const after = error.headers?.get('retry-after') ?? '';
  const seconds = /^[\d.]+$/.test(after) ? Number.parseFloat(after) * 1000 : Date.parse(after) - now.getTime();
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

/** For the log: no body, no header but the request's id. */
export function factsOf(error: unknown): {
  status: number | undefined;
  type: string | undefined;
  requestId: string | undefined;
} {
  const known = error instanceof APIError ? error : undefined;
  return { status: known?.status, type: known?.type ?? undefined, requestId: known?.requestID ?? undefined };
}

function sentenceFor(error: unknown): string {
  if (isCutOff(error)) return 'The model service broke off in the middle of its answer.';
  if (!(error instanceof APIError)) return 'The model service answered something that is no message.';
  if (error.status === undefined) return 'The model service could not be reached in time.';
  return SENTENCES[error.status] ?? `The model service answered ${error.status}.`;
}

/** The body ended too soon: undici's fetch says "terminated" of the connection, and throws what a signal aborted with. */
function isCutOff(error: unknown): boolean {
  return error instanceof DOMException || (error instanceof TypeError && error.message === 'terminated');
}
