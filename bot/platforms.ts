// Chat platforms, as they are configured.
import { plainPage } from '../adapters/api/connect-page.ts';
import type { pictureRoutes } from '../adapters/api/pictures.ts';
import { installationTries } from '../adapters/api/source.ts';
import { createSlack, createSlackForMany, type OAuthDeps } from '../adapters/slack/index.ts';
import type { TeamsOptions } from '../adapters/teams/index.ts';
import { createWebChat, type WebChat } from '../adapters/web/index.ts';
import type { Installed } from '../core/customers/installations.ts';
import { CountersignError } from '../core/errors.ts';
import type { SharedLimits } from '../core/limits.ts';
import type { Chat, ChatListener, MessageRef, Person, PictureLink, Platform } from '../core/ports/chat.ts';
import type { ConnectPages } from '../core/ports/connect.ts';
import { type Redact, redactedChat, redactedReply } from '../core/redacted-ports.ts';
import type { PictureLinks } from '../core/vault/picture-links.ts';
import { createSeals } from '../core/vault/seals.ts';
import { welcomeInstaller } from './approvers-flow.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { converse } from './conversation.ts';
import type { Foundation } from './foundation.ts';
import type { StartOptions } from './main.ts';
import { slackScopes } from './slack-manifest.ts';
import { cardOnRecord, signInToken } from './teams.ts';
import { createTeamsReferences } from './teams-references.ts';

/** A chat with its way in. */
export interface ConnectedChat<Started = unknown> extends Chat {
  /** Who hears what people say and press. Called before `start`. */
  listen(listener: ChatListener): void;
  start(): Promise<Started>;
  stop(): Promise<void>;
}

/** The Azure Bot; or, in a demo that asks for it and never in production, a client on this computer. */
export function teamsAs(config: Config, { localTeams, microsoft }: StartOptions): TeamsOptions | undefined {
  if (localTeams && !config.isProduction) return { kind: 'local' };
  return config.teams && { kind: 'azure', bot: config.teams, ...(microsoft ? { microsoft } : {}) };
}

export function teamsDeps(foundation: Foundation, context: Context, line: SharedLimits, pages: ConnectPages) {
  const dialogs = { pages, tokenFor: (person: Person) => signInToken(context, person) };
  const { log, redact } = foundation;
  const cardOf = (message: MessageRef) => cardOnRecord(context, redact, message);
  const seals = createSeals(foundation.rootKeys, 'countersign/teams-thread/v1');
  return {
    log,
    line,
    seals,
    references: createTeamsReferences(foundation),
    publicUrl: context.publicUrl,
    cardOf,
    dialogs,
  };
}

/** Slack as configured; nothing is said to it yet. */
export function openSlack(
  { slack, http }: Config,
  { screenshots, installations, log }: Foundation,
  context: Context,
  line: SharedLimits,
  readPicture: PictureLinks['read'],
) {
  if (slack === undefined) return undefined;
  const picture = async ({ url }: PictureLink) => {
    const link = readPicture(url.replace(/^\/pictures\//, ''));
    return link && screenshots.get(link.customerId, link.pictureId);
  };
  if (slack.kind !== 'oauth')
    return { ways: 'one', ...slack, chat: createSlack(slack, { log, line, picture }) } as const;
  const options = { ...slack, publicUrl: http.publicUrl, scopes: slackScopes() };
  // Whoever it does not reach is asked with the first request.
  const onInstalled = ({ customerId, installer }: Installed) =>
    welcomeInstaller(context, customerId, installer).catch((err: unknown) =>
      log.warn({ err, customerId }, 'Slack: whoever installed it could not be written to'),
    );
  const mayTry: OAuthDeps['mayTry'] = (request) => line.take(installationTries(request));
  const deps = { log, line, picture, installations, page: plainPage, onInstalled, mayTry };
  const chat = createSlackForMany(options, deps);
  return { ways: 'many', chat } as const;
}

export async function openWebChat(
  options: NonNullable<StartOptions['webChat']>,
  context: Context,
  { pictures, redact }: { pictures: ReturnType<typeof pictureRoutes>; redact: Redact },
  chats: Map<Platform, Chat>,
  ending: (() => Promise<unknown>)[],
): Promise<string> {
  const { installer, ...webChat } = options;
  const web: WebChat = createWebChat(webChat, { log: context.log, extraRoutes: pictures });
  const admin = web.people.find((person) => person.userId === installer);
  if (!admin) throw new CountersignError('config_invalid', 'Web chat has no person who could install it.');
  await context.customers.install({ platform: 'web', workspaceId: webChat.workspaceId, name: 'This computer' }, admin);
  const { url } = await openChat(web, context, redact, chats, ending);
  return url;
}

export async function openChat<Started>(
  chat: ConnectedChat<Started>,
  context: Context,
  redact: Redact,
  chats: Map<Platform, Chat>,
  ending: (() => Promise<unknown>)[],
): Promise<Started> {
  chats.set(chat.platform, redactedChat(chat, redact));
  chat.listen(async (event) => redactedReply(await converse(context, event), redact));
  const started = await chat.start();
  ending.push(() => chat.stop());
  return started;
}
