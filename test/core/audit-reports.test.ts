import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AuditReports, createAuditReports, type StepLog } from '../../core/audit/reports.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, installShop, openCore, requestOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
let shop: Shop;
let operation: Operation;
let reports: AuditReports;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});

beforeEach(async () => {
  shop = await installShop(core);
  operation = await requestOperation(core, shop);
  reports = createAuditReports({ ...core, retention: keeper.retention }, shop.customerId);
});

afterAll(async () => {
  keeper.remove();
  await core.close();
  await testDatabase.drop();
});

const step = (stepNumber: number, changes: Partial<StepLog> = {}): StepLog => ({
  operationId: operation.id,
  stepNumber,
  intent: `Step ${stepNumber}`,
  action: 'click',
  success: true,
  durationMs: 100 * stepNumber,
  ...changes,
});

describe('a step that was logged', () => {
  test('comes back with everything that was said of it', async () => {
    const full = step(3, {
      success: false,
      error: 'The button was not found',
      screenshotUrl: '/pictures/x',
      pageUrl: 'https://shop.example.com/wp-admin',
      rung: 'model',
      action: 'x'.repeat(5_000),
      aiResponse: 'I would click on “Add key”.',
      tokens: { input: 1_234, output: 56 },
    });
    const logged = await reports.logStep(full);
    expect(logged).toEqual({
      ...full,
      id: '4',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      timestamp: expect.any(Date),
    });
    expect(await reports.getOperationLogs(operation.id)).toEqual([{ ...logged, timestamp: expect.any(Date) }]);
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, entries: 4 });
  });

  test('is one entry an attempt, in the order of the steps', async () => {
    for (const number of [2, 1, 2]) await reports.logStep(step(number));
    const logs = await reports.getOperationLogs(operation.id);
    expect(logs.map(({ stepNumber, id }) => [stepNumber, id])).toEqual([
      [1, '5'],
      [2, '4'],
      [2, '6'],
    ]);
  });

  test("about another customer's operation is refused", async () => {
    const other = await requestOperation(core, await installShop(core));
    await expect(reports.logStep(step(1, { operationId: other.id }))).rejects.toThrow();
    expect(await reports.getOperationLogs(other.id)).toEqual([]);
  });
});

test('an operation is summed up', async () => {
  await reports.logStep(step(1, { screenshotUrl: 'a' }));
  await reports.logStep(step(2, { success: false, error: 'no such button' }));
  await reports.logStep(step(3, { screenshotUrl: 'c' }));
  expect(await reports.getOperationSummary(operation.id)).toEqual({
    totalSteps: 3,
    successfulSteps: 2,
    failedSteps: 1,
    totalDurationMs: 600,
    avgStepDurationMs: 200,
    screenshots: ['a', 'c'],
  });
  expect((await reports.getFailedSteps(operation.id)).map(({ stepNumber, error }) => [stepNumber, error])).toEqual([
    [2, 'no such button'],
  ]);
  expect((await reports.getRecentLogs(2)).map(({ stepNumber }) => stepNumber)).toEqual([3, 2]);
});

test('statistics count operations, steps and reasons, in a range and in all', async () => {
  const none = { totalOperations: 0, totalSteps: 0, successRate: 0, avgDurationMs: 0, failureReasons: {} };
  expect(await reports.getStatistics()).toEqual(none);
  const second = await requestOperation(core, shop);
  await reports.logStep(step(1));
  for (const error of ['a', 'b', 'b'])
    await reports.logStep(step(2, { operationId: second.id, success: false, error }));
  expect(await reports.getStatistics()).toEqual({
    totalOperations: 2,
    totalSteps: 4,
    successRate: 0.25,
    avgDurationMs: 175,
    failureReasons: { a: 1, b: 2 },
  });
  const [, first] = await reports.exportAuditTrail();
  expect(await reports.getStatistics({ endDate: new Date('2020-01-01') })).toEqual(none);
  expect(await reports.exportAuditTrail(first?.timestamp)).toHaveLength(3);
});

test('old logs are deleted behind a checkpoint, and the chain says so', async () => {
  await reports.logStep(step(1));
  expect(await reports.deleteOldLogs()).toBe(0);
  await shiftClock(testDatabase.ownerUrl, '91 days');
  await reports.logStep(step(2));
  expect(await reports.deleteOldLogs(90)).toBe(4);
  expect((await reports.getOperationLogs(operation.id)).map(({ stepNumber }) => stepNumber)).toEqual([2]);
  expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, droppedUpTo: 4n });
});
