import { createServer } from 'node:http';
import express from 'express';
import { createTeams, type ReferenceStore, type Teams, type TeamsDeps } from '../../../adapters/teams/index.ts';
import { listenOnLoopback } from '../../../core/listen.ts';
import type { Person } from '../../../core/ports/chat.ts';
import { Secret } from '../../../core/secret.ts';
import type { OpenedChat } from '../../contracts/chat.ts';
import { silentLog } from '../silent-log.ts';
import { type Hands, handsOn } from './hands.ts';
import { APP_ID, APP_PASSWORD, startTeamsServer, TENANT, type TeamsServer, type TeamsServerOptions } from './server.ts';

/** The adapter on a stand-in for Teams, and the hands of people there. */
export interface OpenedTeams extends Omit<OpenedChat, keyof Hands>, Hands {
  readonly chat: Teams;
  readonly server: TeamsServer;
  /** Where the adapter takes activities. */
  readonly url: string;
  readonly installers: readonly Person[];
  readonly references: ReturnType<typeof rememberedReferences>;
}

/** Conversations in memory, as the program keeps them in its database. */
export function rememberedReferences(): ReferenceStore & { readonly kept: Map<string, string> } {
  const kept = new Map<string, string>();
  return {
    kept,
    keep: async ({ workspaceId, ref }, text) => {
      kept.delete(`${workspaceId} ${ref}`);
      kept.set(`${workspaceId} ${ref}`, text);
      return true;
    },
    async find({ workspaceId, ref }) {
      const text = kept.get(`${workspaceId} ${ref}`);
      return text === '' ? 'forgotten' : text === undefined ? undefined : { text };
    },
    latest: async (workspaceId) =>
      [...kept].findLast(([name, text]) => name.startsWith(workspaceId) && text !== '')?.[1],
    forget: async ({ workspaceId, ref }) => void kept.set(`${workspaceId} ${ref}`, ''),
  };
}

export async function openTeamsByHand(
  kind: 'azure' | 'local' = 'azure',
  {
    server: serverOptions = {},
    running,
    ...deps
  }: Partial<TeamsDeps> & { readonly server?: TeamsServerOptions; readonly running?: TeamsServer } = {},
): Promise<OpenedTeams> {
  const server =
    running ?? (await startTeamsServer({ hasRates: false, isAnonymous: kind === 'local', ...serverOptions }));
  const references = rememberedReferences();
  const installers: Person[] = [];
  const chat = createTeams(
    kind === 'local'
      ? { kind }
      : {
          kind,
          bot: { appId: APP_ID, appPassword: new Secret(APP_PASSWORD), tenantId: TENANT, type: 'SingleTenant' },
          microsoft: { openId: `${server.origin}/openid`, login: server.origin },
        },
    {
      log: silentLog,
      line: { book: async () => 0 },
      references,
      publicUrl: () => 'https://countersign.example.com',
      ...deps,
    },
  );
  const app = express();
  app.use(chat.routes);
  const http = createServer(app);
  const listening = await listenOnLoopback(http, 0);
  const url = `http://127.0.0.1:${listening.port}/api/messages`;
  if (!running) server.sendTo(url);
  let answer: Parameters<OpenedChat['listen']>[0] = async () => undefined;
  chat.listen((event) => answer(event));
  await chat.start({ installed: async (by) => void installers.push(by) });
  const hands = handsOn(server);
  // Whoever is written to directly has the app: an organisation that never spoke to us has no address.
  await server.deliver(
    hands.activity(hands.merchant, server.personalChat(hands.merchant.userId), {
      type: 'installationUpdate',
      action: 'add',
    }),
  );
  return {
    ...hands,
    ...{ chat, server, url, installers, references },
    listen: (listener) => {
      answer = listener;
    },
    async close() {
      await chat.stop();
      const closed = listening.close();
      http.closeAllConnections();
      await closed;
      if (!running) await server.close();
    },
  };
}
