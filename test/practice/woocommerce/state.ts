import { createHash, randomInt, timingSafeEqual } from 'node:crypto';
import { type Creations, createCreations } from '../creation.ts';
import { type Catalogue, createCatalogue } from './catalogue.ts';
import { createKeyStore, type KeyStore } from './keys.ts';
import { createSessions, type Sessions } from './sessions.ts';

/**
 * How every request is answered while the shop is out of order: with 503; with 401 to whoever has a key, as a shop does whose
 * database is away; by a connection that breaks; or not at all. `keys-refused`: its pages work, and no key does.
 */
export type Outage = 'unavailable' | 'unauthorised' | 'keys-refused' | 'hang-up' | 'silent';

/**
 * What goes wrong once, at the next occasion:
 * - `page-error`: an admin page answers 500, "critical error".
 * - `signed-out`: the session is gone before the next admin page or request from it.
 * - `generate-refused`: "Generate API key" answers 500 and makes no key.
 * - `generate-answer-lost`: the key is made, and then the answer is a 500.
 * - `generate-connection-dropped`: the key is made, and then the connection breaks.
 * - `rest-unavailable`: a REST request answers 503.
 * - `busy`: a page answers 429 and asks to wait for a second; `busy-for-a-minute`, `busy-for-an-hour`: 503, for as long.
 * - `bad-gateway`: what stands before the shop answers 502 for a page. `page-dropped`: the connection breaks instead.
 */
export type PracticeFault =
  | 'page-error'
  | 'signed-out'
  | 'generate-refused'
  | 'generate-answer-lost'
  | 'generate-connection-dropped'
  | 'rest-unavailable'
  | 'busy'
  | 'busy-for-a-minute'
  | 'busy-for-an-hour'
  | 'bad-gateway'
  | 'page-dropped';

/** A "Generate API key" that can be greyed at will, on the one page that it stands on. Invented: no shop has it. */
export interface GenerateHold {
  isHeld: boolean;
  /** How often the page has asked; it asks all the time, and does what it hears. */
  asked: number;
}

export interface LoggedRequest {
  readonly method: string;
  /** Path and the harmless part of the query (`page`, `tab`, `section`, …): never a nonce, key or signature. */
  readonly path: string;
  /** The `action` of a request to admin-ajax.php. */
  readonly action?: string;
}

export interface Owner {
  readonly id: number;
  readonly username: string;
  readonly email: string;
  passwordMatches(password: string): boolean;
}

/** Everything that one practice shop remembers, from `startPracticeShop` until `close`. */
export interface Shop {
  /** As in every link, redirect and signature: `http://localhost:41234`. */
  readonly origin: string;
  readonly name: string;
  readonly isSecure: boolean;
  readonly owner: Owner;
  readonly keys: KeyStore;
  readonly sessions: Sessions;
  readonly catalogue: Catalogue;
  readonly requests: LoggedRequest[];
  readonly faults: Set<PracticeFault>;
  outage: Outage | undefined;
  readonly creations: Creations;
  /** By the page's own number. */
  readonly holds: GenerateHold[];
  /** The next form for a new key is held by it. */
  nextHold: GenerateHold | undefined;
  /** Suffix of WordPress's cookie names: MD5 of the site's address. */
  readonly cookieHash: string;
  failedSignIns: number;
  isEmailCheckDue: boolean;
  /** What is asked for after the password; `undefined`: nothing. */
  readonly oneTimeCode: string | undefined;
  /** Names of passwords that were right, whose code is still to come. */
  readonly halfSignIns: Set<string>;
  hasCaptcha: boolean;
  /** Certificates in PEM that the shop's server trusts when it posts a key; `undefined`: the usual ones. */
  readonly trusted: string | undefined;
  /** The form for a key comes without its list of permissions. */
  isPermissionsMissing: boolean;
  wizard: 'due' | 'open' | 'skipped';
  isWelcomePanelOpen: boolean;
}

export interface ShopSettings {
  readonly origin: string;
  readonly name: string;
  readonly username: string;
  readonly password: string;
  readonly productCount: number;
  readonly hasEmailCheck: boolean;
  readonly hasTwoFactor: boolean;
  readonly hasCaptcha: boolean;
  readonly trusted: string | undefined;
  readonly hasSetupWizard: boolean;
}

/** Wrong passwords before the shop stops listening, as a usual security plugin does it. */
export const SIGN_IN_TRIES = 5;

export function createShop(settings: ShopSettings): Shop {
  return {
    origin: settings.origin,
    name: settings.name,
    isSecure: settings.origin.startsWith('https:'),
    owner: createOwner(settings.username, settings.password),
    keys: createKeyStore(),
    sessions: createSessions(),
    catalogue: createCatalogue(settings.productCount),
    requests: [],
    faults: new Set(),
    outage: undefined,
    creations: createCreations(),
    holds: [],
    nextHold: undefined,
    cookieHash: createHash('md5').update(settings.origin).digest('hex'),
    failedSignIns: 0,
    isEmailCheckDue: settings.hasEmailCheck,
    oneTimeCode: settings.hasTwoFactor ? String(randomInt(1_000_000)).padStart(6, '0') : undefined,
    halfSignIns: new Set(),
    hasCaptcha: settings.hasCaptcha,
    trusted: settings.trusted,
    isPermissionsMissing: false,
    wizard: settings.hasSetupWizard ? 'due' : 'skipped',
    isWelcomePanelOpen: true,
  };
}

/** @returns whether that fault was due; from now on it isn't. */
export function takeFault(shop: Shop, fault: PracticeFault): boolean {
  return shop.faults.delete(fault);
}

function createOwner(username: string, password: string): Owner {
  const expected = sha256(password);
  return {
    id: 1,
    username,
    email: 'owner@practice-shop.example',
    passwordMatches: (given) => timingSafeEqual(expected, sha256(given)),
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
