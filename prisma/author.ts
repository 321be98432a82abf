/**
 * Writes the next migration: what prisma/schema.prisma has and the migrations don't, found out on a database that lives
 * for this moment only. `node prisma/author.ts NAME`. What Prisma cannot express (policies, functions, triggers, grants,
 * checks) is added to the file by hand.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareRoles, startPostgres } from '../adapters/postgres/index.ts';
import { schemaDiff } from './schema-diff.ts';

const name = process.argv[2] ?? '';
if (!/^[a-z][a-z0-9_]*$/.test(name)) {
  console.error('Name the migration in lower case: node prisma/author.ts add_due_date');
  process.exit(1);
}

const dir = join(tmpdir(), `countersign-author-${randomUUID()}`);
const server = await startPostgres({ dir, isDurable: false });
try {
  const { ownerUrl } = await prepareRoles(server, { database: 'authoring' });
  const diff = await schemaDiff(ownerUrl);
  if (diff.isSame) {
    console.log('The migrations already make what the schema says.');
  } else {
    const stamp = new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14);
    const folder = join(import.meta.dirname, 'migrations', `${stamp}_${name}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'migration.sql'), diff.sql);
    console.log(`Read it, and add what Prisma cannot express: ${join(folder, 'migration.sql')}`);
  }
} finally {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}
