import { availableParallelism, loadavg } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHttp } from '../../adapters/http/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createOperations } from '../../core/operations/operations.ts';
import { createRunner } from '../../core/operations/run.ts';
import type { Browser, BrowserSession } from '../../core/ports/browser.ts';
import { createSecretRegistry } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { getService } from '../../core/services/index.ts';
import { createWorkflowRegistry, type WorkflowRegistry } from '../../core/workflow/registry.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import {
  type Core,
  click,
  grant,
  installShop,
  look,
  openCore,
  queuedOperation,
  requestOperation,
  type Shop,
  sql,
  untilBlocked,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

/** Two seconds, and room for a computer that is busy with other tests. */
const FELT_WITHIN_MS = 2_000 * Math.max(1.25, (2 * (loadavg()[0] ?? 0)) / availableParallelism());

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let practice: PracticeShop;
let opened: TestBrowser;
let latencyMs: (path: string) => number = () => 0;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
  practice = await startPracticeShop({ latencyMs: (path) => latencyMs(path), obstacles: { adminEmailCheck: false } });
  opened = openTestBrowser({ privateTargets: [new URL(practice.origin).host] });
}, 120_000);

afterAll(async () => {
  await opened?.close();
  await practice?.close();
  await core.close();
  await testDatabase.drop();
});

/** Countersigned for the practice shop, with its sign-in in the vault and its job sent. */
async function readyToRun(): Promise<Operation> {
  const place = { origin: practice.origin, base: practice.origin };
  const operation = await queuedOperation(core, shop, place);
  const signIn = { admin_username: practice.username, admin_password: practice.password } as const;
  await core.database.withCustomer(shop.customerId, async (tx) => {
    for (const [type, value] of Object.entries(signIn))
      await core.vault.within(tx).store(
        shop.customerId,
        'woocommerce',
        type as keyof typeof signIn, // the keys of signIn are credential types
        { target: practice.origin, operationId: operation.id, value: new Secret(value) },
      );
  });
  return operation;
}

interface Watched {
  readonly browser: Browser;
  /** What was done to pages, in order. */
  readonly done: string[];
}

/** The real browser; `before` is called with how much was done so far, before each further thing is done. */
function watched(before: (done: number) => Promise<void> | void): Watched {
  const done: string[] = [];
  const note = async (what: string) => {
    await before(done.length);
    done.push(what);
  };
  const browser: Browser = {
    async open(options) {
      const session = await opened.browser.open(options);
      const watching: Partial<BrowserSession> = {
        async navigate(...args) {
          await note(`navigate ${args[0]}`);
          return session.navigate(...args);
        },
        async act(...args) {
          await note(args[1].kind);
          return session.act(...args);
        },
      };
      return new Proxy(session, {
        get(target, name) {
          const found = Reflect.get(watching, name) ?? Reflect.get(target, name);
          return typeof found === 'function' ? found.bind(target) : found;
        },
      });
    },
    close: async () => {},
  };
  return { browser, done };
}

function run(operation: Operation, browser: Browser, workflows: WorkflowRegistry = core.workflows): Promise<void> {
  const { database, sealer } = core;
  const runner = createRunner({
    ...{ ...core, workflows, browser, log: silentLog },
    http: createHttp({ egress: opened.egress }),
    screenshots: createScreenshots({ database, sealer }),
    secrets: createSecretRegistry(),
  });
  const job = { customerId: operation.customerId, operationId: operation.id };
  return runner.run(job, new AbortController().signal);
}

const revoke = (operation: Operation) =>
  core.database.withCustomer(operation.customerId, (tx) => core.consents.revoke(tx, operation, shop.approver));

/** Requests with which the shop was changed: everything but reading. */
const changesAfter = (index: number) => practice.requests.slice(index).filter(({ method }) => method !== 'GET');
const keysOf = ({ id }: Operation) => practice.keys().filter(({ description }) => description.includes(id));

