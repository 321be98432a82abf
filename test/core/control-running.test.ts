// Stop and pause while a real browser is at something, whatever that is: from the commit of the word to the moment when
// nothing more is done.
import { availableParallelism, loadavg } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { writeIntent } from '../../core/operations/effect.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import type { PageModel } from '../../core/ports/model.ts';
import { type Alteration, type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { type Core, installShop, kinds, look, openCore, queuedOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openWorker, type Worker } from '../support/worker.ts';

/** Two seconds, stretched as far as the computer is busy with other things. */
const feltWithinMs = () => 2_000 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
const RUN_MS = 120_000;
const never = new AbortController().signal;

let database: TestDatabase;
let core: Core;
let customer: Shop;
let practice: PracticeShop;
let worker: Worker;
let asked: Worker;
let latencyMs: (path: string) => number = () => 0;
/** What the pages' scripts are followed by. */
let script = '';
/** What the sessions are busy with, and when the last one was closed. */
let seen: string[] = [];
let closedAt = 0;
let isModelAsked = false;
/** What a picture of a page that shows a new key takes, to be drawn. */
let drawing: () => Promise<unknown> = async () => {};

const alteration: Alteration = {
  text: (content, type) =>
    type === 'html' && script ? content.replace('</body>', `<script>${script}</script></body>`) : content,
  field: (name) => name,
};

async function slowly(session: BrowserSession, options: Parameters<BrowserSession['shoot']>[0]) {
  const { drawn } = await session.shoot(options);
  return { drawn: options.isRevealing ? drawn.finally(drawing) : drawn };
}

/** Says what the session is asked for, and does it. */
function watched(session: BrowserSession): BrowserSession {
  return new Proxy(session, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        seen.push(String(name));
        if (name === 'shoot') return slowly(target, ...(args as Parameters<BrowserSession['shoot']>)); // `shoot`'s own
        const result: unknown = value.apply(target, args);
        if (name !== 'close') return result;
        return Promise.resolve(result).finally(() => {
          closedAt = performance.now();
        });
      };
    },
  });
}

/** Never answers, and hears of no signal. */
const silent: PageModel = {
  converse() {
    isModelAsked = true;
    return new Promise(() => {});
  },
};

beforeAll(async () => {
  database = await createTestDatabase();
  core = await openCore(database, { hasPageModel: true });
  customer = await installShop(core);
  practice = await startPracticeShop({
    obstacles: { adminEmailCheck: false },
    latencyMs: (path) => latencyMs(path),
    alteration,
  });
  const target = new URL(practice.origin).host;
  worker = await openWorker(database, { target, wrap: watched });
  asked = await openWorker(database, { target, wrap: watched, model: silent });
});

afterEach(() => {
  latencyMs = () => 0;
  script = '';
  seen = [];
  isModelAsked = false;
  drawing = async () => {};
});

afterAll(async () => {
  await worker?.close();
  await asked?.close();
  await practice?.close();
  await core?.close();
  await database?.drop();
});

const ready = () =>
  queuedOperation(
    core,
    customer,
    { origin: practice.origin, base: practice.origin },
    { admin_username: practice.username, admin_password: practice.password },
  );
const inside: Core['database']['withCustomer'] = (...args) => core.database.withCustomer(...args);
const wish = ({ id }: Operation) => ({ operationId: id, by: customer.merchant });
const cancel = (operation: Operation) => core.control.cancel(customer.customerId, wish(operation));
const pause = (operation: Operation) => core.control.pause(customer.customerId, wish(operation));
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: RUN_MS, interval: 20 });
const isRequested = (before: number, part: string) => () =>
  practice.requests.slice(before).some(({ path }) => path.includes(part));
const keysOf = ({ id }: Operation) => practice.keys().filter(({ description }) => description.includes(id));

/** A worker died between intent and vault: whoever takes over looks for the label. */
async function interrupted(): Promise<Operation> {
  const operation = await ready();
  const lease = await takeLease(core, { customerId: operation.customerId, operationId: operation.id }, never);
  if (!lease) throw new Error('the lease was not to be had');
  lease.release();
  await inside(customer.customerId, (tx) =>
    writeIntent(tx, core.audit, operation, 9, operation.plan.label, lease.fence),
  );
  return operation;
}

interface Busy {
  readonly doing: string;
  readonly begin: () => Promise<Operation>;
  readonly by?: 'model';
  /** Waits until the run is at it. */
  readonly at: (before: number, operation: Operation) => Promise<unknown>;
}

