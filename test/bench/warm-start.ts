import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Bench, Benchmark } from './benchmark.ts';
import { makeHome } from './folder.ts';
import { repeat } from './samples.ts';

const PROGRAM = join(import.meta.dirname, 'demo-program.ts');
const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

/** From the start of a process to the moment at which the demo says that it is ready; npm's own start is not in it. */
export const warmStart: Benchmark = {
  name: 'warm-start',
  async run(bench) {
    const { it: home, close: remove } = await bench.open(makeHome, (made) => made.remove());
    const cold = [await startOnce(bench, home.folder)];
    const limits = bench.isSlice ? { times: 1, withinMs: 10_000 } : { times: 10, withinMs: 120_000 };
    const warm = await repeat(limits, () => startOnce(bench, home.folder));
    await remove();
    return [
      { what: 'warm start of the demo, until ready', unit: 'ms', values: warm, target: { of: 'max', atMost: 4_000 } },
      { what: 'cold start of the demo, until ready', unit: 'ms', values: cold },
    ];
  },
};

async function startOnce(bench: Bench, folder: string): Promise<number> {
  const began = performance.now();
  const program = () => spawn(process.execPath, [PROGRAM, folder], { stdio: ['pipe', 'pipe', 'pipe'] });
  const { it: child, close: stop } = await bench.open(program, stopped);
  const said: string[] = [];
  child.stderr.on('data', (text: Buffer) => said.push(text.toString()));
  const hasEnded = once(child, 'close').then(() => {
    throw new Error(`the demo ended before it was ready: ${said.join('').trim()}`);
  });
  hasEnded.catch(() => {}); // after `ready` it is meant to end
  await Promise.race([sayingReady(child), hasEnded]);
  const tookMs = performance.now() - began;
  await stop();
  return tookMs;
}

async function sayingReady(child: ChildProcessWithoutNullStreams): Promise<void> {
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(READY_LIMIT_MS);
  try {
    for await (const [line] of on(lines, 'line', { signal })) if (line === 'ready') return;
  } catch {
    throw new Error(`the demo was not ready within ${READY_LIMIT_MS} ms`);
  }
}

async function stopped(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close', { signal: AbortSignal.timeout(STOP_LIMIT_MS) });
  child.stdin.end();
  try {
    await closed;
  } catch {
    child.kill('SIGKILL'); // its server is ended with its folder
    throw new Error(`the demo did not stop within ${STOP_LIMIT_MS} ms`);
  }
}
