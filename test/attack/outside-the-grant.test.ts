// A step outside of what was consented to: the guard refuses an action of it, and the gate what a model points to instead.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runStep, type StepResult, type StepRun } from '../../core/agent/engine.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { BrowserSession, Condition } from '../../core/ports/browser.ts';
import type { ActionResult, ModelAction, ModelHands } from '../../core/ports/model.ts';
import { services } from '../../core/services/index.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { type Step, stepSchema } from '../../core/workflow/steps/index.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { startPracticeShopify } from '../practice/shopify/server.ts';
import { startPracticeStripe } from '../practice/stripe/server.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { openTestBrowser } from '../support/browser.ts';
import { type Core, installShop, openCore, queuedOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { serveSite } from '../support/loopback-site.ts';

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

/** By the recorded way up to this step, which a model then decides. */
async function pointedOut({ workflowId, base, origins, values, secrets }: Page, order: number, wishes: Wishes) {
  const workflow = createWorkflowRegistry().getDefinition(workflowId);
  const tools = openTestBrowser({ privateTargets: origins.map((origin) => new URL(origin).host) });
  opened.push(() => tools.close());
  const session: BrowserSession = await tools.browser.open({ origins: [...origins] });
  const { run } = recordingRun({ session, base, values, secrets, obstacles: workflow.errorRecovery });
  for (const step of workflow.steps.slice(0, order - 1))
    expect(await runStep(step, { ...run, mode: 'replay' })).toMatchObject({ kind: 'done' });
  const step = workflow.steps[order - 1];
  if (!step) throw new Error(`there is no step ${order}`);
  return decided(step, run, wishes);
}

/** @returns what it was answered, and what holds on the page. */
async function decided(step: Step, run: StepRun, wishes: Wishes) {
  const { session } = run;
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
/** That this choice of a group is the one that is made. */
const set = (group: string, name: string): Condition => ({
  kind: 'checked',
  locator: {
    ...{ by: 'role', role: 'radio', name, exact: true },
    within: { by: 'role', role: 'radiogroup', name: group, exact: true },
  },
  is: true,
});
const at = (result: ActionResult, words: RegExp) => ({ by: 'ref', ref: refOf(result, words) }) as const;

describe('118 what a model points to outside of the grant', () => {
  test(
    'at Stripe: the row that was consented to is set, as it was; no other one, nor the whole of them',
    async () => {
      const practice = await startPracticeStripe();
      opened.push(() => practice.close());
      const type = services.find(({ id }) => id === 'stripe')?.operationTypes.api_key_generation;
      const page = {
        ...{ workflowId: 'stripe_restricted_key', base: practice.origin, origins: [practice.origin] },
        values: { ...type?.values(defaultPermissions(type)) },
        secrets: { admin_email: practice.email, admin_password: practice.password },
      };
      const { result, results, holds } = await pointedOut(page, 10, async function* () {
        const read = yield { kind: 'read', what: 'controls' };
        yield { kind: 'tick', isChecked: true, at: at(read, /radio "Write".*Transfers/) };
        yield { kind: 'click', at: at(read, /radio "Write".*Payouts/) };
        yield { kind: 'click', at: at(read, /button "Select all permissions"/) };
        yield { kind: 'tick', isChecked: true, at: at(read, /radio "Write" of "Customers"/) };
        yield { kind: 'tick', isChecked: true, at: at(read, /radio "Read" of "Customers, Connect permissions"/) };
        yield { kind: 'tick', isChecked: true, at: at(read, /radio "Read" of "All core resources"/) };
        yield { kind: 'tick', isChecked: true, at: at(read, /radio "Read" of "Customers"/) };
      });
      expect(results.slice(1).map(({ kind }) => kind)).toEqual([...Array(6).fill('refused'), 'done']);
      expect(result).toMatchObject({ kind: 'done', rung: 'model' });
      const none = ['Transfers', 'Payouts', 'Customers, Connect permissions', 'Files'].map((row) => set(row, 'None'));
      expect(await holds({ kind: 'all', of: [...none, set('Customers', 'Read')] })).toBe(true);
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

  describe('in a form whose rows offer the same', () => {
    const choices = (name: string) => `<div role="radiogroup" aria-labelledby="${name}"><b id="${name}">${name}</b>
${['None', 'Read', 'Write'].map((level) => `<label><input type="radio" name="${name}" value="${level}"${level === 'None' ? ' checked' : ''}> ${level}</label>`).join('')}</div>`;
    const FORM = `${choices('Orders')}${choices('Payouts')}<a href="#help" onmouseover="Orders.textContent = 'Payouts'; Payouts.textContent = 'Orders'">Help</a>`;
    const read = { by: 'role', role: 'radio', name: 'Read', exact: true };
    const recorded = {
      ...{
        order: 1,
        kind: 'check',
        action: 'check',
        intent: 'Set Orders to Read',
        expectedResult: 'That row shows it',
      },
      ...{ alternatives: [], permission: 'keys', risk: 'reads', isMutating: false, timeoutMs: 5_000, failsWhen: [] },
      locators: [{ ...read, within: { by: 'role', role: 'radiogroup', name: 'Orders', exact: true } }],
      identities: [{ tag: 'input', type: 'radio', role: 'radio' }],
      isChecked: true,
      postcondition: set('Orders', 'Read'),
    };

    async function inForm(step: object, wishes: Wishes) {
      const site = await serveSite({ '/': FORM });
      const tools = openTestBrowser({ privateTargets: [site.authority] });
      opened.push(
        () => site.close(),
        () => tools.close(),
      );
      const session = await tools.browser.open({ origins: [site.origin] });
      await session.navigate(`${site.origin}/`, 10_000);
      const found = await decided(stepSchema.parse(step), recordingRun({ session, base: site.origin }).run, wishes);
      return {
        ...found,
        isUntouched: await found.holds({ kind: 'all', of: [set('Orders', 'None'), set('Payouts', 'None')] }),
      };
    }

    test('a row that has become another one since it was read is not set', async () => {
      const { results, isUntouched } = await inForm(recorded, async function* () {
        const page = yield { kind: 'read', what: 'controls' };
        yield { kind: 'hover', at: at(page, /link "Help"/) };
        yield { kind: 'tick', isChecked: true, at: at(page, /radio "Read" of "Orders"/) };
      });
      expect(results.slice(1)).toMatchObject([
        { kind: 'done' },
        { kind: 'refused', text: expect.stringContaining('changed') },
      ]);
      expect(isUntouched).toBe(true);
    });

    test('a choice of which nothing on record tells it from the others is nobody’s to guess', async () => {
      const step = { ...recorded, locators: [{ by: 'css', selector: '[name="Orders"][value="Read"]' }, read] };
      const { result, results, isUntouched } = await inForm(step, async function* () {
        const page = yield { kind: 'read', what: 'controls' };
        yield { kind: 'tick', isChecked: true, at: at(page, /radio "Read" of "Payouts"/) };
        yield { kind: 'tick', isChecked: true, at: at(page, /radio "Write" of "Orders"/) };
      });
      expect(results.slice(1).map(({ kind }) => kind)).toEqual(['refused', 'refused']);
      expect(result).toMatchObject({ kind: 'failed', hasActed: false });
      expect(isUntouched).toBe(true);
    });
  });
});
