import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mishaps } from './quarter/chance.ts';
import { IS_WHOLE } from './support/whole.ts';

test('what goes wrong is the same for a seed, in order, and each key is the victim once', () => {
  const size = { connections: 200, shops: 20, days: 90, seed: 7 };
  const all = mishaps(size);
  expect(mishaps(size)).toEqual(all);
  expect(mishaps({ ...size, seed: 8 })).not.toEqual(all);
  expect(all.map(({ atMs }) => atMs)).toEqual(all.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
  const victims = all.flatMap((each) => ('connection' in each ? [each.connection] : []));
  expect(victims).toHaveLength(60);
  expect(new Set(victims).size).toBe(60);
});

test('a slice of the quarter: every break is found within the interval and told of once, and nothing else is', async () => {
  const browsers = IS_WHOLE ? '2' : '1';
  const program = join(import.meta.dirname, 'quarter', 'main.ts');
  const child = spawn(process.execPath, [program, '--slice', '--browser-repairs', browsers], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
  const [code] = await once(child, 'close');
  expect(out).toContain('false alarms: 0');
  expect(code, out).toBe(0);
}, 300_000);
