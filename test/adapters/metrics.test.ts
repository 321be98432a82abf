import { readFileSync } from 'node:fs';
import { createServer, get, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { browsersOf } from '../../adapters/metrics/browsers.ts';
import { createMetrics } from '../../adapters/metrics/index.ts';
import { createDatabase } from '../../core/database.ts';
import { CountersignError } from '../../core/errors.ts';
import { type Listening, listenEverywhere } from '../../core/http-listen.ts';
import { measuredAudit, measuredChat, measuredMover, measuredVault } from '../../core/measured-ports.ts';
import { createMeasures } from '../../core/measures.ts';
import type { Chat } from '../../core/ports/chat.ts';
import { Secret } from '../../core/secret.ts';
import { type Core, cancel, grant, installShop, openCore, requestOperation, storeSignIn } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { finishStep } from '../support/stream.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const TOKEN = '0123456789abcdef'.repeat(2);

let testDatabase: TestDatabase;
let core: Core;
const opened: { server: Server; listening: Listening }[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
afterEach(async () => {
  for (const { server, listening } of opened.splice(0)) {
    server.closeAllConnections();
    await listening.close();
  }
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const measuring = () => createMetrics({ version: '1.2.3', role: 'all' });

/** The address of `/metrics`, as the program's server would have it. */
async function serve(metrics = measuring(), token?: string, database = core.database): Promise<string> {
  const app = express();
  app.use(metrics.route({ measures: createMeasures(database), ...(token ? { token: new Secret(token) } : {}) }));
  const server = createServer(app);
  const listening = await listenEverywhere(server, 0);
  opened.push({ server, listening });
  return `http://127.0.0.1:${listening.port}/metrics`;
}

const ask = async (url: string, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { headers });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
};

/** Name and labels → value. */
async function scrape(metrics = measuring()): Promise<Readonly<Record<string, number>>> {
  const { text } = await ask(await serve(metrics));
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(samples.map((line) => [line.replace(/ \S+$/, ''), Number(line.split(' ').at(-1))]));
}

describe('/metrics', () => {
  test('is Prometheus’ text, with the process’s own metrics and what runs', async () => {
    const { status, type, text } = await ask(await serve());
    expect([status, type]).toEqual([200, expect.stringMatching(/^text\/plain; version=0\.0\.4/)]);
    expect(text).toContain(`countersign_build_info{version="1.2.3",role="all",node="${process.version}"} 1`);
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
    ])
      expect(text).toMatch(new RegExp(`^${name} [\\d.e+-]+$`, 'm'));
  });

  test('answers this computer, and nobody else without the token', async () => {
    const [open, guarded] = [await serve(), await serve(measuring(), TOKEN)];
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    expect((await ask(open)).status).toBe(200);
    expect((await ask(guarded)).status).toBe(200);
    for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip', 'x-forwarded-host', 'x-forwarded-proto']) {
      const forwarded = { [name]: '127.0.0.1' }; // whatever it says
      expect([name, (await ask(open, forwarded)).status]).toEqual([name, 404]);
      expect([name, (await ask(guarded, forwarded)).status]).toEqual([name, 401]);
      expect((await ask(guarded, { ...forwarded, ...bearer(TOKEN) })).status).toBe(200);
      expect((await ask(guarded, { ...forwarded, ...bearer(`${TOKEN}0`) })).status).toBe(401);
      expect((await ask(open, { ...forwarded, ...bearer('undefined') })).status).toBe(404);
    }
    const [outside] = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .filter((one) => !one.internal && one.family === 'IPv4');
    if (outside) {
      const from = (url: string) => url.replace('127.0.0.1', outside.address);
      expect([(await ask(from(open))).status, (await ask(from(guarded))).status]).toEqual([404, 401]);
      expect((await ask(from(guarded), bearer(TOKEN))).status).toBe(200);
    }
  });

  test('answers no page of a browser on this computer under a name that somebody pointed here', async () => {
    const { port, pathname } = new URL(await serve());
    const under = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const asked = get(
          { host: '127.0.0.1', port, path: pathname, headers: { host: `${host}:${port}` } },
          (answer) => {
            answer.resume();
            resolve(answer.statusCode);
          },
        );
        asked.on('error', reject);
      });
    for (const host of ['localhost', '127.0.0.1', '[::1]']) expect([host, await under(host)]).toEqual([host, 200]);
    for (const host of [
      'evil.example.com',
      'localhost.evil.example.com',
      '127.0.0.1.evil.example.com',
      'countersign.example.com',
    ])
      expect([host, await under(host)]).toEqual([host, 404]);
  });

  test('says how the queue and open operations stand, in numbers of all customers, and only while the database answers', async () => {
    const shops = [await installShop(core), await installShop(core)];
    for (const shop of shops) await requestOperation(core, shop);
    const samples = await scrape();
    expect(samples['countersign_operations_open{service="woocommerce",state="awaiting_consent"}']).toBe(2);
    expect(samples['countersign_queue_jobs{queue="operations",state="waiting"}']).toBe(0);
    expect(samples['countersign_dead_letters{queue="operations"}']).toBe(0);
    expect(samples.countersign_database_up).toBe(1);
    const names = Object.keys(samples).join('\n');
    for (const { customerId, workspaceId } of shops)
      expect(names).not.toMatch(new RegExp(`${customerId}|${workspaceId}|op-`));
    const away = createDatabase({ url: 'postgres://nobody@127.0.0.1:1/nothing', rootKeys: testRootKeys, poolSize: 1 });
    const { text } = await ask(await serve(measuring(), undefined, away));
    await away.close();
    expect(text).toContain('countersign_database_up 0');
    expect(text).not.toMatch(/^countersign_(?:queue_jobs|operations_open)\{/m);
  });
});

