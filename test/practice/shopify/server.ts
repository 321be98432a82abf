/**
 * A SIMULATION of what of Shopify an app of the Dev Dashboard meets, for tests. It is not Shopify, holds none of its code,
 * logos or styles, and is never loaded in production.
 *
 * Nothing here was ever seen on a real account. Modelled on documentation and on Shopify's own browser suite and clients
 * (Shopify/cli, 2026): the token endpoint with its refusals, which are pages whose title alone names the error, the Admin
 * API's answer to a token that it doesn't know, the question about store and scopes; the fields and buttons of the sign-in with
 * its passkey page, the steps of the Dev Dashboard with both sighted wordings, its dialog before a release, the credentials
 * with their eye, and what must not be pressed beside them.
 * Invented: how long an app that was just made can't be found (a number of tries, so that no test depends on time), the
 * status and body of a store that has moved, that scopes are listed as they were asked for, the page of a code, the choice of an
 * account and of an organisation, the choice of a store, every address below /dashboard, the store's page after an
 * installation, and all markup.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import express, { type Router } from 'express';
import type { Creations } from '../creation.ts';
import { createAccounts, createSignIns } from './accounts.ts';
import { createDashboard } from './dashboard.ts';
import {
  type Account,
  addApp,
  createStore,
  type NewApp,
  type Obstacles,
  type PracticeApp,
  type PracticeFault,
  type PracticeObstacle,
  type Store,
} from './state.ts';
import { createStoreAdmin } from './store-admin.ts';
import { createStoreApi } from './store-api.ts';

export type { NewApp, PracticeApp, PracticeFault, PracticeObstacle } from './state.ts';

export interface PracticeShopifyOptions {
  readonly obstacles?: Partial<Obstacles>;
  /** Asks for a one-time code after the password: always the same one, which `account` tells. Default false. */
  readonly twoFactor?: boolean;
}

export interface PracticeShopify {
  /** Of the store, in place of `https://my-shop.myshopify.com`: `http://localhost:41234`. */
  readonly origin: string;
  /** In place of `https://dev.shopify.com` and `https://accounts.shopify.com`. */
  readonly dashboard: string;
  readonly accounts: string;
  readonly account: Readonly<Account>;
  /** An app as if somebody had made it by hand. */
  makeApp(app?: NewApp): PracticeApp;
  /** Every app that was ever made, oldest first. */
  apps(): readonly PracticeApp[];
  readonly counts: Readonly<Store['counts']>;
  /** Lets the next occasion for this fault go wrong, once. */
  failNext(fault: PracticeFault): void;
  /** Lets the next app stand still on its way. */
  readonly holdCreation: Creations['hold'];
  /** From now on this stands in the way; nothing when absent. */
  obstruct(obstacle?: PracticeObstacle): void;
  signOutEverybody(): void;
  close(): Promise<void>;
}

/** Starts a store of its own on loopback: nothing is shared with another one and nothing is written to disk. */
export async function startPracticeShopify(options: PracticeShopifyOptions = {}): Promise<PracticeShopify> {
  const servers = { store: createServer(), dashboard: createServer(), accounts: createServer() };
  const origins = {
    store: `http://localhost:${await listen(servers.store)}`,
    dashboard: `http://localhost:${await listen(servers.dashboard)}`,
    accounts: `http://localhost:${await listen(servers.accounts)}`,
  };
  const account: Account = {
    email: 'owner@practice.example',
    password: randomBytes(12).toString('base64url'),
    oneTimeCode: options.twoFactor ? '264813' : undefined,
    failedSignIns: 0,
  };
  const plain = { wording: 'old', passkeyFirst: false, accountPicker: false, hasTwoOrganisations: false } as const;
  const obstacles = { ...plain, ...options.obstacles };
  const store = createStore(new URL(origins.store).host, 'Practice Organisation');
  const signIns = createSignIns();
  servers.store.on('request', appOf(createStoreAdmin(store, signIns, origins.accounts), createStoreApi(store)));
  servers.dashboard.on('request', appOf(createDashboard(store, obstacles, signIns, origins)));
  servers.accounts.on('request', appOf(createAccounts(account, store, obstacles, signIns, origins.dashboard)));
  return {
    origin: origins.store,
    dashboard: origins.dashboard,
    accounts: origins.accounts,
    account,
    makeApp: (app = {}) => addApp(store, app),
    apps: () => store.apps,
    counts: store.counts,
    failNext: (fault) => void store.faults.add(fault),
    holdCreation: store.creations.hold,
    obstruct: (obstacle) => {
      store.obstacle = obstacle;
    },
    signOutEverybody: () => signIns.closeAll(),
    close: async () => {
      await Promise.all(Object.values(servers).map(close));
    },
  };
}

function appOf(...routers: readonly Router[]): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.use(express.urlencoded({ extended: false }), express.json(), ...routers);
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
