// A real WordPress from Debian's packages. Its programs are installed where they are missing; its code is unpacked beside
// them and not installed, because the package wants a web server of its own, which would start.
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LIMIT_MS = 10 * 60_000;
const PROGRAMS = ['php', 'mariadbd', 'mariadb-install-db', 'mariadb'];
/** With the three that WordPress's package links to. */
const INSTALLED = [
  ...['php-cli', 'php-mysql', 'mariadb-server-core', 'mariadb-client-core'],
  ...['libjs-cropper', 'libjs-underscore', 'php-getid3'],
];
const UNPACKED = ['wordpress', 'wordpress-l10n'];

export interface Packages {
  /** Where `wp-load.php` is. */
  readonly code: string;
  readonly languages: string;
}

/** Everything that a site needs; or why that can't be had here, as a sentence. */
export type Availability = { readonly packages: Packages } | { readonly missing: string };

let asked: Promise<Availability> | undefined;

/** Looked for, and installed where that is possible, once a process. On Debian in CI, what can't be had is an error. */
export function wordPressPackages(): Promise<Availability> {
  asked ??= provide();
  return asked;
}

async function provide(): Promise<Availability> {
  if (!isDebian()) return { missing: 'A real WordPress is brought up on Debian alone, from its packages.' };
  try {
    if (!(await hasPrograms())) {
      if (process.getuid?.() !== 0) return unavailable('PHP or MariaDB is missing, and only root can install them');
      await apt('update');
      await apt('install', '-y', '--no-install-recommends', ...INSTALLED);
    }
    return { packages: await unpacked() };
  } catch (error) {
    return unavailable(
      `Debian's packages can't be had (${error instanceof Error ? error.message.slice(0, 300) : error})`,
    );
  }
}

function unavailable(why: string): Availability {
  const missing = `No real WordPress here: ${why}.`;
  if (process.env.CI === 'true') throw new Error(missing); // a run that shall tell whether all is well leaves nothing out
  return { missing };
}

function isDebian(): boolean {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID=debian$/m.test(release);
}

async function hasPrograms(): Promise<boolean> {
  const folders = ['/usr/sbin', '/usr/bin'];
  if (!PROGRAMS.every((name) => folders.some((folder) => existsSync(join(folder, name))))) return false;
  const { stdout } = await run('php', ['-m']);
  return (
    /^mysqli$/m.test(stdout) && existsSync('/usr/share/php/getid3') && existsSync('/usr/share/javascript/underscore')
  );
}

async function apt(...args: string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    timeout: LIMIT_MS,
    env,
    maxBuffer: 2 ** 26,
  });
}

/** The code, from the packages that apt gives: unpacked once on a computer, whoever needs it first. */
async function unpacked(): Promise<Packages> {
  const folder = join(tmpdir(), `countersign-wordpress-${process.getuid?.() ?? 0}`);
  const found = {
    code: join(folder, 'usr/share/wordpress'),
    languages: join(folder, 'usr/share/wordpress/wp-content/languages'),
  };
  if (existsSync(join(folder, 'whole'))) return found;
  const part = mkdtempSync(`${folder}-`);
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['-q', 'download', ...UNPACKED], { cwd: part, timeout: LIMIT_MS, env });
    for (const file of readdirSync(part).filter((name) => name.endsWith('.deb')))
      await run('dpkg-deb', ['-x', join(part, file), part], { timeout: LIMIT_MS });
    // Its links to other packages' files are relative.
    for (const name of ['javascript', 'php']) symlinkSync(`/usr/share/${name}`, join(part, 'usr/share', name));
    writeFileSync(join(part, 'usr/share/wordpress/wp-config.php'), "<?php require getenv('WORDPRESS_CONFIG');\n");
    writeFileSync(join(part, 'whole'), '');
    await chmod(part, 0o755);
    renameSync(part, folder);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    if (!existsSync(join(folder, 'whole'))) throw error; // else another process was faster
  }
  return found;
}
