import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import type { Activity } from 'botbuilder';
import { z } from 'zod';
import type { Log } from '../../core/ports/log.ts';
import type { Reference } from './activity.ts';
import type { Connector } from './api.ts';
import { CHANNEL, MICROSOFT, type TeamsOptions } from './config.ts';
import { Refused } from './errors.ts';
import { createToken, type Token } from './tokens.ts';

/** Microsoft's side, by the Bot Framework's library: who calls us, and what we call. Nothing else here knows the library. */
export interface Microsoft {
  /** Loads the library, which is large: whoever has no Teams never does. Without it the first call does. */
  open(): Promise<unknown>;
  readonly connector: Connector;
  /** Whether the Connector itself sent this. `away`: that can't be found out now. */
  verify(activity: object, authorization: string): Promise<'genuine' | 'forged' | 'away'>;
}

/** Who signs what the Connector sends (learn.microsoft.com, authentication with the Bot Connector API). */
const ISSUER = 'https://api.botframework.com';
const AUDIENCE = 'https://api.botframework.com';
const TIMEOUT_MS = 10_000;
/** For Microsoft's keys: Teams waits for an answer about as long again. */
const KEYS_MS = 6_000;

/** The library tells the console of every token that it refuses, with Microsoft's public key: it goes into the log of whoever asked. */
const asking = new AsyncLocalStorage<Log>();
let isConsoleOurs = false;
function divertConsole(): void {
  if (isConsoleOurs) return;
  isConsoleOurs = true;
  const { error } = console;
  console.error = (...said: unknown[]) => {
    const log = asking.getStore();
    if (!log) return error.apply(console, said);
    log.debug({ code: 'teams_token' }, 'teams: the library refused a token');
  };
}

/** What we use of the library's client. */
interface Client {
  readonly conversations: {
    sendToConversation(conversationId: string, activity: object, options: object): Promise<unknown>;
    updateActivity(conversationId: string, activityId: string, activity: object, options: object): Promise<unknown>;
    createConversation(parameters: object, options: object): Promise<unknown>;
    getConversationMember(conversationId: string, userId: string, options: object): Promise<unknown>;
    getConversationPagedMembers(conversationId: string, options: object): Promise<unknown>;
  };
  readonly client: { readonly pipeline: { removePolicy(policy: { readonly name: string }): unknown } };
}

