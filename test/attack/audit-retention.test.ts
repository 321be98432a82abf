import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
import { asCustomer, wordFor } from '../support/by-hand.ts';
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

describe('50 retention', () => {
  /** Six entries, of which the first four are past their time, and a checkpoint. */
  async function aged() {
    const { shop, customerId } = await person();
    await shiftClock(testDatabase.ownerUrl, '91 days');
    await append(customerId);
    return { shop, customerId };
  }

  test('drops what is too old behind a signed checkpoint, says so, and verifies', async () => {
    const { customerId } = await aged();
    expect(await keeper.retention.drop(customerId, 90)).toBe(5);
    const rows = await sql<{ seq: string; kind: string }>(
      testDatabase.adminUrl,
      `SELECT seq, kind FROM ${AUDIT} WHERE customer_id = $1 ORDER BY seq`,
      [customerId],
    );
    expect(rows.map(({ seq, kind }) => `${seq} ${kind}`)).toEqual(['6 rules.changed', '7 retention.dropped']);
    const { checkpoints } = await keeper.checkpoints.held(customerId);
    expect(checkpoints.map(({ seq }) => seq)).toEqual([6n]);
    const intact = { isIntact: true, entries: 2, droppedUpTo: 5n };
    expect(await core.audit.verify(customerId, checkpoints)).toMatchObject(intact);
    await append(customerId);
    await keeper.checkpoints.make(customerId);
    const lines = await exportLines(core, keeper, customerId);
    const { code, out } = await verifyLines(lines, '--checkpoints', keeper.dir);
    expect([code, out]).toEqual([0, expect.stringContaining('Entries up to #5 are retention-dropped')]);
    expect(await keeper.retention.drop(customerId, 90)).toBe(0);
  });

  test('goes on from what it dropped before', async () => {
    const { customerId } = await aged();
    await keeper.retention.drop(customerId, 90);
    await shiftClock(testDatabase.ownerUrl, '91 days');
    await append(customerId, { words: 'later' });
    expect(await keeper.retention.drop(customerId, 90)).toBe(2);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 2, droppedUpTo: 7n });
    await keeper.retention.dropAll(90);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 2, droppedUpTo: 7n });
  });

  test('is told from entries that somebody removed', async () => {
    const { shop, customerId } = await aged();
    await keeper.retention.drop(customerId, 90);
    await append(customerId);
    await tamper(testDatabase, shop, `DELETE FROM ${AUDIT} WHERE ME AND seq = 6`);
    expect(await core.audit.verify(customerId)).toEqual({ isIntact: false, seq: 1n, fault: 'gap' });
    const { code, out } = await verifyLines(await exportLines(core, keeper, customerId));
    expect([code, out]).toEqual([1, expect.stringContaining('There is a gap')]);
  });

  test('is kept from the trail by a legal hold, as is erasure, until that is released; all of it on record', async () => {
    const { shop, customerId } = await aged();
    await keeper.retention.placeHold(customerId, { by: shop.admin.id, why: 'a court asked for it' });
    expect(await keeper.retention.drop(customerId, 90)).toBe(0);
    expect(await keeper.retention.erase(customerId, 'all')).toEqual({ kind: 'held' });
    await expect(dropByHand(customerId, {})).rejects.toMatchObject({ code: '23514', constraint: 'legal_hold' });
    await expect(eraseByHand(customerId)).rejects.toMatchObject({ code: '23514', constraint: 'legal_hold' });
    await keeper.retention.releaseHold(customerId, { by: shop.admin.id, why: 'it is over' });
    expect(await keeper.retention.drop(customerId, 90)).toBe(5);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, droppedUpTo: 5n });
  });

  /** A statement with a header that the program vouches for. */
  const vouched = (customerId: CustomerId, statement: string, header: string) =>
    asCustomer(testDatabase.programUrl, customerId, async (client) => {
      await client.query("SELECT set_config('app.vouched', $1, true)", [wordFor('audit', customerId, header)]);
      return client.query(statement, [header]);
    });
  /** What the program could send by itself: the function with a header of its own. */
  async function dropByHand(customerId: CustomerId, changes: Record<string, unknown>, upTo = 5) {
    const [row] = await sql<{ hash: string }>(
      testDatabase.adminUrl,
      `SELECT encode(hash, 'hex') AS hash FROM ${AUDIT} WHERE customer_id = $1 AND seq = $2`,
      [customerId, upTo],
    );
    const header = {
      kind: 'retention.dropped',
      days: 1,
      droppedSeq: String(upTo),
      droppedHash: row?.hash,
      checkpointSeq: '6',
      ...changes,
    };
    return vouched(customerId, 'SELECT dropped FROM app.drop_audit($1)', JSON.stringify(header));
  }
  const eraseByHand = (customerId: CustomerId, kind = 'erasure.completed') =>
    vouched(customerId, 'SELECT erased FROM app.erase_payloads($1)', JSON.stringify({ kind, erased: [['1', '9']] }));

  test('drops nothing that no checkpoint reaches, that is not old enough, or that it does not name truly', async () => {
    const { customerId } = await aged();
    await expect(dropByHand(customerId, {})).rejects.toMatchObject({ message: /no signed checkpoint reaches/ });
    await keeper.checkpoints.make(customerId);
    await expect(dropByHand(customerId, { checkpointSeq: '4' })).rejects.toMatchObject({ code: '23514' });
    await expect(dropByHand(customerId, {}, 6)).rejects.toMatchObject({ message: /not to be dropped yet/ });
    await expect(dropByHand(customerId, { droppedHash: '00' })).rejects.toMatchObject({ code: '23514' });
    await expect(dropByHand(customerId, { kind: 'rules.changed' })).rejects.toMatchObject({ code: '23514' });
    await expect(dropByHand(customerId, { days: null })).resolves.toMatchObject({ rows: [{ dropped: '5' }] });
    await expect(eraseByHand(customerId, 'rules.changed')).rejects.toMatchObject({ code: '23514' });
  });

  test('never takes what is younger than the owner of the database allows, whatever the program asks for', async () => {
    const { customerId } = await person();
    await shiftClock(testDatabase.ownerUrl, '80 days');
    await append(customerId);
    expect(await keeper.retention.drop(customerId, 1)).toBe(0);
    await keeper.checkpoints.make(customerId);
    await expect(dropByHand(customerId, { days: -1 })).rejects.toMatchObject({ message: /not to be dropped yet/ });
  });

  test('keeps the customer itself from being erased under a legal hold', async () => {
    const { shop, customerId, operation } = await person();
    await cancel(core, operation);
    await keeper.retention.placeHold(customerId, { by: shop.admin.id, why: 'a court asked for it' });
    await expect(core.keyRotation.eraseCustomer(customerId)).rejects.toMatchObject({ code: 'legal_hold' });
    expect((await trail(core, operation)).find(({ kind }) => kind === 'guide.shown')?.payload).toEqual({
      words: CANARY,
    });
    await keeper.retention.releaseHold(customerId, { why: 'it is over' });
    await core.keyRotation.eraseCustomer(customerId);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 9 });
  });

  test.each(['hold.placed', 'hold.released', 'customer.erased', 'retention.dropped', 'erasure.completed'])(
    'trusts no %s that a smuggled statement appends',
    async (kind) => {
      const { customerId } = await person();
      for (const header of [`{"kind":"${kind}"}`, `{"kind":"x","kind":"${kind.replace('.', '\\u002e')}"}`])
        for (const word of [
          '',
          '00',
          wordFor('audit', newUuid(), header),
          wordFor('audit', customerId, `${header} `),
        ]) {
          const smuggled = asCustomer(testDatabase.programUrl, customerId, async (client) => {
            await client.query("SELECT set_config('app.vouched', $1, true)", [word]);
            await client.query('SELECT app.append_audit($1, NULL)', [header]);
          });
          await expect(smuggled).rejects.toMatchObject({ code: '42501', message: /does not vouch for this/ });
        }
      expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 5 });
    },
  );

  test('trusts no checkpoint, drop or erasure that a smuggled statement makes', async () => {
    const { customerId } = await aged();
    const [head] = await sql<{ seq: string; hash: string }>(
      testDatabase.adminUrl,
      'SELECT seq, hash FROM audit_heads WHERE customer_id = $1',
      [customerId],
    );
    const send = (statement: string, values: unknown[]) =>
      asCustomer(testDatabase.programUrl, customerId, (client) => client.query(statement, values));
    const refused = { code: '42501', message: /does not vouch for this/ };
    const forged = send("SELECT app.record_checkpoint($1, $2, 'forged')", [head?.seq, head?.hash]);
    await expect(forged).rejects.toMatchObject(refused);
    await keeper.checkpoints.make(customerId);
    const drop = JSON.stringify({ kind: 'retention.dropped', days: 90, droppedSeq: '5', checkpointSeq: '6' });
    await expect(send('SELECT app.drop_audit($1)', [drop])).rejects.toMatchObject(refused);
    const erasure = JSON.stringify({ kind: 'erasure.completed', erased: [['1', '999999999999']] });
    await expect(send('SELECT app.erase_payloads($1)', [erasure])).rejects.toMatchObject(refused);
    expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 6, erased: 0 });
  });

  test("drops and erases in its own customer's trail alone", async () => {
    const [a, b] = [await aged(), await person()];
    await shiftClock(testDatabase.ownerUrl, '91 days');
    await keeper.checkpoints.make(a.customerId);
    await dropByHand(a.customerId, {});
    await eraseByHand(a.customerId);
    expect(await core.audit.verify(b.customerId)).toMatchObject({
      isIntact: true,
      entries: 5,
      erased: 0,
      droppedUpTo: 0n,
    });
  });
});
