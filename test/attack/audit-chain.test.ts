import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { entryHash } from '../../core/audit/chain.ts';
import { checkNotes } from '../../core/audit/checkpoints.ts';
import {
  exportLines,
  type Keeper,
  keepTrails,
  shopWithTrail,
  tamper as tamperWith,
  verifyLines,
} from '../support/audit.ts';
import { type Core, connected, openCore, type Shop, sql, trail } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

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

const victim = () => shopWithTrail(core);
const tamper = (shop: Shop, ...statements: string[]) => tamperWith(testDatabase, shop, ...statements);

describe('45 verify names the first wrong entry in the database after', () => {
  const swap = (column: string) => [
    `UPDATE ${AUDIT} a SET ${column} = b.${column} FROM ${AUDIT} b
     WHERE a.customer_id = b.customer_id AND a.ME AND (a.seq, b.seq) IN ((2, 3), (3, 2))`,
  ];
  const cases: [string, string[], bigint, string][] = [
    [
      'a changed header',
      [`UPDATE ${AUDIT} SET header = replace(header, 'plan.made', 'plan.mode') WHERE ME AND seq = 2`],
      2n,
      'modified',
    ],
    ['a space in a header', [`UPDATE ${AUDIT} SET header = header || ' ' WHERE ME AND seq = 4`], 4n, 'modified'],
    ['a millisecond', [`UPDATE ${AUDIT} SET at = at + interval '1 ms' WHERE ME AND seq = 3`], 3n, 'modified'],
    [
      'a changed hash',
      [`UPDATE ${AUDIT} SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE ME AND seq = 5`],
      5n,
      'modified',
    ],
    [
      'a changed link',
      [`UPDATE ${AUDIT} SET prev = set_byte(prev, 31, get_byte(prev, 31) # 128) WHERE ME AND seq = 5`],
      5n,
      'modified',
    ],
    ['a changed first entry', [`UPDATE ${AUDIT} SET prev = sha256('') WHERE ME AND seq = 1`], 1n, 'modified'],
    [
      'a changed kind beside an honest header',
      [`UPDATE ${AUDIT} SET kind = 'consent.granted' WHERE ME AND seq = 3`],
      3n,
      'modified',
    ],
    [
      'an entry that was moved to another operation',
      [`UPDATE ${AUDIT} SET operation_id = NULL WHERE ME AND seq = 2`],
      2n,
      'modified',
    ],
    [
      'a changed outcome beside an honest header',
      [`UPDATE ${AUDIT} SET success = true WHERE ME AND seq = 1`],
      1n,
      'modified',
    ],
    [
      'a changed duration beside an honest header',
      [`UPDATE ${AUDIT} SET duration_ms = 5 WHERE ME AND seq = 1`],
      1n,
      'modified',
    ],
    ['two headers that changed places', swap('header'), 2n, 'reordered'],
    [
      'two whole entries that changed places',
      [
        `UPDATE ${AUDIT} SET seq = -seq WHERE ME AND seq IN (2, 3)`,
        `UPDATE ${AUDIT} SET seq = 5 + seq WHERE ME AND seq IN (-2, -3)`,
      ],
      2n,
      'reordered',
    ],
    ['a missing first entry', [`DELETE FROM ${AUDIT} WHERE ME AND seq = 1`], 1n, 'gap'],
    ['a missing entry', [`DELETE FROM ${AUDIT} WHERE ME AND seq = 4`], 4n, 'gap'],
    [
      'a missing entry that was closed up',
      [
        `DELETE FROM ${AUDIT} WHERE ME AND seq = 4`,
        `UPDATE ${AUDIT} SET seq = seq - 1 WHERE ME AND seq = 5`,
        `UPDATE ${AUDIT} SET seq = seq - 1 WHERE ME AND seq = 6`,
      ],
      4n,
      'modified',
    ],
    ['a missing tail', [`DELETE FROM ${AUDIT} WHERE ME AND seq > 4`], 5n, 'truncated'],
    ['a missing everything', [`DELETE FROM ${AUDIT} WHERE ME`], 1n, 'truncated'],
    ['a missing head', ['DELETE FROM audit_heads WHERE ME'], 7n, 'truncated'],
    [
      'a head that was set back',
      [
        `UPDATE audit_heads h SET seq = 5, hash = a.hash FROM ${AUDIT} a WHERE a.customer_id = h.customer_id AND h.ME AND a.seq = 5`,
      ],
      7n,
      'truncated',
    ],
    ['a changed head', [`UPDATE audit_heads SET hash = sha256('') WHERE ME`], 6n, 'modified'],
    [
      'an entry that was added',
      [
        `INSERT INTO ${AUDIT} (customer_id, seq, kind, at, header, prev, hash) SELECT customer_id, 7, kind, at, header, hash, sha256('') FROM ${AUDIT} WHERE ME AND seq = 6`,
        'UPDATE audit_heads SET seq = 7 WHERE ME',
      ],
      7n,
      'modified',
    ],
  ]; // prettier-ignore
  test.each(cases)('%s', async (_, statements, seq, fault) => {
    const { shop } = await victim();
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, entries: 6 });
    await tamper(shop, ...statements);
    expect(await core.audit.verify(shop.customerId)).toEqual({ isIntact: false, seq, fault });
  });
});

