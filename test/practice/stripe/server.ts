/**
 * A SIMULATION of what a Stripe account shows somebody who makes a restricted key, and of how its API answers that key, for
 * the demo and for tests. It is not Stripe, holds none of its code, logos or styles, and is never loaded in production.
 * Dashboard and API are at one address here.
 *
 * Modelled on documentation, public tests and captured errors, never seen by us in an account: the shapes of the API's
 * answers (`/v1/balance`, lists, 401 for unknown, expired and refused addresses, 403 with the account and the missing right,
 * 429), the formats of keys, Write including Read; of the dashboard the addresses, the sign-in in two steps, the code after it
 * (digits of the phone, “Resend”, “Sign in another way”), the question in both wordings, the templates, the rows with None,
 * Read and Write, the category rows that set all of theirs, the column for Connect, the link that fills the form in, the key
 * that is shown once.
 * Invented: the order in which the API checks things (it can be the other one), that every list is empty; of the dashboard all markup and names of
 * fields, the marks “Test mode” and “Live mode”, the words for a wrong password or code, the dialog for a second code, the
 * moment after which everything is drawn anew.
 */

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import express from 'express';
import type { Creations } from '../creation.ts';
import { createDashboardRoutes, type DashboardOptions } from './dashboard.ts';
import { createRestRoutes } from './rest-api.ts';
import {
  createState,
  makeKey,
  type StripeFault,
  type StripeKey,
  type StripeMode,
  type StripeObstacle,
} from './state.ts';

export type { StripeFault, StripeKey, StripeMode, StripeObstacle } from './state.ts';

export interface PracticeStripeOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Asks for a one-time code after the password: always the same one, which `oneTimeCode` tells. Default false. */
  readonly twoFactor?: boolean;
  /**
   * Of the form for a key; by default the wording B, with the question and the templates. `asksAgain`: “Create key” asks for a
   * code first, which is sent by a button, or `by itself` once its six digits are there; by default it asks for none.
   */
  readonly form?: Partial<Pick<DashboardOptions, 'wording' | 'asksPurpose' | 'offersTemplates' | 'asksAgain'>>;
  /** Shows every page in this mode, whatever its address says. */
  readonly stuckIn?: StripeMode;
}

export interface PracticeStripe {
  /** `http://localhost:41234` */
  readonly origin: string;
  readonly email: string;
  readonly password: string;
  /** With `twoFactor` or `asksAgain` only. */
  readonly oneTimeCode: string | undefined;
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
  /** Whether the API looks for an object before it looks at a key's rights. Default false. */
  lookFirst(isFirst: boolean): void;
  /** Lets the next key stand still on its way. */
  readonly holdCreation: Creations['hold'];
  /** From now on this stands in the way; nothing when absent. */
  obstruct(obstacle?: StripeObstacle): void;
  signOutEverybody(): void;
  /** How often somebody has tried a password. */
  signIns(): number;
  close(): Promise<void>;
}

/** Starts an account of its own on loopback: nothing is shared with another one and nothing is written to disk. */
export async function startPracticeStripe(options: PracticeStripeOptions = {}): Promise<PracticeStripe> {
  const { port = 0, twoFactor = false, form = {}, stuckIn } = options;
  const state = createState();
  const owner = {
    email: 'owner@shop.example.com',
    password: randomBytes(12).toString('base64url'),
    oneTimeCode: twoFactor || form.asksAgain ? '482915' : undefined,
  };
  const app = express().disable('x-powered-by');
  app.use(createRestRoutes(state));
  const usual = { wording: 'B', asksPurpose: true, offersTemplates: true, asksAgain: false } as const;
  app.use(createDashboardRoutes(state, { ...usual, ...form, ...owner, twoFactor, stuckIn }));
  const server = createServer(app);
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(port, '127.0.0.1', done);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the practice Stripe listens nowhere');
  return {
    origin: `http://localhost:${address.port}`,
    ...owner,
    account: state.account,
    keys: () => state.keys,
    makeKey: (key) => makeKey(state, key),
    failNext: (fault) => {
      state.fault = fault;
    },
    refuseAddress: (isRefused) => {
      state.refusesAddress = isRefused;
    },
    lookFirst: (isFirst) => {
      state.looksFirst = isFirst;
    },
    holdCreation: state.creations.hold,
    obstruct: (obstacle) => {
      state.obstacle = obstacle;
    },
    signOutEverybody: () => state.sessions.clear(),
    signIns: () => state.signIns,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
