import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';

export interface SchemaDiff {
  readonly isSame: boolean;
  /** The SQL that brings what the migrations make to what the schema says. */
  readonly sql: string;
}

export interface DiffOptions {
  /** Default: the project's own. */
  readonly migrations?: string;
  readonly schema?: string;
}

const SAME = '-- This is an empty migration.';

/**
 * Compares what the migrations make with what schema.prisma says, by Prisma's own command line, in shadow databases on the
 * owner's server. Policies, triggers, functions, grants and checks are invisible to it. @throws Error with what it printed.
 */
export async function schemaDiff(ownerUrl: string, options: DiffOptions = {}): Promise<SchemaDiff> {
  const { code, said } = await migrateDiff(ownerUrl, options, ['--script', '--exit-code']);
  if (code === 0 && said.trim() === SAME) return { isSame: true, sql: '' };
  // 2 is "there is a difference". A 0 without the sentence means that the engine said nothing at all.
  if (code !== 2) throw new Error(`prisma migrate diff ended with ${code}: ${said.trim() || 'it said nothing'}`);
  return { isSame: false, sql: said };
}

/** Prisma's `migrate diff`, with the schema engine that needs no download. */
export async function migrateDiff(
  ownerUrl: string,
  { migrations, schema }: DiffOptions,
  flags: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly said: string }> {
  const from = migrations ?? join(import.meta.dirname, 'migrations');
  const to = schema ?? join(import.meta.dirname, 'schema.prisma');
  const args = ['migrate', 'diff', '--from-migrations', from, '--to-schema', to, ...flags];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [commandLine(), ...args],
      { cwd: dirname(import.meta.dirname), env: { ...environment(ownerUrl), ...variables } },
      ended,
    );
    function ended(error: Error | null, stdout: string, stderr: string): void {
      const code = error === null ? 0 : z.object({ code: z.number() }).safeParse(error).data?.code;
      // What it printed is the answer, what it complained about is the reason.
      resolve({ code: code ?? -1, said: code === 0 || code === 2 ? stdout : `${stdout}${stderr}` });
    }
  });
}

function environment(ownerUrl: string): NodeJS.ProcessEnv {
  // Named one by one: ours may hold the root key.
  return {
    HOME: process.env.HOME,
    DATABASE_OWNER_URL: ownerUrl,
    PRISMA_SCHEMA_ENGINE_BINARY: join(import.meta.dirname, 'schema-engine.ts'),
    // The engine is started by its first line, by whatever `node` is first on the path: ours.
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    CHECKPOINT_DISABLE: '1',
    NODE_NO_WARNINGS: '1',
  };
}

function commandLine(): string {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve('prisma/package.json');
  const { bin } = z.object({ bin: z.object({ prisma: z.string() }) }).parse(require(manifest));
  return join(dirname(manifest), bin.prisma);
}
