/**
 * A SIMULATION of the admin pages of a small shop, for the demo and for tests. It is not WordPress and not WooCommerce,
 * holds none of their code, logos or styles, and is never loaded in production.
 *
 * Modelled on pages that were seen (WooCommerce 11.0.1 on WordPress 7.1, administrator, English): the sign-in form and
 * its failures, the check of the administration email, the setup wizard's redirect, the settings' tabs and sub links,
 * the list of REST API keys, the form for a key with its two widgets, the result with its pattern on a canvas, and how
 * the REST API answers to good and bad keys over http and https, the page on which a program's wish for a key is approved.
 * Modelled on documentation and public source, not seen: the messages for an unknown name and for refused cookies, the
 * order and words of the OAuth checks, paging of the key list, the customer search, the errors for a spent link, the page
 * for a one-time code as the plugin "Two Factor" shows it.
 * Invented: the lock-out after five wrong passwords (security plugins differ), the products and orders, the dashboard's
 * boxes, settings that aren't kept, the page with a CAPTCHA, which is none, the buttons that can be held and hidden, and the pattern beside the keys, which is like a QR
 * code but isn't one.
 */
import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Creations } from '../creation.ts';
import { createAdminRoutes } from './admin.ts';
import { createAssetRoutes } from './assets.ts';
import { type Certificate, createLoopbackCertificate } from './certificate.ts';
import { createGrantRoutes } from './grants.ts';
import { field } from './input.ts';
import type { KeyDraft, NewKey, PracticeKey } from './keys.ts';
import { createLoginRoutes } from './login.ts';
import { storefrontPage } from './pages/lists.ts';
import { diePage } from './pages/shell.ts';
import { type Reply, sendReply, text } from './reply.ts';
import { createRestRoutes } from './rest-api.ts';
import {
  createShop,
  type GenerateHold,
  type LoggedRequest,
  type Outage,
  type PracticeFault,
  type Shop,
  takeFault,
} from './state.ts';

export type { Certificate } from './certificate.ts';
export type { KeyPermissions, PracticeKey } from './keys.ts';
export type { GenerateHold, LoggedRequest, Outage, PracticeFault } from './state.ts';

export interface PracticeShopOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** The address to listen on; `origin` says `localhost` in any case. */
  readonly host?: '127.0.0.1';
  /** Default `store-admin`. */
  readonly username?: string;
  /** Default: a random one. */
  readonly password?: string;
  readonly obstacles?: {
    /** Asks after the sign-in whether the administration email is right, until that is answered. Default true. */
    readonly adminEmailCheck?: boolean;
    /** Sends the first admin page to the setup wizard, as a fresh shop does. Default false. */
    readonly setupWizard?: boolean;
    /** Asks for a one-time code after the password: always the same one, which `oneTimeCode` tells. Default false. */
    readonly twoFactor?: boolean;
    /** Shows a page with a CAPTCHA in place of the sign-in form. Default false. */
    readonly captcha?: boolean;
  };
  /** How long an answer takes to begin, by path; a number holds for everything but styles, scripts and pictures. */
  readonly latencyMs?: number | ((path: string) => number);
  /** How many products the shop has. Default 5. */
  readonly products?: number;
  readonly storeName?: string;
  /** Certificates in PEM that the shop's server trusts when it posts a key to a program. */
  readonly trusted?: string;
  /** Serves the pages, styles and scripts as another version of them would be. */
  readonly alteration?: Alteration;
  /** True serves TLS with a self-signed certificate, which `certificate` then holds. Default plain http. */
  readonly https?: boolean | Certificate;
}

export interface Alteration {
  /** The text that is sent instead; `type` is `html`, `css` or `js`. */
  text(content: string, type: string): string;
  /** The name under which the shop knows a field that a form sends. */
  field(name: string): string;
}

