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
import { type Core, connected, openCore, type Shop, sql, trail, untilBlocked } from '../support/core.ts';
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

/** The lines of an export, changed as a forger would; the head is line 0, entry #n line n. */
const edited = (lines: string[], at: number, change: (entry: Record<string, unknown>) => void) =>
  lines.map((line, index) => {
    if (index !== at) return line;
    const entry = JSON.parse(line) as Record<string, unknown>; // changed, and written back
    change(entry);
    return JSON.stringify(entry);
  });
const field = (lines: string[], at: number, name: string) =>
  (JSON.parse(lines[at] ?? '{}') as Record<string, unknown>)[name];
const without = (lines: string[], ...numbers: number[]) => lines.filter((_, index) => !numbers.includes(index));

describe('45 audit verify names the first wrong entry of an export after', () => {
  const forgedEntry = (lines: string[]) =>
    edited([lines[4] ?? ''], 0, (entry) => {
      entry.header = String(entry.header).replace('guide.shown', 'trail.read');
      const prev = Buffer.from(String(entry.prev), 'hex');
      entry.hash = entryHash(prev, 4n, new Date(String(entry.at)), String(entry.header)).toString('hex');
    });
  const cases: [string, (lines: string[]) => string[], string][] = [
    [
      'a changed header',
      (lines) => edited(lines, 2, (e) => (e.header = String(e.header).replace('plan.made', 'plan.mode'))),
      'Entry #2 was modified',
    ],
    ['changed words', (lines) => edited(lines, 5, (e) => (e.payload = { words: 'other' })), 'Entry #5 was modified'],
    ['words that were made up', (lines) => edited(lines, 3, (e) => (e.payload = { a: 1 })), 'Entry #3 was modified'],
    ['words that were taken away', (lines) => edited(lines, 5, (e) => (e.payload = null)), 'Entry #5 was modified'],
    [
      'words that are called erased, and no erasure is on record',
      (lines) => edited(lines, 5, (e) => (e.payload = 'erased')),
      'Entry #5 was modified',
    ],
    ['another salt', (lines) => edited(lines, 6, (e) => (e.salt = '00'.repeat(32))), 'Entry #6 was modified'],
    ['another time', (lines) => edited(lines, 3, (e) => (e.at = '2020-01-01T00:00:00.000Z')), 'Entry #3 was modified'],
    [
      'words before the words, under the same name',
      (lines) => lines.with(5, (lines[5] ?? '').replace('"payload":', '"payload":{"words":"other"},"payload":')),
      'Entry #5 was modified',
    ],
    [
      'other words in the words, under the same name',
      (lines) => lines.with(5, (lines[5] ?? '').replace('"words":"two"', '"w\\u006frds":"other","words":"two"')),
      'Entry #5 was modified',
    ],
    [
      'a remark beside the words',
      (lines) => edited(lines, 3, (e) => (e.remark = 'approved by phone')),
      'Entry #3 was modified',
    ],
    ['a line that is no entry', (lines) => lines.with(4, '{"seq":"4"}'), 'Entry #4 was modified'],
    ['a missing entry', (lines) => without(lines, 4), 'There is a gap: entry #4 is missing.'],
    ['a missing first entry', (lines) => without(lines, 1), 'There is a gap: entry #1 is missing.'],
    [
      'an entry that was inserted',
      (lines) => lines.toSpliced(4, 0, ...forgedEntry(lines)),
      'Entry #4 is there twice (duplicated).',
    ],
    [
      'an entry that was replaced by a forged one with a right hash',
      (lines) => lines.with(4, forgedEntry(lines)[0] ?? ''),
      'Entry #5 was modified',
    ],
    [
      'two entries that changed places',
      (lines) => lines.with(2, lines[3] ?? '').with(3, lines[2] ?? ''),
      'Entries were reordered: #2 stands in another place.',
    ],
    ['an entry that was moved to the end', (lines) => [...without(lines, 2), lines[2] ?? ''], 'reordered: #2'],
    [
      'an entry that is there twice',
      (lines) => lines.toSpliced(4, 0, lines[3] ?? ''),
      'Entry #3 is there twice (duplicated).',
    ],
    ['a missing tail', (lines) => lines.slice(0, 5), 'The trail was truncated: entry #5 and whatever followed it'],
    [
      'a last line that was torn off',
      (lines) => [...lines.slice(0, 6), (lines[6] ?? '').slice(0, 40)],
      'The trail was truncated: entry #6',
    ],
  ];
  test.each(cases)('%s', async (_, change, sentence) => {
    const { shop } = await victim();
    const lines = await exportLines(core, keeper, shop.customerId);
    const before = await verifyLines(lines);
    expect([before.code, before.out]).toEqual([0, expect.stringContaining('is intact: 6 entries, the last one #6')]);
    const { code, out } = await verifyLines(change(lines));
    expect(out).toContain(sentence);
    expect(code).toBe(1);
  });
});

