import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '../../bot/config.ts';
import { start } from '../../bot/main.ts';
import { silentLog } from '../support/silent-log.ts';

test.each(['all', 'worker'])(
  'outside of the demo, %s does not start without its browser, and begins nothing else before',
  async (role) => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-start-'));
    const database = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
    const config = readConfig({ ...database, CHROMIUM_PATH: '/nowhere/chromium', ROLE: role });
    await expect(start(config, { folder, log: silentLog })).rejects.toMatchObject({ code: 'browser_missing' });
    expect(readdirSync(folder)).toEqual([]);
  },
);
