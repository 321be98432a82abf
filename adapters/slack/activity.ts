import { CountersignError } from '../../core/errors.ts';
import type { Activity } from '../../core/ports/chat.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Api } from './api.ts';
import { codeOf, slackError } from './errors.ts';
import type { Place } from './thread.ts';

/** After Slack said that a workspace has no agents' sessions it isn't asked again for so long. */
const AWAY_MS = 60 * 60_000;

/** docs.slack.dev, agents.sessions.setStatus; `closed` ends the session, and the next status begins it again. */
const STATUS: { readonly [A in Activity]: string } = { working: 'processing', waiting: 'suspended', over: 'closed' };

/** Slack's own line under the thread, with its own Stop. It is an extra: without it everything is said by messages. */
export function createActivity(api: Api, log: Log) {
  /** By workspace, by this process's own clock. */
  const away = new Map<string, number>();
  const isAway = (workspaceId: string) => (away.get(workspaceId) ?? 0) > performance.now();

  return {
    /** Nobody has to stand in line for what the workspace doesn't have. */
    isAway,
    /** @throws CountersignError `chat_unavailable`, retryable: Slack's own trouble, which passes. */
    async show({ workspaceId, channel, ts }: Place, activity: Activity, hasPlace: boolean | undefined): Promise<void> {
      if (isAway(workspaceId) || ts === undefined) return;
      const status = { channel_id: channel, thread_ts: ts, status: STATUS[activity] };
      try {
        const { response_metadata } = await api.raw(
          'agents.sessions.setStatus',
          (client) => client.agents.sessions.setStatus(status),
          { hasPlace },
        );
        const warnings = response_metadata?.warnings ?? [];
        if (warnings.length > 0) log.debug({ warnings }, 'slack: a status came with a warning');
      } catch (error) {
        const known = slackError(error, 'agents.sessions.setStatus');
        if (known instanceof CountersignError && known.isRetryable) throw known;
        away.set(workspaceId, performance.now() + AWAY_MS);
        log.info(
          { workspaceId, code: codeOf(error) },
          'slack: this workspace shows no status of agents; messages say everything',
        );
      }
    },
  };
}
