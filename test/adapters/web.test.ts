import { appendFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { request } from 'node:http';
import type { Browser } from 'playwright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { capabilities } from '../../adapters/web/config.ts';
import type { WebChat } from '../../adapters/web/index.ts';
import type { Card, ChatEvent, Person, ThreadRef } from '../../core/ports/chat.ts';
import { chatContract, sentence } from '../contracts/chat.ts';
import { silentLog } from '../support/silent-log.ts';
import {
  createWindows,
  launchChromium,
  openWebChat,
  openWebChatByHand,
  type Windows,
  webChatFolder,
} from '../support/web-chat.ts';

let browser: Browser;
let scripted: Windows;
let plain: Windows;
beforeAll(async () => {
  browser = await launchChromium();
  scripted = createWindows(browser, true);
  plain = createWindows(browser, false);
});
afterAll(() => browser.close());

const promises = { capabilities, tellsRepeatedPosts: true };
chatContract('web chat, with its script,', () => openWebChatByHand(scripted), promises);
chatContract('web chat, by its plain forms,', () => openWebChatByHand(plain), promises);

let folder: ReturnType<typeof webChatFolder>;
let chat: WebChat;
let url: string;
let port: number;
let events: ChatEvent[];

beforeEach(async () => {
  folder = webChatFolder();
  events = [];
  await run();
});
afterEach(async () => {
  await chat.stop();
  folder.remove();
});

/** Starts web chat on the store as it is, as after a restart. */
async function run(listener: (event: ChatEvent) => void = (event) => events.push(event)): Promise<void> {
  chat = openWebChat(folder.storeFile);
  chat.listen(async (event) => {
    listener(event);
    return undefined;
  });
  ({ url } = await chat.start());
  port = Number(new URL(url).port);
}

/** A request with exactly these headers: fetch would not let us choose Host. */
function ask(
  method: string,
  path: string,
  headers: Record<string, string>,
  body = '',
): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.on('error', reject).end(body);
  });
}

const json = { 'content-type': 'application/json' };

function say(text: string, more: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const body = JSON.stringify({ as: 'merchant', thread: 'new', text, nonce: 'nonce-0001', ...more });
  return ask('POST', '/messages', { ...json, host: `localhost:${port}`, origin: url }, body);
}

async function begin(text = 'set up WooCommerce'): Promise<ThreadRef> {
  await say(text, { nonce: crypto.randomUUID() });
  return vi.waitFor(() => {
    const [event] = events;
    if (!event) throw new Error('no event yet');
    return event.thread;
  });
}

interface Push {
  readonly type: string;
  readonly id?: string;
  readonly n?: number;
  readonly html?: string;
}

/** A page's connection: everything that it was sent. */
async function connect(
  thread: ThreadRef,
  after: number,
  as = 'merchant',
): Promise<{ socket: WebSocket; pushes: Push[] }> {
  const socket = new WebSocket(`ws://localhost:${port}/live?as=${as}&thread=${thread.ref}&after=${after}`, {
    origin: url,
  });
  const pushes: Push[] = [];
  socket.on('message', (data) => pushes.push(JSON.parse(String(data))));
  await vi.waitFor(() => expect(pushes.some(({ type }) => type === 'ready')).toBe(true));
  return { socket, pushes };
}

const messagesOf = (pushes: readonly Push[]): readonly Push[] => pushes.filter(({ type }) => type === 'message');

