import { z } from 'zod';
import { CountersignError } from '../../core/errors.ts';
import type { TeamsBot } from './config.ts';

/** What the Connector wants to see (learn.microsoft.com, authentication with the Bot Connector API). */
const SCOPE = 'https://api.botframework.com/.default';
const RESOURCE = 'https://api.botframework.com';
/** The organisation that multi-tenant bots' tokens come from (the same page). */
const EVERYBODYS_TENANT = 'botframework.com';
/** Azure's own address for a machine's identity (learn.microsoft.com, managed identities, how to use a token). */
const MACHINE = 'http://169.254.169.254/metadata/identity/oauth2/token';
const TIMEOUT_MS = 10_000;
/** A token that ends so soon is not used any more. */
const EARLY_MS = 5 * 60_000;

const given = z.looseObject({
  access_token: z.string().min(1),
  expires_in: z.coerce.number(),
});

/** Our own token for the Connector, until shortly before it ends. @throws CountersignError `chat_unavailable`. */
export type Token = () => Promise<string>;

export function createToken(bot: TeamsBot, login: string): Token {
  let current: { readonly token: string; readonly until: number } | undefined;
  let underWay: Promise<string> | undefined;

  async function renew(): Promise<string> {
    const { access_token: token, expires_in: seconds } = await ask(bot, login);
    current = { token, until: performance.now() + seconds * 1000 - EARLY_MS };
    return token;
  }

  return () => {
    if (current && current.until > performance.now()) return Promise.resolve(current.token);
    underWay ??= renew().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

async function ask(bot: TeamsBot, login: string): Promise<z.infer<typeof given>> {
  const { url, init } = bot.type === 'UserAssignedMSI' ? byIdentity(bot) : byPassword(bot, login);
  let response: Response;
  try {
    response = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (cause) {
    throw unavailable('Microsoft could not be reached for a token.', true, cause);
  }
  const body: unknown = await response.json().catch(() => undefined);
  const read = given.safeParse(body);
  if (response.ok && read.success) return read.data;
  const why = z.looseObject({ error: z.string() }).safeParse(body).data?.error.slice(0, 60) ?? '';
  const isPassing = response.status >= 500 || response.status === 429;
  const words = `Microsoft gave us no token (HTTP ${response.status} ${why}): whoever runs me looks at TEAMS_APP_ID, TEAMS_APP_PASSWORD and TEAMS_APP_TENANT_ID.`;
  throw unavailable(words, isPassing, undefined);
}

function byPassword({ appId, appPassword, tenantId, type }: TeamsBot, login: string) {
  const tenant = type === 'MultiTenant' ? EVERYBODYS_TENANT : (tenantId ?? EVERYBODYS_TENANT);
  const body = new URLSearchParams({
    ...{ grant_type: 'client_credentials', client_id: appId, scope: SCOPE },
    client_secret: appPassword?.reveal() ?? '',
  });
  return { url: `${login}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, init: { method: 'POST', body } };
}

function byIdentity({ appId }: TeamsBot) {
  const query = new URLSearchParams({ 'api-version': '2018-02-01', resource: RESOURCE, client_id: appId });
  return { url: `${MACHINE}?${query}`, init: { headers: { Metadata: 'true' } } };
}

function unavailable(message: string, isRetryable: boolean, cause: unknown): CountersignError {
  return new CountersignError('chat_unavailable', message, { isRetryable, cause });
}