export interface PracticeShop {
  /** `http://localhost:41234` */
  readonly origin: string;
  readonly username: string;
  readonly password: string;
  /** What the page after the password takes, with `twoFactor` only. */
  readonly oneTimeCode: string | undefined;
  /** PEM, with `https` only. */
  readonly certificate: string | undefined;
  /** Every key that was ever made, oldest first. */
  keys(): readonly PracticeKey[];
  /** A key that somebody else made in the shop. */
  addKey(draft: KeyDraft): NewKey;
  /** Somebody revokes the live key of that name in the shop, or gives it another name. */
  endKey(name: string): void;
  renameKey(name: string, to: string): void;
  /** All requests since the start, styles and scripts included; grows while the shop runs. */
  readonly requests: readonly LoggedRequest[];
  /** Wrong names and passwords since the last good sign-in. */
  failedSignIns(): number;
  /** From now on every request is answered like this, whatever it asks for; absent: as usual again. */
  setOutage(how?: Outage): void;
  outage(): Outage | undefined;
  /** Lets the next occasion for this fault go wrong, once. */
  failNext(fault: PracticeFault): void;
  /** Lets the next key stand still on its way. */
  readonly holdCreation: Creations['hold'];
  /** Greys “Generate API key” on the next form for a new key, for as long as `isHeld`. */
  holdGenerate(): GenerateHold;
  /** Takes “Permissions” out of the form for a key, or puts it back. */
  showPermissions(isShown: boolean): void;
  /** Ends all sessions: the next admin page leads to the sign-in form. */
  signOutEverybody(): void;
  close(): Promise<void>;
}

/** Starts a shop of its own on loopback: nothing is shared with another one and nothing is written to disk. */
export async function startPracticeShop(options: PracticeShopOptions = {}): Promise<PracticeShop> {
  const certificate = options.https === true ? createLoopbackCertificate() : options.https || undefined;
  const server = certificate ? createHttpsServer(certificate) : createHttpServer();
  const port = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  const username = options.username ?? 'store-admin';
  const password = options.password ?? randomBytes(12).toString('base64url');
  const shop = createShop({
    origin: `${certificate ? 'https' : 'http'}://localhost:${port}`,
    name: options.storeName ?? 'Practice Shop',
    username,
    password,
    productCount: options.products ?? 5,
    hasEmailCheck: options.obstacles?.adminEmailCheck ?? true,
    hasSetupWizard: options.obstacles?.setupWizard ?? false,
    hasTwoFactor: options.obstacles?.twoFactor ?? false,
    hasCaptcha: options.obstacles?.captcha ?? false,
    trusted: options.trusted,
  });
  server.on('request', createApp(shop, latencyOf(options.latencyMs), options.alteration));
  return {
    origin: shop.origin,
    username,
    password,
    oneTimeCode: shop.oneTimeCode,
    certificate: certificate?.cert,
    keys: () => shop.keys.all(),
    addKey: (draft) => shop.keys.create(draft),
    endKey: (name) => void shop.keys.revoke(keyNamed(shop, name).id),
    renameKey(name, to) {
      const { id, permissions } = keyNamed(shop, name);
      shop.keys.update(id, { description: to, permissions });
    },
    requests: shop.requests,
    failedSignIns: () => shop.failedSignIns,
    setOutage(how) {
      shop.outage = how;
    },
    outage: () => shop.outage,
    failNext: (fault) => void shop.faults.add(fault),
    holdCreation: shop.creations.hold,
    holdGenerate() {
      shop.nextHold = { isHeld: true, asked: 0 };
      return shop.nextHold;
    },
    showPermissions(isShown) {
      shop.isPermissionsMissing = !isShown;
    },
    signOutEverybody: () => shop.sessions.closeAll(),
    close: () => close(server),
  };
}

