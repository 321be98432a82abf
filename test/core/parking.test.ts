import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createScreenshots } from '../../adapters/screenshots/index.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createParking, type Parking } from '../../core/operations/parking.ts';
import { createRunner } from '../../core/operations/run.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { type Core, cancel, installShop, openCore, queuedOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;
let parking: Parking;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});
afterEach(() => parking.close());
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

/** A browser that says whether it was closed. */
interface Stand {
  readonly session: BrowserSession;
  closedAfterMs: number | undefined;
}

function stand(): Stand {
  const since = performance.now();
  const it: Stand = {
    closedAfterMs: undefined,
    // Parking does nothing with a session but close it.
    session: {
      close: async () => {
        it.closedAfterMs = performance.now() - since;
      },
    } as BrowserSession,
  };
  return it;
}

async function park(operation?: Operation, of = shop): Promise<{ operation: Operation; it: Stand }> {
  const waiting = operation ?? (await queuedOperation(core, of));
  const it = stand();
  parking.park(of.customerId, waiting.id, { session: it.session, step: 4 });
  return { operation: waiting, it };
}

/** Neither a page nor a service is asked for anything. */
const nothing = {
  open: () => Promise.reject(new Error('a page was opened')),
  request: () => Promise.reject(new Error('a service was asked')),
  close: async () => {},
};

const isClosed = ({ it }: { it: Stand }) => it.closedAfterMs !== undefined;

describe('a parked browser', () => {
  test('is handed out once, to whoever comes for it', async () => {
    parking = createParking(core.database);
    const { operation, it } = await park();
    expect(parking.take(shop.customerId, operation.id)).toEqual({ session: it.session, step: 4 });
    expect(parking.take(shop.customerId, operation.id)).toBeUndefined();
    await parking.close();
    expect(isClosed({ it })).toBe(false);
  });

  test('is its own customer’s alone: another one’s operation of the same id neither gets it nor takes its place', async () => {
    parking = createParking(core.database);
    const stranger = await installShop(core);
    const { operation, it } = await park();
    expect(parking.take(stranger.customerId, operation.id)).toBeUndefined();
    const theirs = stand();
    parking.park(stranger.customerId, operation.id, { session: theirs.session, step: 4 });
    expect(isClosed({ it })).toBe(false);
    expect(parking.take(shop.customerId, operation.id)?.session).toBe(it.session);
    expect(parking.take(stranger.customerId, operation.id)?.session).toBe(theirs.session);
  });

  test('makes room for a fifth one, the oldest first; another one of its operation takes its place', async () => {
    parking = createParking(core.database);
    const parked = [await park(), await park(), await park(), await park()];
    expect(parked.map(isClosed)).toEqual([false, false, false, false]);
    const fifth = await park();
    expect([...parked, fifth].map(isClosed)).toEqual([true, false, false, false, false]);
    const again = await park(fifth.operation);
    expect([...parked, fifth, again].map(isClosed)).toEqual([true, false, false, false, true, false]);
    await parking.close();
    expect([...parked, again].map(isClosed)).toEqual([true, true, true, true, true]);
  });

  test('makes room where most are: nobody’s questions take the place of another customer', async () => {
    parking = createParking(core.database);
    const busy = await installShop(core);
    const one = await park();
    const many = [];
    for (let n = 0; n < 6; n++) many.push(await park(undefined, busy));
    expect([one, ...many].map(isClosed)).toEqual([false, true, true, true, false, false, false]);
    const second = await park();
    expect([one, second, ...many.slice(3)].map(isClosed)).toEqual([false, false, true, false, false]);
  });

  test('is closed when its time is over', async () => {
    parking = createParking(core.database, { parkedMs: 300 });
    const parked = await park();
    await vi.waitUntil(() => isClosed(parked));
    expect(parked.it.closedAfterMs).toBeGreaterThan(250);
    expect(parking.take(shop.customerId, parked.operation.id)).toBeUndefined();
  });

  test('is closed within two seconds when its operation ends, and stays while that waits', async () => {
    parking = createParking(core.database);
    const [ending, waiting] = [await park(), await park()];
    const since = performance.now();
    await cancel(core, ending.operation);
    await vi.waitUntil(() => isClosed(ending), { timeout: 5_000 });
    expect(performance.now() - since).toBeLessThan(2_000);
    expect(isClosed(waiting)).toBe(false);
  });

  test('waits for a worker that has just taken its operation, and not for one that has it elsewhere', async () => {
    parking = createParking(core.database);
    const [here, stopped, elsewhere] = [await park(), await park(), await park()];
    const answers: (() => void)[] = [];
    const runner = createRunner({
      ...core,
      ...{ parking, browser: nothing, http: nothing, screenshots: createScreenshots(core), log: silentLog },
      secrets: { add() {}, remove() {} },
      identify: () => new Promise((resolve) => answers.push(() => resolve({ kind: 'guest' }))),
    });
    const jobOf = ({ operation: { customerId, id } }: typeof here) => ({ customerId, operationId: id });
    const running = [here, stopped].map((each) => runner.run(jobOf(each), new AbortController().signal));
    await vi.waitUntil(() => answers.length === 2, { timeout: 5_000 });
    const since = performance.now();
    const lease = await takeLease(core, jobOf(elsewhere), new AbortController().signal);
    await cancel(core, stopped.operation);
    await vi.waitUntil(() => isClosed(elsewhere) && isClosed(stopped), { timeout: 10_000 });
    expect(performance.now() - since).toBeGreaterThan(900);
    expect(isClosed(here)).toBe(false); // the platform has not answered yet
    for (const answer of answers) answer();
    await Promise.all(running);
    expect(isClosed(here)).toBe(true); // nobody comes for it
    lease?.release();
  });
});