describe('who may reach the page', () => {
  test.each(['localhost', '127.0.0.1', '[::1]'])('answers to the name %s', async (name) => {
    const reply = await ask('GET', '/', { host: `${name}:${port}` });
    expect(reply.status).toBe(200);
    expect(reply.text).toContain('What shall we set up?');
  });

  test.each(['evil.example', 'localhost', 'localhost:1', 'localhost.evil.example'])(
    'refuses the Host "%s", in words',
    async (name) => {
      for (const path of ['/', '/assets/x/chat.js', '/nothing']) {
        const reply = await ask('GET', path, { host: name });
        expect(reply.status).toBe(403);
        expect(reply.text).toContain(`this page is served at http://localhost:${port} only`);
      }
    },
  );

  test.each(['http://evil.example', 'null', 'https://localhost', 'http://localhost:1'])(
    'refuses the Origin %s',
    async (origin) => {
      const reply = await ask('POST', '/messages', { ...json, host: `localhost:${port}`, origin }, '{}');
      expect(reply.status).toBe(403);
      expect(reply.text).toContain('another site');
    },
  );

  const posts = ['/messages', '/person', '/messages/m-1/actions', '/forms/f-1', '/forms/f-1/close'];
  test.each(posts)(
    'refuses a POST to %s that does not say where it comes from, or comes from elsewhere',
    async (path) => {
      const host = `localhost:${port}`;
      expect((await ask('POST', path, { ...json, host }, '{}')).status).toBe(403);
      expect(
        (await ask('POST', path, { ...json, host, origin: url, 'sec-fetch-site': 'cross-site' }, '{}')).status,
      ).toBe(403);
      expect(
        (await ask('POST', path, { ...json, host, origin: url, 'sec-fetch-site': 'same-site' }, '{}')).status,
      ).toBe(403);
      expect((await ask('POST', path, { ...json, host, 'sec-fetch-site': 'same-origin' }, '{}')).status).not.toBe(403);
    },
  );

  test.each([
    { what: 'a foreign Host', headers: { host: 'evil.example' } },
    { what: 'a foreign Origin', headers: { origin: 'http://evil.example' } },
  ])('refuses a WebSocket with $what', async ({ headers }) => {
    const thread = await begin();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/live?as=merchant&thread=${thread.ref}&after=0`, { headers });
    const [status, opened] = await new Promise<[number, boolean]>((resolve) => {
      socket.on('unexpected-response', (_request, response) => resolve([response.statusCode ?? 0, false]));
      socket.on('open', () => resolve([101, true]));
    });
    expect([status, opened]).toEqual([403, false]);
  });

  test('forbids inline script, framing, sniffing and keeping', async () => {
    const { headers } = await ask('GET', '/', { host: `localhost:${port}` });
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
  });

  test('lets browsers keep the script for long, under an address that names its version', async () => {
    const page = await ask('GET', '/', { host: `localhost:${port}` });
    const path = /src="(\/assets\/[0-9a-f]{16}\/chat\.js)"/.exec(page.text)?.[1] ?? '';
    const { status, headers } = await ask('GET', path, { host: `localhost:${port}` });
    expect(status).toBe(200);
    expect(headers['cache-control']).toContain('max-age=31536000');
    expect(headers.etag).toMatch(/^"[0-9a-f]{16}"$/);
  });
});

describe('what people send', () => {
  test('refuses more than 64 kB, and a message of more than 8,000 characters, and changes nothing', async () => {
    const tooLong = await say('a'.repeat(70_000));
    expect([tooLong.status, tooLong.text]).toEqual([413, expect.stringContaining('too long')]);
    expect((await say('a'.repeat(8_001))).status).toBe(400);
    expect((await say('   ')).status).toBe(400);
    expect(readFileSync(folder.storeFile, 'utf8')).toBe('');
  });

  test('stores a message that is sent twice once, and tells both where it is', async () => {
    const [first, second] = await Promise.all([say('set up Stripe'), say('set up Stripe')]);
    expect(second.text).toBe(first.text);
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(readFileSync(folder.storeFile, 'utf8').match(/"kind":"words"/g)).toHaveLength(1);
  });

  test('tells of a command that does not exist, and asks nobody about it', async () => {
    await say('/fly away');
    const page = await ask('GET', '/', { host: `localhost:${port}` });
    expect(page.text).toContain('There is no command /fly.');
    expect(events).toEqual([]);
  });

  test('refuses a button that the message does not have any more', async () => {
    const thread = await begin();
    const card: Card = {
      summary: 'x',
      blocks: [{ kind: 'actions', buttons: [{ label: 'Approve', style: 'primary', action: 'approve', value: '1' }] }],
    };
    const message = await chat.post(thread, card, { key: 'a' });
    await chat.update(message, sentence('It has expired.'));
    const body = JSON.stringify({ as: 'approver', action: 'approve', value: '1', nonce: 'nonce-0002' });
    const reply = await ask(
      'POST',
      `/messages/${message.ref}/actions`,
      { ...json, host: `localhost:${port}`, origin: url },
      body,
    );
    expect(reply.status).toBe(409);
    expect(events.filter(({ kind }) => kind === 'action')).toEqual([]);
  });

  test('does not let one person see or press what is visible to another alone', async () => {
    const thread = await begin();
    const [merchant, approver] = chat.people;
    if (!merchant || !approver) throw new Error('people are missing');
    const card: Card = {
      summary: 'secret link',
      blocks: [{ kind: 'actions', buttons: [{ label: 'Go', style: 'plain', action: 'go', value: '' }] }],
    };
    await chat.ephemeral(thread, approver, card);
    const { pushes, socket } = await connect(thread, 0, 'approver');
    socket.terminate();
    const id = messagesOf(pushes).at(-1)?.id ?? '';
    const body = JSON.stringify({ as: 'merchant', action: 'go', value: '', nonce: 'nonce-0003' });
    const reply = await ask(
      'POST',
      `/messages/${id}/actions`,
      { ...json, host: `localhost:${port}`, origin: url },
      body,
    );
    expect(reply.status).toBe(404);
    const page = await ask('GET', `/t/${thread.ref}`, {
      host: `localhost:${port}`,
      cookie: 'countersign_person=merchant',
    });
    expect(page.text).not.toContain(id);
    expect(
      (await ask('GET', '/t/dm-approver', { host: `localhost:${port}`, cookie: 'countersign_person=merchant' })).status,
    ).toBe(404);
  });

  test('keeps addresses that are not http or https out of links, buttons and pictures', async () => {
    const thread = await begin();
    const bad = 'javascript:alert(1)';
    await chat.post(
      thread,
      {
        summary: 'x',
        blocks: [
          { kind: 'text', text: [{ kind: 'link', text: 'a link', url: bad }] },
          { kind: 'pictures', items: [{ url: bad, alt: 'a picture', width: 1, height: 1 }] },
          { kind: 'actions', buttons: [{ label: 'Open', style: 'plain', action: '', value: '', url: bad }] },
        ],
      },
      { key: 'a' },
    );
    const page = await ask('GET', `/t/${thread.ref}`, { host: `localhost:${port}` });
    expect(page.text).toContain('a link');
    expect(page.text).not.toContain(bad);
  });
});

describe('what is stored', () => {
  test('shows after a crash what was there before, though the last line is torn, and goes on from there', async () => {
    const thread = await begin('set up WooCommerce');
    const at = new Date('2026-01-02T03:04:05Z');
    const card: Card = { summary: 'expires', blocks: [{ kind: 'text', text: [{ kind: 'time', at, form: 'time' }] }] };
    const message = await chat.post(thread, card, { key: 'a' });
    await chat.post(thread, sentence('the last one'), { key: 'b' });
    await chat.stop();
    truncateSync(folder.storeFile, statSync(folder.storeFile).size - 20);
    await run();

    const page = await ask('GET', '/', { host: `localhost:${port}` });
    expect(page.text).toContain('set up WooCommerce');
    expect(page.text).toContain(`datetime="${at.toISOString()}"`);
    expect(page.text).not.toContain('the last one');
    expect(await chat.post(thread, card, { key: 'a' })).toEqual(message);
    await chat.post(thread, sentence('the next one'), { key: 'c' });
    await chat.stop();
    await run();
    expect((await ask('GET', '/', { host: `localhost:${port}` })).text).toContain('the next one');
  });

  test('keeps a last line that only lacks its end, and skips a line that nobody can read, aloud', async () => {
    const thread = await begin('set up WooCommerce');
    await chat.stop();
    appendFileSync(folder.storeFile, 'not JSON\n');
    await run();
    await chat.post(thread, sentence('kept'), { key: 'a' });
    await chat.stop();
    truncateSync(folder.storeFile, statSync(folder.storeFile).size - 1);
    const warn = vi.fn();
    chat = openWebChat(folder.storeFile, { log: { ...silentLog, warn } });
    ({ url } = await chat.start());
    port = Number(new URL(url).port);
    expect((await ask('GET', '/', { host: `localhost:${port}` })).text).toContain('kept');
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test('brings an event that was not taken again, with the same id, in this run and in the next', async () => {
    await chat.stop();
    const ids: string[] = [];
    const refuse = ({ id }: ChatEvent): never => {
      ids.push(id);
      throw new Error('the database is away');
    };
    await run(refuse);
    await say('set up Shopify');
    await vi.waitFor(() => expect(ids).toHaveLength(2), { timeout: 3_000 });
    await chat.stop();
    await run();
    await vi.waitFor(() => expect(events).toHaveLength(1));
    expect(events.map(({ id }) => id)).toEqual([...new Set(ids)]);

    await chat.stop();
    events = [];
    await run();
    await say('something else', { nonce: 'nonce-0009' });
    await vi.waitFor(() => expect(events).toHaveLength(1));
  });
});

describe('the live connection', () => {
  test('brings what changed while it was away: nothing lost, nothing twice', async () => {
    const thread = await begin();
    const first = await connect(thread, 0);
    const edited = await chat.post(thread, sentence('step 1'), { key: 'a' });
    await vi.waitFor(() => expect(messagesOf(first.pushes)).toHaveLength(2));
    const last = Math.max(...first.pushes.map(({ n = 0 }) => n));
    first.socket.terminate();

    await chat.update(edited, sentence('step 2'));
    await chat.update(edited, sentence('step 3'));
    const added = await chat.post(thread, sentence('done'), { key: 'b' });
    const second = await connect(thread, last);
    expect(messagesOf(second.pushes).map(({ id }) => id)).toEqual([edited.ref, added.ref]);
    expect(messagesOf(second.pushes)[0]?.html).toContain('step 3');

    await chat.post(thread, sentence('one more'), { key: 'c' });
    await vi.waitFor(() => expect(messagesOf(second.pushes)).toHaveLength(3));
    second.socket.terminate();
  });

  test('asks a page to load again when the store has been started anew', async () => {
    const thread = await begin();
    const socket = new WebSocket(`ws://localhost:${port}/live?as=merchant&thread=${thread.ref}&after=999`, {
      origin: url,
    });
    const said = await new Promise((resolve) => socket.on('message', (data) => resolve(JSON.parse(String(data)))));
    expect(said).toEqual({ type: 'reload' });
    socket.terminate();
  });
});

