/**
 * `npm run newcomer`: somebody's first ten minutes with the project, from what is committed: a clone into an empty home folder,
 * `npm ci`, the demo with a set-up that is carried out through the web chat to its end, and a service of one's own, added by
 * docs/add-a-service.md until its test is green. Prints what each took; ends with 1 when something failed or took too long.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultPostgresDir } from '../../adapters/postgres/index.ts';
import { followRecipe, readRecipe } from '../support/recipe.ts';

const PROJECT = join(import.meta.dirname, '../..');
const MOST_SECONDS = 600;

interface Stage {
  readonly name: string;
  work(): Promise<void>;
}

async function main(): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-newcomer-'));
  const clone = join(home, 'countersign');
  const env = environment(home);
  const run = (command: string, args: readonly string[], cwd = clone) => running(command, args, { cwd, env });
  const stages: readonly Stage[] = [
    { name: 'git clone', work: () => run('git', ['clone', '--quiet', '--depth=1', `file://${PROJECT}`, clone], home) },
    { name: 'npm ci', work: () => run('npm', ['ci']) },
    {
      name: 'npm run demo: a set-up through the web chat, to its end',
      work: () => run('npm', ['run', '--silent', 'demo', '--', '--script', 'set up WooCommerce']),
    },
    { name: 'docs/add-a-service.md: a service of one’s own, its test green', work: () => addService(clone, env) },
  ];
  const lines: string[] = [];
  let sum = 0;
  let isWhole = true;
  try {
    for (const { name, work } of stages) {
      process.stdout.write(`== ${name}\n`);
      const began = performance.now();
      await work();
      const seconds = (performance.now() - began) / 1000;
      sum += seconds;
      lines.push(`${seconds.toFixed(1).padStart(6)} s  ${name}`);
    }
  } catch (error) {
    lines.push(`FAILED  ${error instanceof Error ? error.message : error}`);
    isWhole = false;
  } finally {
    for (const folder of [clone, home]) removeHome(folder);
  }
  process.stdout.write(`\n${lines.join('\n')}\n${sum.toFixed(1).padStart(6)} s  together, of ${MOST_SECONDS} s\n`);
  return isWhole && sum <= MOST_SECONDS ? 0 : 1;
}

/** The way to programs, to the network and to npm's registry, which this is run with. */
const INHERITED =
  /^(PATH|CHROMIUM_PATH|npm_config_userconfig|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|(https?|no)_proxy)$/i;

/** Nothing else of whoever runs this: no cache, no settings of another project. */
function environment(home: string): NodeJS.ProcessEnv {
  const tmp = join(home, 'tmp');
  mkdirSync(tmp);
  const inherited = Object.entries(process.env).filter(([name]) => INHERITED.test(name));
  return { ...Object.fromEntries(inherited), HOME: home, TMPDIR: tmp, CI: 'true' };
}

async function running(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<void> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}`);
}

async function addService(clone: string, env: NodeJS.ProcessEnv): Promise<void> {
  cpSync(join(clone, 'test/example'), clone, { recursive: true });
  for await (const { block, said } of followRecipe(clone, readRecipe('docs/add-a-service.md', clone), { env })) {
    const [first = ''] = block.lines;
    process.stdout.write(`${block.language === 'diff' ? `   changed ${block.file}` : `   ${first}`}\n`);
    for (const line of said.match(/^.*\d passed.*$/gm) ?? []) process.stdout.write(`      ${line.trim()}\n`);
  }
}

/** As root the demo's database lies outside of its folder. */
function removeHome(folder: string): void {
  try {
    rmSync(defaultPostgresDir(folder), { recursive: true, force: true });
  } catch {
    // it was never made
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

process.exitCode = await main();
