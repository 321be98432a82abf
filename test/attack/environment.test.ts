import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { childEnvironment } from '../../adapters/browser/process.ts';
import { startPostgres } from '../../adapters/postgres/index.ts';
import { runCli } from '../../bot/cli.ts';
import { openTestBrowser } from '../support/browser.ts';
import { serveSite } from '../support/loopback-site.ts';

/** Our own environment holds the root key; what we start, and what that starts, must not. */
const CANARY = `canary-${randomUUID()}`;
const NAMES = ['ENCRYPTION_KEY', 'ENCRYPTION_KEYS_OLD', 'DATABASE_OWNER_URL', 'ANTHROPIC_API_KEY'] as const;
const before = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));

beforeEach(() => {
  for (const name of NAMES) process.env[name] = CANARY;
});
afterEach(() => {
  for (const name of NAMES) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});

interface Running {
  readonly command: string;
  readonly environment: string;
}

/** Every process of this machine that can be looked into. */
function running(): Running[] {
  const read = (pid: string, file: string) => readFileSync(join('/proc', pid, file), 'utf8').replaceAll('\0', ' ');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [{ command: read(pid, 'cmdline'), environment: read(pid, 'environ') }];
      } catch {
        return []; // gone, or not ours
      }
    });
}

const holders = () => running().filter(({ environment }) => environment.includes(CANARY));

describe.runIf(process.platform === 'linux')('the root key in our environment', () => {
  test('is found where it is passed on, so that the search is known to work', async () => {
    const child: ChildProcess = spawn('sleep', ['600'], { stdio: 'ignore' });
    await once(child, 'spawn');
    await expect.poll(() => holders().map(({ command }) => command.trim())).toEqual(['sleep 600']);
    child.kill('SIGKILL');
    await once(child, 'close');
  });

  test('is in no process of the browser', async () => {
    const site = await serveSite({ '/': '<p>A page</p>' });
    const { browser, close } = openTestBrowser({ privateTargets: [site.authority] });
    const session = await browser.open({ origins: [site.origin] });
    await session.navigate(`${site.origin}/`, 10_000);
    expect(running().filter(({ command }) => command.includes('--remote-debugging-pipe'))).not.toEqual([]);
    expect(holders()).toEqual([]);
    await close();
    await site.close();
  });

  test('is in no process of the database', async () => {
    const dir = join(tmpdir(), `countersign-env-${randomUUID().slice(0, 8)}`);
    const server = await startPostgres({ dir, isDurable: false });
    expect(running().filter(({ command }) => command.includes('postgres'))).not.toEqual([]);
    expect(holders()).toEqual([]);
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });
});

describe('what is passed on to programs that we start', () => {
  const env = { PATH: '/bin', LC_ALL: 'C', FONTCONFIG_PATH: '/f', HTTPS_PROXY: 'http://p', ENCRYPTION_KEY: CANARY };

  test('is named, and nothing else', () => {
    expect(childEnvironment(undefined, env)).toEqual({ PATH: '/bin', LC_ALL: 'C', FONTCONFIG_PATH: '/f' });
  });

  test('has more for installers, and still no key', () => {
    expect(childEnvironment(/^https_proxy$/i, env)).toMatchObject({ HTTPS_PROXY: 'http://p' });
    expect(JSON.stringify(childEnvironment(/^https_proxy$/i, env))).not.toContain(CANARY);
  });
});

describe('165 a spec that is recorded', () => {
  test('165 is given what is its own, and none of our settings: a token, or a browser farm whose address holds one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-spec-'));
    const spec = join(folder, 'names.spec.js');
    writeFileSync(
      spec,
      `const names = Object.keys(process.env).filter((name) => process.env[name].includes('${CANARY}'));
      throw new Error('has: ' + names.toSorted().join(' ') + '.');`,
    );
    const own = Object.entries(process.env).filter(([, value]) => value !== CANARY);
    const complained: string[] = [];
    const code = await runCli(['workflow', 'record', spec, '--out', join(folder, 'out.json')], {
      env: {
        ...Object.fromEntries(own),
        SHOP_PASSWORD: CANARY,
        METRICS_TOKEN: CANARY,
        BROWSER_WS_ENDPOINT: `wss://farm.example.com/?token=${CANARY}`,
        EGRESS_PROXY_URL: `http://${CANARY}.example.com:3128`,
      },
      say() {},
      complain: (line) => complained.push(line),
    });
    rmSync(folder, { recursive: true });
    expect([code, complained.join('\n')]).toEqual([1, expect.stringContaining('has: SHOP_PASSWORD.')]);
  });
});
