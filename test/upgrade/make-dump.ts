/**
 * `node test/upgrade/make-dump.ts`: makes test/upgrade/dump.sql.gz and history.json, the database of an earlier version with a
 * little history in it, by that version's own code. Needs git, and a PostgreSQL that is installed with its commands.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ADMIN_ROLE } from '../../adapters/postgres/data-folder.ts';
import { prepareRoles } from '../../adapters/postgres/index.ts';
import { startInstalledPostgres } from '../support/installed-postgres.ts';

const PROJECT = join(import.meta.dirname, '../..');
/** Before connections had a health, keys were replaced by themselves, and people were told where they want it. */
const VERSION = 'fed0b75';
const DATABASE = 'countersign';

const folder = mkdtempSync(join(tmpdir(), 'upgrade-dump-'));
const installed = await startInstalledPostgres();
try {
  if (!installed) throw new Error('no PostgreSQL is installed with its commands');
  const { binDir, socketDir, url } = installed;
  const earlier = join(folder, 'countersign');
  mkdirSync(earlier);
  const archive = run('git', ['archive', VERSION], { cwd: PROJECT });
  run('tar', ['-x', '-C', earlier], { input: archive });
  symlinkSync(join(PROJECT, 'node_modules'), join(earlier, 'node_modules'));
  mkdirSync(join(earlier, 'test/upgrade'));
  cpSync(join(import.meta.dirname, 'history.ts'), join(earlier, 'test/upgrade/history.ts'));
  run(process.execPath, ['prisma/generate.mjs'], { cwd: earlier });
  const server = { socketDir, url, isAdopted: false, stop: async () => {} };
  const { ownerUrl, programUrl } = await prepareRoles(server, { database: DATABASE });
  const history = run(process.execPath, ['test/upgrade/history.ts'], {
    cwd: earlier,
    env: { ...process.env, OWNER_URL: ownerUrl, PROGRAM_URL: programUrl, ADMIN_URL: url(ADMIN_ROLE, DATABASE) },
  });
  // As statements, which any client can carry out; psql's own commands are left out.
  const options = ['--host', socketDir, '--username', ADMIN_ROLE, '--rows-per-insert=100'];
  const dump = run(join(binDir, 'pg_dump'), [...options, DATABASE], {})
    .toString('utf8')
    .replaceAll(/^\\.*\n/gm, '')
    .replaceAll(/^--.*\n/gm, '')
    .replaceAll(/\n{3,}/g, '\n\n');
  writeFileSync(join(import.meta.dirname, 'dump.sql.gz'), gzipSync(dump, { level: 9 }));
  writeFileSync(
    join(import.meta.dirname, 'history.json'),
    `${JSON.stringify(JSON.parse(history.toString()), null, 2)}\n`,
  );
} finally {
  installed?.remove();
  rmSync(folder, { recursive: true, force: true });
}

/** @throws Error with what it said, when it fails. @returns what it printed. */
function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly input?: Buffer },
): Buffer {
  const { status, stdout, stderr } = spawnSync(command, args, { ...options, maxBuffer: 256 * 1024 ** 2 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}