export function openConnector(options: TeamsOptions, log: Log): Microsoft {
  const isLocal = options.kind === 'local';
  const appId = isLocal ? '' : options.bot.appId;
  const { openId, login } = isLocal ? MICROSOFT : (options.microsoft ?? MICROSOFT);
  const token = isLocal ? undefined : createToken(options.bot, login);
  const credentials = credentialsOf(appId, token);
  let opening: ReturnType<typeof load> | undefined;
  const open = () => (opening ??= load());
  async function load() {
    const { CloudAdapter, ConfigurationBotFrameworkAuthentication } = await import('botbuilder');
    divertConsole();
    const authentication = new ConfigurationBotFrameworkAuthentication(
      {
        MicrosoftAppId: appId,
        ...{ ValidateAuthority: true, ToChannelFromBotLoginUrl: login, ToChannelFromBotOAuthScope: AUDIENCE },
        ...{ ToBotFromChannelTokenIssuer: ISSUER, OAuthUrl: 'https://token.botframework.com', CallerId: '' },
        ToBotFromChannelOpenIdMetadataUrl: openId,
        // Tokens of the Bot Framework's emulator are none of ours, and are refused below.
        ToBotFromEmulatorOpenIdMetadataUrl: openId,
      },
      credentials,
    );
    return { authentication, adapter: new CloudAdapter(authentication) };
  }

  /** A client for the conversation's own address, with our token. */
  async function reach<T>(to: Reference, run: (client: Client) => Promise<T>): Promise<T> {
    const reference = {
      ...{ channelId: CHANNEL, serviceUrl: to.serviceUrl, bot: { id: to.botId, name: to.botName } },
      conversation: {
        ...{ id: to.conversationId, tenantId: to.tenantId, isGroup: to.scope !== 'personal', name: '' },
        conversationType: to.scope === 'group' ? 'groupChat' : to.scope,
      },
    };
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const { adapter } = await open();
    await adapter.continueConversationAsync(appId, reference, async (context) => {
      const client = context.turnState.get<Client>(adapter.ConnectorClientKey);
      // Whoever calls knows whether twice is once, and what else waits in line.
      client.client.pipeline.removePolicy({ name: 'defaultRetryPolicy' });
      await run(client).then(resolve, (error: unknown) => reject(refusedOf(error)));
    });
    return promise;
  }

  return {
    open,
    connector: {
      send: (to, activity) =>
        reach(to, async (client) => {
          const sent = { ...activity, channelId: CHANNEL, from: { id: to.botId, name: to.botName } };
          const { id } = resource.parse(
            await client.conversations.sendToConversation(to.conversationId, sent, quick()),
          );
          return id;
        }),
      update: (to, activityId, activity) =>
        reach(to, async (client) => {
          const sent = { ...activity, id: activityId, from: { id: to.botId, name: to.botName } };
          await client.conversations.updateActivity(to.conversationId, activityId, sent, quick());
        }),
      createConversation: (to, memberId) =>
        reach(to, async (client) => {
          const parameters = {
            ...{ isGroup: false, bot: { id: to.botId, name: to.botName }, members: [{ id: memberId }] },
            ...{ tenantId: to.tenantId, channelData: { tenant: { id: to.tenantId } } },
          };
          return resource.parse(await client.conversations.createConversation(parameters, quick())).id;
        }),
      member: (to, conversationId, userId) =>
        reach(to, (client) => client.conversations.getConversationMember(conversationId, userId, quick())),
      members: (to, conversationId, pageSize) =>
        reach(to, (client) =>
          client.conversations.getConversationPagedMembers(conversationId, { pageSize, ...quick() }),
        ),
      async channels({ serviceUrl }, teamId) {
        // The library has this in a client of its own, for one call.
        const url = new URL(`v3/teams/${encodeURIComponent(teamId)}/conversations`, serviceUrl.replace(/\/*$/, '/'));
        const headers = token ? { Authorization: `Bearer ${await token()}` } : {};
        const response = await fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
        if (!response.ok) throw new Refused(response.status, '');
        return response.json();
      },
    },
    async verify(activity, authorization) {
      if (isLocal) return 'genuine';
      const { authentication } = await open();
      const asked = asking.run(log, () => authentication.authenticateRequest(activity as Activity, authorization));
      asked.catch(() => {}); // it may fail after nobody waits any more
      try {
        const answer = await Promise.race([asked, wait(KEYS_MS, undefined, { ref: false })]);
        if (!answer) return 'away';
        const { claimsIdentity } = answer;
        return claimsIdentity.isAuthenticated && claimsIdentity.getClaimValue('iss') === ISSUER ? 'genuine' : 'forged';
      } catch (error) {
        return isRefusal(error) ? 'forged' : 'away';
      }
    },
  };
}

const resource = z.looseObject({ id: z.string() });

function quick() {
  return { abortSignal: AbortSignal.timeout(TIMEOUT_MS) };
}

/** What the library asks for a token, and whether it is to check those of others at all. */
function credentialsOf(appId: string, token: Token | undefined) {
  return {
    isValidAppId: async (id: string) => id === appId,
    isAuthenticationDisabled: async () => token === undefined,
    createCredentials: async () => ({
      async signRequest<R extends { headers: { set(name: string, value: string): void } }>(request: R): Promise<R> {
        if (token) request.headers.set('Authorization', `Bearer ${await token()}`);
        return request;
      },
    }),
  };
}

/** A token that is wrong, as the library and the one beneath it (jsonwebtoken) say so; anything else is about the way to the keys. */
function isRefusal(error: unknown): boolean {
  const name = error instanceof Error ? error.name : '';
  const isOfLibrary =
    error instanceof Error && 'statusCode' in error && (error.statusCode === 401 || error.statusCode === 403);
  return isOfLibrary || ['JsonWebTokenError', 'TokenExpiredError', 'NotBeforeError'].includes(name);
}

const restError = z.looseObject({
  statusCode: z.number(),
  response: z.looseObject({
    headers: z.custom<{ get(name: string): string | undefined }>(
      (value) => typeof value === 'object' && value !== null,
    ),
    bodyAsText: z.string().nullish(),
  }),
});
const wireError = z.looseObject({ error: z.looseObject({ code: z.string() }) });

/** The Connector's refusal, or what went wrong on the way to it. */
function refusedOf(error: unknown): unknown {
  const read = restError.safeParse(error).data;
  if (!read) return error;
  let code = '';
  try {
    code = wireError.safeParse(JSON.parse(read.response.bodyAsText ?? '')).data?.error.code ?? '';
  } catch {
    // no JSON, such as a gateway's page
  }
  const seconds = Number(read.response.headers.get('retry-after') ?? Number.NaN);
  return new Refused(read.statusCode, code, Number.isFinite(seconds) ? seconds * 1000 : undefined);
}
