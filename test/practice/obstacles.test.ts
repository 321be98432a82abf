// What stands in the way of a set-up, at the practice shop and at a real WordPress: what the thread is told, and that nothing is
// left half done.
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resultCard } from '../../bot/cards/result-card.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { getService } from '../../core/services/index.ts';
import type { Service } from '../../core/services/service.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { alterationOf } from '../drift/alteration.ts';
import { MUTATIONS } from '../drift/mutations.ts';
import { installShop, look, queuedOperation } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker, type Worker } from '../support/worker.ts';
import { type PracticeShopify, startPracticeShopify } from './shopify/server.ts';
import { practiceService } from './shopify/service.ts';
import { type PracticeFault, type PracticeShop, startPracticeShop } from './woocommerce/server.ts';
import { createVisitor } from './woocommerce/visitor.ts';
import { withWordPress } from './wordpress/available.ts';
import { openWordPressHost, type Plugin, type WordPress, type WordPressHost } from './wordpress/server.ts';

const RUN_MS = 180_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database?.drop());

interface Wanted {
  /** Or its id. */
  readonly service: string | Service;
  readonly base: string;
  readonly signIn: { readonly username: string; readonly password: string };
}

/** By the worker, from the queue until it ends or asks. */
async function ran(worker: Worker, { service: wanted, base, signIn }: Wanted): Promise<Operation> {
  const service = typeof wanted === 'string' ? getService(wanted) : wanted;
  const type = service?.operationTypes.api_key_generation;
  const way = type?.ways.find(({ kind }) => kind === 'browser');
  if (!service || !type || !way) throw new Error(`there is no such service: ${wanted}`);
  const place = { service, type, way, base, origin: new URL(base).origin };
  const asked = { ...place, permissions: defaultPermissions(type, way) };
  const [name] = way.fields;
  const entered = { [name?.name ?? '']: signIn.username, admin_password: signIn.password };
  const operation = await queuedOperation(worker.core, await installShop(worker.core), asked, entered);
  await worker.run(operation);
  return look(worker.core, operation);
}

const wordsOf = (operation: Operation) =>
  JSON.stringify(resultCard(operation, { entries: 1, seq: 1n, hash: '', isIntact: true }));

/** It has ended without anything at the site's, and says why. */
function expectNothing(end: Operation, code: string, words: RegExp): void {
  expect(end).toMatchObject({ state: 'failed', errorCode: code, intent: null, isKeyStored: false });
  expect(end.errorMessage).toMatch(words);
  expect(wordsOf(end)).toContain('No key was stored.');
}

