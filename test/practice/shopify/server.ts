/**
 * A SIMULATION of what of Shopify an app of the Dev Dashboard meets, for tests. It is not Shopify, holds none of its code,
 * logos or styles, and is never loaded in production.
 *
 * Nothing here was ever seen on a real account. Modelled on documentation and on Shopify's own browser suite and clients
 * (Shopify/cli, 2026): the token endpoint with its refusals, which are pages whose title alone names the error, the Admin
 * API's answer to a token that it doesn't know, and the question about store and scopes.
 * Invented: how long an app that was just made can't be found (a number of tries, so that no test depends on time), the
 * status and body of a store that has moved, that scopes are listed as they were asked for.
 */
import { createServer, type Server } from 'node:http';
import express, { type Express } from 'express';
import { addApp, createStore, type NewApp, type PracticeApp, type PracticeFault, type Store } from './state.ts';
import { createStoreApi } from './store-api.ts';

export type { NewApp, PracticeApp, PracticeFault } from './state.ts';

export interface PracticeShopify {
  /** Of the store, in place of `https://my-shop.myshopify.com`: `http://localhost:41234`. */
  readonly origin: string;
  /** An app as if somebody had made it by hand. */
  makeApp(app?: NewApp): PracticeApp;
  /** Every app that was ever made, oldest first. */
  apps(): readonly PracticeApp[];
  readonly counts: Readonly<Store['counts']>;
  /** Lets the next occasion for this fault go wrong, once. */
  failNext(fault: PracticeFault): void;
  close(): Promise<void>;
}

/** Starts a store of its own on loopback: nothing is shared with another one and nothing is written to disk. */
export async function startPracticeShopify(): Promise<PracticeShopify> {
  const server = createServer();
  const port = await listen(server);
  const domain = `localhost:${port}`;
  const store = createStore(domain, 'Practice Organisation');
  server.on('request', createStoreApp(store));
  return {
    origin: `http://${domain}`,
    makeApp: (app = {}) => addApp(store, app),
    apps: () => store.apps,
    counts: store.counts,
    failNext: (fault) => void store.faults.add(fault),
    close: () => close(server),
  };
}

function createStoreApp(store: Store): Express {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.urlencoded({ extended: false }), express.json());
  app.use(createStoreApi(store));
  app.use((_request, response) => void response.status(404).type('html').send('<title>Not found</title>'));
  return app;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('practice store: not listening on a port');
  return address.port;
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
