import { createServer } from 'node:http';
import express from 'express';
import { createSlack, type Slack, type SlackDeps, type SlackOptions } from '../../../adapters/slack/index.ts';
import { listenOnLoopback } from '../../../core/http-listen.ts';
import { Secret } from '../../../core/secret.ts';
import type { OpenedChat } from '../../contracts/chat.ts';
import { silentLog } from '../silent-log.ts';
import { SIGNING_SECRET } from './delivery.ts';
import { type Hands, handsOn } from './hands.ts';
import { APP_TOKEN, BOT_TOKEN, type SlackServer, startSlackServer } from './server.ts';

/** The adapter on a stand-in for Slack, and the hands of people there. */
export interface OpenedSlack extends OpenedChat, Hands {
  readonly chat: Slack;
  readonly server: SlackServer;
  /** Where the adapter takes events over HTTP. */
  readonly url: string;
}

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

export async function openSlackByHand(
  kind: SlackOptions['kind'] = 'http',
  deps: Partial<SlackDeps> = {},
): Promise<OpenedSlack> {
  const server = await startSlackServer({ hasRates: false });
  const common = { apiUrl: server.apiUrl, botToken: new Secret(BOT_TOKEN) };
  const chat = createSlack(
    kind === 'http'
      ? { ...common, kind, signingSecret: new Secret(SIGNING_SECRET) }
      : { ...common, kind, appToken: new Secret(APP_TOKEN) },
    {
      log: silentLog,
      line: { book: async () => 0 },
      picture: async () => ({ bytes: PNG, mediaType: 'image/png' }),
      ...deps,
    },
  );
  const app = express();
  if (chat.routes) app.use(chat.routes);
  const http = createServer(app);
  const listening = await listenOnLoopback(http, 0);
  const url = `http://127.0.0.1:${listening.port}/slack/events`;
  if (kind === 'http') server.sendTo(url);
  let answer: Parameters<OpenedChat['listen']>[0] = async () => undefined;
  chat.listen((event) => answer(event));
  await chat.start();
  if (kind === 'socket') await server.connected();

  return {
    ...handsOn(server),
    ...{ chat, server, url },
    listen: (listener) => {
      answer = listener;
    },
    async close() {
      await chat.stop();
      const closed = listening.close();
      http.closeAllConnections();
      await closed;
      await server.close();
    },
  };
}