function createApp(shop: Shop, latencyMs: (path: string) => number, alteration?: Alteration): Express {
  const app = express();
  app.disable('x-powered-by');
  // 'simple' leaves `key[]` and the like alone.
  app.set('query parser', 'simple');
  app.use(express.urlencoded({ extended: false }));
  app.use((request, _response, next) => {
    shop.requests.push(logLine(request));
    next();
  });
  app.use((request, response, next) => {
    const isSpared = shop.outage === 'keys-refused' && !request.path.startsWith('/wp-json/');
    return shop.outage && !isSpared ? endIn(shop.outage, response) : next();
  });
  app.use(async (request, _response, next) => {
    const waitMs = latencyMs(request.path);
    if (waitMs > 0) await delay(waitMs);
    next();
  });
  if (alteration) app.use(altered(alteration));
  app.use(createAssetRoutes());
  app.use((_request, response, next) => {
    response.set({ 'Cache-Control': 'no-cache, must-revalidate, max-age=0, no-store, private' });
    response.set({ 'X-Frame-Options': 'SAMEORIGIN', 'Referrer-Policy': 'strict-origin-when-cross-origin' });
    next();
  });
  app.get('/{*path}.php', (_request, response, next) => {
    const reply = refusalOf(shop);
    return reply ? sendReply(response, reply) : next();
  });
  app.use(createRestRoutes(shop), createLoginRoutes(shop), createGrantRoutes(shop), createAdminRoutes(shop));
  app.get('/', (_request, response) => {
    response.set('Link', `<${shop.origin}/wp-json/>; rel="https://api.w.org/"`);
    response.type('html').send(storefrontPage(shop.name, shop.origin).markup);
  });
  app.use((_request, response) => void response.status(404).type('html').send(diePage('Page not found.').markup));
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    response
      .status(500)
      .type('html')
      .send(diePage(`The practice shop itself failed: ${String(error)}`).markup);
  });
  return app;
}

/** `silent`: the other side's patience ends it. */
function endIn(outage: Outage, response: Response): void {
  if (outage === 'unavailable') sendReply(response, text('Service Unavailable', 503));
  if (outage === 'unauthorised' || outage === 'keys-refused')
    response.status(401).json({ code: 'woocommerce_rest_authentication_error', message: 'Maintenance' });
  if (outage === 'hang-up') response.socket?.destroy();
}

/** Of a page that is asked for, whatever it is. */
function refusalOf(shop: Shop): Reply | undefined {
  if (takeFault(shop, 'busy')) return text('Too many requests', 429, { 'Retry-After': '1' });
  if (takeFault(shop, 'busy-for-a-minute')) return text('Back in a minute', 503, { 'Retry-After': '60' });
  if (takeFault(shop, 'busy-for-an-hour')) return text('Closed for an hour', 503, { 'Retry-After': '3600' });
  if (takeFault(shop, 'bad-gateway')) return text('Bad Gateway', 502);
  return takeFault(shop, 'page-dropped') ? { kind: 'hang-up' } : undefined;
}

function altered(alteration: Alteration): (request: Request, response: Response, next: NextFunction) => void {
  return (request, response, next) => {
    const body: unknown = request.body;
    if (typeof body === 'object' && body !== null)
      request.body = Object.fromEntries(Object.entries(body).map(([name, value]) => [alteration.field(name), value]));
    const send = response.send.bind(response);
    response.send = (content?: unknown) => {
      const type = /html|css|javascript/.exec(String(response.get('Content-Type')))?.[0]?.replace('javascript', 'js');
      const isText = typeof content === 'string' || Buffer.isBuffer(content);
      return send(type && isText ? alteration.text(content.toString(), type) : content);
    };
    next();
  };
}

/** Parts of a query that are no secrets. */
const LOGGED_NAMES = ['page', 'path', 'tab', 'section', 'create-key', 'edit-key', 'revoke-key', 'revoked', 'action'];

function logLine(request: Request): LoggedRequest {
  const known = LOGGED_NAMES.map((name) => [name, field(request.query, name)] as const);
  const query = known.filter(([, value]) => value !== '').map(([name, value]) => `${name}=${value}`);
  const path = request.path + (query.length > 0 ? `?${query.join('&')}` : '');
  const action = request.path === '/wp-admin/admin-ajax.php' ? field(request.body, 'action') : '';
  return { method: request.method, path, ...(action && { action }) };
}

function latencyOf(latencyMs: PracticeShopOptions['latencyMs']): (path: string) => number {
  if (typeof latencyMs === 'function') return latencyMs;
  return (path) => (/\.(css|js|png)$/.test(path) ? 0 : (latencyMs ?? 0));
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('practice shop: not listening on a port');
  return address.port;
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function keyNamed({ keys }: Shop, name: string): PracticeKey {
  const found = keys.live().find(({ description }) => description === name);
  if (!found) throw new Error(`practice shop: no live key ${name}`);
  return found;
}