describe('at a shop', () => {
  let shop: PracticeShop;
  let worker: Worker;
  beforeAll(async () => {
    shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
    worker = await openWorker(database, { target: new URL(shop.origin).host });
  });
  afterAll(async () => {
    await worker?.close();
    await shop?.close();
  });
  const wanted = () => ({ service: 'woocommerce', base: shop.origin, signIn: shop });

  const faults: readonly { fault: PracticeFault; code: string; words: RegExp }[] = [
    { fault: 'page-error', code: 'wrong_page', words: /broke down with a critical error.*created; try again when/ },
    { fault: 'busy-for-an-hour', code: 'rate_limited', words: /takes no more requests.*wait for 60 minutes/ },
  ];
  test.each(IS_WHOLE ? faults : faults.slice(0, 1))(
    'a $fault ends it, in words',
    async ({ fault, code, words }) => {
      shop.failNext(fault);
      expectNothing(await ran(worker, wanted()), code, words);
      expect(shop.keys()).toEqual([]);
    },
    RUN_MS,
  );

  test(
    'that leads to another host, nothing is opened there, and nothing is typed',
    async () => {
      const moved = createServer((_, response) =>
        response.writeHead(302, { location: 'http://elsewhere.invalid/' }).end(),
      );
      await new Promise<void>((done) => moved.listen(0, '127.0.0.1', done));
      const address = moved.address();
      const host = `localhost:${typeof address === 'object' ? address?.port : ''}`;
      const other = await openWorker(database, { target: host });
      try {
        const end = await ran(other, { service: 'woocommerce', base: `http://${host}`, signIn: shop });
        expectNothing(end, 'egress_refused', /outside what was approved, so it was not opened/);
      } finally {
        await other.close();
        moved.closeAllConnections();
        await new Promise((done) => moved.close(done));
      }
    },
    RUN_MS,
  );

  if (IS_WHOLE) {
    test(
      'a wrong password is tried once',
      async () => {
        const end = await ran(worker, { ...wanted(), signIn: { ...shop, password: 'not the password' } });
        expectNothing(end, 'sign_in_refused', /refused the user name or the password. It was tried once/);
        expect(shop.failedSignIns()).toBe(1);
      },
      RUN_MS,
    );

    test(
      'an error after the key was made is told with the name of the key',
      async () => {
        shop.failNext('generate-answer-lost');
        const end = await ran(worker, wanted());
        expect(end).toMatchObject({ state: 'failed', errorCode: 'postcondition_failed', isKeyStored: false });
        expect(shop.keys()).toMatchObject([{ description: end.plan.label }]);
        expect(wordsOf(end)).toContain(
          `A key named “${end.plan.label}” may have been made in the shop, and nobody holds it.`,
        );
      },
      RUN_MS,
    );

    test(
      'in German, the same key is made by the same work',
      async () => {
        const german = MUTATIONS.find(({ name }) => name === 'in German');
        if (!german) throw new Error('there is no shop in German');
        const other = await startPracticeShop({
          obstacles: { adminEmailCheck: false },
          alteration: alterationOf(german),
        });
        const by = await openWorker(database, { target: new URL(other.origin).host });
        try {
          const end = await ran(by, { service: 'woocommerce', base: other.origin, signIn: other });
          expect([end.state, end.errorMessage]).toEqual(['completed', null]);
          expect(other.keys()).toMatchObject([{ description: end.plan.label, permissions: 'read' }]);
        } finally {
          await by.close();
          await other.close();
        }
      },
      RUN_MS,
    );

    test(
      'whose account is locked, nothing more is tried',
      async () => {
        const somebody = createVisitor(shop);
        for (let n = 0; n < 5; n++) await somebody.signIn('a guess');
        const before = shop.failedSignIns();
        expectNothing(await ran(worker, wanted()), 'rate_limited', /takes no more requests for now/);
        expect(shop.failedSignIns()).toBe(before);
      },
      RUN_MS,
    );
  }
});

if (IS_WHOLE)
  describe('at Shopify', () => {
    let store: PracticeShopify;
    let worker: Worker;
    let service: Service;
    /** Done just before a page is opened. */
    let before: (url: string) => void = () => {};
    beforeAll(async () => {
      store = await startPracticeShopify();
      service = practiceService(store);
      worker = await openWorker(database, {
        target: [store.origin, store.dashboard, store.accounts].map((origin) => new URL(origin).host).join(','),
        serviceOf: (id) => (id === service.id ? service : undefined),
        wrap: (session) => ({
          ...session,
          async navigate(url, timeoutMs) {
            before(url);
            return session.navigate(url, timeoutMs);
          },
        }),
      });
    });
    afterAll(async () => {
      await worker?.close();
      await store?.close();
    });
    const wanted = () => ({ service, base: store.origin, signIn: { ...store.account, username: store.account.email } });

    test(
      'the end of the session once the app is installed costs one more sign-in, and no other app',
      async () => {
        let opened = 0;
        before = (url) => {
          opened += url === `${store.dashboard}/dashboard` ? 1 : 0;
          if (opened === 2) store.signOutEverybody();
        };
        const end = await ran(worker, wanted());
        before = () => {};
        expect([end.state, end.errorMessage]).toEqual(['completed', null]);
        expect(opened).toBe(4); // and once more for the sign-in, and for the list
        expect(store.apps()).toMatchObject([{ name: end.plan.label }]);
      },
      RUN_MS,
    );

    test(
      'an answer that is lost after the app was made is told with its name',
      async () => {
        store.obstruct('answer-lost');
        const end = await ran(worker, wanted());
        store.obstruct();
        expect(end).toMatchObject({ state: 'failed', errorCode: 'postcondition_failed', isKeyStored: false });
        expect(store.apps().at(-1)).toMatchObject({ name: end.plan.label, installed: undefined });
        expect(wordsOf(end)).toContain(`If it made anything, that is named “${end.plan.label}”.`);
      },
      RUN_MS,
    );
  });

