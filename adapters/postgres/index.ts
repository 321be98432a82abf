import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { basename, join } from 'node:path';

export { type DatabaseUrls, prepareRoles } from './roles.ts';
export { joinPostgres, type PostgresOptions, type PostgresServer, startPostgres } from './server.ts';

/**
 * Where this project's server keeps its data: `.countersign/postgres` in the project. As root, a folder of the project's
 * own under /var/lib/countersign/, because PostgreSQL runs as another account, which root's home may be closed to.
 */
export function defaultPostgresDir(projectDir: string): string {
  if (process.getuid?.() !== 0) return join(projectDir, '.countersign', 'postgres');
  const project = realpathSync(projectDir);
  const name = basename(project)
    .replaceAll(/[^A-Za-z0-9-]/g, '_')
    .slice(0, 24);
  const hash = createHash('sha256').update(project).digest('hex').slice(0, 12);
  return join('/var/lib/countersign', `${name || 'project'}-${hash}`);
}
