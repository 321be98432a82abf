// A canary in every encoding is sent to every place where words leave the program; it arrives in none of them.
// One list of canaries, and one search for them, for all the places.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { format, inspect } from 'node:util';
import { Router } from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { connectRoutes } from '../../adapters/api/connect.ts';
import { createApiServer } from '../../adapters/api/server.ts';
import { createEgress } from '../../adapters/browser/index.ts';
import { createAnthropicModel } from '../../adapters/model/index.ts';
import type { WebChat } from '../../adapters/web/index.ts';
import { createConnectPages } from '../../bot/connect.ts';
import type { Context } from '../../bot/context.ts';
import { explain } from '../../bot/explain.ts';
import { createLog } from '../../bot/log.ts';
import { CountersignError } from '../../core/errors.ts';
import type { Card, Chat, Form, Person, ThreadRef } from '../../core/ports/chat.ts';
import { redactedChat, redactedModel, redactedReply } from '../../core/redacted-ports.ts';
import { createSecretRegistry, redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { type AnthropicServer, answers, createAnthropicServer } from '../support/anthropic/server.ts';
import { keepTrails } from '../support/audit.ts';
import { type Core, installShop, openCore, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { ENCODINGS, leftOver } from '../support/encodings.ts';
import { silentLog } from '../support/silent-log.ts';
import { openWebChat, webChatFolder } from '../support/web-chat.ts';

/** A password as people choose them, a key as services make them, and a long one with everything that encodings change. */
const CANARIES = [
  `Tr0ub4dor&${randomBytes(3).toString('hex')}`,
  randomBytes(20).toString('hex'),
  `kö/nig+käse & 100% "rye" <${randomBytes(6).toString('hex')}>'s`,
];

const secrets = createSecretRegistry();
for (const canary of CANARIES) secrets.add(new Secret(canary));
const clean = (text: string) => redact(text, secrets.all());

const FORMATS = ['json', 'csv', 'jsonl'];

/** Everything that is sent at once: one text for each canary and each encoding. */
const WRITTEN = CANARIES.flatMap((canary) =>
  Object.entries(ENCODINGS).map(([encoding, write]) => ({
    name: `${canary.slice(0, 4)}… ${encoding}`,
    text: write(canary),
    length: canary.length,
  })),
);
const TEXTS = WRITTEN.map(({ text }) => text);

/** The names of those that give themselves away in what came. */
function foundIn(came: string): readonly string[] {
  return WRITTEN.filter(({ text, length }) => leftOver(text, came, length) !== undefined).map(({ name }) => name);
}

function expectClean(came: string): void {
  expect(foundIn(came)).toEqual([]);
  expect(came.split('[secret]').length).toBeGreaterThan(TEXTS.length / 2);
}

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase, { redact: clean });
  shop = await installShop(core);
});

afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

describe('66 in a log line', () => {
  test.each([false, true])(
    'no canary arrives, in fields, messages and errors with their causes (terminal: %s)',
    (isTTY) => {
      const lines: string[] = [];
      const log = createLog({ isVerbose: true, redact: clean, sink: { write: (line) => lines.push(line), isTTY } });
      for (const text of TEXTS) {
        const cause = new Error(text);
        log.warn({ text, deep: { list: [{ text }] }, error: new CountersignError('network', text, { cause }) }, text);
      }
      expect(lines).toHaveLength(TEXTS.length);
      expectClean(lines.join(''));
    },
  );
});

