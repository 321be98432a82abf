import { type Dispatcher, fetch, type Headers, type RequestInit } from 'undici';
import { cookiesOf } from './input.ts';
import { KEYS_PATH } from './pages/visit.ts';
import type { PracticeShop } from './server.ts';

/** Somebody with a cookie jar and no browser: plain http requests to one practice shop, redirects not followed. */
export interface Visitor {
  get(path: string): Promise<Visited>;
  post(path: string, form: Readonly<Record<string, string>>): Promise<Visited>;
  signIn(password?: string, redirectTo?: string): Promise<Visited>;
  /** Makes a key by the settings page's own request. */
  makeKey(description: string, permissions?: string): Promise<MadeKey>;
}

export interface Visited {
  readonly status: number;
  readonly location: string | undefined;
  readonly headers: Headers;
  readonly body: string;
}

export interface MadeKey {
  readonly consumerKey: string;
  readonly consumerSecret: string;
  readonly keyId: number;
}

/** `dispatcher` for a shop with a certificate of its own. */
export function createVisitor(shop: PracticeShop, dispatcher?: Dispatcher): Visitor {
  const jar = new Map<string, string>();
  const send = async (path: string, init: RequestInit): Promise<Visited> => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const url = new URL(path, shop.origin);
    const response = await fetch(url, {
      ...init,
      ...(dispatcher && { dispatcher }),
      redirect: 'manual',
      headers: { cookie },
    });
    for (const line of response.headers.getSetCookie()) {
      for (const [name, value] of cookiesOf(line.split(';')[0])) jar.set(name, encodeURIComponent(value));
    }
    const location = response.headers.get('location') ?? undefined;
    return { status: response.status, location, headers: response.headers, body: await response.text() };
  };
  const visitor: Visitor = {
    get: (path) => send(path, {}),
    post: (path, form) => send(path, { method: 'POST', body: new URLSearchParams(form) }),
    async signIn(password = shop.password, redirectTo = '') {
      await visitor.get('/wp-login.php');
      const form = { log: shop.username, pwd: password, testcookie: '1', redirect_to: redirectTo };
      return visitor.post('/wp-login.php', form);
    },
    async makeKey(description, permissions = 'read') {
      const form = await visitor.get(`${KEYS_PATH}&create-key=1`);
      const security = pick(form.body, /"update_api_nonce":"(\w+)"/);
      const action = 'woocommerce_update_api_key';
      const key = { action, security, key_id: '0', description, user: '1', permissions };
      const { body } = await visitor.post('/wp-admin/admin-ajax.php', key);
      return {
        consumerKey: pick(body, /"consumer_key":"(ck_\w+)"/),
        consumerSecret: pick(body, /"consumer_secret":"(cs_\w+)"/),
        keyId: Number(pick(body, /"key_id":(\d+)/)),
      };
    },
  };
  return visitor;
}

/** The first group of the first match. @throws when nothing matches, naming the pattern. */
export function pick(text: string, pattern: RegExp): string {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`nothing matches ${pattern} in an answer of ${text.length} characters`);
  return found;
}
