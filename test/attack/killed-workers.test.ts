// kill -9 of a real worker's process in the middle of the click that makes a key, at every service: whatever the service's
// back end does with the click, it never has more than one live key of the operation, and its end says what is so.
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { resultCard } from '../../bot/cards/result-card.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { services } from '../../core/services/index.ts';
import type { OperationTypeDefinition, Service, Way } from '../../core/services/service.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import type { Hold, Moment } from '../practice/creation.ts';
import { startPracticeShopify } from '../practice/shopify/server.ts';
import { practiceService } from '../practice/shopify/service.ts';
import { startPracticeStripe } from '../practice/stripe/server.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { wordPressPackages } from '../practice/wordpress/packages.ts';
import { openWordPressHost } from '../practice/wordpress/server.ts';
import { installShop, look, queuedOperation } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import type { PracticePlace } from '../support/run-worker.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker, type Worker } from '../support/worker.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { openWatch, type Watch } from './faults/watch.ts';

const MOMENT_MS = 90_000;
const CASE_MS = 4 * MOMENT_MS;
/** The step's 25 s and the 40 s after it, from `absentFrom`. */
const SETTLED = '65 seconds';

/** A service's back end, and what it has. */
interface Site {
  readonly service: Service;
  readonly wayId: string;
  readonly base: string;
  /** Every `host:port` that its pages are at. */
  readonly hosts: string;
  readonly signIn: Readonly<Record<string, string>>;
  readonly shopify?: PracticePlace;
  hold(moment: Moment): Hold;
  /** Names of the keys, or apps, that live there and have this in them. */
  live(words: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

const named = (all: readonly string[], words: string) => all.filter((name) => name.includes(words));
const serviceOf = (id: string): Service => {
  const found = services.find((service) => service.id === id);
  if (!found) throw new Error(`there is no service ${id}`);
  return found;
};

async function woocommerce(): Promise<Site> {
  const shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  return {
    ...{ service: serviceOf('woocommerce'), wayId: 'browser', base: shop.origin, hosts: new URL(shop.origin).host },
    signIn: { admin_username: shop.username, admin_password: shop.password },
    hold: shop.holdCreation,
    live: async (words) =>
      named(
        shop
          .keys()
          .filter(({ isRevoked }) => !isRevoked)
          .map(({ description }) => description),
        words,
      ),
    close: () => shop.close(),
  };
}

async function wordpress(wayId: string): Promise<Site> {
  const found = await wordPressPackages();
  if ('missing' in found) throw new Error(found.missing);
  const host = await openWordPressHost(found.packages);
  const site = await host.site();
  return {
    ...{ service: serviceOf('wordpress'), wayId, base: site.base, hosts: site.host },
    signIn: { admin_username: site.admin.username, admin_password: site.admin.password },
    hold(moment) {
      const plugin = moment === 'before' ? 'request-held' : 'answer-held';
      site.plug(plugin);
      const isThere = async () => (moment === 'before' ? site.holdsRequest() : (await site.passwords()).length > 0);
      const reached = vi.waitUntil(isThere, { timeout: MOMENT_MS, interval: 100 }).then(() => undefined);
      return { reached, letGo: () => site.unplug(plugin) };
    },
    live: async (words) =>
      named(
        (await site.passwords()).map(({ name }) => name),
        words,
      ),
    close: () => host.close(),
  };
}

async function stripe(): Promise<Site> {
  const account = await startPracticeStripe();
  return {
    ...{ service: serviceOf('stripe'), wayId: 'browser', base: account.origin, hosts: new URL(account.origin).host },
    signIn: { admin_email: account.email, admin_password: account.password },
    hold: account.holdCreation,
    live: async (words) =>
      named(
        account
          .keys()
          .filter(({ isExpired }) => !isExpired)
          .map(({ name }) => name),
        words,
      ),
    close: () => account.close(),
  };
}

async function shopify(): Promise<Site> {
  const store = await startPracticeShopify();
  const { origin, dashboard, accounts } = store;
  const hosts = [origin, dashboard, accounts].map((each) => new URL(each).host).join(',');
  return {
    ...{ service: practiceService(store), wayId: 'browser', base: origin, hosts },
    signIn: { admin_email: store.account.email, admin_password: store.account.password },
    shopify: { origin, dashboard, accounts },
    hold: store.holdCreation,
    live: async (words) =>
      named(
        store.apps().map(({ name }) => name),
        words,
      ),
    close: () => store.close(),
  };
}

const SITES: Readonly<Record<string, () => Promise<Site>>> = {
  WooCommerce: woocommerce,
  'WordPress, on the profile page': () => wordpress('profile'),
  'WordPress, on its page for applications': () => wordpress('authorize'),
  Stripe: stripe,
  Shopify: shopify,
};
/** The click is at the back end: it counts for nothing yet; it has made the key; the page has shown that, and the vault not. */
const MOMENTS = ['before', 'after', 'vault'] as const;
const ALL = Object.keys(SITES).flatMap((site) => MOMENTS.map((moment) => ({ site, moment })));
/** Of WooCommerce and WordPress, the moment after is gone through with people and a chat, in test/e2e/. */
const FEW: readonly (typeof ALL)[number][] = [
  { site: 'Stripe', moment: 'after' },
  { site: 'Shopify', moment: 'vault' },
];

let database: TestDatabase;
let watch: Watch;
const opened: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  watch = await openWatch(database.adminUrl);
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close().catch(() => {});
});
afterAll(async () => {
  await watch?.close();
  await database?.drop();
});

