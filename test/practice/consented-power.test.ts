// What was consented to, made by the worker in a real browser: the back end has one key with exactly that power.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { NewOperation } from '../../core/operations/operations.ts';
import { services } from '../../core/services/index.ts';
import type { Service } from '../../core/services/service.ts';
import { pick, randomFrom } from '../support/chance.ts';
import { installShop, look, queuedOperation } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker, type Worker, type WorkerOptions } from '../support/worker.ts';
import { startPracticeShopify } from './shopify/server.ts';
import { practiceService } from './shopify/service.ts';
import { startPracticeStripe } from './stripe/server.ts';
import { startPracticeShop } from './woocommerce/server.ts';

const RUN_MS = 120_000;
const chance = randomFrom(20_261_126);

let database: TestDatabase;
const opened: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});
afterAll(() => database?.drop());

async function worker(options: WorkerOptions): Promise<Worker> {
  const one = await openWorker(database, options);
  opened.push(() => one.close());
  return one;
}

/** By the worker, from the queue to its end. @returns the name that its key has. */
async function made(
  by: Worker,
  service: Service,
  base: string,
  permissions: readonly string[],
  signIn: Readonly<Record<string, string>>,
): Promise<string> {
  const type = service.operationTypes.api_key_generation;
  const way = type?.ways.find(({ kind }) => kind === 'browser');
  if (!type || !way) throw new Error(`${service.id} has no way in the browser`);
  const asked: Partial<NewOperation> = { service, type, way, origin: base, base, permissions };
  const operation = await queuedOperation(by.core, await installShop(by.core), asked, signIn);
  await by.run(operation);
  const { state, errorMessage, plan } = await look(by.core, operation);
  expect([permissions, state, errorMessage]).toEqual([permissions, 'completed', null]);
  return plan.label;
}

function serviceOf(id: string): Service {
  const found = services.find((service) => service.id === id);
  if (!found) throw new Error(`there is no service ${id}`);
  return found;
}

describe('a key that the worker makes in WooCommerce', () => {
  const CHOICES = [
    { chosen: ['write_shop'], power: 'write' },
    { chosen: ['read_shop', 'write_shop'], power: 'read_write' },
    { chosen: ['read_shop'], power: 'read' },
  ];
  test.each(IS_WHOLE ? CHOICES : CHOICES.slice(0, 2))(
    'for $chosen has the permission $power',
    async ({ chosen, power }) => {
      const shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
      opened.push(() => shop.close());
      const by = await worker({ target: new URL(shop.origin).host });
      const permissions = ['sign_in', 'create_api_key', 'check_key', ...chosen];
      const signIn = { admin_username: shop.username, admin_password: shop.password };
      const description = await made(by, serviceOf('woocommerce'), shop.origin, permissions, signIn);
      expect(shop.keys()).toMatchObject([{ description, permissions: power, lastAccess: expect.any(Date) }]);
    },
    RUN_MS,
  );
});

describe('a key that the worker makes in Stripe', () => {
  const RIGHTS: Readonly<Record<string, string>> = {
    ...{ charges: 'charge', customers: 'customer', payment_intents: 'payment_intent', refunds: 'refund' },
    ...{ disputes: 'dispute', payouts: 'payout', products: 'product', prices: 'plan', invoices: 'invoice' },
    ...{ subscriptions: 'subscription', webhooks: 'webhook' },
  };
  type Choice = readonly (readonly [id: string, level: 'read' | 'write'])[];
  const ids = Object.keys(RIGHTS);
  const sample = (): Choice =>
    ids.flatMap((id) => {
      const level = pick(['none', 'read', 'write'] as const, chance);
      return level === 'none' ? [] : [[id, level] as const];
    });
  const samples = Array.from({ length: IS_WHOLE ? 4 : 1 }, sample);
  const singles = ids.flatMap((id): Choice[] => [[[id, 'read']], [[id, 'write']]]);
  const modes = ['test', 'live'] as const;
  const cases = (IS_WHOLE ? [...samples, ...singles] : samples).map((choice, n) => ({
    mode: modes[n % 2] ?? 'test',
    choice,
  }));

  test.each(cases)(
    'for $choice in $mode mode has exactly those rights, and none under Connect',
    async ({ mode, choice }) => {
      const practice = await startPracticeStripe();
      opened.push(() => practice.close());
      const by = await worker({ target: new URL(practice.origin).host });
      const needed = ['sign_in', 'say_own_integration', 'create_api_key', 'check_key', 'read_balance', `${mode}_mode`];
      const permissions = [...needed, ...choice.map(([id, level]) => `${level}_${id}`)];
      const signIn = { admin_email: practice.email, admin_password: practice.password };
      const name = await made(by, serviceOf('stripe'), practice.origin, permissions, signIn);
      expect(practice.keys()).toMatchObject([{ name, mode, isExpired: false }]);
      const wanted = ['rak_balance_read', ...choice.map(([id, level]) => `rak_${RIGHTS[id]}_${level}`)];
      expect(practice.keys()[0]?.raks.toSorted()).toEqual(wanted.toSorted());
    },
    RUN_MS,
  );
});

if (IS_WHOLE)
  describe('an app that the worker makes in Shopify', () => {
    const SUBJECTS = ['products', 'inventory', 'locations', 'orders', 'customers'];
    const singles = SUBJECTS.flatMap((subject) => [[`read_${subject}`], [`write_${subject}`]]);
    const sample = () => SUBJECTS.flatMap((subject) => pick([[], [`read_${subject}`], [`write_${subject}`]], chance));
    const cases = [['write_inventory', 'read_orders'], ...(IS_WHOLE ? [...singles, sample(), sample()] : [])].filter(
      (scopes) => scopes.length > 0,
    );

    test.each(cases.map((scopes) => ({ scopes })))(
      'for $scopes is installed with exactly those',
      async ({ scopes }) => {
        const store = await startPracticeShopify();
        opened.push(() => store.close());
        const { origin, dashboard, accounts } = store;
        const service = practiceService(store);
        const by = await worker({
          target: [origin, dashboard, accounts].map((each) => new URL(each).host).join(','),
          serviceOf: (id) => (id === service.id ? service : undefined),
        });
        const permissions = ['sign_in', 'create_app', 'check_key', ...scopes];
        const signIn = { admin_email: store.account.email, admin_password: store.account.password };
        const name = await made(by, service, origin, permissions, signIn);
        expect(store.apps()).toMatchObject([{ name }]);
        for (const held of [store.apps()[0]?.scopes, store.apps()[0]?.installed])
          expect(held?.toSorted()).toEqual(scopes.toSorted());
        expect(store.counts).toMatchObject({ apps: 1, rotations: 0, automationTokens: 0 });
      },
      RUN_MS,
    );
  });
