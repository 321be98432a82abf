import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  checkChatAdapters,
  checkFolders,
  checkProgram,
  checkSql,
  checkTests,
  type ProjectFile,
} from './support/boundaries/rules.ts';
import { importsOf, takeApart } from './support/boundaries/source.ts';

const ROOT = join(import.meta.dirname, '..');

function filesIn(folder: string, ending: RegExp): ProjectFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({
      path: file
        .slice(ROOT.length + 1)
        .split(sep)
        .join('/'),
      text: readFileSync(file, 'utf8'),
    }))
    .filter(({ path }) => !path.startsWith('prisma/generated/'));
}

const foldersIn = (folder: string) =>
  readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

const program = ['adapters', 'bot', 'core', 'prisma'].flatMap((folder) => filesIn(folder, /\.[cm]?ts$/));

describe('the house', () => {
  test('has its rooms in order', () => {
    expect(program.length).toBeGreaterThan(50);
    expect(checkProgram(program)).toEqual([]);
  });

  test('has the folders of the drawing and no others', () => {
    expect(checkFolders(foldersIn('.'), foldersIn('adapters'))).toEqual([]);
  });

  test('has the same files in each chat adapter', () => {
    expect(checkChatAdapters(program.map(({ path }) => path))).toEqual([]);
  });

  test('reads the shiftable clock in every migration', () => {
    const sql = [...filesIn('prisma', /\.(?:sql|prisma)$/)];
    expect(sql.length).toBeGreaterThan(1);
    expect(checkSql(sql)).toEqual([]);
  });

  test('leaves no test out', () => {
    expect(checkTests(filesIn('test', /\.ts$/))).toEqual([]);
  });
});

/** Planted faults: where, what stands there, and the rule that must speak. `undefined`: it is allowed. */
/** `#{` stands for a template's `${`, which Biome does not like to see in an ordinary string. */
const planted = (text: string) => text.replaceAll('#{', '$' + '{');