/** What only the owner of the server can do: another fact at `seq`, and every hash from there on made anew, the head's too. */
async function rewriteFrom(shop: Shop, seq: bigint): Promise<void> {
  const rows = await sql<{ seq: string; at: Date; header: string; prev: Buffer; hash: Buffer }>(
    testDatabase.adminUrl,
    `SELECT seq, at, header, prev, hash FROM ${AUDIT} WHERE customer_id = $1 ORDER BY seq`,
    [shop.customerId],
  );
  const statements: string[] = [];
  let prev = rows.find((row) => BigInt(row.seq) === seq)?.prev ?? Buffer.alloc(32);
  for (const row of rows.filter((candidate) => BigInt(candidate.seq) >= seq)) {
    const header = BigInt(row.seq) === seq ? row.header.replace('"id":"', '"id":"0') : row.header;
    const hash = entryHash(prev, BigInt(row.seq), row.at, header);
    statements.push(
      `UPDATE ${AUDIT} SET header = '${header}', prev = '\\x${prev.toString('hex')}', hash = '\\x${hash.toString('hex')}' WHERE ME AND seq = ${row.seq}`,
    );
    prev = hash;
  }
  await tamper(shop, ...statements, `UPDATE audit_heads SET hash = '\\x${prev.toString('hex')}' WHERE ME`);
}

describe('46 a chain that was written anew', () => {
  test('holds together, and forks from what was signed: verify names the place, and nothing more is signed', async () => {
    const { shop } = await victim();
    await keeper.checkpoints.make(shop.customerId);
    const append = () =>
      core.database.withCustomer(shop.customerId, (tx) =>
        core.audit.append(tx, shop.customerId, { kind: 'rules.changed' }),
      );
    for (let n = 0; n < 3; n++) await append();
    await keeper.checkpoints.make(shop.customerId);
    const { checkpoints, problems } = await keeper.checkpoints.held(shop.customerId);
    expect([checkpoints.map(({ seq }) => seq), problems]).toEqual([[6n, 9n], []]);
    expect(await core.audit.verify(shop.customerId, checkpoints)).toMatchObject({ isIntact: true, entries: 9 });

    await rewriteFrom(shop, 8n);
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, entries: 9 });
    expect(await core.audit.verify(shop.customerId, checkpoints)).toEqual({
      isIntact: false,
      seq: 9n,
      fault: 'forked',
      fits: 6n,
    });
    const lines = await exportLines(core, keeper, shop.customerId);
    const { code, out } = await verifyLines(lines, '--checkpoints', keeper.dir);
    expect(out).toContain(
      'The trail forked: entry #9 is another one than was signed; the last one that agrees with its checkpoint is #6.',
    );
    expect(code).toBe(1);
    await append();
    await expect(keeper.checkpoints.make(shop.customerId)).rejects.toMatchObject({ code: 'audit_chain_broken' });
  });

  test('and brings checkpoints that it signed itself is not believed by whoever has the keys', async () => {
    const { shop } = await victim();
    await keeper.checkpoints.make(shop.customerId);
    await rewriteFrom(shop, 3n);
    const rootKeys = createEnvironmentRootKeys({ current: Buffer.alloc(32, 9).toString('base64'), old: [] });
    const forger = keepTrails(core, { rootKeys });
    try {
      await tamper(shop, 'DELETE FROM audit_checkpoints WHERE ME');
      await forger.checkpoints.make(shop.customerId);
      const lines = await exportLines(core, forger, shop.customerId);
      const believed = await verifyLines(lines);
      expect([believed.code, believed.out]).toEqual([
        0,
        expect.stringContaining('keys that the export itself brought'),
      ]);
      const withKeys = await verifyLines(lines, '--keys', join(keeper.dir, 'keys.txt'));
      expect([withKeys.code, withKeys.out]).toEqual([1, expect.stringContaining('no good signature of a known key')]);
      const withNotes = await verifyLines(lines, '--checkpoints', keeper.dir);
      expect([withNotes.code, withNotes.out]).toEqual([1, expect.stringContaining('The trail forked: entry #6')]);
    } finally {
      forger.remove();
    }
  });
});

