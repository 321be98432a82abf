// docs/add-a-service.md, done: in a copy of the project, with the files of test/example/, block by block as it stands there.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type Copy, copyProject, expectTouched, readRecipe } from './support/recipe.ts';
import { IS_WHOLE } from './support/whole.ts';

const RECIPE = readRecipe('docs/add-a-service.md');
const RECIPE_MS = 600_000; // a minute where nothing else runs

let copy: Copy;
let served: ChildProcess | undefined;

beforeAll(() => {
  copy = copyProject();
});
afterAll(() => {
  served?.stdin?.end();
  copy.remove();
});

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
      served = spawn('/bin/sh', ['-c', `exec ${command}`], {
        cwd: copy.folder,
        env,
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      if (!served.stdout) throw new Error('the practice pages say nothing');
      const [first] = await once(createInterface({ input: served.stdout }), 'line');
      const { base, secrets } = servedSchema.parse(JSON.parse(String(first)));
      Object.assign(env, { BASE: base, EMAIL: secrets.admin_email, PASSWORD: secrets.admin_password });
    },
    async run(lines: readonly string[]): Promise<string> {
      const { stdout, stderr } = await promisify(execFile)('/bin/sh', ['-ec', lines.join('\n')], {
        ...{ cwd: copy.folder, env, maxBuffer: 16 * 1024 ** 2 },
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
    const before = copy.files();
    copy.add('test/example');
    const terminal = openTerminal();
    const said: string[] = [];
    for (const block of RECIPE.blocks) {
      const { language, lines } = block;
      const [first = ''] = lines;
      if (language === 'diff') copy.write(block);
      else if (/practice\/serve\.ts/.test(first)) await terminal.serve(first);
      // The files of the example are checked where they lie; what the recipe makes of others takes a minute to check.
      else if (first === 'npm run check' && !IS_WHOLE) continue;
      else said.push(await terminal.run(lines));
    }
    expect(said[0]).toMatch(/acme_token new[\s\S]*acme_token v1 {2}passed[\s\S]*1 passed, 0 failed/);
    expect(said[1]).toMatch(/acme\.test\.ts[\s\S]*\d passed, 0 failed/);
    expectTouched(before, copy.files(), RECIPE);
  },
  RECIPE_MS,
);
