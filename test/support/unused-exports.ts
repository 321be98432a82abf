import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOMS = ['adapters', 'bot', 'core', 'prisma', 'test'];
/** Programs load these by their names. */
const CONFIGS = /^(vitest|prisma)\.config\.ts$/;
/** Made by Prisma; and files of docs/add-a-service.md, which are imported where they belong. */
const LEFT_OUT = /^(prisma\/generated|test\/example)\//;

const DECLARED = /^export (?:async )?(function\*?|const|let|class|interface|type) ([\w$]+)/gm;
const LISTED = /^export (type )?\{([^}]*)\}(?: from '([^']+)')?/gm;
const DESTRUCTURED = /^export const \{([^}]*)\}/gm;
const ALL = /^export (?:type )?\* (?:as [\w$]+ )?from '([^']+)'/gm;
const IMPORTED = /\bimport (?:type )?(?:[\w$]+, )?(\{[^}]*\}|\* as [\w$]+) from '([^']+)'/g;
/** `import('./x.ts')`, and a mention of its type. */
const DYNAMIC = /\bimport\(\s*'([^']+)'\s*\)/g;

/**
 * Exports that no other file of the project imports, as `core/ids.ts newUuid`: values, and types that not even their own file
 * needs. A type that stands in what a file exports is part of it, whether anybody names it or not. By the text of the statements,
 * which is enough for named exports and paths that end in `.ts`; a file that is imported as a whole has no unused one.
 */
export function unusedExports(root: string): readonly string[] {
  const files = globSync(
    ROOMS.map((room) => `${room}/**/*.{ts,mjs}`),
    { cwd: root },
  ).filter((file) => !LEFT_OUT.test(file));
  const exported = new Map<string, Set<string>>();
  const used = new Map<string, Set<string>>();
  const use = (file: string, name: string) => used.set(file, (used.get(file) ?? new Set()).add(name));
  for (const file of [...files, ...globSync('*.config.ts', { cwd: root })]) {
    const text = readFileSync(join(root, file), 'utf8');
    const own = new Set<string>();
    for (const [, kind = '', name = ''] of text.matchAll(DECLARED))
      if (!/interface|type/.test(kind) || text.split(new RegExp(`\\b${name}\\b`)).length === 2) own.add(name);
    for (const [, names = ''] of text.matchAll(DESTRUCTURED)) for (const name of exportedNames(names)) own.add(name);
    for (const [, isOfTypes, names = '', from] of text.matchAll(LISTED)) {
      if (!isOfTypes) for (const name of exportedNames(names.replaceAll(/\btype [^,]+/g, ''))) own.add(name);
      if (from) for (const name of importedNames(names)) use(resolved(file, from), name);
    }
    if (!CONFIGS.test(file)) exported.set(file, own);
    for (const [, names = '', from = ''] of text.matchAll(IMPORTED))
      if (names.startsWith('*')) use(resolved(file, from), '*');
      else for (const name of importedNames(names.slice(1, -1))) use(resolved(file, from), name);
    for (const pattern of [ALL, DYNAMIC])
      for (const [, from = ''] of text.matchAll(pattern)) use(resolved(file, from), '*');
  }
  return [...exported].flatMap(([file, names]) => {
    const wanted = used.get(file) ?? new Set();
    return wanted.has('*') ? [] : [...names].filter((name) => !wanted.has(name)).map((name) => `${file} ${name}`);
  });
}

/** Of `a, type b as c`: what it is called there. */
function importedNames(list: string): readonly string[] {
  return parts(list).map((part) => part.replace(/^type /, '').replace(/[ :].*/s, ''));
}

/** … and what it is called from then on. */
function exportedNames(list: string): readonly string[] {
  return parts(list).map((part) => part.replace(/^type /, '').replace(/^.*(?: as |: )/s, ''));
}

function parts(list: string): readonly string[] {
  return list
    .replaceAll(/\/\/.*$/gm, '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function resolved(file: string, from: string): string {
  return from.startsWith('.') ? join(dirname(file), from) : from;
}

if (import.meta.main) {
  const unused = unusedExports(join(import.meta.dirname, '../..'));
  for (const one of unused) process.stdout.write(`${one}: exported, and imported by no other file\n`);
  process.exitCode = unused.length === 0 ? 0 : 1;
}