describe('66 in the chat', () => {
  let folder: ReturnType<typeof webChatFolder>;
  let web: WebChat;
  let chat: Chat;
  let url: string;
  let thread: ThreadRef;
  let person: Person;

  beforeAll(async () => {
    folder = webChatFolder();
    web = openWebChat(folder.storeFile);
    chat = redactedChat(web, clean);
    web.listen(async () => redactedReply({ fieldErrors: { reason: TEXTS.join(' | ') } }, clean));
    ({ url } = await web.start());
    const [first] = web.people;
    if (!first) throw new Error('nobody is there');
    person = first;
    thread = { platform: 'web', workspaceId: 'demo', ref: await begin() };
  });

  afterAll(async () => {
    await web.stop();
    folder.remove();
  });

  const headers = () => ({ origin: new URL(url).origin, 'content-type': 'application/json' });
  const post = (path: string, body: object) =>
    fetch(url + path, { method: 'POST', headers: headers(), body: JSON.stringify({ as: person.userId, ...body }) });

  async function begin(): Promise<string> {
    const answer = z
      .object({ url: z.string() })
      .parse(await (await post('/messages', { thread: 'new', text: 'hello' })).json());
    return answer.url.replace('/t/', '');
  }

  /** A block of each kind, each word of which is the canary. */
  const cardOf = (words: string): Card => ({
    summary: words,
    blocks: [
      { kind: 'heading', text: [{ kind: 'bold', text: words }] },
      {
        kind: 'text',
        text: [
          { kind: 'code', text: words },
          { kind: 'link', text: words, url: `https://x.example/?q=${words}` },
        ],
      },
      { kind: 'list', items: [{ text: [{ kind: 'text', text: words }], detail: words }] },
      { kind: 'steps', items: [{ state: 'failed', text: words, detail: words }] },
      { kind: 'facts', rows: [{ label: words, value: [{ kind: 'text', text: words }] }] },
      { kind: 'signature', tone: 'neutral', text: [{ kind: 'text', text: words }] },
      { kind: 'pictures', items: [{ url: '/pictures/x', alt: words, width: 10, height: 10 }] },
      {
        kind: 'table',
        caption: words,
        columns: [{ label: words, align: 'left' }],
        rows: [[[{ kind: 'text', text: words }]]],
      },
      { kind: 'details', summary: words, blocks: [{ kind: 'text', text: [{ kind: 'text', text: words }] }] },
      {
        kind: 'actions',
        buttons: [
          {
            label: words,
            style: 'primary',
            action: 'go',
            value: words,
            confirm: { title: words, text: words, yes: words },
          },
        ],
      },
    ],
  });

  const formOf = (words: string): Form => ({
    ...{ form: 'deny', value: words, title: words, submit: words, intro: words },
    fields: [
      { kind: 'text', name: 'reason', label: words, help: words, isRequired: true, initial: words },
      {
        kind: 'checkboxes',
        name: 'boxes',
        label: words,
        options: [{ value: 'x', label: words, help: words, isChecked: false }],
      },
    ],
  });

  /** Everything that the page shows this person, as it is sent to the browser, entities read. */
  async function page(): Promise<string> {
    const html = await (
      await fetch(`${url}/t/${thread.ref}`, { headers: { cookie: `countersign_person=${person.userId}` } })
    ).text();
    return `${html}\n${unescaped(html)}`;
  }

  test('no canary arrives: in a card of any block, for all or for one, changed in place, in a form or its answer', async () => {
    const words = TEXTS.join(' | ');
    const message = await chat.post(thread, cardOf(words), { key: 'one' });
    await chat.update(message, cardOf(`${words} again`));
    await chat.ephemeral(thread, person, cardOf(words));
    await chat.directMessage(person, cardOf(words));
    await chat.openForm(await press(), formOf(words));
    const shown = await page();
    expectClean(shown);
    const [, form] = /action="(\/forms\/[\w-]+)"/.exec(shown) ?? [];
    const answer = await post(form ?? '', { 'field-reason': 'because' });
    expect(answer.status).toBe(422);
    expectClean(`${await answer.text()}${'[secret]'.repeat(TEXTS.length)}`);
    expectClean(readFileSync(folder.storeFile, 'utf8'));
  });

  test('no canary of an address that is not there comes back on the page that says so', async () => {
    for (const text of TEXTS) {
      const path = `/t/${encodeURIComponent(text)}`;
      for (const answer of [
        await fetch(url + path),
        await post(path, {}),
        await post('/messages', { thread: text, text: 'x' }),
      ]) {
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(foundIn(unescaped(await answer.text()))).toEqual([]);
      }
    }
  });

  /** A click of this person's: what a form is opened with. */
  async function press(): Promise<string> {
    const button = { label: 'Go', style: 'primary', action: 'go', value: 'there' } as const;
    const card: Card = { summary: 'Go', blocks: [{ kind: 'actions', buttons: [button] }] };
    const { ref } = await chat.post(thread, card, { key: 'go' });
    const nonce = randomBytes(8).toString('hex');
    await post(`/messages/${ref}/actions`, { action: 'go', value: 'there', nonce });
    return `web:${person.userId}:${nonce}`;
  }

  test('a redactor that fails posts nothing, and says nothing of why', async () => {
    const broken = redactedChat(web, () => {
      throw new Error(CANARIES.join(' '));
    });
    const attempt = broken.post(thread, cardOf('never seen'), { key: 'two' });
    const error = await attempt.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'redaction_failed' });
    expect(inspect(error, { depth: 5 })).not.toContain(CANARIES[0]);
    expect(await page()).not.toContain('never seen');
  });
});

