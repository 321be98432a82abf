import { z } from 'zod';
import type { Installation, Installations, InstallationTokens } from '../../core/customers/installations.ts';
import { CountersignError, isHopeless } from '../../core/errors.ts';
import type { Log } from '../../core/ports/log.ts';
import { Secret } from '../../core/secret.ts';
import { createApi, SLACK_API } from './api.ts';
import type { OAuthOptions } from './config.ts';
import { codeOf, slackError } from './errors.ts';

/**
 * An access token lives twelve hours; it is exchanged when two are left, as @slack/oauth does it (docs.slack.dev, token
 * rotation): whatever hinders that has two hours to pass.
 */
const EXCHANGE_BEFORE_SECONDS = 7_200;
/** After an exchange that failed, while the access token is still good. */
const AGAIN_AFTER_MS = 60_000;
/** Slack's words for a token that is gone for good. */
const GONE: readonly string[] = ['token_revoked', 'account_inactive', 'invalid_auth', 'token_expired'];

/** Tokens of workspaces that installed us: asked for before each call to Slack, and kept nowhere else. */
export interface Tokens {
  /**
   * A token that is good for hours, of a workspace that has us installed. A refresh token is good for one exchange: it is made
   * under a lock of the database, so that two processes never exchange the same one.
   * @throws CountersignError `chat_unavailable`, also when nobody installed us there.
   */
  authorize(workspaceId: string): Promise<Secret>;
  /** Whether Slack still takes this workspace's token. @throws CountersignError `chat_unavailable` when it can't be asked. */
  isAlive(workspaceId: string): Promise<boolean>;
}

const exchanged = z.looseObject({ access_token: z.string(), refresh_token: z.string(), expires_in: z.number() });

export function createTokens(
  options: Pick<OAuthOptions, 'clientId' | 'clientSecret'> & { readonly apiUrl: string },
  { installations, log }: { readonly installations: Installations; readonly log: Log },
): Tokens {
  const { clientId, clientSecret, apiUrl } = options;
  const nobody = createApi({ token: new Secret(''), apiUrl, log });
  /** By workspace: the exchange that is under way in this process, for everybody here who needs it. */
  const underWay = new Map<string, Promise<Secret>>();
  const notBefore = new Map<string, number>();

  const isDue = ({ refresh, secondsLeft }: Installation): boolean =>
    refresh !== undefined && secondsLeft !== undefined && secondsLeft <= EXCHANGE_BEFORE_SECONDS;
  const isOver = ({ secondsLeft }: Installation): boolean => secondsLeft !== undefined && secondsLeft <= 0;

  async function exchange(installation: Installation): Promise<InstallationTokens | undefined> {
    const { workspaceId, refresh } = installation;
    if (!refresh) return undefined;
    try {
      const answer = await nobody.raw('oauth.v2.access', (client) =>
        client.oauth.v2.access({
          ...{ client_id: clientId, client_secret: clientSecret.reveal() },
          ...{ grant_type: 'refresh_token', refresh_token: refresh.reveal() },
        }),
      );
      const { access_token, refresh_token, expires_in } = exchanged.parse(answer);
      log.info({ workspaceId, hours: Math.round(expires_in / 3600) }, 'slack: a token was exchanged');
      return { access: new Secret(access_token), refresh: new Secret(refresh_token), expiresInSeconds: expires_in };
    } catch (error) {
      // What is parsed or sent here holds tokens: of an error, only Slack's own word is told.
      const failure = error instanceof z.ZodError ? unreadable() : slackError(error, 'oauth.v2.access');
      log.warn({ workspaceId, code: codeOf(error) ?? failure.code, why: failure.message }, 'slack: no new token');
      if (isOver(installation)) throw failure;
      notBefore.set(workspaceId, performance.now() + AGAIN_AFTER_MS);
      return undefined;
    }
  }

  async function renewed(workspaceId: string): Promise<Secret> {
    const installation = await installations.renew(workspaceId, isDue, exchange);
    if (!installation) throw notInstalled();
    return installation.access;
  }

  async function authorize(workspaceId: string): Promise<Secret> {
    const installation = await installations.open(workspaceId);
    if (!installation) throw notInstalled();
    const isTooSoon = !isOver(installation) && (notBefore.get(workspaceId) ?? 0) > performance.now();
    if (!isDue(installation) || isTooSoon) return installation.access;
    const begun = underWay.get(workspaceId) ?? renewed(workspaceId).finally(() => underWay.delete(workspaceId));
    underWay.set(workspaceId, begun);
    return begun;
  }

  return {
    authorize,
    async isAlive(workspaceId) {
      const api = createApi({ token: () => authorize(workspaceId), apiUrl, log });
      try {
        await api.raw('auth.test', (client) => client.auth.test());
        return true;
      } catch (error) {
        if (isHopeless(error) || GONE.includes(codeOf(error) ?? '')) return false;
        throw slackError(error, 'auth.test');
      }
    },
  };
}

/** Has Slack forget the token; one that it does not take any more is forgotten. @throws CountersignError `chat_unavailable`. */
export async function revokeToken(options: {
  readonly token: Secret;
  readonly apiUrl: string | undefined;
  readonly log: Log;
}): Promise<void> {
  const api = createApi({ ...options, apiUrl: options.apiUrl ?? SLACK_API });
  await api
    .raw('auth.revoke', (client) => client.auth.revoke())
    .catch((error: unknown) => {
      if (!GONE.includes(codeOf(error) ?? '')) throw slackError(error, 'auth.revoke');
    });
}

function notInstalled(): CountersignError {
  return new CountersignError('chat_unavailable', 'I am not installed in that workspace: an admin has to install me.');
}

function unreadable(): CountersignError {
  return new CountersignError('chat_unavailable', 'Slack’s answer to oauth.v2.access held no new token.');
}