describe('what is counted', () => {
  test('stored keys by how they fare, as long as they are there', async () => {
    const { customerId } = await installShop(core);
    const place = { target: 'https://counted.example.com' };
    const name = 'countersign_connections{service="shopify",state="unknown"}';
    await core.vault.store(customerId, 'shopify', 'api_key', { ...place, value: 'ck_counted' });
    expect((await scrape())[name]).toBe(1);
    await core.vault.delete(customerId, 'shopify', 'api_key', place);
    expect((await scrape())[name]).toBeUndefined();
  });

  test('an operation that ends, with the time that people took apart from the rest', async () => {
    const metrics = measuring();
    const shop = await installShop(core);
    const mover = measuredMover(core.mover, metrics);
    const operation = await requestOperation(core, shop);
    const { customerId, id: operationId } = operation;
    await shiftClock(testDatabase.ownerUrl, '10 minutes'); // the approver has lunch
    await grant(core, operation, shop.approver);
    const move = (
      from: 'awaiting_credentials' | 'queued' | 'in_progress',
      to: 'queued' | 'in_progress' | 'completed',
    ) =>
      core.database.withCustomer(customerId, async (tx) => {
        if (to === 'queued') await storeSignIn(core, tx, operation);
        const kind =
          to === 'completed' ? 'operation.completed' : to === 'queued' ? 'operation.queued' : 'operation.started';
        const fence = await mover.move(tx, customerId, { operationId, from: [from], to, entry: { kind } });
        if (fence === undefined) throw new Error(`it was not ${from}`);
      });
    await move('awaiting_credentials', 'queued');
    await shiftClock(testDatabase.ownerUrl, '30 seconds');
    await move('queued', 'in_progress');
    await shiftClock(testDatabase.ownerUrl, '90 seconds');
    await move('in_progress', 'completed');
    await requestOperation(core, shop).then((other) => cancel({ ...core, mover }, other));
    const samples = await scrape(metrics);
    expect(samples['countersign_operations_total{service="woocommerce",outcome="completed"}']).toBe(1);
    expect(samples['countersign_operations_total{service="woocommerce",outcome="cancelled"}']).toBe(1);
    const seconds = (name: string) => samples[`countersign_${name}_seconds_sum{service="woocommerce"}`] ?? Number.NaN;
    expect(seconds('time_to_key')).toBeGreaterThanOrEqual(720);
    expect(seconds('time_to_key')).toBeLessThan(740);
    expect(seconds('time_to_key_without_people')).toBeGreaterThanOrEqual(120);
    expect(seconds('time_to_key_without_people')).toBeLessThan(140);
    const machine = samples['countersign_operation_machine_seconds_sum{service="woocommerce",outcome="completed"}'];
    expect(machine).toBeGreaterThanOrEqual(90);
    expect(machine).toBeLessThan(110);
  });

  test('steps by rung once they are committed, appends, and readings of secrets', async () => {
    const metrics = measuring();
    const shop = await installShop(core);
    const audit = measuredAudit(core.audit, metrics);
    const vault = measuredVault(core.vault, metrics);
    const operation = await requestOperation(core, shop);
    const { customerId } = shop;
    await finishStep({ ...core, audit }, operation, {}, 2);
    const rolledBack = core.database.withCustomer(customerId, async (tx) => {
      await audit.append(tx, customerId, { kind: 'step.finished', operationId: operation.id, success: false });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await vault.store(customerId, 'woocommerce', 'api_key', { target: 'https://shop.example.com', value: 'ck_1' });
    const where = {
      customerId,
      service: 'woocommerce',
      type: 'api_key',
      target: 'https://shop.example.com',
      why: 'test',
    } as const;
    expect(await vault.open(where, () => 'opened')).toBe('opened');
    const samples = await scrape(metrics);
    expect(samples['countersign_steps_total{rung="replayed",outcome="done"}']).toBe(2);
    expect(Object.keys(samples).filter((name) => name.includes('outcome="failed"'))).toEqual([]);
    expect(samples['countersign_step_seconds_sum{rung="replayed"}']).toBeCloseTo(2.4);
    expect(samples.countersign_audit_append_seconds_count).toBe(3);
    expect(samples.countersign_vault_read_seconds_count).toBe(1);
  });

  test('calls of a chat platform, by what became of them, and conversations with the model', async () => {
    const metrics = measuring();
    const chat = createRecordingChat();
    const refusals: readonly CountersignError[] = [
      new CountersignError('chat_unavailable', 'later', { isRetryable: true, retryAfterMs: 1_000 }),
      new CountersignError('chat_unavailable', 'never'),
    ];
    const person = { platform: 'web', workspaceId: 'W', userId: 'U', name: 'Mona' } as const;
    const failing = (error: CountersignError): Chat => ({ ...chat, directMessage: () => Promise.reject(error) });
    for (const error of refusals)
      await expect(
        measuredChat(failing(error), metrics).directMessage(person, { summary: '', blocks: [] }),
      ).rejects.toBe(error);
    await measuredChat(chat, metrics).directMessage(person, { summary: '', blocks: [] });
    const usage = {
      inputTokens: 100,
      outputTokens: 20,
      cacheReadTokens: 3,
      cacheWriteTokens: 4,
      model: 'm',
      usd: 0.25,
    };
    metrics.modelConversed({ kind: 'over', toolset: 'browser', turns: 2, words: '', usage });
    const samples = await scrape(metrics);
    for (const outcome of ['ok', 'throttled', 'failed'])
      expect(samples[`countersign_chat_calls_total{platform="${chat.platform}",outcome="${outcome}"}`]).toBe(1);
    expect(samples['countersign_model_tokens_total{model="m",kind="input"}']).toBe(100);
    expect(samples['countersign_model_cost_usd_total{model="m"}']).toBe(0.25);
  });

  test('no browser, where this process has none', async () => {
    const found = await browsersOf(process.pid);
    if (process.platform === 'linux') expect(found).toEqual({ running: 0, processes: 0, memoryBytes: 0 });
    expect(await browsersOf(process.pid, join(ROOT, 'no-proc'))).toBeUndefined();
  });
});

describe('the rules and the dashboard', () => {
  const namesIn = (text: string) => [...new Set(text.match(/\b(?:countersign|nodejs|process)_[a-z0-9_]+\b/g))];

  test.each(['docs/operate/alerts.yml', 'docs/operate/dashboard.json', 'docs/monitoring.md'])(
    '%s names only metrics that there are',
    async (file) => {
      const { text } = await ask(await serve());
      const there = new Set(Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name]) => name));
      const named = namesIn(read(file)).map((name) => name.replace(/_(?:bucket|sum|count)$/, ''));
      expect(named.length).toBeGreaterThan(5);
      expect(named.filter((name) => !there.has(name) && !/_$/.test(name))).toEqual([]);
    },
  );

  test('no metric of ours is missing from the page that explains them, and no label can grow', async () => {
    const { text } = await ask(await serve());
    const ours = Array.from(text.matchAll(/^# TYPE (countersign_\S+)/gm), ([, name]) => name ?? '');
    const explained = namesIn(read('docs/monitoring.md'));
    expect(ours.filter((name) => !explained.includes(name))).toEqual([]);
    for (const name of ours) expect(name).toMatch(/^countersign_[a-z]+(?:_[a-z]+)*$/);
  });

  test('each rule says how grave it is and what to do', () => {
    const rules = read('docs/operate/alerts.yml').split('      - alert: ').slice(1);
    expect(rules.length).toBeGreaterThan(8);
    for (const rule of rules)
      expect(rule).toMatch(/expr:[\s\S]+severity: (?:page|ticket)[\s\S]+summary: [\s\S]+action: /);
  });
});
