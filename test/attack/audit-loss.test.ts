import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { headerText } from '../../core/audit/audit.ts';
import { csvLine } from '../../core/audit/csv.ts';
import { exportTrail, trailRow } from '../../core/audit/export.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import {
  appendEntry,
  exportLines,
  type Keeper,
  keepTrails,
  shopWithWords,
  tamper,
  verifyLines,
} from '../support/audit.ts';
import { type Core, cancel, openCore, sql, trail } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});

afterAll(async () => {
  keeper.remove();
  await core.close();
  await testDatabase.drop();
});

const AUDIT = 'autonomous_operations_audit';
const CANARY = 'mona.lisa+canary@example.com';

const append = (customerId: CustomerId, payload?: { words: string }) => appendEntry(core, customerId, payload);
const person = () => shopWithWords(core, CANARY);

describe('49 an erased subject', () => {
  test('leaves a chain that is intact, and an export that says erased', async () => {
    const { shop, customerId, operation } = await person();
    await keeper.checkpoints.make(customerId);
    const erased = await keeper.retention.erase(customerId, { memberId: shop.merchant.id }, shop.admin.id);
    expect(erased).toEqual({ kind: 'erased', payloads: 3 });
    const { checkpoints } = await keeper.checkpoints.held(customerId);
    expect(await core.audit.verify(customerId, checkpoints)).toMatchObject({ isIntact: true, entries: 6, erased: 3 });
    const entries = await trail(core, operation);
    expect(entries.map(({ kind, gone, payload }) => [kind, gone, payload])).toEqual([
      ['operation.requested', 'erased', undefined],
      ['plan.made', 'erased', undefined],
      ['consent.requested', undefined, undefined],
      ['guide.shown', 'erased', undefined],
    ]);

    const lines = await exportLines(core, keeper, customerId);
    const payloads = lines.slice(1).map((line) => (JSON.parse(line) as { payload: unknown }).payload);
    expect(payloads).toEqual(['erased', 'erased', null, 'erased', { words: 'kept' }, null]);
    const { code, out } = await verifyLines(lines, '--checkpoints', keeper.dir);
    expect([code, out]).toEqual([0, expect.stringContaining('3 payloads are erased; their entries are not.')]);
    const table: string[] = [];
    const exported = await exportTrail({ ...core, checkpoints: keeper.checkpoints }, customerId);
    for await (const { entry } of exported.entries()) table.push(csvLine(trailRow(entry, () => 'somebody')));
    expect(table.filter((row) => row.includes(',erased,'))).toHaveLength(3);
    expect(`${lines}${table}`).not.toContain(CANARY);
  });

  test('has its words nowhere in the rows any more, and the erasure is an entry itself', async () => {
    const { customerId, operation, shop } = await person();
    await keeper.retention.erase(customerId, { operationId: operation.id }, shop.admin.id);
    const rows = await sql<{ seq: string; header: string; payload: Buffer | null }>(
      testDatabase.adminUrl,
      `SELECT seq, header, payload FROM ${AUDIT} WHERE customer_id = $1 ORDER BY seq`,
      [customerId],
    );
    expect(rows.map(({ payload }) => payload === null)).toEqual([true, true, true, true, false, true]);
    expect(JSON.parse(rows.at(-1)?.header ?? '{}')).toMatchObject({
      kind: 'erasure.completed',
      actor: shop.admin.id,
      erased: [
        ['1', '2'],
        ['4', '4'],
      ],
    });
  });

  test('is told from words that somebody took away', async () => {
    const { customerId, shop } = await person();
    await keeper.retention.erase(customerId, { memberId: shop.merchant.id });
    await tamper(testDatabase, shop, `UPDATE ${AUDIT} SET payload = NULL WHERE ME AND seq = 5`);
    expect(await core.audit.verify(customerId)).toEqual({ isIntact: false, seq: 5n, fault: 'modified' });
    const { code, out } = await verifyLines(await exportLines(core, keeper, customerId));
    expect([code, out]).toEqual([1, expect.stringContaining('Entry #5 was modified')]);
  });

  test('whose key was destroyed leaves an intact chain, too', async () => {
    const { customerId, operation } = await person();
    await cancel(core, operation); // while it runs nobody is erased
    await core.keyRotation.eraseCustomer(customerId);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 7, erased: 0 });
    const lines = await exportLines(core, keeper, customerId);
    expect(lines.join('\n')).toContain('"payload":"key destroyed"');
    const { code, out } = await verifyLines(lines);
    expect([code, out]).toEqual([
      0,
      expect.stringContaining("4 payloads are erased: the customer's key was destroyed"),
    ]);
  });
});