test('45 an export that is made after the clock went back is none the worse', async () => {
  const { shop } = await victim();
  await shiftClock(testDatabase.ownerUrl, '-1 hour');
  try {
    const lines = await exportLines(core, keeper, shop.customerId);
    expect(await verifyLines(lines)).toMatchObject({ code: 0 });
  } finally {
    await shiftClock(testDatabase.ownerUrl, '1 hour');
  }
});

test('45 an export is what it was, however another program spaces and escapes it', async () => {
  const { shop } = await victim();
  const lines = await exportLines(core, keeper, shop.customerId);
  const spaced = lines.map((line) => `${line.replaceAll(',"', ', "').replaceAll('words', 'w\\u006frds')}\r`);
  const { code, out } = await verifyLines(spaced);
  expect([code, out]).toEqual([0, expect.stringContaining('is intact: 6 entries')]);
});

test('45 an export in which a name stands twice is none, where the place of its entries does not tell', async () => {
  const { shop } = await victim();
  const lines = await exportLines(core, keeper, shop.customerId);
  const document = (entries: readonly string[]) => [
    `${(lines[0] ?? '').slice(0, -1)},"entries":[`,
    ...entries.join(',\n').split('\n'),
    ']}',
  ];
  const entries = lines.slice(1);
  expect((await verifyLines(document(entries))).out).toContain('is intact: 6 entries');
  const two = (entries[4] ?? '').replace('"words":"two"', '"words":"other","words":"two"');
  const head = (lines[0] ?? '').replace('"upTo":', '"upTo":"99","upTo":');
  for (const forged of [document(entries.with(4, two)), [head, ...entries]]) {
    const { code, err } = await verifyLines(forged);
    expect([code, err]).toEqual([2, expect.stringContaining('is no audit export that can be verified')]);
  }
});

/** Cuts the newest entries off an export, and makes its head say that there never were any. */
function rewrittenHead(lines: string[], entries: number): string[] {
  const last = { seq: String(entries), hash: field(lines, entries, 'hash') };
  return edited(lines.slice(0, entries + 1), 0, (head) => Object.assign(head, { upTo: last.seq, head: last }));
}