const KEYS = 'section=keys';
const busy: readonly Busy[] = [
  {
    doing: 'a page that does not come',
    begin() {
      latencyMs = (path) => (path === '/wp-admin/admin.php' ? 300_000 : 0);
      return ready();
    },
    at: (before) => until(isRequested(before, KEYS)),
  },
  {
    doing: 'a button that stays grey',
    begin() {
      practice.holdGenerate();
      return ready();
    },
    at: async (_, operation) => {
      await until(async () => (await look(core, operation)).currentStep === 9);
      const soFar = seen.length;
      await until(() => seen.length > soFar || seen.at(-1) === 'ready');
    },
  },
  {
    doing: 'a picture of a page whose script never ends',
    begin() {
      script =
        "document.getElementById('user_login')?.addEventListener('input', () => setTimeout(() => { for (;;); }, 50));";
      return ready();
    },
    at: () => until(() => seen.includes('shoot') && seen.includes('act')),
  },
  {
    doing: 'a model that does not answer',
    begin: () => ready(),
    by: 'model',
    at: () => until(() => isModelAsked),
  },
  {
    doing: 'a look for an interrupted key in a list that does not come',
    begin: () => interrupted(),
    at: async (before) => {
      latencyMs = (path) => (path === '/wp-admin/admin.php' ? 300_000 : 0);
      await until(isRequested(before, KEYS));
    },
  },
  {
    doing: 'the time after which an interrupted key counts as absent',
    begin: () => interrupted(),
    at: () => until(() => worker.said.some((words) => /is waited for before it counts as absent/.test(words))),
  },
];

const words = [
  { verb: 'Stop', say: cancel, state: 'cancelled', all: busy },
  // It is felt by the same look: the page, and what is not a page.
  { verb: 'Pause', say: pause, state: 'paused', all: [busy.at(0), busy.at(-1)].filter((one) => one !== undefined) },
] as const;

describe.each(words)('$verb is felt within two seconds', ({ say, state, all }) => {
  test.each(all)(
    'in the middle of $doing, and nothing is done afterwards',
    async ({ begin, at, by }) => {
      worker.forget();
      const before = practice.requests.length;
      const operation = await begin();
      const running = (by === 'model' ? asked : worker).run(operation);
      await at(before, operation);
      closedAt = 0;
      await say(operation);
      const committedAt = performance.now();
      const sent = practice.requests.length;
      await running;
      const tookMs = Math.max(performance.now(), closedAt) - committedAt;
      expect(tookMs).toBeLessThan(feltWithinMs());
      expect(closedAt).toBeGreaterThan(0);
      // The practice page itself asks all the time whether its button is still held.
      const doneSince = practice.requests
        .slice(sent)
        .filter(({ method, action }) => method !== 'GET' && action !== 'practice_hold');
      expect(doneSince).toEqual([]);
      expect((await look(core, operation)).state).toBe(state);
      expect(keysOf(operation)).toEqual([]);
    },
    2 * RUN_MS,
  );
});

describe('Pause in the middle of the one effect', () => {
  test.each([
    { drawn: 'at once', isSlow: false },
    { drawn: 'only once the key was checked', isSlow: true },
  ])(
    'lets the key be stored first; resumed, the operation ends with that one key: its picture is drawn $drawn',
    async ({ isSlow }) => {
      latencyMs = (path) => (path === '/wp-admin/admin-ajax.php' ? 3_000 : 0);
      const before = practice.requests.length;
      const isChecked = isRequested(before, '/wp-json/');
      // Where nothing is checked before the picture lies there, that is well, and the picture comes after a while.
      if (isSlow) drawing = () => vi.waitUntil(isChecked, { timeout: 3_000 }).catch(() => {});
      const operation = await ready();
      const running = worker.run(operation);
      await until(async () => (await kinds(core, operation)).includes('intent.written'));
      expect((await pause(operation)).kind).toBe('pausing');
      await running;
      expect(isChecked()).toBe(false);
      const trail = await kinds(core, operation);
      expect(trail.indexOf('credential.stored')).toBeGreaterThan(trail.indexOf('operation.pause_asked'));
      expect(trail.indexOf('operation.paused')).toBeGreaterThan(trail.indexOf('credential.stored'));
      expect(await look(core, operation)).toMatchObject({
        state: 'paused',
        isKeyStored: true,
        intent: { state: 'done' },
      });
      expect(keysOf(operation)).toHaveLength(1);
      latencyMs = () => 0;
      expect((await core.control.resume(customer.customerId, wish(operation))).kind).toBe('resumed');
      await worker.run(operation);
      expect((await look(core, operation)).state).toBe('completed');
      expect(keysOf(operation)).toHaveLength(1);
    },
    2 * RUN_MS,
  );

  test(
    'is the operator’s, too: what was running goes on after it, from the beginning, and makes one key',
    async () => {
      latencyMs = (path) => (path === '/wp-admin/admin.php' ? 300_000 : 0);
      const before = practice.requests.length;
      const operation = await ready();
      const running = worker.run(operation);
      await until(isRequested(before, KEYS));
      await core.standstill.pause(customer.customerId, 'moving');
      const at = performance.now();
      await running;
      expect(performance.now() - at).toBeLessThan(feltWithinMs());
      expect(await look(core, operation)).toMatchObject({ state: 'paused', hold: 'operator' });
      latencyMs = () => 0;
      await worker.run(operation);
      expect((await look(core, operation)).state).toBe('paused');
      await core.standstill.resume(customer.customerId);
      await worker.run(operation);
      expect((await look(core, operation)).state).toBe('completed');
      expect(keysOf(operation)).toHaveLength(1);
    },
    2 * RUN_MS,
  );
});
