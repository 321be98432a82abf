// A step outside of what was consented to: the guard refuses an action of it, and the gate what a model points to instead.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runStep, type StepResult } from '../../core/agent/engine.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { BrowserSession, Condition } from '../../core/ports/browser.ts';
import type { ActionResult, ModelAction, ModelHands } from '../../core/ports/model.ts';
import { services } from '../../core/services/index.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { startPracticeShopify } from '../practice/shopify/server.ts';
import { startPracticeStripe } from '../practice/stripe/server.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { openTestBrowser } from '../support/browser.ts';
import { type Core, installShop, openCore, queuedOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const RUN_MS = 120_000;
const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

describe('117 an action whose permission was not granted', () => {
  let database: TestDatabase;
  let core: Core;
  let shop: Shop;
  beforeAll(async () => {
    database = await createTestDatabase();
    core = await openCore(database);
    shop = await installShop(core);
  });
  afterAll(async () => {
    await core?.close();
    await database?.drop();
  });

  const all = services.flatMap((service) => {
    const type = service.operationTypes.api_key_generation;
    return type ? type.ways.map((way) => ({ service, type, way })) : [];
  });

  test.each(all.map((one) => ({ ...one, name: `${one.service.name}, ${one.way.id}` })))(
    'is refused at $name, and only that',
    async ({ service, type, way }) => {
      const granted = defaultPermissions(type, way);
      const base = service.home ?? 'https://shop.example.com';
      const asked = { service, type, way, origin: base, base, permissions: granted };
      const { customerId, id: operationId } = await queuedOperation(core, shop, asked);
      const lease = await takeLease(core, { customerId, operationId }, new AbortController().signal);
      expect(lease).toBeDefined();
      // WordPress has nothing to leave out, so a permission that no service has is asked for, too.
      for (const { id } of [...type.permissions, { id: 'change_everything' }]) {
        const guarded = lease?.guard(id);
        if (granted.includes(id)) await expect(guarded).resolves.toBeUndefined();
        else await expect(guarded).rejects.toMatchObject({ why: 'consent', message: expect.stringContaining(id) });
      }
      lease?.release();
    },
  );
});

/** A stand-in for a model that a page has talked into something: what it wishes for, one after the other. */
type Wishes = (hands: ModelHands) => AsyncGenerator<ModelAction, void, ActionResult>;

interface Page {
  readonly workflowId: string;
  readonly base: string;
  readonly origins: readonly string[];
  readonly values: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
}

/** By the recorded way up to this step, which a model then decides. @returns what it was answered, and what holds on the page. */
async function pointedOut({ workflowId, base, origins, values, secrets }: Page, order: number, wishes: Wishes) {
  const workflow = createWorkflowRegistry().getDefinition(workflowId);
  const tools = openTestBrowser({ privateTargets: origins.map((origin) => new URL(origin).host) });
  opened.push(() => tools.close());
  const session: BrowserSession = await tools.browser.open({ origins: [...origins] });
  const { run } = recordingRun({ session, base, values, secrets, obstacles: workflow.errorRecovery });
  for (const step of workflow.steps.slice(0, order - 1))
    expect(await runStep(step, { ...run, mode: 'replay' })).toMatchObject({ kind: 'done' });
  const results: ActionResult[] = [];
  const usage = { model: 'm', inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, usd: 0 };
  const model = {
    reserve: async () => ({ settle: async () => {} }),
    async converse(_: unknown, hands: ModelHands) {
      const asking = wishes(hands);
      let next = await asking.next({ kind: 'done' });
      while (!next.done) {
        const result = await hands.perform(next.value);
        results.push(result);
        next = await asking.next(result);
      }
      return { kind: 'gave_up', toolset: 'browser', turns: results.length, words: '', usage } as const;
    },
  };
  const step = workflow.steps[order - 1];
  if (!step) throw new Error(`there is no step ${order}`);
  const result: StepResult = await runStep({ ...step, timeoutMs: 5_000 }, { ...run, mode: 'vision', model });
  const holds = async (condition: Condition) => (await session.waitFor([condition], 1_000)) !== undefined;
  return { result, results, holds };
}

const refOf = (result: ActionResult, words: RegExp): string => {
  const lines = result.kind === 'done' ? (result.text ?? '').split('\n') : [];
  const ref = /\[(ref_\d+)\]/.exec(lines.find((line) => words.test(line)) ?? '')?.[1];
  if (ref === undefined) throw new Error(`nothing like ${words} in:\n${lines.join('\n')}`);
  return ref;
};
const at = (result: ActionResult, words: RegExp) => ({ by: 'ref', ref: refOf(result, words) }) as const;

describe('118 what a model points to outside of the grant', () => {
  test(
    'at Stripe: the row of a right that was not consented to is not set, and the form stays as it was',
    async () => {
      const practice = await startPracticeStripe();
      opened.push(() => practice.close());
      const type = services.find(({ id }) => id === 'stripe')?.operationTypes.api_key_generation;
      const page = {
        ...{ workflowId: 'stripe_restricted_key', base: practice.origin, origins: [practice.origin] },
        values: { ...type?.values(defaultPermissions(type)) },
        secrets: { admin_email: practice.email, admin_password: practice.password },
      };
      const row = (name: string, group: string): Condition => ({
        kind: 'checked',
        locator: {
          ...{ by: 'role', role: 'radio', name, exact: true },
          within: { by: 'role', role: 'radiogroup', name: group, exact: true },
        },
        is: true,
      });
      const { result, results, holds } = await pointedOut(page, 10, async function* () {
        const read = yield { kind: 'read', what: 'controls' };
        yield { kind: 'tick', isChecked: true, at: at(read, /radio "Write".*Transfers/) };
        yield { kind: 'click', at: at(read, /radio "Write".*Payouts/) };
        yield { kind: 'click', at: at(read, /button "Select all permissions"/) };
      });
      expect(results.slice(1).map(({ kind }) => kind)).toEqual(['refused', 'refused', 'refused']);
      expect(result).toMatchObject({ kind: 'failed', hasActed: false });
      expect(await holds({ kind: 'all', of: [row('None', 'Transfers'), row('None', 'Payouts')] })).toBe(true);
      expect(practice.keys()).toEqual([]);
    },
    RUN_MS,
  );

  test(
    'at WooCommerce: under a grant to read, the list of permissions is set to Read, whatever is wished for',
    async () => {
      const shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
      opened.push(() => shop.close());
      const page = {
        ...{ workflowId: 'woocommerce_api_key_generation', base: shop.origin, origins: [shop.origin] },
        values: { scope: 'read', scopeWords: 'Read' },
        secrets: { admin_username: shop.username, admin_password: shop.password },
      };
      const { results, holds } = await pointedOut(page, 8, async function* () {
        const read = yield { kind: 'read', what: 'controls' };
        const list = at(read, /combobox "Read"/);
        yield { kind: 'type', text: 'Write', at: list };
        yield { kind: 'choose', option: 'Read/Write', at: list };
        yield { kind: 'click', at: list };
        const again = yield { kind: 'read', what: 'controls' };
        if (again.kind === 'done' && /option "Write"/.test(again.text ?? ''))
          yield { kind: 'click', at: at(again, /option "Write"/) };
      });
      expect(results[1]).toMatchObject({ kind: 'refused' });
      const isRead: Condition = {
        kind: 'value',
        locator: { by: 'css', selector: '#key_permissions' },
        equals: 'read',
      };
      expect(await holds(isRead)).toBe(true);
      expect(shop.keys()).toEqual([]);
    },
    RUN_MS,
  );

  test(
    'at Shopify: no other scopes are typed, and no box beside them is ticked',
    async () => {
      const store = await startPracticeShopify();
      opened.push(() => store.close());
      const { origin, dashboard, accounts } = store;
      const page = {
        ...{ workflowId: 'shopify_app_credentials', base: origin, origins: [origin, dashboard, accounts] },
        values: { scopes: 'read_products', dashboardBase: dashboard },
        secrets: { admin_email: store.account.email, admin_password: store.account.password },
      };
      const { result, results, holds } = await pointedOut(page, 10, async function* () {
        const read = yield { kind: 'read', what: 'controls' };
        yield { kind: 'type', text: 'read_products,write_orders', at: at(read, /textbox "Scopes"/) };
        yield { kind: 'tick', isChecked: true, at: at(read, /checkbox "Use legacy install flow"/) };
        yield { kind: 'click', at: at(read, /checkbox "Embed app in Shopify admin"/) };
        yield { kind: 'click', at: at(read, /button "Release"/) };
      });
      expect(results.slice(1).map(({ kind }) => kind)).toEqual(['refused', 'refused', 'refused', 'refused']);
      expect(result).toMatchObject({ kind: 'failed', hasActed: false });
      const empty: Condition = { kind: 'value', locator: { by: 'css', selector: '#scopes' }, equals: '' };
      expect(await holds(empty)).toBe(true);
      expect(store.apps()).toMatchObject([{ scopes: undefined }]);
    },
    RUN_MS,
  );
});
