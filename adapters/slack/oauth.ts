import type { ServerResponse } from 'node:http';
import type { HTTPReceiverOptions, Installation } from '@slack/bolt';
import type { Request, RequestHandler } from 'express';
import { z } from 'zod';
import type { Installations, Installed, NewInstallation } from '../../core/customers/installations.ts';
import { CountersignError } from '../../core/errors.ts';
import type { Taken } from '../../core/limits.ts';
import type { Log } from '../../core/ports/log.ts';
import { Secret } from '../../core/secret.ts';
import { createApi } from './api.ts';
import { INSTALL_PATH, type OAuthOptions, REDIRECT_PATH } from './config.ts';
import { codeOf, slackError } from './errors.ts';
import { slackLogger } from './logger.ts';

/** How long somebody may take between our page and Slack's answer; Bolt's own ten minutes. */
const STATE_SECONDS = 600;
const TIMEOUT_MS = 10_000;

/** A page of one heading and some sentences in the house's look: plain text in, a whole document out. */
export type Page = (page: {
  readonly title: string;
  readonly sentences: readonly string[];
  readonly link?: { readonly words: string; readonly url: string };
}) => string;

export interface OAuthDeps {
  readonly installations: Installations;
  readonly log: Log;
  readonly page: Page;
  /** Called once somebody installed us, while their page is being shown. */
  onInstalled(installed: Installed): Promise<void>;
  /** Takes one of the tries of whoever comes back from Slack: what they bring costs us one of the questions that Slack takes. */
  mayTry(request: Request): Promise<Pick<Taken, 'isAllowed' | 'retrySeconds'>>;
}

type Failure = Parameters<NonNullable<CallbackOptions['failure']>>[0];
type CallbackOptions = NonNullable<NonNullable<HTTPReceiverOptions['installerOptions']>['callbackOptions']>;

/**
 * What Bolt needs for people to install us: its own InstallProvider (@slack/oauth) with a state that a cookie binds to the
 * browser, our store, and our pages.
 */
export function installer(
  options: OAuthOptions & { readonly apiUrl: string },
  { installations, log, page, onInstalled }: OAuthDeps,
): Omit<HTTPReceiverOptions, 'signingSecret'> {
  const { apiUrl, publicUrl, scopes, clientId, clientSecret, stateSecret } = options;
  const isSecure = publicUrl.startsWith('https:');
  const stored = new WeakMap<Installation, Installed>();
  const show = (response: ServerResponse, status: number, shown: Parameters<Page>[0]) => {
    response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(page(shown));
  };
  const again = { words: 'Begin again', url: `${publicUrl}${INSTALL_PATH}` };

  async function nameOf(token: Secret, userId: string): Promise<string> {
    try {
      const { user } = await createApi({ token, apiUrl, log }).raw('users.info', (client) =>
        client.users.info({ user: userId }),
      );
      return user?.profile?.display_name || user?.real_name || user?.name || userId;
    } catch (error) {
      log.warn({ code: codeOf(error) }, 'slack: the name of whoever installed us is not known yet');
      return userId;
    }
  }

  return {
    clientId,
    clientSecret: clientSecret.reveal(),
    stateSecret: stateSecret.reveal(),
    scopes: [...scopes],
    redirectUri: `${publicUrl}${REDIRECT_PATH}`,
    installationStore: {
      async storeInstallation(installation) {
        const read = readInstallation(installation);
        const name = await nameOf(read.tokens.access, read.installerId);
        const { installerId: userId, ...facts } = read;
        const person = { platform: 'slack', workspaceId: read.workspaceId, userId, name } as const;
        const installed = await installations.install({ ...facts, installer: person });
        stored.set(installation, installed);
        log.info({ workspaceId: read.workspaceId, how: installed.kind }, 'slack: installed by OAuth');
      },
      // Tokens are had from adapters/slack/tokens.ts: under a lock, and by the database's clock.
      fetchInstallation: () => Promise.reject(new Error('installations are opened elsewhere')),
    },
    installerOptions: {
      installPath: INSTALL_PATH,
      redirectUriPath: REDIRECT_PATH,
      // A cookie of that prefix can be set by this very host alone, over https (RFC 6265bis, cookie name prefixes).
      stateCookieName: `${isSecure ? '__Host-' : ''}countersign-install`,
      stateCookieExpirationSeconds: STATE_SECONDS,
      authorizationUrl: new URL('/oauth/v2/authorize', apiUrl).href,
      clientOptions: {
        ...{ slackApiUrl: apiUrl, allowAbsoluteUrls: false, timeout: TIMEOUT_MS },
        ...{ retryConfig: { retries: 0 }, rejectRateLimitedCalls: true, logger: slackLogger(log) },
      },
      renderHtmlForInstallPath: (url) => page({ ...BEGIN, link: { words: 'Go on to Slack', url } }),
      callbackOptions: {
        async successAsync(installation, _options, _request, response) {
          const installed = stored.get(installation);
          if (installed) await onInstalled(installed);
          show(response as ServerResponse, 200, welcome(installation, installed));
        },
        failure(error, _options, request, response) {
          const code = codeOf(error) ?? error.code;
          log.warn({ code }, 'slack: somebody did not get us installed');
          const hasCookie = /(?:^|;\s*)(?:__Host-)?countersign-install=/.test(request.headers.cookie ?? '');
          const { status, ...words } = explain(error, hasCookie);
          show(response as ServerResponse, status, { ...words, link: again });
        },
      },
    },
  };
}

