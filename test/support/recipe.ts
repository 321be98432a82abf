// A page of docs/ that leads to something, carried out: its blocks, and a copy of the project to follow it in.
import { deepStrictEqual } from 'node:assert';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { z } from 'zod';

const PROJECT = join(import.meta.dirname, '../..');
/** Nothing of a recipe reads them, or they are made anew. */
const LEFT_OUT = ['.git', '.countersign', 'node_modules', 'test/example-platform', 'docs/pictures'];

export interface Block {
  readonly language: string;
  /** What a diff is for, or what a block is the whole of. */
  readonly file: string;
  readonly lines: readonly string[];
}

export interface Recipe {
  readonly blocks: readonly Block[];
  /** The first column of its table of files. */
  readonly named: readonly string[];
}

/** @param page such as `docs/add-a-service.md`, as it stands in that `project` */
export function readRecipe(page: string, project = PROJECT): Recipe {
  const text = readFileSync(join(project, page), 'utf8');
  const blocks = Array.from(
    text.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm),
    ([, language = '', file = '', body = '']) => ({ language, file, lines: body.trimEnd().split('\n') }),
  );
  const table = /^\| file \|.*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(text)?.[1] ?? '';
  return { blocks, named: Array.from(table.matchAll(/^\| `([^`]+)`/gm), ([, name = '']) => name) };
}

/** What a block came to: a diff says nothing. */
export interface Followed {
  readonly block: Block;
  readonly said: string;
}

export interface Copy {
  readonly folder: string;
  /** Every file below it, by its path, without what no recipe reads. */
  files(): ReadonlyMap<string, string>;
  /** Takes what lies below a folder of the project to the same places in the copy. */
  add(from: string): void;
  /** Applies a diff, or writes a whole file. */
  write(block: Block): void;
  remove(): void;
}

export function copyProject(): Copy {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-recipe-'));
  cpSync(PROJECT, folder, { recursive: true, filter: (from) => !LEFT_OUT.includes(relative(PROJECT, from)) });
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  return {
    folder,
    files: () => filesIn(folder),
    add(from) {
      const source = join(PROJECT, from);
      for (const path of filesIn(source).keys()) cpSync(join(source, path), join(folder, path), { recursive: true });
    },
    write({ language, file, lines }) {
      const path = join(folder, file);
      mkdirSync(dirname(path), { recursive: true });
      const text = language === 'diff' ? applied(readFileSync(path, 'utf8'), lines) : `${lines.join('\n')}\n`;
      writeFileSync(path, text);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function filesIn(folder: string): ReadonlyMap<string, string> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !LEFT_OUT.some((name) => path.startsWith(`${name}/`)));
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path), 'latin1')]));
}

/**
 * Follows the recipe block by block, as in one terminal, and in a second one for the practice pages, which end with the last
 * block. @throws Error with what a command said that failed, or the place of a diff that does not fit.
 */
export async function* followRecipe(
  project: string,
  { blocks }: Recipe,
  {
    without = [],
    env: given = process.env,
  }: { readonly without?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): AsyncGenerator<Followed> {
  const { VITEST: _, NODE_ENV: __, ...inherited } = given;
  const env: NodeJS.ProcessEnv = { ...inherited, npm_config_update_notifier: 'false', VITEST_MAX_WORKERS: '1' };
  let served: ChildProcess | undefined;
  try {
    for (const block of blocks) {
      const { language, file, lines } = block;
      const [first = ''] = lines;
      if (without.includes(first)) continue;
      let said = '';
      if (language === 'diff') {
        const path = join(project, file);
        writeFileSync(path, applied(readFileSync(path, 'utf8'), lines));
      } else if (/practice\/serve\.ts/.test(first)) {
        served = spawn('/bin/sh', ['-c', `exec ${first}`], { cwd: project, env, stdio: ['pipe', 'pipe', 'inherit'] });
        Object.assign(env, await serving(served));
      } else said = await runIn(project, env, lines);
      yield { block, said };
    }
  } finally {
    served?.stdin?.end();
  }
}

/** What a diff takes away and keeps stands in the file once; what it keeps and adds takes its place. */
function applied(text: string, lines: readonly string[]): string {
  const side = (mark: string) => lines.filter((line) => !line.startsWith(mark)).map((line) => line.slice(1));
  const [before, after] = [side('+').join('\n'), side('-').join('\n')];
  if (text.split(before).length !== 2) throw new Error(`the place of the diff is not there once:\n${before}`);
  return text.replace(before, () => after);
}

const servedSchema = z.object({ base: z.string(), secrets: z.record(z.string(), z.string()) });

/** @returns the variables that the recipe has a person set by what the practice pages said. */
async function serving({ stdout }: ChildProcess): Promise<Readonly<Record<string, string | undefined>>> {
  if (!stdout) throw new Error('the practice pages say nothing');
  const [first] = await once(createInterface({ input: stdout }), 'line');
  const { base, secrets } = servedSchema.parse(JSON.parse(String(first)));
  return { BASE: base, EMAIL: secrets.admin_email, PASSWORD: secrets.admin_password };
}

async function runIn(cwd: string, env: NodeJS.ProcessEnv, lines: readonly string[]): Promise<string> {
  const shell = promisify(execFile)('/bin/sh', ['-ec', lines.join('\n')], { cwd, env, maxBuffer: 16 * 1024 ** 2 });
  const { stdout, stderr } = await shell.catch((error: { stdout?: string; stderr?: string }) => {
    throw new Error(`${lines.join('\n')}\n${error.stdout}\n${error.stderr}`);
  });
  return stdout + stderr;
}

/**
 * Runs a block of commands in the copy. Unless it is to be the `whole` way, tests run without a database of their own, and the
 * types alone of what ships and of `also` are checked. @throws Error with all that was said.
 */
export async function runInCopy(
  { folder }: Copy,
  lines: readonly string[],
  { isWhole, also = [] }: { readonly isWhole: boolean; readonly also?: readonly string[] },
): Promise<string> {
  const aside = mkdtempSync(join(tmpdir(), 'countersign-aside-'));
  const { VITEST: _, NODE_ENV: __, ...inherited } = process.env;
  const env = { ...inherited, npm_config_update_notifier: 'false', VITEST_MAX_WORKERS: '1', NO_COLOR: '1' };
  const run = async (file: string, args: readonly string[]) => {
    const options = { cwd: folder, env, maxBuffer: 16 * 1024 ** 2 };
    const { stdout, stderr } = await promisify(execFile)(file, args, options).catch(
      (error: { stdout?: string; stderr?: string }) => {
        throw new Error(`${lines.join('\n')}\n${error.stdout}\n${error.stderr}`);
      },
    );
    return stdout + stderr;
  };
  const bin = (name: string) => join(folder, 'node_modules', '.bin', name);
  try {
    const [command = ''] = lines;
    const tests = /^npx vitest run (.+)$/.exec(command)?.[1]?.split(' ');
    if (tests && !isWhole) {
      const config = join(aside, 'vitest.config.mjs');
      writeFileSync(config, `export default { test: { pool: 'forks', testTimeout: 60_000, hookTimeout: 60_000 } };\n`);
      return await run(bin('vitest'), ['run', '--root', folder, '--config', config, ...tests]);
    }
    if (command === 'npm run check' && !isWhole) {
      const project = join(aside, 'tsconfig.json');
      const files = ['bot/main.ts', ...also].map((path) => join(folder, path));
      const typeRoots = [join(folder, 'node_modules', '@types')];
      writeFileSync(
        project,
        JSON.stringify({ extends: join(folder, 'tsconfig.json'), compilerOptions: { typeRoots }, files, include: [] }),
      );
      return await run(bin('tsc'), ['--project', project, '--pretty', 'false']);
    }
    return await run('/bin/sh', ['-ec', lines.join('\n')]);
  } finally {
    rmSync(aside, { recursive: true });
  }
}

/** What was touched is what the recipe names, nothing of it is left out, and no file is gone. */
export function expectTouched(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  { named }: Pick<Recipe, 'named'>,
) {
  const isNamed = (path: string, name: string) => path === name || (name.endsWith('/') && path.startsWith(name));
  const touched = [...after].filter(([path, text]) => before.get(path) !== text).map(([path]) => path);
  deepStrictEqual(
    touched.filter((path) => !named.some((name) => isNamed(path, name))),
    [],
  );
  deepStrictEqual(
    named.filter((name) => !touched.some((path) => isNamed(path, name))),
    [],
  );
  deepStrictEqual(
    [...before.keys()].filter((path) => !after.has(path)),
    [],
  );
}
