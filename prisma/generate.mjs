/**
 * Makes the Prisma client after `npm ci`. Plain JavaScript: it runs on whatever Node npm itself runs on.
 *
 * Generating needs no schema engine, but Prisma's command line looks for one first and would try to download it; any
 * program that ends well satisfies it. That is for generating only: with such an engine `prisma migrate` prints nothing,
 * does nothing and seems to succeed. `schema-engine.ts` is the one for migrations.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const projectDir = dirname(dirname(fileURLToPath(import.meta.url)));
const engine = ['/bin/true', '/usr/bin/true'].find((file) => existsSync(file));

function commandLine() {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve('prisma/package.json');
  return join(dirname(manifest), require(manifest).bin.prisma);
}

const result = spawnSync(process.execPath, [commandLine(), 'generate'], {
  cwd: projectDir,
  encoding: 'utf8',
  env: {
    ...process.env,
    ...(engine === undefined ? {} : { PRISMA_SCHEMA_ENGINE_BINARY: engine }),
    CHECKPOINT_DISABLE: '1',
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
  },
});

if (result.status !== 0) {
  const said =
    `${result.stdout ?? ''}${result.stderr ?? ''}`.trim() || String(result.error ?? `signal ${result.signal}`);
  console.error(`The database client could not be made from prisma/schema.prisma. Prisma said:\n\n${said}\n`);
  if (said.includes('EACCES')) {
    console.error('Files in prisma/generated belong to another account: remove that folder and run `npm ci` again.\n');
  }
  process.exit(1);
}
