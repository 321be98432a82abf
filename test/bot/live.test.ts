// What is asked of the whole program from outside while it runs: its metrics, its readiness, its live stream.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CLOSED } from '../../adapters/api/stream-client.ts';
import { findChromium } from '../../adapters/browser/index.ts';
import { readConfig } from '../../bot/config.ts';
import { createLog } from '../../bot/log.ts';
import { type App, start } from '../../bot/main.ts';
import { listenOnLoopback } from '../../core/http-listen.ts';
import { createSecretRegistry, redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { createWebhooks } from '../../core/webhooks/webhooks.ts';
import { type Core, cancel, installShop, openCore, requestOperation } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';
import { connectTo, finishStep, streamToken } from '../support/stream.ts';

const PATIENCE = { timeout: 20_000, interval: 20 };
const METRICS_TOKEN = 'f00d'.repeat(10);

let database: TestDatabase;
let core: Core;
let folder: string;
const apps: App[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  core = await openCore(database);
  folder = mkdtempSync(join(tmpdir(), 'countersign-live-'));
});
afterEach(async () => {
  for (const app of apps.splice(0)) await app.stop();
});
afterAll(async () => {
  await core.close();
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function run(env: Readonly<Record<string, string>>, log = silentLog): Promise<App> {
  const config = readConfig({
    ...{ DATABASE_URL: database.programUrl, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY, PORT: '0' },
    ...{ CHECKPOINT_DIR: join(folder, 'checkpoints'), ...env },
  });
  const app = await start(config, { folder, log });
  apps.push(app);
  return app;
}

async function ask({ urls }: App, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${urls.http}${path}`, { headers });
  return { status: response.status, text: await response.text() };
}

describe('the program', () => {
  test('as a bot answers with its metrics, and to others with the token alone, which no line of its log shows', async () => {
    const lines: string[] = [];
    const secrets = createSecretRegistry();
    secrets.add(new Secret(METRICS_TOKEN));
    const log = createLog({
      ...{ isVerbose: true, redact: (text) => redact(text, secrets.all()) },
      sink: { write: (line) => lines.push(line) },
    });
    const app = await run({ ROLE: 'bot', METRICS_TOKEN, DEBUG_AUTONOMOUS: 'true' }, log);
    const { status, text } = await ask(app, '/metrics');
    expect([status, /countersign_build_info\{version="[\d.]+",role="bot",/.test(text)]).toEqual([200, true]);
    expect(text).toMatch(/^countersign_queue_jobs\{queue="operations",state="waiting"\} 0$/m);
    expect(text).toMatch(/^countersign_database_up 1$/m);
    const forwarded = { 'x-forwarded-for': '203.0.113.7' };
    expect((await ask(app, '/metrics', forwarded)).status).toBe(401);
    expect((await ask(app, '/metrics', { ...forwarded, authorization: `Bearer ${METRICS_TOKEN}` })).status).toBe(200);
    expect(lines.join('')).not.toContain(METRICS_TOKEN);
  });

  test('as a worker has metrics, too, and no stream', async () => {
    const configured = process.env.CHROMIUM_PATH === undefined ? {} : { configured: process.env.CHROMIUM_PATH };
    const { path } = await findChromium({ log: silentLog, mayInstall: true, ...configured });
    const app = await run({ ROLE: 'worker', CHROMIUM_PATH: path });
    expect((await ask(app, '/metrics')).text).toMatch(/countersign_build_info\{version="[\d.]+",role="worker",/);
    const stream = connectTo(`${app.urls.http?.replace('http', 'ws')}/api/autonomous/stream`, { token: 'any' });
    await expect(stream.begun).rejects.toThrow('HTTP 404');
  });

  test('posts to a customer’s webhook what goes on record', async () => {
    const types: string[] = [];
    const receiver = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => types.push(JSON.parse(text).type));
      response.end();
    });
    const { port, close } = await listenOnLoopback(receiver, 0);
    try {
      await run({ ROLE: 'bot', ALLOW_PRIVATE_TARGETS: `localhost:${port}` });
      const shop = await installShop(core);
      await createWebhooks(core).add(shop.customerId, { url: `http://localhost:${port}/`, kinds: ['operation'] });
      await cancel(core, await requestOperation(core, shop));
      await vi.waitUntil(() => types.length >= 2, PATIENCE);
      expect(types.toSorted()).toEqual(['operation.cancelled', 'operation.requested']);
    } finally {
      receiver.closeAllConnections();
      await close();
    }
  });

  test('tells of operations by its live stream, with addresses of its own, and says goodbye when it stops', async () => {
    const app = await run({ ROLE: 'bot' });
    const shop = await installShop(core);
    const { token } = await streamToken(core, shop);
    const reader = connectTo(`${app.urls.http?.replace('http', 'ws')}/api/autonomous/stream`, { token });
    await reader.begun;
    const operation = await requestOperation(core, shop);
    await finishStep(core, operation, { screenshotId: shop.threadId });
    await cancel(core, operation);
    await vi.waitUntil(() => reader.events.at(-1)?.state === 'cancelled', PATIENCE);
    const step = reader.events.find(({ event }) => event === 'autonomous_progress');
    expect(step).toMatchObject({ screenshot: expect.stringMatching(`^${app.urls.http}/pictures/`) });
    expect((await ask(app, '/metrics')).text).toMatch(/^countersign_stream_clients 1$/m);
    const stopping = app.stop();
    const readiness = await ask(app, '/readyz').catch(() => ({ status: 0 }));
    expect([0, 503]).toContain(readiness.status); // never ready while it ends
    await stopping;
    expect((await reader.closed).code).toBe(CLOSED.stopping.code);
  });
});
