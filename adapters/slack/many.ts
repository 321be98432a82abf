import { AuthorizationError } from '@slack/bolt';
import type { Router } from 'express';
import type { Installation } from '../../core/customers/installations.ts';
import { CountersignError } from '../../core/errors.ts';
import type { Chat, ChatListener } from '../../core/ports/chat.ts';
import { SLACK_API } from './api.ts';
import { capabilities, type OAuthOptions } from './config.ts';
import { createSlack, type Slack, type SlackDeps } from './index.ts';
import { fewTries, installer, type OAuthDeps } from './oauth.ts';
import { httpRoutes, type Intake } from './receiver.ts';
import { type Farewell, installationOf, readFarewell } from './routing.ts';
import { channelNamed, placeOf } from './thread.ts';
import { createTokens } from './tokens.ts';

/** Slack in many workspaces, which people install by OAuth. */
export interface SlackForMany extends Chat {
  /** Who hears what people say and press. Called before `start`. */
  listen(listener: ChatListener): void;
  /** Events and the pages of an installation, for the one HTTP server. Before `start` and after `stop` no event is taken. */
  readonly routes: Router;
  start(): Promise<void>;
  /** Takes nothing new, and waits for what is being taken. */
  stop(): Promise<void>;
}

/** So many workspaces are kept at hand; of another one, people's names are asked for anew. */
const AT_HAND = 1_000;

/** Says nothing to Slack before somebody installs it, or something comes from a workspace. */
export function createSlackForMany(options: OAuthOptions, deps: SlackDeps & OAuthDeps): SlackForMany {
  const { log, line, picture, now, installations } = deps;
  const apiUrl = options.apiUrl ?? SLACK_API;
  const tokens = createTokens({ ...options, apiUrl }, deps);
  /** By what the installation goes by. */
  const workspaces = new Map<string, { readonly botUserId: string; readonly slack: Slack }>();
  const underWay = new Set<Promise<void>>();
  let listener: ChatListener | undefined;
  let isOpen = false;

  function workspace({ workspaceId, enterpriseId, botUserId }: Installation): Slack {
    const known = workspaces.get(workspaceId);
    if (known?.botUserId === botUserId) return known.slack;
    const [oldest] = workspaces.keys();
    if (workspaces.size >= AT_HAND && oldest !== undefined) workspaces.delete(oldest);
    const self = { workspaceId, botUserId, isOrgWide: workspaceId === enterpriseId };
    const token = () => tokens.authorize(workspaceId);
    const slack = createSlack(
      { kind: 'installed', apiUrl, self, token },
      { log, line, picture, ...(now ? { now } : {}) },
    );
    slack.listen((event) => {
      if (!listener) throw new Error('nobody listens to Slack yet');
      return listener(event);
    });
    workspaces.set(workspaceId, { botUserId, slack });
    return slack;
  }

  /** @throws CountersignError `chat_unavailable` where nobody installed us. */
  async function of({ workspaceId }: { readonly workspaceId: string }): Promise<Slack> {
    const known = workspaces.get(workspaceId);
    if (known) return known.slack; // whether it still is one is found out with its token
    const installation = await installations.open(workspaceId);
    if (installation) return workspace(installation);
    throw new CountersignError('chat_unavailable', 'I am not installed in that workspace: an admin has to install me.');
  }

  const take: Intake = async (body, ack) => {
    const farewell = readFarewell(body);
    if (farewell) {
      await part(farewell);
      await ack();
      // Slack waits three seconds; what ends and goes now may take longer.
      return installations
        .finishRemovals()
        .catch((err: unknown) => log.warn({ err }, 'slack: what a removal leaves to do is done later'));
    }
    const workspaceId = installationOf(body);
    const installation = workspaceId === undefined ? undefined : await installations.open(workspaceId);
    if (!installation) throw new AuthorizationError('nobody installed us there', new Error('no installation'));
    return workspace(installation).take(body, ack);
  };

  /**
   * Slack tells that we are gone in two events, in any order, and again until they are taken. One that happened before the
   * installation on record may be about the one before; and a token is revoked for several reasons: then Slack itself is asked.
   */
  async function part({ kind, workspaceId, at }: Farewell): Promise<void> {
    const installation = await installations.open(workspaceId);
    const isSure = kind === 'app_uninstalled' && at >= Math.floor((installation?.installedAt.getTime() ?? 0) / 1000);
    if (installation && !isSure && (await tokens.isAlive(workspaceId))) {
      log.info({ workspaceId, kind }, 'slack: a late word about an earlier installation, or another token');
      return;
    }
    const why = kind === 'app_uninstalled' ? 'uninstalled' : 'tokens revoked';
    if (await installations.remove(workspaceId, why)) log.info({ workspaceId, why }, 'slack: removed from a workspace');
    workspaces.delete(workspaceId);
  }

  const intake: Intake = async (body, ack) => {
    if (!isOpen) throw new Error('Slack is not started, or was stopped');
    const taking = take(body, ack);
    const settled = taking.catch(() => {}).finally(() => underWay.delete(settled));
    underWay.add(settled);
    return taking;
  };

  return {
    platform: 'slack',
    capabilities,
    routes: httpRoutes({
      ...{ signingSecret: options.signingSecret, log, intake, ...(now ? { now } : {}) },
      installer: installer({ ...options, apiUrl }, deps),
      fewTries: fewTries(deps),
    }),
    post: async (thread, ...rest) => (await of(thread)).post(thread, ...rest),
    update: async (message, ...rest) => (await of(message.thread)).update(message, ...rest),
    ephemeral: async (thread, ...rest) => (await of(thread)).ephemeral(thread, ...rest),
    directMessage: async (person, ...rest) => (await of(person)).directMessage(person, ...rest),
    timeZone: async (person) => (await of(person)).timeZone?.(person),
    person: async (workspaceId, userId) => (await of({ workspaceId })).person(workspaceId, userId),
    standing: async (person, group) => (await of(person)).standing(person, group),
    openForm: async (trigger, form) => (await of({ workspaceId: trigger.split(' ')[0] ?? '' })).openForm(trigger, form),
    upload: async (thread, ...rest) => (await of(thread)).upload(thread, ...rest),
    place: async (thread, what) => (await (await of(thread)).place?.(thread, what)) ?? 0,
    transcript: async (thread, clip) => (await (await of(thread)).transcript?.(thread, clip)) ?? { kind: 'none' },
    channelOf: (thread) => placeOf(thread).channel,
    begin: channelNamed,
    linkTo: (thread) => workspaces.get(thread.workspaceId)?.slack.linkTo?.(thread),
    showActivity: async (thread, ...rest) => (await of(thread)).showActivity?.(thread, ...rest),
    groups: async (workspaceId) => (await (await of({ workspaceId })).groups?.(workspaceId)) ?? [],
    showHome: async (person, card) => (await of(person)).showHome?.(person, card),
    listen: (given) => {
      listener = given;
    },
    async start() {
      isOpen = true;
    },
    async stop() {
      isOpen = false;
      await Promise.allSettled([...underWay]);
    },
  };
}
