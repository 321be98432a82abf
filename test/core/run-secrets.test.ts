import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../bot/log.ts';
import { CountersignError } from '../../core/errors.ts';
import { effectState, keepResult, writeIntent } from '../../core/operations/effect.ts';
import { endOperation } from '../../core/operations/ending.ts';
import { takeLease } from '../../core/operations/lease.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { createRunner } from '../../core/operations/run.ts';
import { createRunSecrets } from '../../core/operations/run-secrets.ts';
import { createSecretRegistry, redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { type Core, installShop, look, openCore, queuedOperation, type Shop, trail } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

describe('the secrets of a run', () => {
  test('are in the log’s registry from their opening until the run is over', () => {
    const registry = createSecretRegistry();
    const secrets = createRunSecrets(registry);
    const [typed, found] = [new Secret('typed'), new Secret('found')];
    secrets.learn(typed, 'secret');
    secrets.learn(found, 'secret');
    expect(registry.all()).toEqual([typed, found]);
    secrets.release();
    expect(registry.all()).toEqual([]);
  });

  test('leave no trace in words, at any depth; a user name is no secret there', () => {
    const secrets = createRunSecrets(createSecretRegistry());
    secrets.learn(new Secret('hunter22'), 'secret');
    secrets.learn(new Secret('admin'), 'public');
    const said = { why: 'hunter22 is wrong', at: [{ page: '/wp-admin/h/u/n/t/e/r/2/2' }, null, 7, true] };
    expect(secrets.hideIn(said)).toEqual({
      why: '[secret] is wrong',
      at: [{ page: '/wp-admin/[secret]' }, null, 7, true],
    });
    expect(secrets.all().map((secret) => secret.reveal())).toEqual(['hunter22', 'admin']);
  });

  test('are not given away by a gap where everybody knows the word', () => {
    const secrets = createRunSecrets(createSecretRegistry());
    secrets.showed('Open the Shop and sign in');
    secrets.learn(new Secret('shop'), 'secret');
    expect(secrets.hide('“Open the shop” ended on another page.')).toBe('“Open the shop” ended on another page.');
  });

  test('leave a page’s own words recognisable, unless they can be nothing else', () => {
    const secrets = createRunSecrets(createSecretRegistry());
    secrets.learn(new Secret('settings'), 'secret');
    secrets.learn(new Secret('hunter22'), 'secret');
    expect(secrets.hideOnPage('Settings')).toBe('Settings');
    expect(secrets.hideOnPage('http://shop.test/wp-admin/?page=wc-settings')).toBe(
      'http://shop.test/wp-admin/?page=wc-settings',
    );
    expect(secrets.hideOnPage('Password: required')).toBe('Password: required');
    expect(secrets.hideOnPage(`Welcome aHVudGVyMjI=, your key is ck_${'0a1b'.repeat(10)}`)).toBe(
      'Welcome [secret]I=, your key is [secret]',
    );
  });

  test('that can’t be looked for let no word through', () => {
    const secrets = createRunSecrets(createSecretRegistry());
    class Unreadable extends Secret {
      override reveal(): string {
        throw new Error('unreadable');
      }
    }
    secrets.learn(new Unreadable('x'), 'secret');
    expect(secrets.hide('anything')).toBe('[words that could not be checked for secrets]');
  });
});

describe('a run that meets a fault', () => {
  const KEY = `ck_${'0a1b'.repeat(10)}`;
  const SECRET = `zz-${'9f8e'.repeat(10)}`;
  let testDatabase: TestDatabase;
  let core: Core;
  let shop: Shop;

  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    core = await openCore(testDatabase);
    shop = await installShop(core);
  });
  afterAll(async () => {
    await core.close();
    await testDatabase.drop();
  });

  /** An operation whose key lies in the vault already, so that all that is left is to check it; no page is needed. */
  async function keptOperation(): Promise<Operation> {
    const operation = await queuedOperation(core, shop);
    const job = { customerId: shop.customerId, operationId: operation.id };
    const lease = await takeLease(core, job, new AbortController().signal);
    if (!lease) throw new Error('the operation was not to be had');
    lease.release();
    await core.database.withCustomer(shop.customerId, async (tx) => {
      const effect = await effectState(tx, operation);
      const label = effect.kind === 'fresh' ? effect.label : '';
      await writeIntent(tx, core.audit, operation, 9, label, lease.fence);
      const fields = { consumer_key: new Secret(KEY), consumer_secret: new Secret(SECRET) };
      await keepResult(tx, core, operation, { step: 9, fence: lease.fence, label, fields });
    });
    return operation;
  }

  /** Runs it against a network that fails with these words, and a log as the program has it. */
  async function run(operation: Operation, fault: Error): Promise<{ lines: string; thrown: unknown; left: number }> {
    const secrets = createSecretRegistry();
    const lines: string[] = [];
    const sink = { write: (line: string) => lines.push(line) };
    const log = createLog({ isVerbose: true, redact: (text) => redact(text, secrets.all()), sink });
    const fail = () => Promise.reject(fault);
    const runner = createRunner({
      ...core,
      browser: { open: fail, close: async () => {} },
      http: { request: fail },
      screenshots: { put: fail, get: fail },
      log,
      secrets,
    });
    const job = { customerId: shop.customerId, operationId: operation.id };
    const thrown = await runner.run(job, new AbortController().signal).then(
      () => undefined,
      (error: unknown) => error,
    );
    return { lines: lines.join(''), thrown, left: secrets.all().length };
  }

  test('has it logged, stack and all, without its secrets, and forgets them then', async () => {
    const operation = await keptOperation();
    const { lines, thrown, left } = await run(operation, new TypeError(`could not send ${SECRET} of ${KEY}`));
    expect(thrown).toBeUndefined();
    expect(lines).toMatch(/an operation met a fault of ours/);
    expect(lines).toMatch(/could not send \[secret\] of \[secret\]/);
    expect(lines).not.toContain(SECRET);
    expect(left).toBe(0);
    expect(await look(core, operation)).toMatchObject({ state: 'failed', errorCode: 'internal' });
    expect(
      JSON.stringify(await trail(core, operation), (_, value) => (typeof value === 'bigint' ? 0 : value)),
    ).not.toContain(SECRET);
  });

  test('and one that comes to its end say nothing of its secrets either, whatever the vendor answers', async () => {
    for (const verified of [
      { kind: 'works', checked: `answered 200 to ${SECRET}`, method: `GET with ${SECRET}` },
      { kind: 'fails', reason: `refused ${SECRET}`, isRetryable: false },
    ] as const) {
      const operation = await keptOperation();
      const secrets = createRunSecrets(createSecretRegistry());
      secrets.learn(new Secret(SECRET), 'secret');
      const { fence } = await look(core, operation);
      await endOperation(core, { operation, fence }, { kind: 'completed', verified }, secrets);
      const { state, result, errorMessage } = await look(core, operation);
      expect(state).toBe(verified.kind === 'works' ? 'completed' : 'failed');
      expect(JSON.stringify({ data: result?.data, errorMessage })).toContain('[secret]');
      expect(JSON.stringify({ data: result?.data, errorMessage })).not.toContain(SECRET);
    }
  });

  test('that a later try may survive hands the queue a sentence without causes', async () => {
    const operation = await keptOperation();
    const outage = new CountersignError('database_unavailable', `no answer to ${SECRET}`, {
      isRetryable: true,
      cause: new Error(SECRET),
    });
    const { lines, thrown, left } = await run(operation, outage);
    expect(thrown).toMatchObject({ code: 'database_unavailable', isRetryable: true, message: 'no answer to [secret]' });
    expect(thrown).not.toHaveProperty('cause');
    expect(thrown instanceof Error && thrown.stack).not.toContain(SECRET);
    expect(lines).toMatch(/is handed out again/);
    expect(lines).not.toContain(SECRET);
    expect(left).toBe(0);
  });
});