const PLANTED: readonly (readonly [string, string, string | undefined])[] = [
  ['core/a.ts', "import { x } from '../bot/x.ts';", 'core imports'],
  ['core/a.ts', "import type { x } from '../adapters/web/index.ts';", 'core imports'],
  ['core/a.ts', "import express from 'express';", 'core imports'],
  ['core/a.ts', "import pg from 'pg';", 'core imports'],
  ['core/deep/a.ts', "export * from '../../bot/x.ts';", 'core imports'],
  ['core/a.ts', "const x = await import('express');", 'core imports'],
  ['core/a.ts', "import 'playwright';", 'core imports'],
  ['core/a.ts', "const x = require('express');", 'core imports'],
  ['core/a.ts', 'import {\n  a,\n  b,\n} from\n  "express";', 'core imports'],
  ['core/a.ts', "const r = /'/; import express from 'express';", 'core imports'],
  ['core/a.ts', "const t = `#{`}`}`; import express from 'express';", 'core imports'],
  ['core/database.ts', "import pg from 'pg'; import { PrismaPg } from '@prisma/adapter-pg';", undefined],
  [
    'core/a.ts',
    "import { z } from 'zod'; import c from 'canonicalize'; import { PgBoss } from 'pg-boss'; import 'node:fs';",
    undefined,
  ],
  ['core/a.ts', "import { Prisma } from '../prisma/generated/client.ts';", undefined],
  ['core/a.ts', "import { PrismaClient } from '../prisma/generated/client.ts';", 'the tables have two doors'],
  ['core/database.ts', 'export const client = new PrismaClient();', 'the tables have two doors'],
  ['core/database.ts', 'const client = 1; export { client };', 'the tables have two doors'],
  ['core/database.ts', 'export function createDatabase() {} export type T = 1;', undefined],
  ['core/a.ts', 'await database.directory(sql);', 'the tables have two doors'],
  ['core/directory.ts', 'await database.directory(sql);', undefined],
  ['core/a.ts', 'await tx.$queryRawUnsafe(text);', 'the tables have two doors'],
  ['bot/a.ts', 'Prisma.sql`SELECT x`; Prisma.raw(text);', 'the tables have two doors'],
  ['core/a.ts', "import { x } from '../prisma/migrate.ts';", 'core imports'],
  ['core/a.ts', "// import express from 'express';\n/* require('express') */ const s = \"from 'express'\";", undefined],
  [
    'bot/a.ts',
    "import { x } from '../core/x.ts'; import { y } from './y.ts'; import 'node:fs'; import { z } from 'zod';",
    undefined,
  ],
  ['bot/a.ts', "import { x } from '../adapters/web/index.ts';", 'only the wiring imports adapters'],
  ['bot/a.ts', "import express from 'express';", 'bot imports'],
  ['bot/a.ts', "import { pino } from 'pino';", 'bot imports'],
  ['bot/log.ts', "import { pino } from 'pino';", undefined],
  ['bot/a.ts', "import { x } from '../prisma/migrate.ts';", 'bot imports'],
  ['bot/main.ts', "import { x } from '../adapters/web/index.ts'; import { y } from '../prisma/migrate.ts';", undefined],
  ['bot/cli.ts', "import { x } from '../adapters/postgres/index.ts';", undefined],
  ['bot/main.ts', "import { x } from '../test/practice/shop.ts';", 'nothing that ships imports a test'],
  ['adapters/web/a.ts', "import { x } from '../browser/index.ts';", 'an adapter imports'],
  ['adapters/web/a.ts', "import { x } from '../../bot/x.ts';", 'an adapter imports'],
  [
    'adapters/web/a.ts',
    "import { x } from '../../core/x.ts'; import { y } from './y.ts'; import express from 'express';",
    undefined,
  ],
  ['adapters/web/deep/a.ts', "import { y } from '../y.ts';", undefined],
  ['adapters/web/a.ts', "import { chromium } from 'playwright';", 'a vendor’s package'],
  ['adapters/browser/a.ts', "import { chromium } from 'playwright';", undefined],
  ['adapters/api/a.ts', "import Anthropic from '@anthropic-ai/sdk/helpers/beta/toolsets';", 'a vendor’s package'],
  ['prisma/a.ts', "import { x } from '../adapters/postgres/index.ts';", 'only the wiring imports adapters'],
  ['prisma/a.ts', "import { x } from '../bot/x.ts';", 'prisma does not import bot'],
  ['prisma/a.ts', "import { readFile } from 'node:fs/promises';", undefined],
  ['core/a.ts', "import { x } from './x';", 'imports name files'],
  ['core/a.ts', "import { x } from '../core/folder';", 'imports name files'],
  ['core/a.ts', 'const name = "x"; await import(name);', 'imports of core and bot can be read'],
  ['core/a.ts', 'await import(`./#{name}.ts`);', 'imports of core and bot can be read'],
  ['core/a.ts', "eval('1');", 'no text becomes code'],
  ['core/a.ts', 'globalThis.eval (x);', 'no text becomes code'],
  ['core/a.ts', "const f = new Function('return 1');", 'no text becomes code'],
  ['core/a.ts', 'retrieval(x); medieval.eval2(x); const isFunction = (f: Function) => f;', undefined],
  ['adapters/browser/a.ts', "await page.evaluate('1 + 1');", 'no text becomes code'],
  ['adapters/browser/a.ts', 'await page.evaluate<string>(`document.#{name}`);', 'no text becomes code'],
  ['adapters/browser/a.ts', 'await page\n  .evaluate(() => document.title);', undefined],
  ['adapters/browser/a.ts', "await page.evaluate((x) => x, 'text');", undefined],
  ['core/a.ts', "setTimeout('stop()', 1);", 'no text becomes code'],
  ['core/a.ts', 'const why = `Stopped by #{by.person.name}.`;', 'core says who'],
  ['core/a.ts', 'const who = heldBy ? ` by #{heldBy?.person.name}` : x;', 'core says who'],
  ['core/a.ts', "const why = attributed('stopped', by.person.name);", undefined],
  ['bot/a.ts', 'const words = `#{by.person.name} was faster`;', undefined],
  ['core/a.ts', 'tx.$queryRaw`SELECT now()`;', 'SQL reads app.now()'],
  ['core/a.ts', 'tx.$queryRaw`SELECT #{id}, NOW ( )`;', 'SQL reads app.now()'],
  ['core/a.ts', "const sql = 'DEFAULT CURRENT_TIMESTAMP';", 'SQL reads app.now()'],
  [
    'core/a.ts',
    'tx.$queryRaw`SELECT #{stage.now()}, app.now(), pg_catalog.now()`; const x = Date.now() + now();',
    undefined,
  ],
];

