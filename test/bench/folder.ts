import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPostgresDir } from '../../adapters/postgres/index.ts';
import { CountersignError } from '../../core/errors.ts';
import { removeAbandonedServer } from '../support/run-postgres.ts';

/** A throwaway home, as the project's folder is one: beside the product's own data, and so on the same disk. */
export interface Home {
  /** What the product calls its folder: root key, web chat's store. */
  readonly folder: string;
  readonly postgresDir: string;
  /** Also ends a server in it that a killed program left. */
  remove(): Promise<void>;
}

const PARENT = join(import.meta.dirname, '../../.countersign');
const PREFIX = 'bench-';
const ABANDONED_MS = 3_600_000; // longer than any run

export function makeHome(): Home {
  return homeAt(join(PARENT, `${PREFIX}${randomUUID().slice(0, 8)}`));
}

/** Homes of runs that were killed. */
export async function removeAbandonedHomes(): Promise<void> {
  if (!existsSync(PARENT)) return;
  const names = readdirSync(PARENT).filter((name) => name.startsWith(PREFIX));
  for (const path of names.map((name) => join(PARENT, name)))
    if (Date.now() - statSync(path).mtimeMs > ABANDONED_MS) await homeAt(path).remove();
}

function homeAt(path: string): Home {
  mkdirSync(path, { recursive: true });
  const postgresDir = defaultPostgresDir(path);
  return {
    folder: join(path, '.countersign'),
    postgresDir,
    async remove() {
      if (existsSync(join(postgresDir, 'data', 'postmaster.pid'))) await endServer(postgresDir);
      for (const dir of [postgresDir, path]) rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
      removeIfEmpty(PARENT);
    },
  };
}

async function endServer(dir: string): Promise<void> {
  await removeAbandonedServer(dir).catch((error: unknown) => {
    const isInUse = error instanceof CountersignError && error.code === 'already_running';
    throw isInUse ? new Error(`the server in ${dir} is still in use`) : error;
  });
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // the product's own data lie in it
  }
}
