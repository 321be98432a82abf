// Shopify from the sentence in the chat to the proven app: a person makes the app by the guide and enters its keys.
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { credentialValueSchema } from '../../adapters/api/credential-value.ts';
import { runCli } from '../../bot/cli.ts';
import { services } from '../../core/services/index.ts';
import { type PracticeApp, type PracticeShopify, startPracticeShopify } from '../practice/shopify/server.ts';
import { practiceService } from '../practice/shopify/service.ts';
import { bearer } from '../support/api.ts';
import { appoint, asAdmin, startTestDemo, type TestDemo } from '../support/demo.ts';
import {
  follow,
  openPeople,
  operationIdIn,
  type People,
  press,
  pressAndConfirm,
  say,
  seen,
} from '../support/people.ts';
import { databaseSinks, filesIn, recordingLog } from '../support/sinks.ts';
import { sweep } from '../support/sweep.ts';

const log = recordingLog();
let practice: PracticeShopify;
let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;

beforeAll(async () => {
  practice = await startPracticeShopify();
  demo = await startTestDemo({
    log: log.log,
    env: { ALLOW_PRIVATE_TARGETS: new URL(practice.origin).host },
    services: services.map((service) => (service.id === 'shopify' ? practiceService(practice) : service)),
  });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
  await practice?.close();
});
beforeEach(() => appoint(demo, ['approver']));

const host = () => new URL(practice.origin).host;
const stateOf = async (id: string) =>
  (await demo.sql('SELECT status FROM autonomous_operations WHERE id = $1', [id]))[0]?.status;
const storedOf = async (id: string) =>
  (await demo.sql(`SELECT id FROM autonomous_credentials WHERE credential_metadata ->> 'operationId' = $1`, [id]))[0]
    ?.id;

/** Asked for, approved, and the keys of this app entered. */
async function connect(app: PracticeApp): Promise<string> {
  await people.begin('Merchant', 'set up Shopify for my-shop');
  await seen(approver, `Connect a Shopify app for ${host()}`);
  const id = await operationIdIn(merchant);
  await press(approver, 'Approve');
  await enter(app);
  return id;
}

async function enter({ clientId, clientSecret }: Pick<PracticeApp, 'clientId' | 'clientSecret'>): Promise<void> {
  const form = await follow(merchant, 'Open the one-time page');
  await form.getByLabel('Client ID', { exact: true }).fill(` ${clientId} `);
  await form.getByLabel('Client secret', { exact: true }).fill(clientSecret);
  await form.getByRole('button', { name: 'Send it to the vault' }).click();
  await form.getByRole('heading', { name: 'Thank you' }).waitFor();
  await form.close();
}

async function countersign(...argv: string[]): Promise<string> {
  const said: string[] = [];
  const sinks = { say: (line: string) => said.push(line), complain: () => {} };
  const env = { DATABASE_URL: demo.app.databaseUrl };
  expect(await runCli(argv, { env, folder: demo.project.folder, ...sinks })).toBe(0);
  return said.join('\n');
}

describe('asking', () => {
  it('asks for the name of the store, says where it is found, and takes the name alone', async () => {
    await people.begin('Merchant', 'can you set up shopify?');
    await seen(merchant, "What is your store's myshopify.com name? Write it here, such as “my-shop.myshopify.com”.");
    await say(merchant, 'shop.example.com');
    await seen(merchant, /Settings › Domains shows it.*Nothing was done/);
    await say(merchant, 'bluebird');
    const card = await (await seen(approver, `Connect a Shopify app for ${host()}`)).innerText();
    expect(card).toMatch(/The app may read products\s+read_products/);
    expect(card).toContain('Merchant makes the key, by steps that I show');
    expect(card).toContain('Beta: not yet proven');
    expect(card).not.toContain('write_');
  });
});

describe('an app that a person made', () => {
  it('is proven, kept, used by a token of the day, and ended at Shopify by a button', async () => {
    const app = practice.makeApp({ scopes: ['read_products'], isInstalled: true, unfindable: 1 });
    const id = await connect(app);
    await seen(merchant, /the app has read_products, and nothing beyond that/);
    expect(await stateOf(id)).toBe('completed');

    const stored = await storedOf(id);
    const bearerToken = await countersign(
      'token',
      'create',
      '--customer',
      'This computer',
      '--scope',
      'credentials:value',
    );
    const url = `${demo.app.urls.http}/api/autonomous/credentials/${stored}/value`;
    const answer = credentialValueSchema.parse(await (await fetch(url, { headers: bearer(bearerToken) })).json());
    expect(answer.fields).toMatchObject({ client_id: app.clientId, client_secret: app.clientSecret });
    const ask = () =>
      fetch(`${practice.origin}/admin/api/2026-10/graphql.json`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-shopify-access-token': answer.fields.access_token ?? '' },
        body: JSON.stringify({ query: '{ currentAppInstallation { accessScopes { handle } } }' }),
      });
    expect((await ask()).status).toBe(200);

    await pressAndConfirm(approver, 'Revoke', 'Revoke it');
    await seen(merchant, 'Shopify no longer takes it.');
    expect(app.installed).toBeUndefined();
    expect((await ask()).status).toBe(401);
    expect(await demo.sql('SELECT id FROM autonomous_credentials WHERE service = $1', ['shopify'])).toEqual([]);

    const sinks = [
      ...(await databaseSinks(asAdmin(demo.app.databaseUrl))),
      ...filesIn(demo.project.folder),
      log.sink(),
    ];
    const secrets = { secret: app.clientSecret, token: answer.fields.access_token ?? '' };
    expect(sweep(sinks, secrets)).toEqual([]);
  });

  it('is refused when it may do more than was approved, and not kept', async () => {
    const app = practice.makeApp({ scopes: ['read_products', 'write_orders'], isInstalled: true });
    const id = await connect(app);
    await seen(merchant, /may do more than was approved: write_orders, read_orders\..*It was not kept/s);
    expect(await stateOf(id)).toBe('failed');
    expect(await demo.sql('SELECT id FROM autonomous_credentials WHERE service = $1', ['shopify'])).toEqual([]);
    expect(app.installed).toEqual(['read_products', 'write_orders']);
  });

  it('is told apart from an App Automation Token before anything is stored', async () => {
    await people.begin('Merchant', 'connect my-shop to Shopify');
    await seen(approver, `Connect a Shopify app for ${host()}`);
    await press(approver, 'Approve');
    const form = await follow(merchant, 'Open the one-time page');
    expect(await form.locator('main').innerText()).toContain('exactly: read_products');
    await form.getByLabel('Client ID', { exact: true }).fill('0'.repeat(32));
    await form.getByLabel('Client secret', { exact: true }).fill('0123456789abcdef0123456789abcdef');
    await form.getByRole('button', { name: 'Send it to the vault' }).click();
    await form.getByText('An “App Automation Token”, on the same page, is another thing').waitFor();
    await form.close();
  });
});
