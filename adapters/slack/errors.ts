import { WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError, WebAPIRequestError } from '@slack/web-api';
import { CountersignError } from '../../core/errors.ts';

/**
 * What Slack's errors mean to people, where something can be done about them (docs.slack.dev, errors of `chat.postMessage`,
 * `chat.update`, `views.open`, `users.info`). Whatever is not in here is named by Slack's own word.
 */
const WORDS: Readonly<Record<string, string>> = {
  not_in_channel: 'I am not in that channel: invite me with /invite @Countersign, then ask again.',
  channel_not_found: 'I can’t see that channel: invite me with /invite @Countersign, then ask again.',
  user_not_in_channel: 'That person is not in the channel.',
  is_archived: 'That channel is archived: ask in another one.',
  restricted_action: 'A rule of this workspace does not let me write in that channel.',
  restricted_action_read_only_channel: 'Nobody but a few may write in that channel: ask in another one.',
  restricted_action_thread_only_channel: 'In that channel I may write in threads only.',
  token_revoked: 'Slack has revoked my token: an admin has to install me again.',
  invalid_refresh_token: 'My token has expired: an admin has to install me again.',
  token_expired: 'My token has expired: an admin has to install me again.',
  account_inactive: 'Slack has deactivated my account: an admin has to install me again.',
  invalid_auth:
    'Slack does not know my token: an admin has to install me again, or whoever runs me sets SLACK_BOT_TOKEN anew.',
  not_authed: 'Slack got no token from me: whoever runs me has to look at my settings.',
  missing_scope: 'A permission is missing: install me again with the scopes of manifest.json.',
  msg_too_long: 'The message is longer than Slack takes.',
  expired_trigger_id: 'Slack gave me no time to open the form: try that once more.',
  exchanged_trigger_id: 'That form was opened already: press the button again.',
  invalid_trigger_id: 'Slack does not know that click: press the button again.',
  message_not_found: 'That message is gone.',
  user_not_found: 'Slack knows no such person.',
  cannot_dm_bot: 'A bot can’t be written to.',
};

/** Slack's own trouble, which passes (docs.slack.dev, errors common to all methods). */
const PASSING = new Set([
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
  'streaming_state_conflict',
]);

/** Slack's word for what went wrong, where Slack answered with one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof WebAPIPlatformError ? error.data.error : undefined;
}

/** How long Slack asked us to stay silent, in seconds. */
export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof WebAPIRateLimitedError ? error.retryAfter : undefined;
}

/** Any failure of a call, as the port knows it: `chat_unavailable`, with words that a person may be shown. */
export function slackError(error: unknown, method: string): CountersignError {
  if (error instanceof CountersignError) return error;
  const code = codeOf(error);
  if (code !== undefined) {
    const words = WORDS[code] ?? `Slack refused ${method}: ${code.slice(0, 60)}.`;
    return unavailable(words, PASSING.has(code), error);
  }
  const seconds = retryAfterOf(error);
  if (seconds !== undefined) return silent(method, seconds * 1000, error);
  if (error instanceof WebAPIHTTPError) {
    const isPassing = error.statusCode >= 500 || error.statusCode === 408 || error.statusCode === 429;
    return unavailable(`Slack answered ${method} with HTTP ${error.statusCode}.`, isPassing, error);
  }
  if (error instanceof WebAPIRequestError) return unavailable(`Slack could not be reached for ${method}.`, true, error);
  return unavailable(`${method} failed.`, false, error);
}

/** Slack has asked for silence, for so long still. */
export function silent(method: string, retryAfterMs: number, cause?: unknown): CountersignError {
  const words = `Slack takes no ${method} for another ${Math.ceil(retryAfterMs / 1000)} s.`;
  return new CountersignError('chat_unavailable', words, { isRetryable: true, retryAfterMs, cause });
}

function unavailable(message: string, isRetryable: boolean, cause: unknown): CountersignError {
  return new CountersignError('chat_unavailable', message, { isRetryable, cause });
}

/** The reference is nothing that this adapter gave out, so trying again would not help. */
export function unknownReference(what: 'thread' | 'message' | 'person' | 'trigger' | 'picture'): CountersignError {
  return new CountersignError('chat_unavailable', `Slack knows no such ${what}.`);
}
