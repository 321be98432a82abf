import { randomUUID } from 'node:crypto';

/** A workspace, or with `enterprise` and without `team` an organisation, that somebody installs the app in. */
export interface InstalledIn {
  readonly team?: { readonly id: string; readonly name: string };
  readonly enterprise?: { readonly id: string; readonly name: string };
  readonly userId: string;
  readonly botUserId: string;
}

type Result = Record<string, unknown>;

export const CLIENT_ID = '100.200';
export const CLIENT_SECRET = 'client secret of the tests';

/** Slack's side of OAuth: a code and a refresh token are good for one exchange each, and a revoked token for nothing. */
export interface SlackOAuth {
  /** By access token: where it is good. */
  readonly tokens: ReadonlyMap<string, InstalledIn>;
  /** Every token that was ever given out. */
  readonly secrets: readonly string[];
  /** Whether each exchange of a refresh token was taken, in the order in which they came. */
  readonly exchanges: readonly boolean[];
  /** Somebody has said yes: the code that they are sent back with. */
  allow(where: InstalledIn, options?: { readonly scopes?: string }): string;
  /** Nothing of this workspace or organisation is taken any more. */
  revoke(id: string): Result;
  /** Exchanges wait for their answer until this is called. */
  hold(): () => void;
  isHeld(): boolean;
  /** `oauth.v2.access`. */
  access(args: Result): Promise<Result>;
  readonly revoked: ReadonlySet<string>;
}

const HOURS_12 = 43_200;

export function createSlackOAuth(): SlackOAuth {
  const codes = new Map<string, { readonly where: InstalledIn; readonly scopes: string }>();
  const tokens = new Map<string, InstalledIn>();
  const refreshes = new Map<string, InstalledIn>();
  const revoked = new Set<string>();
  const secrets: string[] = [];
  const exchanges: boolean[] = [];
  let held: Promise<void> | undefined;

  function grant(where: InstalledIn, scopes: string): Result {
    const access_token = `xoxe.xoxb-1-${randomUUID()}`;
    const refresh_token = `xoxe-1-${randomUUID()}`;
    tokens.set(access_token, where);
    refreshes.set(refresh_token, where);
    secrets.push(access_token, refresh_token);
    return {
      ...{ ok: true, access_token, refresh_token, expires_in: HOURS_12, token_type: 'bot', scope: scopes },
      ...{ bot_user_id: where.botUserId, app_id: 'A0001', authed_user: { id: where.userId } },
      ...{ team: where.team ?? null, enterprise: where.enterprise ?? null, is_enterprise_install: !where.team },
    };
  }

  return {
    ...{ tokens, secrets, exchanges, revoked },
    allow(where, { scopes = 'chat:write' } = {}) {
      const code = randomUUID();
      codes.set(code, { where, scopes });
      return code;
    },
    revoke(id) {
      const isThere = ({ team, enterprise }: InstalledIn) => (team ?? enterprise)?.id === id;
      for (const [token, where] of tokens) if (isThere(where)) revoked.add(token);
      for (const [token, where] of refreshes) if (isThere(where)) refreshes.delete(token);
      return { ok: true, revoked: true };
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
    isHeld: () => held !== undefined,
    async access({ client_id, client_secret, grant_type, code, refresh_token }) {
      if (client_id !== CLIENT_ID || client_secret !== CLIENT_SECRET) return { ok: false, error: 'invalid_client_id' };
      if (grant_type === 'refresh_token') {
        const where = refreshes.get(String(refresh_token));
        refreshes.delete(String(refresh_token));
        exchanges.push(where !== undefined);
        await held;
        return where ? grant(where, 'chat:write') : { ok: false, error: 'invalid_refresh_token' };
      }
      const found = codes.get(String(code));
      codes.delete(String(code));
      return found ? grant(found.where, found.scopes) : { ok: false, error: 'invalid_code' };
    },
  };
}
