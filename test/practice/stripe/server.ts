/**
 * A SIMULATION of what a Stripe account shows somebody who makes a restricted key, and of how its API answers that key, for
 * the demo and for tests. It is not Stripe, holds none of its code, logos or styles, and is never loaded in production.
 * Dashboard and API are at one address here.
 *
 * Modelled on documentation, public tests and captured errors, never seen by us in an account: the shapes of the API's
 * answers (`/v1/balance`, lists, 401 for unknown, expired and refused addresses, 403 with the account and the missing right,
 * 429), the formats of keys, Write including Read.
 * Invented: the order in which the API checks things, that every list is empty.
 */
import { createServer } from 'node:http';
import express from 'express';
import { createRestRoutes } from './rest-api.ts';
import { createState, makeKey, type StripeFault, type StripeKey, type StripeMode } from './state.ts';

export type { StripeFault, StripeKey, StripeMode } from './state.ts';

export interface PracticeStripeOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
}

export interface PracticeStripe {
  /** `http://localhost:41234` */
  readonly origin: string;
  /** `acct_…` */
  readonly account: string;
  /** Every key that was ever made, oldest first. */
  keys(): readonly StripeKey[];
  /** As its owner does by hand in the dashboard. */
  makeKey(key: { readonly name: string; readonly mode: StripeMode; readonly raks: readonly string[] }): StripeKey;
  /** The API's next answer is this. */
  failNext(fault: StripeFault): void;
  /** Whether an access policy refuses this computer. */
  refuseAddress(isRefused: boolean): void;
  close(): Promise<void>;
}

/** Starts an account of its own on loopback: nothing is shared with another one and nothing is written to disk. */
export async function startPracticeStripe({ port = 0 }: PracticeStripeOptions = {}): Promise<PracticeStripe> {
  const state = createState();
  const app = express().disable('x-powered-by');
  app.use(createRestRoutes(state));
  const server = createServer(app);
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(port, '127.0.0.1', done);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the practice Stripe listens nowhere');
  return {
    origin: `http://localhost:${address.port}`,
    account: state.account,
    keys: () => state.keys,
    makeKey: (key) => makeKey(state, key),
    failNext: (fault) => {
      state.fault = fault;
    },
    refuseAddress: (isRefused) => {
      state.refusesAddress = isRefused;
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
