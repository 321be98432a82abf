import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KEYS_PATH } from './pages/visit.ts';
import { type PracticeShop, startPracticeShop } from './server.ts';
import type { PracticeFault } from './state.ts';
import { createVisitor, pick, type Visitor } from './visitor.ts';

let shop: PracticeShop;
let visitor: Visitor;

beforeEach(async () => {
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  visitor = createVisitor(shop);
});
afterEach(() => shop.close());

describe('signing in', () => {
  test('an admin page sends a stranger to the form, with the way back', async () => {
    const { status, location } = await visitor.get(KEYS_PATH);
    const target = encodeURIComponent(shop.origin + KEYS_PATH);
    expect([status, location]).toEqual([302, `${shop.origin}/wp-login.php?redirect_to=${target}&reauth=1`]);
    const form = await visitor.get(location ?? '');
    const back = pick(form.body, /name="redirect_to" value="([^"]+)"/).replaceAll('&amp;', '&');
    expect((await visitor.signIn(shop.password, back)).location).toBe(shop.origin + KEYS_PATH);
    expect((await visitor.get(KEYS_PATH)).status).toBe(200);
    expect((await visitor.get('/wp-login.php')).location).toBe(`${shop.origin}/wp-admin/`);
  });

  test('a wrong password is answered with 200 and an error, and is counted', async () => {
    const { status, body } = await visitor.signIn('guess');
    expect(status).toBe(200);
    expect(body).toContain('<div id="login_error" class="notice notice-error">');
    expect(body.replaceAll(/<[^>]+>/g, '')).toContain(
      `Error: The password you entered for the username ${shop.username} is incorrect. Lost your password?`,
    );
    expect(shop.failedSignIns()).toBe(1);
    await visitor.signIn();
    expect(shop.failedSignIns()).toBe(0);
  });

  test('after five wrong passwords the right one is refused too', async () => {
    for (let tries = 0; tries < 5; tries += 1) await visitor.signIn('guess');
    const { status, body } = await visitor.signIn();
    expect([status, body.includes('Too many failed login attempts')]).toEqual([429, true]);
    expect((await visitor.get('/wp-admin/')).status).toBe(302);
  });

  test.each(['https://elsewhere.example/', '//elsewhere.example/wp-admin/', 'javascript:alert(1)'])(
    'never leads to %s',
    async (target) => {
      expect((await visitor.signIn(shop.password, target)).location).toBe(`${shop.origin}/wp-admin/`);
    },
  );

  test('without the test cookie nobody gets in', async () => {
    const form = { log: shop.username, pwd: shop.password, testcookie: '1' };
    expect((await visitor.post('/wp-login.php', form)).body).toContain('Cookies are blocked');
    expect((await visitor.post('/wp-login.php', form)).status).toBe(302);
  });

  test('what was typed as a name is never markup', async () => {
    await visitor.get('/wp-login.php');
    const form = { log: '<img src=x>', pwd: 'x', testcookie: '1' };
    const { body } = await visitor.post('/wp-login.php', form);
    expect(body).not.toContain('<img');
    expect(body).toContain('&lt;img src=x&gt;');
  });

  test('signing everybody out, or oneself, closes the admin pages', async () => {
    await visitor.signIn();
    shop.signOutEverybody();
    expect((await visitor.get('/wp-admin/')).status).toBe(302);
    await visitor.signIn();
    const { body } = await visitor.get('/wp-admin/');
    await visitor.get(pick(body, /href="([^"]+action=logout[^"]+)"/).replaceAll('&amp;', '&'));
    expect((await visitor.get('/wp-admin/')).status).toBe(302);
  });
});

