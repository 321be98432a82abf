// WooCommerce's own way: the owner approves the key in the shop, and the shop sends it. Behind TLS, as it has to be.
import { request as forward } from 'node:http';
import { createServer as createTlsServer, type Server } from 'node:https';
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Certificate, createLoopbackCertificate } from '../practice/woocommerce/certificate.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { freePort } from '../support/free-port.ts';
import { openPeople, operationIdIn, type People, press, RUN_MS, seen } from '../support/people.ts';

/** A shop posts to the usual ports alone. */
const PORT = 8080;

let certificate: Certificate;
let front: Server;
let behind: number;
let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;
/** What the shop's server posted, oldest first. */
const posted: { readonly url: string; readonly body: string }[] = [];

beforeAll(async () => {
  certificate = createLoopbackCertificate();
  behind = await freePort();
  front = await serveTls(certificate, behind);
  demo = await startTestDemo({
    env: { PORT: String(behind), PUBLIC_URL: `https://localhost:${PORT}` },
    shop: { obstacles: { adminEmailCheck: false }, trusted: certificate.cert },
  });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
  front?.closeAllConnections();
  await new Promise((done) => front?.close(done));
});
beforeEach(() => appoint(demo, ['approver']));

/** The reverse proxy that an installation stands behind. */
async function serveTls(own: Certificate, port: number): Promise<Server> {
  const server = createTlsServer(own, (asked, response) => {
    const chunks: Buffer[] = [];
    asked.on('data', (chunk: Buffer) => chunks.push(chunk));
    asked.on('end', () => {
      const body = Buffer.concat(chunks);
      if (asked.method === 'POST') posted.push({ url: asked.url ?? '', body: body.toString() });
      const headers = { ...asked.headers, 'x-forwarded-for': '127.0.0.1' };
      const sent = forward({ port, host: '127.0.0.1', path: asked.url, method: asked.method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      sent.on('error', () => response.writeHead(502).end());
      sent.end(body);
    });
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(PORT, '127.0.0.1', done);
  });
  return server;
}

async function request(): Promise<string> {
  await people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin}`);
  return operationIdIn(merchant);
}

/** Up to the shop's own page, on which the merchant is signed in. */
async function toTheShop(): Promise<Page> {
  await press(approver, 'Approve');
  await seen(merchant, /Countersigned by Approver/);
  const link = merchant.getByRole('article').getByRole('link', { name: 'Open the one-time page' }).last();
  const href = (await link.getAttribute('href')) ?? '';
  const context = await people.browser.newContext({ ignoreHTTPSErrors: true });
  const tab = await context.newPage();
  await tab.goto(href);
  await tab.getByRole('link', { name: 'Approve it in WooCommerce' }).click();
  await tab.getByLabel('Username or email address').fill(demo.shop.username);
  await tab.getByLabel('Password').fill(demo.shop.password);
  await tab.getByRole('button', { name: 'Login' }).click();
  return tab;
}

const alive = () => demo.shop.keys().filter(({ isRevoked }) => !isRevoked);
const again = (body: object, url = posted.at(-1)?.url ?? '') =>
  fetch(`http://127.0.0.1:${behind}${url}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('approved in the shop itself', () => {
  it('a key comes to the vault without any password, is proven, and its address takes nothing twice', async () => {
    const id = await request();
    const card = await seen(approver, 'Create a WooCommerce API key');
    expect(await card.innerText()).toMatch(
      /Merchant says yes on WooCommerce's own page[\s\S]*No password is asked for/,
    );
    const tab = await toTheShop();
    await tab.getByRole('heading', { name: `Countersign ${id} would like to connect to your store` }).waitFor();
    expect(await tab.locator('.wc-auth-content').innerText()).toMatch(/read access/);
    await tab.getByRole('link', { name: 'Approve' }).click();
    await tab.getByRole('heading', { name: 'Thank you' }).waitFor();
    const words = await (await seen(merchant, /Done in .* WooCommerce is connected/, RUN_MS)).innerText();
    expect(words).toContain('5 products');
    expect(alive().map(({ description }) => description)).toEqual([
      expect.stringContaining(`Countersign ${id} - API (`),
    ]);
    const { consumer_secret: secret } = JSON.parse(posted[0]?.body ?? '') as { consumer_secret: string }; // the shop wrote it
    for (const page of [merchant, approver]) expect(await page.content()).not.toContain(secret);
    expect((await again(JSON.parse(posted[0]?.body ?? ''))).status).toBe(410);
    await tab.context().close();
  });

  it('what is denied there makes nothing, and the request stays open', async () => {
    const before = alive().length;
    await request();
    const tab = await toTheShop();
    await tab.getByRole('link', { name: 'Deny' }).click();
    await tab.getByRole('heading', { name: 'Nothing was approved' }).waitFor();
    expect(alive()).toHaveLength(before);
    await tab.context().close();
  });

  it('takes no key of more power than was approved, of another operation, or that somebody else sends', async () => {
    const before = posted.length;
    const id = await request();
    const tab = await toTheShop();
    const callback = new URL(new URL(tab.url()).searchParams.get('callback_url') ?? '').pathname;
    const key = {
      ...{ key_id: 9, user_id: id, key_permissions: 'read' },
      ...{ consumer_key: `ck_${'0'.repeat(40)}`, consumer_secret: `cs_${'0'.repeat(40)}` },
    };
    expect((await again({ ...key, key_permissions: 'read_write' }, callback)).status).toBe(410);
    expect((await again({ ...key, user_id: 'op-00000000' }, callback)).status).toBe(410);
    expect((await again({ ...key, consumer_key: 'ck_1' }, callback)).status).toBe(410);
    expect((await again(key, `${callback}x`)).status).toBe(410);
    // One that fits is taken, tried at the shop, which doesn't know it, and not kept.
    expect((await again(key, callback)).status).toBe(200);
    await seen(merchant, /It was not kept/, RUN_MS);
    expect(posted).toHaveLength(before);
    const stored = await demo.sql("SELECT FROM autonomous_credentials WHERE credential_metadata->>'operationId' = $1", [
      id,
    ]);
    expect(stored).toEqual([]);
    // The shop's own yes comes too late, and it takes its key back.
    await tab.getByRole('link', { name: 'Approve' }).click();
    await tab.getByText('unable to send the consumer data').waitFor();
    expect(alive().filter(({ description }) => description.includes(id))).toEqual([]);
    await tab.context().close();
  });
});