/** Whoever tries too often is sent away here, before Slack is asked. */
export function fewTries({ mayTry, page }: Pick<OAuthDeps, 'mayTry' | 'page'>): RequestHandler {
  return async (request, response, next) => {
    const { isAllowed, retrySeconds } = await mayTry(request);
    if (isAllowed) return next();
    const minutes = Math.ceil(retrySeconds / 60);
    const sentences = [`There were too many tries from where you are. Begin again in ${minutes} minutes.`];
    response.status(429).set('Retry-After', String(Math.ceil(retrySeconds)));
    response.type('html').send(page({ title: 'Countersign was not installed', sentences }));
  };
}

const BEGIN = {
  title: 'Add Countersign to Slack',
  sentences: [
    'It sets up store integrations from chat: it shows what it would do, waits until somebody you chose has countersigned, and then does it step by step.',
    'Slack asks you next which workspace it is for, and shows what it may do there. Whoever installs it is its first admin.',
    'Begin and end in this browser, within ten minutes.',
  ],
};

const found = z.object({
  team: z.object({ id: z.string(), name: z.string().optional() }).optional(),
  enterprise: z.object({ id: z.string(), name: z.string().optional() }).optional(),
  user: z.object({ id: z.string() }),
  bot: z.object({
    token: z.string(),
    refreshToken: z.string().optional(),
    expiresAt: z.number().optional(),
    scopes: z.array(z.string()),
    userId: z.string(),
  }),
  appId: z.string(),
  isEnterpriseInstall: z.boolean().default(false),
});

/** @throws CountersignError `chat_unavailable` for one without a bot, or for nowhere. */
function readInstallation(
  installation: Installation,
): Omit<NewInstallation, 'installer'> & { readonly installerId: string } {
  const read = found.safeParse(installation).data;
  const where = read && (read.isEnterpriseInstall ? read.enterprise : read.team);
  if (!read || !where)
    throw new CountersignError('chat_unavailable', 'Slack did not say where we are installed, or gave no token.');
  const { bot, team, enterprise, user, appId } = read;
  const { refreshToken: refresh, expiresAt } = bot;
  return {
    ...{ workspaceId: where.id, name: where.name ?? where.id, appId, botUserId: bot.userId, scopes: bot.scopes },
    ...{ teamId: team?.id ?? null, enterpriseId: enterprise?.id ?? null, installerId: user.id },
    tokens: {
      access: new Secret(bot.token),
      ...(refresh === undefined ? {} : { refresh: new Secret(refresh) }),
      // Reckoned by @slack/oauth a moment ago, by the same clock as here; from now on the database's counts.
      ...(expiresAt === undefined ? {} : { expiresInSeconds: Math.max(0, Math.floor(expiresAt - Date.now() / 1000)) }),
    },
  };
}