describe('49 words that an export leaves out', () => {
  type Head = Record<string, unknown> & { head: { seq: string } };
  /** All words gone, for this reason; the head changed as a forger would. */
  const wordless = (lines: string[], reason: string, change: (head: Head) => void = () => {}) =>
    lines.map((line, index) => {
      const parsed = JSON.parse(line) as Head & { payload: unknown; salt?: string }; // changed, and written back
      if (index === 0) change(parsed);
      else if (parsed.payload !== null) {
        parsed.payload = reason;
        delete parsed.salt;
      }
      return JSON.stringify(parsed);
    });

  test.each(['erased', 'key destroyed', 'withheld'])('are not gone because it calls them %s', async (reason) => {
    const { customerId } = await person();
    const lines = await exportLines(core, keeper, customerId);
    const { code, out } = await verifyLines(wordless(lines, reason));
    expect([code, out]).toEqual([1, expect.stringContaining('Entry #1 was modified')]);
    expect(out).not.toContain('intact');
  });

  test.each(['erased', 'key destroyed'])('are not shown to be %s by what would follow', async (reason) => {
    const { customerId } = await person();
    const lines = await exportLines(core, keeper, customerId);
    const forged = wordless(lines, reason, ({ head }) => (head.seq = String(BigInt(head.seq) + 1n)));
    const { code, out } = await verifyLines(forged);
    expect([code, out]).toEqual([1, expect.stringContaining('4 payloads are not shown to be erased')]);
    expect(out).not.toContain('intact');
    expect(out).not.toContain('payloads are erased');
  });

  test('are those of other operations, and of no other export than one about an operation', async () => {
    const { customerId, operation } = await person();
    // So that the words about no operation lie between entries of this one.
    await core.database.withCustomer(customerId, (tx) =>
      core.audit.append(tx, customerId, { kind: 'guide.shown', operationId: operation.id }),
    );
    await append(customerId);
    const lines = await exportLines(core, keeper, customerId, { operationId: operation.id });
    expect((await verifyLines(lines)).code).toBe(0);
    expect(lines.join('\n')).not.toContain('"words":"kept"');
    expect(lines.filter((line) => line.includes('"payload":"withheld"'))).toHaveLength(1);
    const { code, out } = await verifyLines(wordless(lines, 'withheld'));
    expect([code, out]).toEqual([1, expect.stringContaining('not shown to be erased')]);
  });

  test('are excused by no erasure that was on record before them', async () => {
    const { shop, customerId } = await person();
    await core.database.withCustomer(customerId, async (tx) => {
      const header = headerText(customerId, newUuid(), { kind: 'erasure.completed', erased: [['1', '999999999999']] });
      await core.database.vouch(tx, 'audit', customerId, header);
      await tx.$queryRaw`SELECT erased FROM app.erase_payloads(${header})`;
    });
    await append(customerId, { words: 'later' });
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 7, erased: 4 });
    await tamper(testDatabase, shop, `UPDATE ${AUDIT} SET payload = NULL WHERE ME AND seq = 7`);
    expect(await core.audit.verify(customerId)).toEqual({ isIntact: false, seq: 7n, fault: 'modified' });
    const { code, out } = await verifyLines(await exportLines(core, keeper, customerId));
    expect([code, out]).toEqual([1, expect.stringContaining('Entry #7 was modified')]);
  });
});