describe('40 a countersignature that is taken back', () => {
  test('is felt at every step: the guard of each refuses, and its worker lets go within two seconds', async () => {
    const { steps } = (await readyToRun()).plan;
    expect(steps).toHaveLength(10);
    for (const { permission } of steps) {
      const operation = await readyToRun();
      const lease = await takeLease(core, { customerId: operation.customerId, operationId: operation.id }, never);
      await expect(lease?.guard(permission)).resolves.toBeUndefined();
      await revoke(operation);
      const at = performance.now();
      await expect(lease?.guard(permission)).rejects.toThrow('Consent required: Consent was revoked');
      await expect.poll(() => lease?.signal.aborted, { timeout: 20_000, interval: 20 }).toBe(true);
      expect(performance.now() - at).toBeLessThan(FELT_WITHIN_MS);
      lease?.release();
    }
  });

  // The first of eight, the click that signs in, and the one that makes the key.
  const actions = [0, 3, 7];
  test.each(actions)(
    'before the %d-th thing that is done in a real browser: not one more is done',
    async (at) => {
      const operation = await readyToRun();
      const requestsAt: number[] = [];
      const { browser, done } = watched(async (sofar) => {
        if (sofar !== at || requestsAt.length > 0) return;
        await revoke(operation);
        requestsAt.push(practice.requests.length);
      });
      await run(operation, browser);
      // What the guard had let through when it was taken back is done; nothing after that is.
      expect(done.length).toBe(at + 1);
      expect(await look(core, operation)).toMatchObject({
        state: 'cancelled',
        errorMessage: 'Consent required: Consent was revoked',
      });
      expect(changesAfter(requestsAt[0] ?? 0).length).toBeLessThanOrEqual(1);
      // The click that makes the key was the last one let through; the browser may be closed before it comes to it.
      expect(keysOf(operation).length).toBeLessThanOrEqual(at === 7 ? 1 : 0);
    },
    120_000,
  );

  test('while the shop does not answer: the worker lets go within two seconds, and nothing is done afterwards', async () => {
    const operation = await readyToRun();
    latencyMs = (path) => (path === '/wp-admin/admin.php' ? 15_000 : 0);
    try {
      const before = practice.requests.length;
      const { browser, done } = watched(() => {});
      const running = run(operation, browser);
      const isAsked = () => practice.requests.slice(before).some(({ path }) => path.startsWith('/wp-admin/admin.php'));
      await expect.poll(isAsked, { timeout: 60_000, interval: 20 }).toBe(true);
      await revoke(operation);
      const at = performance.now();
      const [things, requests] = [done.length, practice.requests.length];
      await running;
      expect(performance.now() - at).toBeLessThan(FELT_WITHIN_MS);
      expect(done.length).toBe(things);
      expect(changesAfter(requests)).toEqual([]);
      expect((await look(core, operation)).state).toBe('cancelled');
    } finally {
      latencyMs = () => 0;
    }
  }, 120_000);

  test('while a worker takes it: that waits for the end of it, and gets no lease', async () => {
    const operation = await readyToRun();
    const { taking } = await core.database.withCustomer(shop.customerId, async (tx) => {
      await core.consents.revoke(tx, operation, shop.approver);
      const taking = takeLease(core, { customerId: shop.customerId, operationId: operation.id }, never);
      await untilBlocked(testDatabase, taking);
      return { taking };
    });
    await expect(taking).rejects.toThrow('Consent required: Consent was revoked');
  });

  test('while its job is being taken: nothing is done, and it ends as what it is', async () => {
    const operation = await readyToRun();
    const { browser, done } = watched(() => {});
    const { running } = await core.database.withCustomer(shop.customerId, async (tx) => {
      await core.consents.revoke(tx, operation, shop.approver);
      const running = run(operation, browser);
      await untilBlocked(testDatabase, running);
      return { running };
    });
    await running;
    expect(done).toEqual([]);
    expect(await look(core, operation)).toMatchObject({
      state: 'cancelled',
      errorMessage: 'Consent required: Consent was revoked',
    });
  });

  test('between the last look and the click that makes the key: no key is made', async () => {
    const operation = await readyToRun();
    const { browser, done } = watched(() => {});
    let revoking: Promise<void> | undefined;
    let running: Promise<void> = Promise.resolve();
    /** Holds the operation, so that whoever saw the countersignature alive waits for it before the click. */
    const revokeUnderWay = async () => {
      const held = Promise.withResolvers<void>();
      revoking = core.database.withCustomer(shop.customerId, async (tx) => {
        await core.consents.revoke(tx, operation, shop.approver);
        held.resolve();
        await untilBlocked(testDatabase, running);
      });
      await held.promise;
    };
    const hooked: Browser = {
      ...browser,
      async open(options) {
        const session = await browser.open(options);
        const ready: BrowserSession['ready'] = async (...args) => {
          await session.ready(...args);
          if (done.length === 7 && !revoking) await revokeUnderWay();
        };
        return new Proxy(session, {
          get: (target, name) => (name === 'ready' ? ready : Reflect.get(target, name)),
        });
      },
    };
    running = run(operation, hooked);
    await running;
    await revoking;
    expect(revoking).toBeDefined();
    expect(keysOf(operation)).toEqual([]);
    expect(await look(core, operation)).toMatchObject({
      state: 'cancelled',
      errorMessage: 'Consent required: Consent was revoked',
      intent: null,
    });
  }, 120_000);

  test.each(['first', 'last'])('in its %s part, after it was extended: all of it is taken back', async (part) => {
    const operation = await readyToRun();
    const lease = await takeLease(core, { customerId: operation.customerId, operationId: operation.id }, never);
    const until = new Date(operation.plan.runsUntil);
    const extended = await core.consents.extend(shop.customerId, click(operation, shop.approver), until);
    expect(extended).toMatchObject({ kind: 'extended' });
    await expect(lease?.guard('sign_in')).resolves.toBeUndefined();
    const ids = [operation.grant?.id, (await look(core, operation)).grant?.id];
    const id = ids.at(part === 'first' ? 0 : -1) ?? '';
    const revoked = core.database.withCustomer(shop.customerId, (tx) =>
      core.consents.revokeById(tx, shop.customerId, id, shop.approver),
    );
    expect(await revoked).toBe(true);
    await expect(lease?.guard('sign_in')).rejects.toThrow('Consent required: Consent was revoked');
    lease?.release();
    const live = 'SELECT FROM autonomous_consent WHERE operation_id = $1 AND revoked_at IS NULL';
    expect(await sql(testDatabase.adminUrl, live, [operation.id])).toEqual([]);
  });
});