describe('46 checkpoints themselves', () => {
  const damages: [string, (notes: string[]) => string[], string][] = [
    ['one that was taken out', (notes) => notes.toSpliced(1, 1), 'Checkpoint 2 (entry #8) does not follow on'],
    ['two that changed places', (notes) => [notes[1] ?? '', notes[0] ?? '', notes[2] ?? ''], 'goes back behind entry'],
    [
      'another number',
      (notes) => notes.with(1, (notes[1] ?? '').replace('\n7\n', '\n70\n')),
      'Checkpoint 2 (entry #70) bears no good signature',
    ],
    [
      'another time',
      (notes) => notes.with(2, (notes[2] ?? '').replace(/time 2/, 'time 3')),
      'Checkpoint 3 (entry #8) bears no good signature',
    ],
    [
      'the signature of another',
      (notes) => notes.with(2, `${(notes[2] ?? '').split('\n\n')[0]}\n\n${(notes[1] ?? '').split('\n\n')[1]}`),
      'Checkpoint 3 (entry #8) bears no good signature',
    ],
  ];
  test.each(damages)('tell of %s', async (_, damage, sentence) => {
    const { shop } = await victim();
    for (let n = 0; n < 3; n++) {
      await keeper.checkpoints.make(shop.customerId);
      await core.database.withCustomer(shop.customerId, (tx) =>
        core.audit.append(tx, shop.customerId, { kind: 'rules.changed' }),
      );
    }
    const notes = await keeper.store.read(shop.customerId);
    const verifiers = await keeper.checkpoints.keys();
    expect(checkNotes(notes, verifiers, shop.customerId).problems).toEqual([]);
    expect(checkNotes(damage([...notes]), verifiers, shop.customerId).problems[0]).toContain(sentence);
  });

  test('of another customer vouch for nothing', async () => {
    const [a, b] = [await victim(), await victim()];
    await keeper.checkpoints.make(a.shop.customerId);
    const notes = await keeper.store.read(a.shop.customerId);
    const { checkpoints, problems } = checkNotes(notes, await keeper.checkpoints.keys(), b.shop.customerId);
    expect([checkpoints, problems]).toEqual([[], [expect.stringContaining('is about another customer')]]);
  });
});

test('53 the owner of the tables can drop them, and the checkpoints outside tell of it', async () => {
  const { shop } = await victim();
  await keeper.checkpoints.make(shop.customerId);
  const { checkpoints } = await keeper.checkpoints.held(shop.customerId);
  const other = await createTestDatabase();
  const there = await openCore(other);
  try {
    await connected(other.ownerUrl, (client) => client.query(`DROP TABLE ${AUDIT} CASCADE`));
    await expect(there.audit.verify(shop.customerId, checkpoints)).rejects.toThrow();
    // Emptied instead, with all that the database itself knows of it: as if there had never been anything.
    await tamper(shop, `DELETE FROM ${AUDIT} WHERE ME`, 'DELETE FROM audit_heads WHERE ME');
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, entries: 0 });
    expect(await core.audit.verify(shop.customerId, checkpoints)).toMatchObject({ seq: 1n, fault: 'truncated' });
  } finally {
    await there.close();
    await other.drop();
  }
});

test('an entry is read from what is chained, not from the columns beside it', async () => {
  const { shop, operation } = await victim();
  await tamper(
    shop,
    `UPDATE ${AUDIT} SET kind = 'consent.granted', success = true, duration_ms = 7 WHERE ME AND seq = 3`,
  );
  const [entry] = (await trail(core, operation)).filter(({ seq }) => seq === 3n);
  expect(entry?.kind).toBe('consent.requested');
  expect(entry).not.toHaveProperty('success');
  expect(entry).not.toHaveProperty('durationMs');
});

test('45 a payload does not open in another entry, and one that was sealed anew does not pass for the chained one', async () => {
  const { shop, operation } = await victim();
  const { customerId } = shop;
  await tamper(
    shop,
    `UPDATE ${AUDIT} a SET payload = b.payload FROM ${AUDIT} b WHERE a.customer_id = b.customer_id AND a.ME AND a.seq = 4 AND b.seq = 1`,
  );
  const read = async () => (await trail(core, operation)).find(({ seq }) => seq === 4n);
  expect(await read()).toMatchObject({ gone: 'damaged' });
  expect(await read()).not.toHaveProperty('payload');
  const [row] = await sql<{ header: string }>(
    testDatabase.adminUrl,
    `SELECT header FROM ${AUDIT} WHERE customer_id = $1 AND seq = 4`,
    [customerId],
  );
  const { id } = JSON.parse(row?.header ?? '{}') as { id: string };
  const words = { salt: '00'.repeat(32), payload: { words: 'other' } };
  const { record } = await core.database.withCustomer(customerId, (tx) =>
    core.sealer.seal(tx, customerId, ['audit', id], Buffer.from(JSON.stringify(words))),
  );
  await tamper(shop, `UPDATE ${AUDIT} SET payload = '\\x${record.toString('hex')}' WHERE ME AND seq = 4`);
  expect(await read()).toMatchObject({ gone: 'damaged' });
  expect(await read()).not.toHaveProperty('payload');
  const told = await exportLines(core, keeper, customerId);
  expect(told.join()).not.toContain('"other"');
  const { code, out } = await verifyLines(told);
  expect([code, out]).toEqual([1, expect.stringContaining('#4')]);
});
