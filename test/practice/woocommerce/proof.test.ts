// What the service says about keys, held against the practice shop.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEgress } from '../../../adapters/browser/index.ts';
import { createHttp } from '../../../adapters/http/index.ts';
import { Secret } from '../../../core/secret.ts';
import { verify } from '../../../core/services/woocommerce/verify.ts';
import { silentLog } from '../../support/silent-log.ts';
import { KEYS_PATH } from './pages/visit.ts';
import { type PracticeShop, startPracticeShop } from './server.ts';
import { createVisitor, type MadeKey, pick, type Visitor } from './visitor.ts';

const POWERS = { read: ['read_shop'], write: ['write_shop'], read_write: ['read_shop', 'write_shop'] } as const;

let shop: PracticeShop;
let visitor: Visitor;

beforeAll(async () => {
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  visitor = createVisitor(shop);
  await visitor.signIn();
});
afterAll(() => shop?.close());

function proven({ consumerKey, consumerSecret }: MadeKey, permissions: readonly string[]) {
  const http = createHttp({ egress: createEgress({ privateTargets: [new URL(shop.origin).host], log: silentLog }) });
  const credential = { consumer_key: new Secret(consumerKey), consumer_secret: new Secret(consumerSecret) };
  return verify({ base: shop.origin, origin: shop.origin, credential, permissions, http });
}

test.each(Object.keys(POWERS))('a key for %s is taken where that was approved, and nowhere else', async (power) => {
  const key = await visitor.makeKey(`A key to ${power}`, power);
  for (const [approved, permissions] of Object.entries(POWERS)) {
    const { kind } = await proven(key, permissions);
    expect([approved, kind]).toEqual([approved, approved === power ? 'works' : 'fails']);
  }
});

test('writing to nowhere makes nothing', async () => {
  const key = await visitor.makeKey('Counts', 'read_write');
  const first = await proven(key, POWERS.read_write);
  expect(await proven(key, POWERS.read_write)).toEqual(first);
  expect(first).toMatchObject({
    checked: expect.stringContaining('answered 200, 5 products; the key may read and change'),
  });
  const posted = shop.requests.filter(({ method, path }) => method === 'POST' && path.startsWith('/wp-json/'));
  expect(new Set(posted.map(({ path }) => path))).toEqual(new Set(['/wp-json/wc/v3/countersign-nowhere']));
});

test('a revoked key is said to be revoked, perhaps', async () => {
  const key = await visitor.makeKey('Short-lived');
  const { body } = await visitor.get(KEYS_PATH);
  await visitor.get(pick(body, new RegExp(`href="([^"]*revoke-key=${key.keyId}[^"]*)"`)).replaceAll('&amp;', '&'));
  expect(await proven(key, POWERS.read)).toMatchObject({
    kind: 'fails',
    reason: expect.stringContaining('the key was revoked there'),
  });
});