describe('45 a missing tail under a rewritten head', () => {
  test('passes by itself, which is said; a checkpoint tells of it, and names the entry', async () => {
    const { shop } = await victim();
    const alone = rewrittenHead(await exportLines(core, keeper, shop.customerId), 4);
    const believed = await verifyLines(alone);
    expect(believed.code).toBe(0);
    expect(believed.out).toContain('were cut off cannot be excluded');

    await keeper.checkpoints.make(shop.customerId);
    const forged = rewrittenHead(await exportLines(core, keeper, shop.customerId), 4);
    for (const options of [[], ['--checkpoints', keeper.dir]]) {
      const { code, out } = await verifyLines(forged, ...options);
      expect([code, out]).toEqual([1, expect.stringContaining('The trail was truncated: entry #5')]);
    }
  });

  test('of which only a part was asked for is told by any checkpoint from before the export', async () => {
    const { shop } = await victim();
    await keeper.checkpoints.make(shop.customerId);
    const lines = await exportLines(core, keeper, shop.customerId);
    const part = (head: object) =>
      edited(lines.slice(0, 4), 0, (old) => Object.assign(old, { upTo: '3', head, checkpoints: [] }));
    const end = { seq: '6', hash: field(lines, 6, 'hash') };
    const honest = await verifyLines(part(end), '--checkpoints', keeper.dir);
    expect([honest.code, honest.out]).toEqual([0, expect.stringContaining('which then stood at #6')]);
    for (const forged of [
      { ...end, seq: '4' },
      { ...end, hash: '00'.repeat(32) },
    ]) {
      const { code, out } = await verifyLines(part(forged), '--checkpoints', keeper.dir);
      expect([code, out]).toEqual([1, expect.stringContaining('Entry #6 was signed before the export was made')]);
    }
  });

  test('is not what a checkpoint sees that waited while the export was made', async () => {
    const { shop } = await victim();
    const { lines, making } = await connected(testDatabase.ownerUrl, async (client) => {
      await client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [`checkpoint ${shop.customerId}`]);
      const making = keeper.checkpoints.make(shop.customerId);
      await untilBlocked(testDatabase, making);
      const lines = await exportLines(core, keeper, shop.customerId);
      await core.database.withCustomer(shop.customerId, (tx) =>
        core.audit.append(tx, shop.customerId, { kind: 'rules.changed' }),
      );
      return { lines, making };
    });
    expect(await making).toMatchObject({ seq: 7n });
    const { code, out } = await verifyLines(lines, '--checkpoints', keeper.dir);
    expect([code, out]).toEqual([0, expect.stringContaining('is intact: 6 entries')]);
  });

  test('the same in the database', async () => {
    const { shop } = await victim();
    await keeper.checkpoints.make(shop.customerId);
    const { checkpoints } = await keeper.checkpoints.held(shop.customerId);
    await tamper(
      shop,
      `DELETE FROM ${AUDIT} WHERE ME AND seq > 4`,
      `UPDATE audit_heads h SET seq = 4, hash = a.hash FROM ${AUDIT} a WHERE a.customer_id = h.customer_id AND h.ME AND a.seq = 4`,
    );
    expect(await core.audit.verify(shop.customerId)).toMatchObject({ isIntact: true, entries: 4 });
    expect(await core.audit.verify(shop.customerId, checkpoints)).toEqual({
      isIntact: false,
      seq: 5n,
      fault: 'truncated',
    });
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

/** An export whose entries are chained anew from a changed one on, under a head that says so. */
function recomputed(lines: string[], from: number, head: Record<string, unknown>): string[] {
  const forged = [...lines];
  let prev: Uint8Array = Buffer.from(String(field(lines, from, 'prev')), 'hex');
  for (let at = from; at < lines.length; at++) {
    const [line = ''] = edited([lines[at] ?? ''], 0, (entry) => {
      if (at === from) entry.header = String(entry.header).replace('"id":"', '"id":"0');
      const hash = entryHash(prev, BigInt(at), new Date(String(entry.at)), String(entry.header));
      Object.assign(entry, { prev: Buffer.from(prev).toString('hex'), hash: hash.toString('hex') });
      prev = hash;
    });
    forged[at] = line;
  }
  const end = { seq: String(lines.length - 1), hash: Buffer.from(prev).toString('hex') };
  return edited(forged, 0, (old) => Object.assign(old, { head: end }, head));
}

describe('46 the date of an export is its own word', () => {
  test('an older one excuses no checkpoint about entries that are there, and none of them is later than it', async () => {
    const { shop } = await victim();
    await keeper.checkpoints.make(shop.customerId);
    await core.database.withCustomer(shop.customerId, (tx) =>
      core.audit.append(tx, shop.customerId, { kind: 'rules.changed' }),
    );
    await keeper.checkpoints.make(shop.customerId);
    const lines = await exportLines(core, keeper, shop.customerId);
    const [, second] = (await keeper.checkpoints.held(shop.customerId)).checkpoints;
    const between = new Date((second?.at.getTime() ?? 0) - 1).toISOString();
    for (const exportedAt of ['2001-01-01T00:00:00.000Z', between]) {
      const forged = recomputed(lines, 2, { exportedAt });
      const { code, out } = await verifyLines(forged, '--checkpoints', keeper.dir);
      expect([code, out]).toEqual([1, expect.stringContaining('The trail forked: entry #6 is another one')]);
    }
    const early = edited(lines, 0, (head) => (head.exportedAt = '2001-01-01T00:00:00.000Z'));
    const { code, out } = await verifyLines(early, '--checkpoints', keeper.dir);
    expect([code, out]).toEqual([
      1,
      expect.stringContaining('Entry #1 is later than the export says that it was made.'),
    ]);
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

test('a payload does not open in another entry, and one that was sealed anew does not pass for the chained one', async () => {
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
