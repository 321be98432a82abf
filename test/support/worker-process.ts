import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestDatabase } from './database.ts';
import { demoEnvironment } from './demo.ts';
import { inheritedEnvironment } from './environment.ts';
import { TEST_ENCRYPTION_KEY } from './root-keys.ts';
import type { PracticePlace } from './run-worker.ts';

/** The program with `ROLE=worker`, in a process of its own. */
export interface WorkerProcess {
  readonly pid: number;
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  isOver(): boolean;
  /** Its exit code; `null`: a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Kills it if it still runs. */
  remove(): Promise<void>;
}

/** Starts one on that database, for a shop at `target`, its `host:port`, or for more of them with commas; with `shopify` for that. */
export async function startWorkerProcess(
  database: TestDatabase,
  target: string,
  shopify?: PracticePlace,
): Promise<WorkerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-worker-'));
  const program = shopify
    ? [join(import.meta.dirname, 'run-worker.ts'), JSON.stringify(shopify)]
    : [join(import.meta.dirname, '../../bot/main.ts')];
  const child = spawn(process.execPath, program, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...inheritedEnvironment(),
      ...demoEnvironment(),
      ROLE: 'worker',
      PORT: '0',
      DATABASE_URL: database.programUrl,
      DATABASE_OWNER_URL: database.ownerUrl,
      ENCRYPTION_KEY: TEST_ENCRYPTION_KEY,
      CHECKPOINT_DIR: join(folder, 'checkpoints'),
      ALLOW_PRIVATE_TARGETS: target,
      AGENT_MODE: 'replay',
    },
  });
  const over = () => child.exitCode !== null || child.signalCode !== null;
  const ended = once(child, 'close').then(() => child.exitCode);
  let said = '';
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
    if (said.includes('Countersign is ready')) resolve();
  });
  await Promise.race([ready, ended]);
  if (over()) throw new Error(`the worker did not start: ${said}`);
  return {
    pid: child.pid ?? Number.NaN,
    signal: (name) => void child.kill(name),
    isOver: over,
    ended,
    async remove() {
      if (!over()) child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
