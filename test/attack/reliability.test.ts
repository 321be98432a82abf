// What a worker leaves behind that dies, is told to stop, or whose browser or shop fails, at each point of the one effect. The
// browser is simulated: runner, queue, vault and the shop's books are the real ones.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { CountersignError } from '../../core/errors.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createRunner, type Runner } from '../../core/operations/run.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { type Core, installShop, look, openCore, queuedOperation } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';
import { createSimulatedBrowser } from './faults/simulated-browser.ts';

const RUN_MS = 120_000;
vi.setConfig({ testTimeout: 2 * RUN_MS }); // on a machine that is shared
const SETTLED = '70 seconds'; // after that a label that nobody sees is one that nobody will make
const GENERATE = '9';

let database: TestDatabase;
let core: Core;
let shop: PracticeShop;
/** What the worker logged, and with what beside the words. */
let said: string[] = [];
let logged: object[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  core = await openCore(database);
  shop = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
});
afterAll(async () => {
  await core?.close();
  await shop?.close();
  await database?.drop();
});

type Act = BrowserSession['act'];

/** A worker whose sessions act as `act` has it, or as they should. */
function worker(act: (doIt: () => Promise<void>, handle: string) => Promise<void> = (doIt) => doIt()): Runner {
  const simulated = createSimulatedBrowser(core.workflows.getDefinition('woocommerce_api_key_generation'), {
    ...{ cpuMs: 0, waitMs: 1 },
  });
  const say = (fields: object, words: string) => {
    said.push(words);
    logged.push(fields);
  };
  [said, logged] = [[], []];
  return createRunner({
    ...core,
    browser: {
      ...simulated,
      async open(options) {
        const session = await simulated.open(options);
        const acts: Act = (element, action, timeoutMs) =>
          act(() => session.act(element, action, timeoutMs), element.handle);
        return { ...session, act: acts, incidents: () => [`A dialog that says ${shop.password} was dismissed.`] };
      },
    },
    http: createHttp({ egress: createEgress({ privateTargets: [new URL(shop.origin).host], log: silentLog }) }),
    screenshots: createScreenshots(core),
    log: { ...silentLog, info: say, warn: say, error: say },
    secrets: { add() {}, remove() {} },
  });
}

/** Each for a customer of its own, so that no key takes another one's place. */
const queued = async () =>
  queuedOperation(
    core,
    await installShop(core),
    { origin: shop.origin, base: shop.origin },
    { admin_username: shop.username, admin_password: shop.password },
  );
const never = new AbortController().signal;
const run = (runner: Runner, { customerId, id }: Operation, signal = never) =>
  runner.run({ customerId, operationId: id }, signal);
const keysOf = ({ id }: Operation) =>
  shop.keys().flatMap(({ description }) => (description.includes(id) ? [description] : []));

/** A run that goes on with what an earlier one left, past the time after which an unseen key counts as absent. */
async function takenOver(operation: Operation): Promise<void> {
  const going = run(worker(), operation);
  let isOver = false;
  void going.finally(() => {
    isOver = true;
  });
  const isWaiting = () => said.some((words) => words.includes('is waited for before it counts as absent'));
  await vi.waitUntil(() => isOver || isWaiting(), { timeout: RUN_MS, interval: 20 });
  if (!isOver) await shiftClock(database.ownerUrl, SETTLED);
  await going;
}

describe('55 a worker that dies', () => {
  test.each([
    { when: 'between its intent and the click', isMade: false },
    { when: 'between the click and the vault', isMade: true },
  ])('$when leaves one key at most, and one that nobody knows is named', async ({ isMade }) => {
    const operation = await queued();
    const job = new AbortController();
    const dying = worker(async (doIt, handle) => {
      if (handle !== GENERATE) return doIt();
      if (isMade) await doIt();
      job.abort(new Error('gone'));
      throw new Error('gone');
    });
    await expect(run(dying, operation, job.signal)).rejects.toThrow('taken away');
    await takenOver(operation);
    expect(keysOf(operation)).toHaveLength(1);
    const end = await look(core, operation);
    expect(end.state).toBe(isMade ? 'failed' : 'completed');
    if (isMade) expect(end.errorMessage).toContain(`Revoke “${keysOf(operation)[0]}”`);
  });
});

describe('58 a browser that crashes', () => {
  const CLICKS_AND_FIELDS = ['2', '3', '4', '6', '7', '8', GENERATE];
  test.each(CLICKS_AND_FIELDS)('at step %s costs nothing but time, and never makes two keys', async (step) => {
    const operation = await queued();
    let isDue = true;
    const crashing = worker(async (doIt, handle) => {
      if (handle !== step || !isDue) return doIt();
      isDue = false;
      throw new CountersignError('browser_crashed', 'The page or its browser ended.', { isRetryable: true });
    });
    const going = run(crashing, operation);
    if (step === GENERATE) {
      const isWaiting = () => said.some((words) => words.includes('is waited for before it counts as absent'));
      await vi.waitUntil(isWaiting, { timeout: RUN_MS, interval: 20 });
      await shiftClock(database.ownerUrl, SETTLED);
    }
    await going;
    expect((await look(core, operation)).state).toBe('completed');
    expect(keysOf(operation)).toHaveLength(1);
  });
});

describe('59 a shop that fails after it made the key', () => {
  test.each([
    { how: 'shows it all the same', code: 'network', state: 'completed' },
    { how: 'takes nothing for a while', code: 'rate_limited', state: 'failed' },
  ] as const)('and $how is not asked for a second one, and the thread names the first', async ({ code, state }) => {
    const operation = await queued();
    const failing = worker(async (doIt, handle) => {
      await doIt();
      if (handle === GENERATE) throw new CountersignError(code, 'The shop did not answer.', { isRetryable: true });
    });
    await run(failing, operation);
    const incidents = ['A dialog that says [secret] was dismissed.'];
    const told = { operationId: operation.id, step: Number(GENERATE), incidents };
    if (state === 'failed') expect(logged).toContainEqual(told);
    expect(keysOf(operation)).toHaveLength(1);
    const end = await look(core, operation);
    expect(end).toMatchObject({
      ...{ state, isKeyStored: state === 'completed', intent: { label: keysOf(operation)[0] } },
    });
  });
});

describe('62 a worker that is told to stop', () => {
  test('finishes the step under way, hands the job back, and another one goes on from there', async () => {
    const operation = await queued();
    const signIns = () =>
      shop.requests.filter(({ method, path }) => method === 'POST' && path === '/wp-login.php').length;
    const before = signIns();
    const stopping: Runner = worker(async (doIt, handle) => {
      if (handle === '7') stopping.drain();
      await doIt();
    });
    await expect(run(stopping, operation)).rejects.toThrow('taken away');
    const left = await look(core, operation);
    expect([left.state, left.steps[6]?.state, left.steps[7]?.state]).toEqual(['in_progress', 'done', 'waiting']);
    expect(keysOf(operation)).toEqual([]);
    await run(worker(), operation);
    expect((await look(core, operation)).state).toBe('completed');
    expect(keysOf(operation)).toHaveLength(1);
    expect(signIns() - before).toBeLessThanOrEqual(2);
  });
});