function welcome(installation: Installation, installed: Installed | undefined): Parameters<Page>[0] {
  const { appId, team, enterprise, isEnterpriseInstall } = installation;
  const name = (isEnterpriseInstall ? enterprise?.name : team?.name) ?? 'Slack';
  const where = team ? `&team=${encodeURIComponent(team.id)}` : '';
  const isAdmin = installed?.installer.roles.includes('admin') ?? false;
  const whoDecides =
    installed?.kind === 'renewed'
      ? 'It was there already, and has new permissions from Slack now. Its admins, approvers and settings stay as they are.'
      : isAdmin
        ? 'You are an admin of it. In Slack it asks you directly who shall approve; /countersign settings changes that later.'
        : 'It has its admins already, who stay as they are; /countersign settings tells them who approves.';
  return {
    title: 'Countersign is installed',
    sentences: [
      `It is in ${name} now. Nothing runs there that nobody countersigned.`,
      whoDecides,
      'To begin, invite it to a channel with /invite @Countersign, and ask there.',
    ],
    ...(appId === undefined
      ? {}
      : {
          link: { words: 'Open Slack', url: `https://slack.com/app_redirect?app=${encodeURIComponent(appId)}${where}` },
        }),
  };
}

/** Each way in which it does not come to an installation, in words for whoever stands before it. */
function explain(error: Failure, hasCookie: boolean): { status: number; title: string; sentences: string[] } {
  const title = 'Countersign was not installed';
  const code: string = error.code; // of this vendor's errors, or of our own
  switch (code) {
    case 'slack_oauth_installer_authorization_error':
      return {
        status: 403,
        title,
        sentences: ['Slack says that it was cancelled, or not allowed. Nothing was changed.'],
      };
    case 'slack_oauth_missing_state':
    case 'slack_oauth_invalid_state': {
      const isExpired = /expired/.test(error.message);
      const words = isExpired
        ? 'More than ten minutes have gone by since you began.'
        : hasCookie
          ? 'This is not the installation that you began last in this browser.'
          : 'You began in another browser, or more than ten minutes ago.';
      return { status: 400, title, sentences: [`${words} Nothing was installed.`] };
    }
    case 'slack_oauth_missing_code':
      return { status: 400, title, sentences: ['Slack sent you back without saying yes. Nothing was installed.'] };
    case 'vault_key_missing': {
      const words =
        'What this workspace had here was erased for good, and so it can’t come back by itself. Ask whoever runs this installation.';
      return { status: 409, title, sentences: [words] };
    }
  }
  const refused = codeOf(error);
  if (refused === 'invalid_code' || refused === 'code_already_used') {
    const words =
      'This answer of Slack’s was used already, or is too old. If Countersign writes to you in Slack, it is installed.';
    return { status: 400, title, sentences: [words] };
  }
  const { isRetryable } = slackError(error, 'oauth.v2.access');
  const words = !code.startsWith('slack_webapi')
    ? 'Something went wrong on our side. Nothing was installed here. Please begin again.'
    : isRetryable
      ? 'Slack did not answer as it should. Nothing was installed here. Please begin again in some minutes.'
      : `Slack refused to finish it${refused ? ` (${refused.slice(0, 60)})` : ''}. Nothing was installed here. Beginning again will hardly help: please show this page to whoever runs this installation.`;
  return { status: 502, title, sentences: [words] };
}