interface Scene {
  readonly site: Site;
  readonly operation: Operation;
  /** Takes over when the other one is dead. */
  readonly second: Worker;
  startFirst(): Promise<WorkerProcess>;
}

function wayOf({ service, wayId }: Site): { type: OperationTypeDefinition; way: Way } {
  const type = service.operationTypes.api_key_generation;
  const way = type?.ways.find(({ id }) => id === wayId);
  if (!type || !way) throw new Error(`${service.id} has no way ${wayId}`);
  return { type, way };
}

async function openScene(name: string): Promise<Scene> {
  const site = await SITES[name]?.();
  if (!site) throw new Error(`there is no site ${name}`);
  opened.push(() => site.close());
  const known = (id: string) => (id === site.service.id ? site.service : services.find((one) => one.id === id));
  const second = await openWorker(database, { target: site.hosts, serviceOf: known });
  opened.push(() => second.close());
  const customer = await installShop(second.core);
  const { type, way } = wayOf(site);
  const asked = { service: site.service, type, way, origin: site.base, base: site.base };
  const permissions = defaultPermissions(type, way);
  const place = { ...asked, origin: new URL(site.base).origin, permissions };
  const operation = await queuedOperation(second.core, customer, place, site.signIn);
  const startFirst = async () => {
    const first = await startWorkerProcess(database, site.hosts, site.shopify);
    opened.push(() => first.remove());
    return first;
  };
  return { site, operation, second, startFirst };
}

/** The worker's process is dead at that moment. @returns what lets the back end go on. */
async function killedAt({ site, operation, startFirst }: Scene, moment: (typeof MOMENTS)[number]): Promise<Hold> {
  const vault = moment === 'vault' ? await watch.hold(operation.id, 'credential.stored') : undefined;
  const hold = moment === 'vault' ? undefined : site.hold(moment);
  const first = await startFirst();
  await hold?.reached;
  if (vault && !(await vault.reached(MOMENT_MS))) throw new Error('nothing was about to be stored');
  first.signal('SIGKILL');
  await first.ended;
  await vault?.release();
  return hold ?? { reached: Promise.resolve(), letGo() {} };
}

describe('115 a worker that is killed in the middle of the click that makes a key', () => {
  test.each(IS_WHOLE ? ALL : FEW)(
    'at $site, $moment it is done: leaves one at most, and an end that is true',
    async ({ site: name, moment }) => {
      const scene = await openScene(name);
      const { site, operation, second } = scene;
      const held = await killedAt(scene, moment);
      const taking = second.run(operation);
      if (moment === 'before') {
        // The worst for whoever takes over: it has looked, and only then the click counts.
        const isWaiting = () => second.said.some((words) => words.includes('counts as absent'));
        await Promise.race([taking, vi.waitUntil(isWaiting, { timeout: MOMENT_MS })]);
        held.letGo();
        await vi.waitUntil(async () => (await site.live(operation.id)).length > 0, { timeout: MOMENT_MS });
        await shiftClock(database.ownerUrl, SETTLED);
      } else held.letGo();
      await taking;
      await expectTruth(scene, moment);
    },
    CASE_MS,
  );
});

async function expectTruth({ site, operation, second }: Scene, moment: (typeof MOMENTS)[number]): Promise<void> {
  const label = `Countersign ${operation.id}`;
  expect(await site.live(operation.id)).toEqual([label]);
  const end = await look(second.core, operation);
  const words = JSON.stringify(resultCard(end, { entries: 1, seq: 1n, hash: '', isIntact: true }));
  if (site.shopify && moment === 'vault') {
    // Its secret is shown as often as somebody likes, so nothing of the app is lost.
    expect(end).toMatchObject({ state: 'completed', isKeyStored: true });
    expect(words).toContain('Done in');
    return;
  }
  expect(end).toMatchObject({ state: 'failed', errorCode: 'effect_unsure', isKeyStored: false });
  expect(words).toContain(`“${label}”`);
  expect(words).toMatch(/No second key was made|Nothing was repeated/);
  expect(words).not.toContain('Done in');
}
