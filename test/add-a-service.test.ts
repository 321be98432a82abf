// docs/add-a-service.md, done: in a copy of the project, with the files of test/example/, block by block as it stands there.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { IS_WHOLE } from './support/whole.ts';

const PROJECT = join(import.meta.dirname, '..');
const EXAMPLE = join(PROJECT, 'test', 'example');
const RECIPE = readFileSync(join(PROJECT, 'docs', 'add-a-service.md'), 'utf8');
/** Nothing of the recipe reads them, or they are made anew. */
const LEFT_OUT = ['.git', '.countersign', 'node_modules', 'test/example', 'docs/pictures'];
const RECIPE_MS = 600_000; // a minute where nothing else runs

interface Block {
  readonly language: string;
  /** What a diff is for. */
  readonly file: string;
  readonly lines: readonly string[];
}

const BLOCKS: readonly Block[] = Array.from(
  RECIPE.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm),
  ([, language = '', file = '', text = '']) => ({ language, file, lines: text.trimEnd().split('\n') }),
);
/** The first column of the table of files. */
const NAMED = Array.from(
  (/^\| file \|.*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(RECIPE)?.[1] ?? '').matchAll(/^\| `([^`]+)`/gm),
  ([, name = '']) => name,
);

let copy: string;
let served: ChildProcess | undefined;

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'countersign-recipe-'));
  cpSync(PROJECT, copy, { recursive: true, filter: (from) => !LEFT_OUT.includes(relative(PROJECT, from)) });
  symlinkSync(join(PROJECT, 'node_modules'), join(copy, 'node_modules'));
});
afterAll(() => {
  served?.stdin?.end();
  rmSync(copy, { recursive: true, force: true });
});

/** Every file below a folder, without those that are left out of the copy. */
function filesIn(folder: string): ReadonlyMap<string, string> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !LEFT_OUT.some((name) => path.startsWith(`${name}/`)));
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path), 'latin1')]));
}

/** What a diff takes away and keeps stands in the file once; what it keeps and adds takes its place. */
function applied(text: string, lines: readonly string[]): string {
  const side = (mark: string) => lines.filter((line) => !line.startsWith(mark)).map((line) => line.slice(1));
  const [before, after] = [side('+').join('\n'), side('-').join('\n')];
  expect(text.split(before), `the place of the diff:\n${before}`).toHaveLength(2);
  return text.replace(before, () => after);
}

const servedSchema = z.object({ base: z.string(), secrets: z.record(z.string(), z.string()) });

/** A terminal in the copy: what is exported in it stays. */
function openTerminal() {
  const { VITEST: _, NODE_ENV: __, ...inherited } = process.env;
  const env: Record<string, string | undefined> = {
    ...inherited,
    npm_config_update_notifier: 'false',
    VITEST_MAX_WORKERS: '1',
  };
  return {
    async serve(command: string): Promise<void> {
      served = spawn('/bin/sh', ['-c', `exec ${command}`], { cwd: copy, env, stdio: ['pipe', 'pipe', 'inherit'] });
      if (!served.stdout) throw new Error('the practice pages say nothing');
      const [first] = await once(createInterface({ input: served.stdout }), 'line');
      const { base, secrets } = servedSchema.parse(JSON.parse(String(first)));
      Object.assign(env, { BASE: base, EMAIL: secrets.admin_email, PASSWORD: secrets.admin_password });
    },
    async run(lines: readonly string[]): Promise<string> {
      const { stdout, stderr } = await promisify(execFile)('/bin/sh', ['-ec', lines.join('\n')], {
        ...{ cwd: copy, env, maxBuffer: 16 * 1024 ** 2 },
      }).catch((error: { stdout?: string; stderr?: string }) => {
        throw new Error(`${lines.join('\n')}\n${error.stdout}\n${error.stderr}`);
      });
      return stdout + stderr;
    },
  };
}

test(
  'the recipe for a new service gives one that works, and touches nothing but the files that it names',
  async () => {
    const before = filesIn(copy);
    const examples = [...filesIn(EXAMPLE).keys()];
    for (const path of examples) cpSync(join(EXAMPLE, path), join(copy, path), { recursive: true });
    const terminal = openTerminal();
    const said: string[] = [];
    for (const { language, file, lines } of BLOCKS) {
      const [first = ''] = lines;
      if (language === 'diff') writeFileSync(join(copy, file), applied(readFileSync(join(copy, file), 'utf8'), lines));
      else if (/practice\/serve\.ts/.test(first)) await terminal.serve(first);
      // The files of the example are checked where they lie; what the recipe makes of others takes a minute to check.
      else if (first === 'npm run check' && !IS_WHOLE) continue;
      else said.push(await terminal.run(lines));
    }
    expect(said[0]).toMatch(/acme_token new[\s\S]*acme_token v1 {2}passed[\s\S]*1 passed, 0 failed/);
    expect(said[1]).toMatch(/acme\.test\.ts[\s\S]*\d passed, 0 failed/);
    const after = filesIn(copy);
    const touched = [...after].filter(([path, text]) => before.get(path) !== text).map(([path]) => path);
    const unnamed = touched.filter((path) => !NAMED.some((name) => path === name || path.startsWith(name)));
    expect(unnamed).toEqual([]);
    expect(NAMED.filter((name) => !touched.some((path) => path === name || path.startsWith(name)))).toEqual([]);
    expect([...before.keys()].filter((path) => !after.has(path))).toEqual([]);
  },
  RECIPE_MS,
);