const never = new AbortController().signal;

describe('41 more than was countersigned', () => {
  /** The workflow as somebody who can write its file would have it. */
  function tampered(change: (steps: { permission: string }[]) => void): WorkflowRegistry {
    const registry = createWorkflowRegistry();
    return {
      ...registry,
      getDefinition: (id) => {
        const workflow = structuredClone(registry.getDefinition(id));
        change(workflow.steps);
        return workflow;
      },
    };
  }

  test('a workflow whose step asks for a permission that was not shown does nothing at all', async () => {
    const operation = await readyToRun();
    const { browser, done } = watched(() => {});
    await run(
      operation,
      browser,
      tampered((steps) => Object.assign(steps[0] ?? {}, { permission: 'write_shop' })),
    );
    expect(done).toEqual([]);
    expect(await look(core, operation)).toMatchObject({ state: 'failed', errorCode: 'workflow_changed' });
  });

  test('a workflow with a further step under a permission that was granted does nothing at all', async () => {
    const operation = await readyToRun();
    const { browser, done } = watched(() => {});
    await run(
      operation,
      browser,
      tampered((steps) => void steps.splice(4, 0, structuredClone(steps[5] ?? { permission: '' }))),
    );
    expect(done).toEqual([]);
    expect(await look(core, operation)).toMatchObject({ state: 'failed', errorCode: 'workflow_changed' });
  });

  test('a step of any kind whose permission is not in the grant is refused, whatever workflow and plan say', async () => {
    const kinds = new Set<string>();
    for (const permission of ['sign_in', 'create_api_key', 'check_key']) {
      // Somebody got the plan to name a permission less than its steps need.
      const lacking = createOperations({ ...core, getService, workflows: core.workflows });
      const type = getService('woocommerce')?.operationTypes.api_key_generation;
      if (!type) throw new Error('WooCommerce makes API keys');
      const permissions = ['sign_in', 'create_api_key', 'check_key', 'read_shop'].filter((p) => p !== permission);
      const place = { origin: practice.origin, base: practice.origin, permissions };
      const asked = await requestOperation({ ...core, operations: lacking }, shop, place);
      await core.database.withCustomer(shop.customerId, async (tx) => {
        for (const type of ['admin_username', 'admin_password'] as const) {
          const value = new Secret(type === 'admin_username' ? practice.username : practice.password);
          const secret = { target: practice.origin, operationId: asked.id, value };
          await core.vault.within(tx).store(shop.customerId, 'woocommerce', type, secret);
        }
      });
      await grant(core, asked, shop.approver);
      const { browser, done } = watched(() => {});
      await run(asked, browser);
      const steps = core.workflows.getDefinition(asked.plan.workflowId).steps;
      const firstRefused = steps.findIndex((step) => step.permission === permission);
      expect(await look(core, asked)).toMatchObject({
        state: 'cancelled',
        errorMessage: `Consent required: Permission ${permission} was not granted`,
      });
      expect(done.length).toBeLessThanOrEqual(firstRefused);
      expect(keysOf(asked)).toHaveLength(permission === 'check_key' ? 1 : 0);
      for (const step of steps.filter((each) => each.permission === permission)) kinds.add(step.kind);
      const opened = await sql<{ n: number }>(
        testDatabase.adminUrl,
        "SELECT count(*)::int AS n FROM autonomous_operations_audit WHERE operation_id = $1 AND kind = 'credential.opened'",
        [asked.id],
      );
      if (permission === 'sign_in') expect(opened).toEqual([{ n: 0 }]); // not even the vault
    }
    expect([...kinds].sort()).toEqual(['click', 'extract', 'fill', 'navigate', 'select', 'verify']);
  }, 180_000);
});
