import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { readConfig } from '../../bot/config.ts';

const key = randomBytes(32);
const base64 = key.toString('base64');

const WRONG: readonly (readonly [string, string])[] = [
  ['no bytes', ''],
  ['31 bytes', randomBytes(31).toString('base64')],
  ['33 bytes', randomBytes(33).toString('base64')],
  ['64 bytes', randomBytes(64).toString('base64')],
  ['32 letters', 'abcdefghijklmnopqrstuvwxyz012345'],
  ['hex', key.toString('hex')],
  ['base64url', Buffer.alloc(32, 0xfb).toString('base64url')],
  ['base64 without its padding', base64.replace(/=+$/, '')],
  ['base64 with a space', ` ${base64}`],
  ['base64 with a line in it', `${base64.slice(0, 20)}\n${base64.slice(20)}`],
  ['bits that are none of its bytes', `${Buffer.alloc(32).toString('base64').slice(0, 42)}B=`],
  ['two keys', `${base64},${base64}`],
];

/** A program of this size takes a second to load, and more beside others. */
const STARTS_WITHIN_MS = 180_000;

describe('10 a root key that is not 32 bytes in base64', () => {
  test.each(WRONG)('10 is refused by the keys themselves: %s', (_, wrong) => {
    const make = () => createEnvironmentRootKeys({ current: wrong, old: [] });
    expect(make).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    const asOld = () => createEnvironmentRootKeys({ current: base64, old: [wrong] });
    expect(asOld).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  test.each(WRONG.filter(([, wrong]) => wrong === wrong.trim() && wrong !== ''))(
    '10 is refused by the configuration, in one sentence: %s',
    (_, wrong) => {
      let said = '';
      try {
        readConfig({ ENCRYPTION_KEY: wrong });
      } catch (error) {
        said = String(error);
      }
      expect(said).toContain(
        'ENCRYPTION_KEY must be exactly 32 bytes long in base64, as `openssl rand -base64 32` prints them',
      );
      expect(said).not.toContain(wrong);
    },
  );

  test(
    '10 keeps the program from starting: it says so and touches nothing',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'countersign-root-key-'));
      try {
        const main = join(import.meta.dirname, '../../bot/main.ts');
        const env = { PATH: process.env.PATH, ENCRYPTION_KEY: randomBytes(31).toString('base64'), PORT: '0' };
        const child = spawn(process.execPath, [main], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
        let said = '';
        child.stderr.on('data', (part: Buffer) => {
          said += part.toString();
        });
        const [code] = await once(child, 'close');
        expect([code, said.trim().split('\n').length]).toEqual([1, expect.any(Number)]);
        expect(said).toContain('ENCRYPTION_KEY must be exactly 32 bytes long in base64');
        expect(existsSync(join(folder, '.countersign'))).toBe(false);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    STARTS_WITHIN_MS,
  );

  test('10 while what openssl prints is taken as it is', () => {
    expect(readConfig({ ENCRYPTION_KEY: base64 }).keys.current).toBe(base64);
    expect(() => createEnvironmentRootKeys({ current: base64, old: [] })).not.toThrow();
  });
});