test('names the port that is taken, and what to do, in one sentence', async () => {
  const second = webChatFolder();
  const other = openWebChat(second.storeFile, { port });
  await expect(other.start()).rejects.toMatchObject({
    code: 'port_in_use',
    message: `Port ${port} is already in use: stop the program that uses it, then start again.`,
  });
  second.remove();
});

test('answers, live pages included, at both addresses that localhost stands for', async () => {
  const thread = await begin();
  for (const host of ['127.0.0.1', '[::1]']) {
    const address = `${host}:${port}`;
    expect((await fetch(`http://${address}/`)).status).toBe(200);
    const socket = new WebSocket(`ws://${address}/live?as=merchant&thread=${thread.ref}&after=0`, {
      origin: `http://${address}`,
    });
    const pushed = await new Promise((resolve, reject) => socket.on('message', resolve).on('error', reject));
    expect(String(pushed)).toContain('set up WooCommerce');
    socket.terminate();
  }
});

test('a direct message links the thread that it is about, which opens there', async () => {
  const thread = await begin('set up WooCommerce, please');
  const [merchant] = chat.people as [Person]; // the options name three
  const link = { kind: 'link', text: 'its thread', url: chat.linkTo?.(thread) ?? '' } as const;
  const sent = await chat.directMessage(merchant, { summary: 'x', blocks: [{ kind: 'text', text: [link] }] });
  const headers = { host: `localhost:${port}`, cookie: 'countersign_person=merchant' };
  const { text } = await ask('GET', `/t/${sent.thread.ref}`, headers);
  const [, path = ''] = /<a href="([^"]+)"[^>]*>its thread</.exec(text) ?? [];
  expect((await ask('GET', path, headers)).text).toContain('set up WooCommerce, please');
});

