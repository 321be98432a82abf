import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MUTATIONS } from './drift/mutations.ts';

test('there are at least 60 mutations, each of its own name, some with decoys and some for the model', () => {
  expect(MUTATIONS.length).toBeGreaterThanOrEqual(60);
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
  expect(MUTATIONS.filter(({ decoy }) => decoy !== undefined).length).toBeGreaterThanOrEqual(15);
  expect(MUTATIONS.some(({ isRecoverable }) => !isRecoverable)).toBe(true);
});

test('a slice of the drift suite goes through without a model and without a wrong click', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'drift', 'main.ts'), '--slice', '--seed', '3'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  const [code] = await once(child, 'exit');
  expect(out).toContain('wrong clicks or fills: 0');
  expect({ code, out }).toMatchObject({ code: 0 });
}, 120_000);
