// After a whole run, every place that outlives it is searched for what the run was entrusted with.
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { createAudit } from '../../core/audit/audit.ts';
import { createDatabase } from '../../core/database.ts';
import { createDirectory } from '../../core/directory.ts';
import { customerId } from '../../core/ids.ts';
import type { Box } from '../../core/ports/browser.ts';
import type { Secret } from '../../core/secret.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { createVault } from '../../core/vault/vault.ts';
import { playScript } from '../practice/script.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { decode, maskedAt, type Pixels } from '../support/darkness.ts';
import { asAdmin, startTestDemo, type TestDemo } from '../support/demo.ts';
import { say } from '../support/people.ts';
import { databaseSinks, filesIn, recordingLog } from '../support/sinks.ts';
import { type Sink, sweep } from '../support/sweep.ts';
import { launchChromium, openPageAs } from '../support/web-chat.ts';

/** Written differently in JSON, HTML, URLs and forms. */
const PASSWORD = `kö/nig+käse & 100% "rye" <${randomBytes(6).toString('hex')}>`;
const PEOPLE = ['merchant', 'approver', 'admin'];
/** Of the ten steps. */
const [ENTER_PASSWORD, GENERATE] = [3, 9];

const log = recordingLog();
const transcript: string[] = [];
let demo: TestDemo;
let browser: Browser;
let key: Readonly<Record<string, Secret>>;
let pictures: ReadonlyMap<number, Buffer>;
let secrets: Readonly<Record<string, string | Buffer>>;
let sinks: readonly Sink[];

beforeAll(async () => {
  demo = await startTestDemo({
    postgres: 'own',
    shop: { password: PASSWORD },
    log: log.log,
    env: { DEBUG_AUTONOMOUS: 'true' },
  });
  const watcher = { say: (words: string) => void transcript.push(words) };
  const exitCode = await playScript(demo, { sentence: 'set up WooCommerce' }, watcher);
  expect(exitCode, transcript.join('\n')).toBe(0);
  browser = await launchChromium();
  const rootKey = readFileSync(rootKeyFile(), 'utf8').trim();
  key = await openKey(rootKey);
  pictures = await fetchPictures();
  secrets = {
    'consumer key': fieldOf('consumer_key').reveal(),
    'consumer secret': fieldOf('consumer_secret').reveal(),
    password: PASSWORD,
    'root key': Buffer.from(rootKey, 'base64'),
  };
  sinks = await collect();
}, 150_000);
afterAll(async () => {
  await browser?.close();
  await demo?.remove();
});