test('a card for one person takes the place of the one under the same key, for that person alone', async () => {
  const thread = await begin();
  const [merchant, approver] = chat.people as [Person, Person]; // the options name three
  const { pushes, socket } = await connect(thread, 0);
  await chat.ephemeral(thread, merchant, sentence('open the page'), { key: 'link:1' });
  await chat.ephemeral(thread, merchant, sentence('another link'), { key: 'link:2' });
  await chat.ephemeral(thread, merchant, sentence('it is closed'), { key: 'link:1' });
  await chat.ephemeral(thread, merchant, sentence('it is closed'), { key: 'link:1' });
  await chat.ephemeral(thread, approver, sentence('not for the merchant'), { key: 'link:1' });
  await chat.post(thread, sentence('the end'), { key: 'end' });
  await vi.waitFor(() => expect(messagesOf(pushes).at(-1)?.html).toContain('the end'));
  socket.terminate();
  const [, first, second, closed, ...rest] = messagesOf(pushes);
  expect(closed).toMatchObject({ id: first?.id, html: expect.stringContaining('it is closed') });
  expect(second?.id).not.toBe(first?.id);
  expect(rest).toHaveLength(1);
});

test('the list of threads says where each one stands, as soon as it changes', async () => {
  const thread = await begin();
  const { pushes, socket } = await connect(thread, 0);
  const menus = () =>
    pushes.flatMap((push) => (push.type === 'around' ? [(push as { menu?: string }).menu ?? ''] : []));
  const card = (words: string): Card => ({ ...sentence('a card'), status: { tone: 'waiting', words } });
  const message = await chat.post(thread, card('Waiting for approval'), { key: 'a' });
  await vi.waitFor(() => expect(menus().at(-1)).toContain('Waiting for approval'));
  await chat.update(message, card('Waiting for the sign-in'));
  await vi.waitFor(() => expect(menus().at(-1)).toContain('Waiting for the sign-in'));
  const sent = menus().length;
  await chat.post(thread, sentence('a word in between'), { key: 'b' });
  await vi.waitFor(() => expect(menus().length).toBeGreaterThan(sent));
  expect(menus().at(-1)).toContain('Waiting for the sign-in');
  // Another request of the thread is over: what waits for a person counts before that.
  const done: Card = { ...sentence('another card'), status: { tone: 'done', words: 'Done' } };
  await chat.post(thread, done, { key: 'c' });
  await vi.waitFor(() => expect(menus().length).toBeGreaterThan(sent + 1));
  expect(menus().at(-1)).toContain('Waiting for the sign-in');
  await chat.update(message, sentence('a card'));
  await vi.waitFor(() => expect(menus().at(-1)).toContain('Done'));
  socket.terminate();
});
