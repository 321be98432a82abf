import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { z } from 'zod';

/** docs/add-a-service.md as something to be carried out. */
export interface Recipe {
  readonly blocks: readonly Block[];
  /** The first column of the table of files: what it touches. */
  readonly named: readonly string[];
}

export interface Block {
  readonly language: string;
  /** What a diff is for. */
  readonly file: string;
  readonly lines: readonly string[];
}

/** What a block came to: a diff says nothing. */
export interface Followed {
  readonly block: Block;
  readonly said: string;
}

/** As it stands in that project. */
export function readRecipe(project: string): Recipe {
  const text = readFileSync(join(project, 'docs', 'add-a-service.md'), 'utf8');
  const blocks = Array.from(
    text.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm),
    ([, language = '', file = '', lines = '']) => ({ language, file, lines: lines.trimEnd().split('\n') }),
  );
  const table = /^\| file \|.*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(text)?.[1] ?? '';
  return { blocks, named: Array.from(table.matchAll(/^\| `([^`]+)`/gm), ([, name = '']) => name) };
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
      } else said = await run(project, env, lines);
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

async function run(cwd: string, env: NodeJS.ProcessEnv, lines: readonly string[]): Promise<string> {
  const shell = promisify(execFile)('/bin/sh', ['-ec', lines.join('\n')], { cwd, env, maxBuffer: 16 * 1024 ** 2 });
  const { stdout, stderr } = await shell.catch((error: { stdout?: string; stderr?: string }) => {
    throw new Error(`${lines.join('\n')}\n${error.stdout}\n${error.stderr}`);
  });
  return stdout + stderr;
}