describe('the rules', () => {
  test.each(PLANTED)('judge %s: %s', (path, text, rule) => {
    const rules = checkProgram([{ path, text: planted(text) }]).map((violation) => violation.rule);
    if (rule === undefined) expect(rules).toEqual([]);
    else expect(rules.some((name) => name.startsWith(rule))).toBe(true);
  });

  test.each([
    ["test.skip('x', () => {});", 1],
    ["describe\n  .only ('x', () => {});", 1],
    ["test.skip.each([1])('x', () => {});", 1],
    ["test.todo('x');", 1],
    ['ctx.skip();', 1],
    ["fit('x', () => {});", 1],
    ["test.runIf(isThere)('x', () => {});", 0],
    ["const text = 'test.skip(1)'; // test.only(1)", 0],
    ['profit(1); benefit (2); await thing.skipped();', 0],
  ])('judge the test «%s»', (text, count) => {
    expect(checkTests([{ path: 'test/a.test.ts', text }])).toHaveLength(count);
  });

  test.each([
    ['SELECT now();', ['now()']],
    ['created_at timestamptz DEFAULT CURRENT_TIMESTAMP', ['CURRENT_TIMESTAMP']],
    ['at DateTime @default(now())', ['now()']],
    ['SELECT statement_timestamp()', ['statement_timestamp()']],
    [
      'CREATE FUNCTION app.now() RETURNS timestamptz RETURN pg_catalog.now(); SELECT app.now(), job_now(), clock_timestamp()',
      [],
    ],
    ['-- now()\n/* now() */ SELECT 1', []],
    ['at DateTime @default(dbgenerated("app.now()"))', []],
  ])('judge the SQL «%s»', (text, clocks) => {
    expect(checkSql([{ path: 'prisma/migrations/1_a/migration.sql', text }]).map(({ detail }) => detail)).toEqual(
      clocks,
    );
  });

  test('let pg-boss’s own schema have its own clock', () => {
    expect(checkSql([{ path: 'prisma/migrations/20261123000000_pgboss/migration.sql', text: 'SELECT now()' }])).toEqual(
      [],
    );
  });

  test('miss no folder and allow no other', () => {
    const rooms = ['.ci', 'adapters', 'bot', 'core', 'prisma', 'test'];
    expect(checkFolders([...rooms, '.git', 'node_modules', 'docs'], ['web'])).toEqual([]);
    expect(checkFolders([...rooms.slice(1), 'src'], ['web', 'fax'])).toEqual([
      'src/ has no place at the root',
      '.ci/ is missing',
      'adapters/fax/ is not on the list of adapters',
    ]);
  });

  test('name the files that a chat adapter lacks, once it is there', () => {
    const slack = ['index', 'config', 'receiver', 'cards', 'errors'].map((name) => `adapters/slack/${name}.ts`);
    expect(checkChatAdapters(slack)).toEqual(['adapters/slack/thread.ts']);
    expect(checkChatAdapters(['adapters/browser/index.ts'])).toEqual([]);
  });
});

describe('the import scanner', () => {
  test('reads every form and nothing that only looks like one', () => {
    const text = [
      "import a, { type B } from 'one';",
      'import * as c from "two";',
      "import type { D } from 'three';",
      "import 'four';",
      "export { e } from 'five';",
      "const f = await import('six');",
      "const g = 1 / 2; const h = g / 3; import 'seven';",
      "const i = x ? /[/'\"]/ : y; import 'eight';",
      "const j = `a #{b ? `c #{'}'} d` : { e: 1 }.e} f`; import 'nine';",
      "const k = 'it\\'s'; // import 'no'",
      "/* import 'no' */ const l = \"import 'no'\"; const m = `import 'no'`;",
    ].join('\n');
    expect(importsOf(takeApart(planted(text))).toSorted()).toEqual(
      ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'].toSorted(),
    );
  });
});