function unescaped(html: string): string {
  return html
    .replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}

describe('66 to and from the model', () => {
  let server: AnthropicServer;
  beforeAll(async () => {
    server = await createAnthropicServer();
  });
  afterAll(() => server.close());

  test('no canary goes in a request, and none comes back in a reply', async () => {
    const model = redactedModel(
      createAnthropicModel({
        apiKey: new Secret(server.apiKey),
        baseUrl: server.url,
        egress: createEgress({ privateTargets: [new URL(server.url).host], log: silentLog }),
        model: 'claude-sonnet-5-5',
        log: silentLog,
      }),
      clean,
    );
    const words = TEXTS.join(' | ');
    const schema = z.object({ words: z.string(), list: z.array(z.string()) });
    server.script(answers({ words, list: TEXTS }));
    const answer = await model.answer({ instructions: words, text: words, schema, timeoutMs: 10_000 });
    expect(server.requests).toHaveLength(1);
    expectClean(server.requests[0]?.text ?? '');
    expectClean(JSON.stringify(answer));
  });
});

describe('66 on record', () => {
  test('no canary is kept: in the payload, in the row, or in any form of the export, names and addresses included', async () => {
    const base = `https://shop.example.com/${CANARIES[1]}`;
    const operation = await queuedOperation(core, shop, { base });
    const { customerId, admin } = shop;
    const tokens = await core.database.withCustomer(customerId, async (tx) => {
      // Names are the platform's, and people give themselves any.
      await core.customers.member(tx, customerId, { ...shop.merchant.person, name: TEXTS.join(' | ') });
      const link = { purpose: 'export', operationId: operation.id, memberId: admin.id } as const;
      const tokens: string[] = [];
      for (const _ of FORMATS) tokens.push((await core.links.issue(tx, customerId, link)).token);
      await core.audit.append(tx, customerId, {
        kind: 'guide.shown',
        operationId: operation.id,
        payload: {
          intent: TEXTS.join(' | '),
          error: TEXTS.join(' | '),
          pageUrl: `https://x.example/?q=${TEXTS.join('&')}`,
          deep: { deep: TEXTS },
        },
      });
      return tokens;
    });
    const entries = await core.database.withCustomer(customerId, (tx) =>
      core.audit.entriesOf(tx, customerId, operation.id),
    );
    expectClean(JSON.stringify(entries.map(({ payload }) => payload ?? null)));
    const rows = await sql<{ row: string }>(
      testDatabase.adminUrl,
      'SELECT t::text AS row FROM autonomous_operations_audit t',
    );
    expect(foundIn(rows.map(({ row }) => row).join('\n'))).toEqual([]);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true });

    const keeper = keepTrails(core);
    // The pages of an export use these parts of the context, and no other.
    const context = { ...core, checkpoints: keeper.checkpoints, services: [], log: silentLog } as unknown as Context;
    const pages = createConnectPages(context, clean);
    const routes = connectRoutes({ pages, publicUrl: () => 'http://localhost' });
    const api = createApiServer({
      port: 0,
      isLocal: true,
      routes: [routes],
      log: silentLog,
      isReady: async () => true,
    });
    const { port } = await api.start();
    try {
      for (const [at, format] of FORMATS.entries()) {
        const address = `http://127.0.0.1:${port}/connect/${tokens[at]}?format=${format}`;
        expect(foundIn(unescaped(await (await fetch(address)).text()))).toEqual([]);
        const answer = await fetch(address, {
          method: 'POST',
          headers: { origin: 'http://localhost' },
          body: new URLSearchParams(),
        });
        expect(answer.status).toBe(200);
        const file = await answer.text();
        // As it stands in the file, and as whoever opens it reads it.
        for (const words of [file, file.replaceAll('""', '"'), file.replaceAll('\\"', '"')]) expectClean(words);
      }
    } finally {
      await api.stop();
      keeper.remove();
    }
  });
});

