import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { entryHash } from '../../core/audit/chain.ts';
import { exportLines, type Keeper, keepTrails, shopWithTrail, tamper, verifyLines } from '../support/audit.ts';
import { type Core, connected, openCore, untilBlocked } from '../support/core.ts';
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
      testDatabase,
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
