import { CountersignError } from '../../core/errors.ts';

/** What the Connector's refusals mean to people, where something can be done about them (learn.microsoft.com, bot status codes). */
const WORDS: Readonly<Record<string, string>> = {
  BotNotInConversationRoster:
    'I am not in that conversation any more: add Countersign to it again, then ask once more.',
  ConversationBlockedByUser: 'That person has blocked me or removed me from their chats.',
  BotDisabledByAdmin: 'An admin of this organisation has blocked Countersign in Teams.',
  ForbiddenOperationException: 'Teams does not let me write there: add Countersign to that conversation.',
  ConversationNotFound: 'That conversation is gone.',
  MessageSizeTooBig: 'The message is longer than Teams takes.',
  ActivityNotFoundInConversation: 'That message is gone.',
  MemberNotFoundInConversation: 'Teams knows no such person there.',
};

/** After these nothing more is sent to that conversation until it is heard of again. */
const GONE = new Set([
  'BotNotInConversationRoster',
  'ConversationBlockedByUser',
  'ConversationNotFound',
  'ForbiddenOperationException',
]);

/** Teams' own trouble, which passes: tried again with pauses (learn.microsoft.com, rate limiting for bots: 412, 429, 502, 504). */
const AGAIN = new Set([408, 412, 429, 500, 502, 503, 504]);

/** The Connector's answer to a call that it did not take. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(status: number, code: string, retryAfterMs?: number) {
    super(`the Connector answered HTTP ${status} ${code}`.trim());
    this.name = 'Refused';
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  get isPassing(): boolean {
    return AGAIN.has(this.status);
  }

  /** We are not there any more, or not wanted. */
  get isGone(): boolean {
    return (this.status === 403 || this.status === 404) && GONE.has(this.code);
  }
}

/** Any failure of a call, as the port knows it: `chat_unavailable`, with words that a person may be shown. */
export function teamsError(error: unknown, what: string): CountersignError {
  if (error instanceof CountersignError) return error;
  if (error instanceof Refused) {
    const words = WORDS[error.code] ?? `Teams answered ${what} with HTTP ${error.status}.`;
    return unavailable(words, error.isPassing, error, error.retryAfterMs);
  }
  return unavailable(`Teams could not be reached for ${what}.`, true, error);
}

function unavailable(message: string, isRetryable: boolean, cause: unknown, retryAfterMs?: number): CountersignError {
  return new CountersignError('chat_unavailable', message, {
    ...{ isRetryable, cause },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** The line before Teams is so long that whoever asks comes back later. */
export function tooMany(waitMs: number): CountersignError {
  const words = `Teams takes no more of us there for another ${Math.ceil(waitMs / 1000)} s.`;
  return new CountersignError('chat_unavailable', words, { isRetryable: true, retryAfterMs: waitMs });
}

/** The reference is nothing that this adapter gave out, so trying again would not help. */
export function unknownReference(what: 'thread' | 'message' | 'person' | 'trigger' | 'picture'): CountersignError {
  return new CountersignError('chat_unavailable', `Teams knows no such ${what}.`);
}

/** Teams has never told us of that conversation, or we were removed from it. */
export function notThere(): CountersignError {
  return new CountersignError(
    'chat_unavailable',
    'I am not in that conversation: add Countersign to it, then ask once more.',
  );
}
