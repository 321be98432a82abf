import { createServer } from 'node:http';
import express from 'express';
import { createTeams, type ReferenceStore, type Teams, type TeamsDeps } from '../../../adapters/teams/index.ts';
import { listenOnLoopback } from '../../../core/http-listen.ts';
import type { Person, ThreadRef } from '../../../core/ports/chat.ts';
import { Secret } from '../../../core/secret.ts';
import { createSeals } from '../../../core/vault/seals.ts';
import type { OpenedChat } from '../../contracts/chat.ts';
import { testRootKeys } from '../root-keys.ts';
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
  /** Organisations that have the app nowhere any more. */
  readonly left: readonly string[];
  readonly references: ReturnType<typeof rememberedReferences>;
}

/** Conversations in memory, as the program keeps them in its database. */
function rememberedReferences(): ReferenceStore & { readonly kept: ReadonlyMap<string, Remembered> } {
  const kept = new Map<string, Remembered>();
  const nameOf = ({ workspaceId, ref }: ThreadRef) => `${workspaceId} ${ref}`;
  const of = (workspaceId: string) =>
    [...kept.values()].reverse().filter(({ thread }) => thread.workspaceId === workspaceId);
  const become = (thread: ThreadRef, standing: Remembered['standing']) => {
    const found = kept.get(nameOf(thread));
    if (found) kept.set(nameOf(thread), { ...found, standing });
  };
  return {
    kept,
    keep: async (thread, text) => {
      kept.delete(nameOf(thread));
      kept.set(nameOf(thread), { thread, text, standing: 'used' });
      return true;
    },
    async find(thread) {
      const found = kept.get(nameOf(thread));
      return found && (found.standing === 'used' ? { text: found.text } : 'forgotten');
    },
    latest: async (workspaceId) => of(workspaceId).find(({ standing }) => standing === 'used')?.text,
    all: async (workspaceId) => of(workspaceId).filter(({ standing }) => standing !== 'removed'),
    forget: async (thread) => become(thread, 'refused'),
    async remove(workspaceId, threads) {
      for (const thread of threads) become(thread, 'removed');
      return of(workspaceId).every(({ standing }) => standing === 'removed');
    },
  };
}

interface Remembered {
  readonly thread: ThreadRef;
  readonly text: string;
  readonly standing: 'used' | 'refused' | 'removed';
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
  const left: string[] = [];
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
      seals: createSeals(testRootKeys, 'countersign/teams-thread/v1'),
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
  await chat.start({
    installed: async (by) => void installers.push(by),
    removed: async (workspaceId) => void left.push(workspaceId),
  });
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
    ...{ chat, server, url, installers, left, references },
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
