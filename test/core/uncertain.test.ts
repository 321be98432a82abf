// An intent that was left open: core/operations/uncertain.ts.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { absentFrom, effectState, writeIntent } from '../../core/operations/effect.ts';
import { takeLease } from '../../core/operations/lease.ts';
import { createDrain, signalsOf } from '../../core/operations/run-signals.ts';
import { effectIndex, lookFor } from '../../core/operations/uncertain.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { type Core, installShop, openCore, queuedOperation } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';
import { recordingRun } from './agent/recording-run.ts';

let testDatabase: TestDatabase;
let core: Core;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

const [FOUND, COMPLETE] = [0, 1];

test('a list that was read before the click could no longer be made is read again, however late it is by then', async () => {
  const { customerId, id: operationId } = await queuedOperation(core, await installShop(core));
  const lease = await takeLease(core, { customerId, operationId }, new AbortController().signal);
  if (!lease) throw new Error('the lease was not to be had');
  lease.release();
  const { operation, fence } = lease;
  const workflow = core.workflows.getDefinition(operation.plan.workflowId);
  const effect = await core.database.withCustomer(customerId, async (tx) => {
    await writeIntent(tx, core.audit, operation, 9, operation.plan.label, fence);
    return effectState(tx, operation);
  });
  if (effect.kind !== 'uncertain') throw new Error(effect.kind);
  const timeoutMs = workflow.steps[effectIndex(workflow)]?.timeoutMs ?? 0;
  expect(absentFrom(effect.intent, timeoutMs).getTime() - effect.intent.startedAt.getTime()).toBe(timeoutMs + 40_000);

  const lists = workflow.probe?.looks.length ?? 0;
  let opened = 0;
  const session = {
    async navigate() {
      // While the lists are read for the first time, the click's last moment comes: and with it the key.
      if (++opened === 1) await shiftClock(testDatabase.ownerUrl, `${timeoutMs + 41_000} milliseconds`);
      return { url: '', title: '' };
    },
    waitFor: async () => (opened > lists ? FOUND : COMPLETE),
  } as Partial<BrowserSession> as BrowserSession; // looking does nothing else
  const { run } = recordingRun({ session, base: operation.plan.base });
  const signals = signalsOf(lease.signal, createDrain(), 60_000);
  const deps = { ...core, log: silentLog };
  expect(await lookFor(deps, lease, workflow, effect, run, signals)).toBe('found');
  signals.release();
  expect(opened).toBe(lists + 1);
});