if (IS_WHOLE)
  await withWordPress('at a real WordPress', (packages) => {
    let host: WordPressHost;
    let site: WordPress;
    let worker: Worker;
    beforeAll(async () => {
      host = await openWordPressHost(packages);
      site = await host.site();
      worker = await openWorker(database, { target: site.host });
    }, RUN_MS);
    afterAll(async () => {
      await worker?.close();
      await host?.close();
    });

    const wanted = () => ({ service: 'wordpress', base: site.base, signIn: site.admin });
    const made = async ({ id }: Operation) => (await site.passwords()).filter(({ name }) => name.includes(id));
    /** Of what is done while the plugin is there: what came of it, and how often somebody tried a password. */
    async function under(plugin: Plugin): Promise<{ end: Operation; signIns: number }> {
      const before = site.requests.length;
      site.plug(plugin);
      try {
        const end = await ran(worker, wanted());
        const signIns = site.requests.slice(before).filter((request) => request.startsWith('POST /wp-login.php'));
        return { end, signIns: signIns.length };
      } finally {
        site.unplug(plugin);
      }
    }

    test.each<{ plugin: Plugin; code: string; words: RegExp; tries: number }>([
      { plugin: 'locked-account', code: 'rate_limited', words: /lets nobody sign in for a while/, tries: 1 },
      { plugin: 'captcha-at-sign-in', code: 'captcha', words: /shows a CAPTCHA.*which I never solve/, tries: 1 },
      { plugin: 'maintenance', code: 'rate_limited', words: /asks to wait for 10 minutes/, tries: 0 },
      { plugin: 'elsewhere', code: 'egress_refused', words: /outside what was approved/, tries: 0 },
      {
        plugin: 'hidden-sign-in',
        code: 'wrong_page',
        words: /no sign-in page at its usual address.*by hand/,
        tries: 0,
      },
    ])(
      'with $plugin, it ends in words, after $tries tries',
      async ({ plugin, code, words, tries }) => {
        const { end, signIns } = await under(plugin);
        expectNothing(end, code, words);
        expect(signIns).toBe(tries);
        expect(await made(end)).toEqual([]);
      },
      RUN_MS,
    );

    test(
      'whose second factor is of an unknown sort, a person is asked',
      async () => {
        const { end, signIns } = await under('another-code');
        expect(end).toMatchObject({ state: 'waiting_for_human', currentStep: 4, intent: null });
        expect(signIns).toBe(1);
        expect(await made(end)).toEqual([]);
      },
      RUN_MS,
    );

    test(
      'that signs everybody out in the middle, it signs in once more, and makes one password',
      async () => {
        const { end } = await under('signs-out-once');
        expect([end.state, end.errorMessage]).toEqual(['completed', null]);
        expect(await made(end)).toMatchObject([{ name: end.plan.label }]);
      },
      RUN_MS,
    );

    test(
      'that breaks after it has made the password, the card names what may be there',
      async () => {
        const { end } = await under('answer-lost');
        expect(end).toMatchObject({ state: 'failed', isKeyStored: false });
        expect(await made(end)).toMatchObject([{ name: end.plan.label }]);
        expect(wordsOf(end)).toContain(`A key named “${end.plan.label}” may have been made in the site`);
      },
      RUN_MS,
    );

    test(
      'without WooCommerce, and without the right to its pages, a key of WooCommerce is told to be out of reach',
      async () => {
        for (const signIn of [site.admin, site.editor]) {
          const end = await ran(worker, { service: 'woocommerce', base: site.base, signIn });
          expectNothing(end, 'no_access', /needs the role Administrator or Shop manager; or WooCommerce is not active/);
        }
      },
      2 * RUN_MS,
    );
  });