describe('66 in an error', () => {
  test('no canary is answered by the public server, whatever failed and whatever was asked for', async () => {
    const routes = Router();
    let text = '';
    routes.get('/fail', () => {
      throw Object.assign(new CountersignError('network', text, { cause: new Error(text) }), { request: text });
    });
    const lines: string[] = [];
    const log = createLog({ isVerbose: true, redact: clean, sink: { write: (line) => lines.push(line) } });
    const api = createApiServer({ port: 0, isLocal: true, routes: [routes], log, isReady: async () => true });
    const { port } = await api.start();
    try {
      for (const written of TEXTS) {
        text = written;
        const at = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
        for (const answer of [
          await at('/fail'),
          await at(`/${encodeURIComponent(text)}`),
          await at(`/fail?q=${encodeURIComponent(text)}`),
        ]) {
          const said = `${JSON.stringify([...answer.headers])}${await answer.text()}`;
          expect(foundIn(said)).toEqual([]);
        }
      }
    } finally {
      await api.stop();
    }
    expect(lines.length).toBeGreaterThanOrEqual(TEXTS.length);
    expectClean(lines.join(''));
  });

  test('what an operator reads at a failed start shows no password of an address', () => {
    const address = 'postgresql://owner:Tr0ub4dor-and-3@db.example:5432/countersign';
    for (const error of [
      new Error(`no answer from ${address}`),
      new CountersignError('database_unavailable', address),
    ]) {
      expect(explain(error)).not.toMatch(/Tr0ub4dor/);
      expect(explain(error)).toContain('db.example');
    }
  });

  test('a Secret says nothing of itself by any way of printing', () => {
    const secret = new Secret(CANARIES[2] ?? '');
    const said = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect({ secret }, { showHidden: true, depth: 5, getters: true }),
      format('%s %o %O %j', secret, secret, secret, secret),
      JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
      JSON.stringify({ ...secret }),
      new Error('x', { cause: secret }).stack ?? '',
      inspect(new Error('x', { cause: secret })),
      String(structuredClone({ ...secret })),
    ].join('\n');
    expect(foundIn(said)).toEqual([]);
  });
});

describe('66 in the queue', () => {
  test('a job that would carry more than ids is not sent', async () => {
    const { customerId } = shop;
    const job = { customerId, operationId: 'op-abcd2345' };
    for (const wrong of [
      { ...job, note: CANARIES[0] },
      { ...job, operationId: CANARIES[1] },
      { customerId: CANARIES[1], operationId: job.operationId },
    ]) {
      // What a careless caller could pass in spite of the types.
      const send = core.database.withCustomer(customerId, (tx) => core.queue.sendOperation(tx, wrong as never));
      await expect(send).rejects.toThrow();
      const later = core.database.withCustomer(customerId, (tx) =>
        core.queue.sendDeadline(tx, wrong as never, new Date()),
      );
      await expect(later).rejects.toThrow();
    }
    const rows = await sql<{ row: string }>(testDatabase.adminUrl, 'SELECT to_jsonb(j)::text AS row FROM pgboss.job j');
    expect(rows.length).toBeGreaterThan(0);
    expect(foundIn(rows.map(({ row }) => row).join('\n'))).toEqual([]);
  });
});

describe('66 each encoding', () => {
  test.each(WRITTEN)('is taken out: $name', ({ text, length }) => {
    // No canary goes on with a z behind its first eight characters: white space does not count, and more would be taken out.
    const redacted = clean(`before ${text} zone`);
    expect(leftOver(text, redacted, length)).toBeUndefined();
    expect(redacted).toMatch(/^before .*\[secret\].* zone$/s);
  });

  test('would be found: this very search finds each of them where nothing is taken out', () => {
    for (const { name, text, length } of WRITTEN)
      expect(leftOver(text, `before ${text} after`, length), name).toBeDefined();
  });
});