describe('54 when the root key is rotated', () => {
  const base64 = (fill: number) => Buffer.alloc(32, fill).toString('base64');

  test('the newest key signs, and what older ones signed still verifies, also once they are gone', async () => {
    const { customerId } = await person();
    const first = keepTrails(core, { rootKeys: createEnvironmentRootKeys({ current: base64(1), old: [] }) });
    try {
      const { dir } = first;
      await first.checkpoints.make(customerId);
      await append(customerId);
      const rotating = createEnvironmentRootKeys({ current: base64(2), old: [base64(1)] });
      const second = keepTrails(core, { dir, rootKeys: rotating });
      await second.checkpoints.make(customerId);
      const during = await second.checkpoints.held(customerId);
      expect([during.problems, new Set(during.checkpoints.map(({ keyId }) => keyId)).size]).toEqual([[], 2]);

      await append(customerId);
      const rotated = createEnvironmentRootKeys({ current: base64(2), old: [] });
      const third = keepTrails(core, { dir, rootKeys: rotated });
      await third.checkpoints.make(customerId);
      const after = await third.checkpoints.held(customerId);
      expect([after.problems, after.checkpoints.length]).toEqual([[], 3]);
      expect(await core.audit.verify(customerId, after.checkpoints)).toMatchObject({ isIntact: true });
      const lines = await exportLines(core, third, customerId);
      expect(readFileSync(join(dir, 'keys.txt'), 'utf8').trim().split('\n')).toHaveLength(2);
      for (const options of [['--checkpoints', dir], ['--keys', join(dir, 'keys.txt')], []]) {
        const { code, out } = await verifyLines(lines, ...options);
        expect([code, out]).toEqual([0, expect.stringContaining('It agrees with 3 signed checkpoints')]);
      }
    } finally {
      first.remove();
    }
  });

  test('with a folder that was lost, the whole chain is checked and a new series begins, on record', async () => {
    const { shop, customerId } = await person();
    const keeperOf = (fill: number) =>
      keepTrails(core, { rootKeys: createEnvironmentRootKeys({ current: base64(fill), old: [] }) });
    const [first, second, third] = [keeperOf(4), keeperOf(5), keeperOf(6)];
    try {
      await first.checkpoints.make(customerId);
      expect(await second.checkpoints.make(customerId)).toMatchObject({ seq: 5n, previous: undefined });
      expect(await second.checkpoints.make(customerId)).toMatchObject({ seq: 6n });
      const { checkpoints, problems } = await second.checkpoints.held(customerId);
      expect([checkpoints.map(({ seq }) => seq), problems]).toEqual([[5n, 6n], []]);
      expect(await core.audit.verify(customerId, checkpoints)).toMatchObject({ isIntact: true, entries: 6 });
      const kinds = await sql<{ kind: string }>(
        testDatabase.adminUrl,
        `SELECT kind FROM ${AUDIT} WHERE customer_id = $1 AND seq = 6`,
        [customerId],
      );
      expect(kinds).toEqual([{ kind: 'checkpoints.begun' }]);
      await shiftClock(testDatabase.ownerUrl, '91 days');
      await append(customerId);
      expect(await second.retention.drop(customerId, 90)).toBe(6);

      // A folder that has checkpoints is no new one, and a chain that is broken begins no series.
      const other = createEnvironmentRootKeys({ current: base64(6), old: [] });
      rmSync(join(second.dir, 'keys.txt'));
      const stranger = keepTrails(core, { dir: second.dir, rootKeys: other });
      await expect(stranger.checkpoints.make(customerId)).rejects.toMatchObject({ code: 'audit_chain_broken' });
      await tamper(testDatabase, shop, `UPDATE ${AUDIT} SET at = at + interval '1 ms' WHERE ME AND seq = 7`);
      await expect(third.checkpoints.make(customerId)).rejects.toMatchObject({ code: 'audit_chain_broken' });
      expect(await third.store.read(customerId)).toEqual([]);
    } finally {
      for (const { remove } of [first, second, third]) remove();
    }
  });

  test('a key that nobody trusts vouches for nothing', async () => {
    const { customerId } = await person();
    const own = keepTrails(core, { rootKeys: createEnvironmentRootKeys({ current: base64(3), old: [] }) });
    try {
      await own.checkpoints.make(customerId);
      const lines = await exportLines(core, own, customerId);
      const keysFile = join(own.dir, 'trusted.txt');
      writeFileSync(keysFile, (await keeper.checkpoints.keys()).map(({ text }) => `${text}\n`).join(''));
      const { code, out } = await verifyLines(lines, '--keys', keysFile);
      expect([code, out]).toEqual([1, expect.stringContaining('Checkpoint 1 (entry #5) bears no good signature')]);
    } finally {
      own.remove();
    }
  });
});
