import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { IS_WHOLE } from './support/whole.ts';

/** Runs a suite's command. @returns its exit code, and what it printed. */
async function runs(suite: string, ...args: readonly string[]) {
  const child = spawn(process.execPath, [join(import.meta.dirname, suite, 'main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
  const [code] = await once(child, 'close');
  return { code, out };
}

test('a slice of the fault suite: nothing lost, nothing doubled, every thread true, everything on record', async () => {
  const { code, out } = await runs('attack/faults', '--slice', '--seed', '6');
  expect(out).toContain('operations: all well');
  expect({ code, out }).toMatchObject({ code: 0 });
}, 300_000);

test('a slice of the stress suite completes every operation', async () => {
  const { code, out } = await runs('stress', '--slice');
  expect(out).toMatch(/^two workers, \d at a time: [\d.]+ operations\/s/m);
  expect({ code, out }).toMatchObject({ code: 0 });
}, 300_000);

if (IS_WHOLE)
  test('a slice of the soak suite ends in truth, and leaves no browser behind', async () => {
    const { code, out } = await runs('soak', '--slice');
    expect(out).toContain('each ended in truth');
    expect(out).toContain('Chromium processes left: 0');
    expect({ code, out }).toMatchObject({ code: 0 });
  }, 300_000);
