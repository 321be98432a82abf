import type { Log } from '../../core/ports/log.ts';
import { SLACK_API } from './api.ts';
import type { SlackMessage } from './cards.ts';

const TIMEOUT_MS = 3_000;
/** Where Slack takes answers to clicks (docs.slack.dev, handling user interaction). */
const HOOKS = 'https://hooks.slack.com';

/**
 * Puts a message in place of the one that only one person saw and pressed a button of. Slack takes five answers at such an
 * address, within half an hour. @returns false when it was not taken: the message is then sent as a new one.
 */
export async function replaceShown(url: string, message: SlackMessage, options: { apiUrl: string; log: Log }) {
  const { apiUrl, log } = options;
  // The address came with an event that Slack signed; all the same nothing is sent to anybody else.
  const allowed = apiUrl === SLACK_API ? HOOKS : new URL(apiUrl).origin;
  if (!URL.canParse(url) || new URL(url).origin !== allowed) return false;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...message, replace_original: true, response_type: 'ephemeral' }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.arrayBuffer();
    if (!response.ok) log.debug({ status: response.status }, 'slack: a message could not be replaced');
    return response.ok;
  } catch {
    return false;
  }
}
