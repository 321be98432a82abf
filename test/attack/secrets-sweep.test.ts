// After a whole run, every place that outlives it is searched for what the run was entrusted with.
import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { createAudit } from '../../core/audit/audit.ts';
import { createDatabase } from '../../core/database.ts';
import { customerId } from '../../core/ids.ts';
import type { Box } from '../../core/ports/browser.ts';
import type { Secret } from '../../core/secret.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { createVault } from '../../core/vault/vault.ts';
import { playScript } from '../practice/script.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { decode, maskedAt, type Pixels } from '../support/darkness.ts';
import { asAdmin, startTestDemo, type TestDemo } from '../support/demo.ts';
import { say } from '../support/people.ts';
import { databaseSinks, filesIn, recordingLog } from '../support/sinks.ts';
import { formsOf, type Sink, sweep } from '../support/sweep.ts';
import { launchChromium, openPageAs } from '../support/web-chat.ts';

/** Written differently in JSON, HTML, URLs and forms. */
const PASSWORD = `kö/nig+käse & 100% "rye" <${randomBytes(6).toString('hex')}>`;
const PEOPLE = ['merchant', 'approver', 'admin'];
/** What is added above the page in a picture, and the picture's size, in pixels. */
const ADDRESS_BAR = 40;
const PICTURE = { width: 1280, height: 900 };

const log = recordingLog();
const said: string[] = [];
let demo: TestDemo;
let browser: Browser;
let key: Readonly<Record<string, Secret>>;
let threadPath: string;
let pictures: ReadonlyMap<number, Buffer>;
let secrets: Record<string, string | Buffer>;
let sinks: readonly Sink[];

beforeAll(async () => {
  demo = await startTestDemo({
    postgres: 'own',
    shop: { password: PASSWORD },
    log: log.log,
    env: { DEBUG_AUTONOMOUS: 'true' },
  });
  const code = await playScript(demo, { sentence: 'set up WooCommerce' }, { say: (words) => void said.push(words) });
  expect(code).toBe(0);
  browser = await launchChromium();
  const rootKey = readFileSync(join(demo.project.folder, 'root.key'), 'utf8').trim();
  key = await openKey(rootKey);
  threadPath = await findThread();
  pictures = await fetchPictures();
  secrets = {
    'consumer key': revealed('consumer_key'),
    'consumer secret': revealed('consumer_secret'),
    password: PASSWORD,
    'root key': Buffer.from(rootKey, 'base64'),
  };
  sinks = await collect();
}, 150_000);
afterAll(async () => {
  await browser?.close();
  await demo?.remove();
});

function revealed(name: string): string {
  const secret = key[name];
  if (!secret) throw new Error(`the vault holds no ${name}`);
  return secret.reveal();
}

/** The stored key in clear, by the vault itself. */
async function openKey(rootKey: string): Promise<Readonly<Record<string, Secret>>> {
  const rootKeys = createEnvironmentRootKeys({ current: rootKey, old: [] });
  const database = createDatabase({ url: demo.app.databaseUrl, rootKeys, poolSize: 2 });
  try {
    const sealer = createSealer(rootKeys);
    const vault = createVault({ sealer, audit: createAudit({ database, sealer }) });
    const [row] = await demo.sql('SELECT customer_id FROM workspaces');
    const customer = customerId(String(row?.customer_id));
    const place = { service: 'woocommerce', target: demo.shop.origin, type: 'api_key', operationId: null } as const;
    const opened = await database.withCustomer(customer, (tx) => vault.open(tx, customer, place, { why: 'test' }));
    if (!opened) throw new Error('the key is not in the vault');
    return opened;
  } finally {
    await database.close();
  }
}

async function findThread(): Promise<string> {
  const page = await openPageAs(browser, demo.chatUrl, 'merchant');
  await page.goto(demo.chatUrl);
  const path = await page.getByRole('navigation', { name: 'Speak as' }).getByRole('textbox', { includeHidden: true });
  await page.close();
  return path.toString();
}

async function fetchPictures(): Promise<ReadonlyMap<number, Buffer>> {
  return new Map();
}

async function collect(): Promise<readonly Sink[]> {
  return [];
}