describe('what a run leaves behind', () => {
  it('holds no secret in any form: tables, files, logs, pages, pictures', () => {
    expect(sweep(sinks, secrets)).toEqual([]);
  });

  it('would be caught holding one: a canary planted in each place is found there', async () => {
    const canary = `canary ${randomBytes(20).toString('hex')}`;
    await plant(canary);
    const found = new Set(sweep(await collect(), { canary }).map(({ sink }) => sink));
    const { folder, postgresDir } = demo.project;
    const isFound = (place: string | RegExp) => [...found].some((sink) => sink.match(place));
    expect(found).toContain('log');
    expect(found).toContain('transcript');
    expect(found).toContain('table public.customers');
    expect(found).toContain('table public.canary, bytes');
    expect(isFound(/^table pgboss\.job/)).toBe(true);
    expect(found).toContain(join(folder, 'web-chat.jsonl'));
    for (const person of PEOPLE) expect(found).toContain(`page of ${person}`);
    expect(isFound(new RegExp(`^${postgresDir}/data/base/`))).toBe(true);
    expect(isFound(new RegExp(`^${postgresDir}/data/pg_wal/`))).toBe(true);
    expect(found).toContain(join(folder, 'left-behind'));
  });

  it.each([
    ['as it is', (secret: string) => secret],
    ['in hex', (secret: string) => Buffer.from(secret).toString('hex')],
    ['in an address', (secret: string) => encodeURIComponent(secret)],
    ['in a form', (secret: string) => String(new URLSearchParams({ field: secret }))],
    ['in JSON', (secret: string) => JSON.stringify({ field: secret })],
    ['backwards', (secret: string) => [...secret].reverse().join('')],
    ['in UTF-16', (secret: string) => Buffer.from(secret, 'utf16le')],
    ['in HTML', (secret: string) => secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')],
  ])('would be caught holding one written %s', (_, write) => {
    const canary = '+/ä canary \\ <&>?';
    const bytes = Buffer.concat([Buffer.from('before'), Buffer.from(write(canary)), Buffer.from('after')]);
    expect(sweep([{ name: 'a place', bytes }], { canary })).not.toEqual([]);
  });

  it.each([0, 1, 2, 3, 4, 5])(
    'would be caught holding one in the middle of something in base64, %i bytes in',
    (bytes) => {
      const text = Buffer.from(`${'x'.repeat(bytes)}a long enough secret${'y'.repeat(5)}`);
      for (const encoding of ['base64', 'base64url'] as const) {
        const around = { name: 'a place', bytes: Buffer.from(text.toString(encoding)) };
        expect(sweep([around], { canary: 'a long enough secret' })).not.toEqual([]);
      }
    },
  );

  it('holds no sign-in any more, and one sealed key that works', async () => {
    const rows = await demo.sql('SELECT credential_type, operation_id FROM autonomous_credentials');
    expect(rows).toEqual([{ credential_type: 'api_key', operation_id: null }]);
    const { origin } = demo.shop;
    const { host } = new URL(origin);
    const http = createHttp({ egress: createEgress({ privateTargets: [host], log: log.log }) });
    const answer = await http.request({
      method: 'GET',
      url: `${origin}/wp-json/wc/v3/products?per_page=1`,
      origins: [origin],
      auth: {
        kind: 'oauth1',
        consumerKey: fieldOf('consumer_key'),
        consumerSecret: fieldOf('consumer_secret'),
      },
      timeoutMs: 10_000,
    });
    expect(answer.status).toBe(200);
  });

  it('is closed to other accounts where the root key and the conversation lie', () => {
    expect(statSync(rootKeyFile()).mode & 0o777).toBe(0o600);
    expect(statSync(join(demo.project.folder, 'web-chat.jsonl')).mode & 0o777).toBe(0o600);
    expect(statSync(demo.project.postgresDir).mode & 0o777).toBe(0o700);
  });
});

describe('the pictures of a run', () => {
  it('are one colour where the password and the new key stood', async () => {
    const { bare, passwordField, keyPlaces } = await lookWithoutMasks();
    const [typed, generated] = [await pixelsOf(ENTER_PASSWORD), await pixelsOf(GENERATE)];
    expect(maskedAt(typed, [passwordField])).toBeDefined();
    expect(maskedAt(generated, keyPlaces)).toBeDefined();
    // The same look at a page that nothing was hidden on.
    expect(maskedAt(bare, keyPlaces)).toBeUndefined();
  }, 60_000);
});

/** Leaves the canary in each place by the way that a careless program would. */
async function plant(canary: string): Promise<void> {
  const { folder } = demo.project;
  log.log.warn({ nested: { cause: new Error(canary) } }, 'careless');
  transcript.push(canary);
  await demo.sql('UPDATE customers SET name = $1', [canary]);
  await demo.sql('CREATE TABLE canary (bytes bytea)');
  await demo.sql('INSERT INTO canary VALUES ($1)', [Buffer.from(canary)]);
  await demo.sql(`UPDATE pgboss.job SET data = jsonb_build_object('secret', $1::text) WHERE name = 'operations'`, [
    canary,
  ]);
  const page = await openPageAs(browser, demo.chatUrl, 'merchant');
  await page.goto(demo.chatUrl);
  await say(page, `note: ${canary}`);
  await page.getByRole('article').filter({ hasText: canary }).first().waitFor();
  await page.context().close();
  writeFileSync(join(folder, 'left-behind'), Buffer.from(canary).toString('base64'));
}

function rootKeyFile(): string {
  return join(demo.project.folder, 'root.key');
}

function fieldOf(name: string): Secret {
  const secret = key[name];
  if (!secret) throw new Error(`the vault holds no ${name}`);
  return secret;
}

/** The stored key in clear, by the vault itself. */
async function openKey(rootKey: string): Promise<Readonly<Record<string, Secret>>> {
  const rootKeys = createEnvironmentRootKeys({ current: rootKey, old: [] });
  const database = createDatabase({ url: demo.app.databaseUrl, rootKeys, poolSize: 2 });
  try {
    const sealer = createSealer(rootKeys);
    const audit = createAudit({ database, sealer });
    const vault = createVault({ database, directory: createDirectory(database), sealer, audit });
    const [row] = await demo.sql('SELECT customer_id FROM workspaces');
    const customer = customerId(String(row?.customer_id));
    const found = await vault.get(customer, 'woocommerce', 'api_key', { target: demo.shop.origin, why: 'test' });
    if (!found) throw new Error('the key is not in the vault');
    return found.fields;
  } finally {
    await database.close();
  }
}

/** Everything that is there now, but for the file in which the root key is meant to be. */
async function collect(): Promise<readonly Sink[]> {
  const pages: Sink[] = [];
  for (const person of PEOPLE) {
    const page = await openPageAs(browser, demo.chatUrl, person);
    await page.goto(demo.chatUrl);
    const words = await page.getByRole('main').innerText();
    pages.push({ name: `page of ${person}`, bytes: Buffer.from(`${await page.content()}\n${words}`) });
    await page.context().close();
  }
  const tables = await databaseSinks(asAdmin(demo.app.databaseUrl));
  await demo.sql('CHECKPOINT');
  const { folder, postgresDir } = demo.project;
  const files = [...filesIn(folder), ...filesIn(postgresDir)].filter(({ name }) => name !== rootKeyFile());
  const shown = [...pictures].map(([step, bytes]) => ({ name: `picture of step ${step}`, bytes }));
  const said = { name: 'transcript', bytes: Buffer.from(transcript.join('\n')) };
  return [...tables, ...files, ...pages, ...shown, said, log.sink()];
}

/** Step → its picture, opened by the program for whoever has its address. */
async function fetchPictures(): Promise<ReadonlyMap<number, Buffer>> {
  const page = await openPageAs(browser, demo.chatUrl, 'merchant');
  await page.goto(demo.chatUrl);
  const found = new Map<number, Buffer>();
  for (const link of await page.getByRole('link', { name: /^Enlarge: Step \d+: / }).all()) {
    const step = Number(/Step (\d+)/.exec((await link.getAttribute('aria-label')) ?? '')?.[1]);
    const answer = await page.request.get(new URL((await link.getAttribute('href')) ?? '', demo.chatUrl).href);
    found.set(step, await answer.body());
  }
  await page.context().close();
  expect([...found.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  return found;
}

function pixelsOf(step: number): Promise<Pixels> {
  return decode(browser, pictures.get(step) ?? Buffer.alloc(0), 'image/jpeg');
}

interface Bare {
  /** The page with a new key on it, as it is. */
  readonly bare: Pixels;
  readonly passwordField: Box;
  /** Both halves of the key, and the pattern that says them, too. */
  readonly keyPlaces: readonly Box[];
}

/** The same two pages of another shop, in a browser that hides nothing. */
async function lookWithoutMasks(): Promise<Bare> {
  const shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  try {
    const page = await context.newPage();
    await page.goto(`${shop.origin}/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys`);
    await page.getByLabel('Username or Email Address').fill(shop.username);
    await page.getByLabel('Password', { exact: true }).fill(shop.password);
    const passwordField = await boxOf(page.getByLabel('Password', { exact: true }));
    await page.getByRole('button', { name: 'Log In' }).click();
    await page.getByRole('link', { name: 'Create an API key' }).click();
    await page.getByLabel('Description').fill('Countersign op-aaaaaaaa');
    await page.getByRole('button', { name: 'Generate API key' }).click();
    const fields = ['Consumer key', 'Consumer secret'].map((name) => keyField(page, name));
    const keyPlaces = await Promise.all([...fields, page.locator('#keys-qrcode > canvas')].map(boxOf));
    return { bare: await decode(browser, await page.screenshot(), 'image/png'), passwordField, keyPlaces };
  } finally {
    await context.close();
    await shop.close();
  }
}

function keyField(page: Page, name: string): Locator {
  return page.getByRole('row', { name: new RegExp(`^${name}`) }).getByRole('textbox');
}

async function boxOf(element: Locator): Promise<Box> {
  await element.waitFor();
  const box = await element.boundingBox();
  if (!box) throw new Error('it is not on the page');
  return box;
}
