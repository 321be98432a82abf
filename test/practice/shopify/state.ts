import { randomBytes } from 'node:crypto';
import { type Creations, createCreations } from '../creation.ts';

/** An app of the Dev Dashboard, as the back end has it. */
export interface PracticeApp {
  readonly number: number;
  readonly organisation: string;
  readonly name: string;
  /** 32 hexadecimal digits; public. */
  readonly clientId: string;
  /** `shpss_` and 32 hexadecimal digits. Pressing “Rotate” makes another one. */
  clientSecret: string;
  /** Of the released version; `undefined` before the first release. */
  scopes: readonly string[] | undefined;
  /** What the store has agreed to; installed stores keep it when a new version is released. */
  installed: readonly string[] | undefined;
  /** How many more token requests say that there is no such application, as for one that was made a moment ago. */
  unfindable: number;
}

/** Goes wrong once, at the next occasion: an answer of the API, or a page of the dashboard. */
export type PracticeFault = 'api_unavailable' | 'api_throttled' | 'store_moved' | 'dashboard_5xx';

/**
 * Invented, all of them: a CAPTCHA beside the password, an account that too many wrong passwords have locked, one that may make
 * no apps, pages that are closed for ten minutes, a sign-in that leads to an identity provider of the company's, and a
 * creation that makes its app and then answers with an error.
 */
export type PracticeObstacle = 'captcha' | 'locked' | 'no-role' | 'closed' | 'elsewhere' | 'answer-lost';

/** The one person who may sign in. */
export interface Account {
  readonly email: string;
  readonly password: string;
  readonly oneTimeCode: string | undefined;
  failedSignIns: number;
}

/** What stands in the way, and which of the sighted wordings the pages have. */
export interface Obstacles {
  /** `old`: Create, Home, Settings; `new`: Create app, Overview, App settings. */
  readonly wording: 'old' | 'new';
  readonly passkeyFirst: boolean;
  readonly accountPicker: boolean;
  readonly hasTwoOrganisations: boolean;
}

export interface NewApp {
  readonly name?: string;
  readonly organisation?: string;
  readonly scopes?: readonly string[];
  readonly isInstalled?: boolean;
  readonly unfindable?: number;
}

export interface Store {
  /** What is asked of it may be answered by nobody else: `localhost:41234`. */
  readonly domain: string;
  readonly organisation: string;
  readonly apps: PracticeApp[];
  /** Live tokens, and whose they are. */
  readonly tokens: Map<string, PracticeApp>;
  readonly faults: Set<PracticeFault>;
  readonly creations: Creations;
  /** What stands in the way of everybody who opens a page. */
  obstacle: PracticeObstacle | undefined;
  /** How often a token was given out, and how often “Create” made an app. */
  readonly counts: { tokens: number; apps: number; rotations: number; automationTokens: number };
}

/** How long a token lives: vendor documentation, “client credentials grant”. */
export const TOKEN_SECONDS = 86_399;

export function createStore(domain: string, organisation: string): Store {
  return {
    ...{ domain, organisation, apps: [], tokens: new Map(), faults: new Set(), obstacle: undefined },
    creations: createCreations(),
    counts: { tokens: 0, apps: 0, rotations: 0, automationTokens: 0 },
  };
}

export function addApp(store: Store, app: NewApp): PracticeApp {
  const { name = 'An app', organisation = store.organisation, scopes, isInstalled = false, unfindable = 0 } = app;
  const made: PracticeApp = {
    ...{ number: 1001 + store.apps.length, organisation, name, scopes, unfindable },
    clientId: randomBytes(16).toString('hex'),
    clientSecret: newSecret(),
    installed: isInstalled ? scopes : undefined,
  };
  store.apps.push(made);
  store.counts.apps += 1;
  return made;
}

export function newSecret(): string {
  return `shpss_${randomBytes(16).toString('hex')}`;
}

export function giveToken(store: Store, app: PracticeApp): string {
  const token = randomBytes(16).toString('hex');
  store.tokens.set(token, app);
  store.counts.tokens += 1;
  return token;
}

/** Takes the app off the store: every token of it ends. */
export function uninstall(store: Store, app: PracticeApp): void {
  app.installed = undefined;
  for (const [token, owner] of store.tokens) if (owner === app) store.tokens.delete(token);
}

export function takeFault(store: Store, fault: PracticeFault): boolean {
  return store.faults.delete(fault);
}
