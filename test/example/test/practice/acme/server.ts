/**
 * A SIMULATION of a service that there is not: one page to sign in, one with the tokens, and an API with one call that
 * says whose a token is. It counts what is made and asked.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

export interface PracticeToken {
  readonly name: string;
  readonly value: string;
  /** How often `/api/me` was asked with it. */
  readonly uses: number;
}

export interface PracticeAcme {
  /** `http://localhost:PORT` */
  readonly origin: string;
  readonly email: string;
  readonly password: string;
  /** Every token that was ever made, oldest first. */
  tokens(): readonly PracticeToken[];
  close(): Promise<void>;
}

interface Books {
  readonly email: string;
  readonly password: string;
  /** Of whoever is signed in. */
  readonly session: string;
  readonly tokens: { name: string; value: string; uses: number }[];
}

export async function startPracticeAcme(): Promise<PracticeAcme> {
  const password = randomBytes(12).toString('base64url');
  const books: Books = { email: 'ada@example.com', password, session: randomBytes(16).toString('hex'), tokens: [] };
  const server = createServer((request, response) => void answer(books, request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('practice Acme: not listening on a port');
  return {
    origin: `http://localhost:${address.port}`,
    email: books.email,
    password,
    tokens: () => books.tokens,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function answer(books: Books, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const form = new URLSearchParams(await text(request));
  const isSignedIn = request.headers.cookie?.includes(`session=${books.session}`) ?? false;
  const page = (title: string, markup: string) =>
    response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end(`<!doctype html><html lang="en"><title>${title}</title><h1>${title}</h1>${markup}`);
  const goTo = (location: string, headers: Readonly<Record<string, string>> = {}) =>
    response.writeHead(303, { location, ...headers }).end();
  switch (`${request.method} ${request.url}`) {
    case 'GET /sign-in':
      return void page('Sign in', SIGN_IN);
    case 'POST /sign-in':
      if (form.get('email') !== books.email || form.get('password') !== books.password)
        return void page('Sign in', `<p role="alert">E-mail or password is wrong.</p>${SIGN_IN}`);
      return void goTo('/tokens', { 'set-cookie': `session=${books.session}; HttpOnly; SameSite=Lax; Path=/` });
    case 'GET /tokens':
      return void (isSignedIn ? page('Tokens', tokensPage(books)) : goTo('/sign-in'));
    case 'POST /tokens':
      return void (isSignedIn ? page('Tokens', created(books, form.get('name') ?? '')) : goTo('/sign-in'));
    case 'GET /api/me':
      return void me(books, request, response);
    default:
      response.writeHead(404).end('There is no such page.');
  }
}

const SIGN_IN = `<form method="post" action="/sign-in">
<p><label>E-mail <input name="email" type="email" autocomplete="username" required></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<p><button>Sign in</button></form>`;

function tokensPage({ tokens }: Books): string {
  const rows = tokens.map(({ name, value, uses }) => `<tr><td>${escaped(name)}<td>…${value.slice(-4)}<td>${uses}`);
  return `<form method="post" action="/tokens"><label>Name <input name="name" required></label> <button>Create token</button></form>
<table><thead><tr><th>Name<th>Ends in<th>Used</thead><tbody>${rows.join('')}</tbody></table>`;
}

/** Shown this once. */
function created(books: Books, name: string): string {
  const value = `tok_${randomBytes(20).toString('hex')}`;
  books.tokens.push({ name, value, uses: 0 });
  return `<p role="status">Token created</p><p>Copy it now: <output id="token">${value}</output></p>${tokensPage(books)}`;
}

function me({ tokens, email }: Books, { headers }: IncomingMessage, response: ServerResponse): void {
  const token = tokens.find(({ value }) => headers.authorization === `Bearer ${value}`);
  if (token) token.uses += 1;
  const [status, body] = token ? [200, { account: email }] : [401, { error: 'unknown_token' }];
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function escaped(name: string): string {
  return name.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