describe('the check of the administration email', () => {
  beforeEach(async () => {
    await shop.close();
    shop = await startPracticeShop();
    visitor = createVisitor(shop);
  });

  test.each(['Remind me later', 'The email is correct'])('ends by "%s"', async (answer) => {
    const { location } = await visitor.signIn();
    expect(location).toContain('/wp-login.php?action=confirm_admin_email');
    const { body } = await visitor.get(location ?? '');
    const plain = body.replaceAll('&amp;', '&');
    const done =
      answer === 'Remind me later'
        ? await visitor.get(pick(plain, /href="([^"]+remind_me_later[^"]+)"/))
        : await visitor.post('/wp-login.php?action=confirm_admin_email', {
            confirm_admin_email_nonce: pick(plain, /confirm_admin_email_nonce" value="(\w+)"/),
            'correct-admin-email': answer,
          });
    expect(done.location).toBe(`${shop.origin}/wp-admin/`);
    expect((await createVisitor(shop).signIn()).location).toBe(`${shop.origin}/wp-admin/`);
  });

  test('comes again after the next sign-in when it was left unanswered', async () => {
    await visitor.signIn();
    expect((await visitor.get('/wp-admin/')).status).toBe(200);
    expect((await createVisitor(shop).signIn()).location).toContain('confirm_admin_email');
  });
});

describe('the request behind "Generate API key"', () => {
  const form = {
    action: 'woocommerce_update_api_key',
    key_id: '0',
    description: 'Mine',
    user: '1',
    permissions: 'read',
  };
  const post = (fields: Record<string, string>) => visitor.post('/wp-admin/admin-ajax.php', { ...form, ...fields });

  test('answers 0 to a stranger and -1 to a wrong nonce, and makes nothing', async () => {
    expect(await post({ security: 'x' })).toMatchObject({ status: 400, body: '0' });
    await visitor.signIn();
    expect(await post({ security: '0123456789' })).toMatchObject({ status: 403, body: '-1' });
    expect(await post({ action: 'something_else' })).toMatchObject({ status: 400, body: '0' });
    expect(shop.keys()).toEqual([]);
  });

  test("refuses another session's nonce", async () => {
    const other = createVisitor(shop);
    await other.signIn();
    const foreign = pick((await other.get(`${KEYS_PATH}&create-key=1`)).body, /update_api_nonce":"(\w+)"/);
    await visitor.signIn();
    expect((await post({ security: foreign })).status).toBe(403);
  });

  test('changes an existing key without showing it again', async () => {
    await visitor.signIn();
    const { keyId } = await visitor.makeKey('Before', 'read');
    const { body } = await visitor.get(`${KEYS_PATH}&edit-key=${keyId}`);
    const security = pick(body, /update_api_nonce":"(\w+)"/);
    const answer = await post({ security, key_id: String(keyId), description: 'After', permissions: 'write' });
    expect(answer.body).toContain('"consumer_secret":""');
    expect(shop.keys()).toMatchObject([{ id: keyId, description: 'After', permissions: 'write' }]);
  });
});

describe('the list of keys', () => {
  beforeEach(() => visitor.signIn());

  test('revokes by a plain link without a question, if its nonce is right', async () => {
    await visitor.makeKey('Short-lived');
    const forged = await visitor.get(`${KEYS_PATH}&revoke-key=1&_wpnonce=0123456789`);
    expect([forged.status, shop.keys()]).toMatchObject([403, [{ isRevoked: false }]]);
    const { body } = await visitor.get(KEYS_PATH);
    const link = pick(body, /submitdelete" aria-label="Revoke API key" href="([^"]+)"/).replaceAll('&amp;', '&');
    expect((await visitor.get(link)).location).toBe(`${shop.origin}${KEYS_PATH}&revoked=1`);
    expect(shop.keys()).toMatchObject([{ isRevoked: true }]);
    expect((await visitor.get(link)).status).toBe(500);
  });

  test('searches descriptions, and says so when nothing is found', async () => {
    await visitor.makeKey('Warehouse');
    await visitor.makeKey('Newsletter');
    const found = await visitor.post(KEYS_PATH, { s: 'ware' });
    expect([found.body.includes('Warehouse'), found.body.includes('Newsletter')]).toEqual([true, false]);
    expect((await visitor.post(KEYS_PATH, { s: 'nothing' })).body).toContain('No keys found.');
  });

  test('shows ten on a page, newest first', async () => {
    for (let made = 1; made <= 11; made += 1) await visitor.makeKey(`Key no. ${made}`);
    const names = async (path: string) =>
      [...(await visitor.get(path)).body.matchAll(/row-title">([^<]+)</g)].map((match) => match[1]);
    expect((await names(KEYS_PATH))[0]).toBe('Key no. 11');
    expect(await names(`${KEYS_PATH}&paged=2`)).toEqual(['Key no. 1']);
  });

  test('revokes the marked ones at once', async () => {
    for (const name of ['One', 'Two', 'Three']) await visitor.makeKey(name);
    const nonce = pick((await visitor.get(KEYS_PATH)).body, /name="_wpnonce" value="(\w+)"/);
    const bulk = { action: 'revoke', 'key[]': '2' };
    expect((await visitor.post(KEYS_PATH, bulk)).status).toBe(403);
    expect((await visitor.post(KEYS_PATH, { ...bulk, _wpnonce: nonce })).location).toContain('&revoked=1');
    expect(shop.keys().map((key) => key.isRevoked)).toEqual([false, true, false]);
  });
});

describe('faults', () => {
  test.each<[PracticeFault, keysMade: number]>([
    ['generate-refused', 0],
    ['generate-answer-lost', 1],
    ['generate-connection-dropped', 1],
    ['signed-out', 0],
  ])('%s: the attempt fails, %i keys are made, and the next attempt succeeds', async (fault, keysMade) => {
    await visitor.signIn();
    const attempt = async () => {
      const security = pick((await visitor.get(`${KEYS_PATH}&create-key=1`)).body, /update_api_nonce":"(\w+)"/);
      shop.failNext(fault);
      const form = { action: 'woocommerce_update_api_key', security, key_id: '0', description: 'Unlucky', user: '1' };
      return (await visitor.post('/wp-admin/admin-ajax.php', { ...form, permissions: 'read' })).status;
    };
    expect(await attempt().catch(() => 'dropped')).not.toBe(200);
    expect(shop.keys()).toHaveLength(keysMade);
    await visitor.signIn();
    await visitor.makeKey('Lucky');
    expect(shop.keys()).toHaveLength(keysMade + 1);
  });

  test('page-error: one admin page answers 500', async () => {
    await visitor.signIn();
    shop.failNext('page-error');
    expect((await visitor.get('/wp-admin/')).status).toBe(500);
    expect((await visitor.get('/wp-admin/')).status).toBe(200);
  });
});

describe('the shop as a whole', () => {
  test('keeps a record of requests without secrets', async () => {
    await visitor.signIn();
    const { consumerKey, consumerSecret } = await visitor.makeKey('Recorded');
    const secrets = `consumer_key=${consumerKey}&consumer_secret=${consumerSecret}&oauth_signature=abc`;
    await visitor.get(`/wp-json/wc/v3/products?${secrets}`);
    await visitor.get(`${KEYS_PATH}&revoke-key=1&_wpnonce=0123456789`);
    const record = JSON.stringify(shop.requests);
    expect(shop.requests).toContainEqual({
      method: 'POST',
      path: '/wp-admin/admin-ajax.php',
      action: 'woocommerce_update_api_key',
    });
    expect(shop.requests.at(-1)?.path).toBe(`${KEYS_PATH}&revoke-key=1`);
    for (const secret of [consumerKey, consumerSecret, shop.password, 'abc', '0123456789']) {
      expect(record).not.toContain(secret);
    }
  });

  test('lets styles and scripts be cached, and pages not', async () => {
    await visitor.signIn();
    const { headers, body } = await visitor.get('/wp-admin/');
    expect(headers.get('cache-control')).toContain('no-store');
    const files = [...body.matchAll(/(?:src|href)="([^"]+\?ver=[^"]+)"/g)].map((match) => match[1] ?? '');
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const answer = await visitor.get(file);
      expect([file, answer.status]).toEqual([file, 200]);
      expect(answer.headers.get('cache-control')).toContain('max-age=31536000');
    }
  });

  test('every tab and section of the settings opens, and a save is confirmed', async () => {
    await visitor.signIn();
    const { body } = await visitor.get(KEYS_PATH);
    const links = [...body.matchAll(/href="([^"]+page=wc-settings&(?:amp;)?tab=[^"]+)"/g)].map(
      (match) => match[1] ?? '',
    );
    expect(links.length).toBeGreaterThan(15);
    for (const link of links) {
      const answer = await visitor.get(link.replaceAll('&amp;', '&'));
      expect([link, answer.status, answer.body.includes('id="mainform"')]).toEqual([link, 200, true]);
    }
    const general = '/wp-admin/admin.php?page=wc-settings&tab=general';
    const _wpnonce = pick((await visitor.get(general)).body, /name="_wpnonce" value="(\w+)"/);
    expect((await visitor.post(general, { _wpnonce })).body).toContain('Your settings have been saved.');
  });

  test('takes as long as it is told, by path', async () => {
    await shop.close();
    shop = await startPracticeShop({ latencyMs: (path) => (path === '/wp-login.php' ? 120 : 0) });
    const slow = createVisitor(shop);
    const startedAt = performance.now();
    await slow.get('/wp-login.php');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(118);
  });

  test('frees its port when it is closed', async () => {
    const { port } = new URL(shop.origin);
    await shop.close();
    shop = await startPracticeShop({ port: Number(port) });
    expect(shop.origin).toBe(`http://localhost:${port}`);
  });
});
