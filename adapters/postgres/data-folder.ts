import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { CountersignError } from '../../core/errors.ts';
import type { OsUser } from './os-user.ts';
import type { Programs } from './programs.ts';

/** Where one server keeps everything: `dir` belongs to PostgreSQL's account and is closed to all others (0700). */
export interface Folder {
  readonly dir: string;
  readonly data: string;
  readonly log: string;
  readonly socketDir: string;
}

/** The superuser inside; the socket's closed folder is what admits him, there is no password. */
export const ADMIN_ROLE = 'admin';

/** Bytes of a socket's path, its end included: 104 in macOS's sockaddr_un, 108 in Linux's. */
const LONGEST_SOCKET_PATH = 103;
const SOCKET = '.s.PGSQL.5432';
const CONFIG = 'countersign.conf';

/** Makes the folder, or checks that an existing one is ours. */
export function openFolder(wanted: string, runAs: OsUser | undefined): Folder {
  makeParents(dirname(resolve(wanted)), runAs);
  ownFolder(resolve(wanted), runAs);
  const dir = fs.realpathSync(wanted); // as /proc names it
  if (runAs) requireWayIn(dirname(dir), runAs);
  return { dir, data: join(dir, 'data'), log: join(dir, 'postgres.log'), socketDir: socketDirOf(dir, runAs) };
}

export function socketLockFile(folder: Folder): string {
  return join(folder.socketDir, `${SOCKET}.lock`);
}

/** Runs initdb unless it has been: beside the data and renamed when done, so that a folder named `data` is complete. */
export async function initialise(folder: Folder, programs: Programs, isDurable: boolean): Promise<void> {
  for (const name of fs.readdirSync(folder.dir)) {
    if (name.startsWith('data.part-'))
      fs.rmSync(join(folder.dir, name), { recursive: true, force: true, maxRetries: 3 });
  }
  if (isComplete(folder)) return;
  const part = join(folder.dir, `data.part-${randomUUID()}`);
  await programs.run('initdb', [
    ...['-D', basename(part), '-U', ADMIN_ROLE, '--auth-local=trust', '--auth-host=reject', '--no-instructions'],
    // The built-in provider needs no locale of the operating system, and lower-cases more than ASCII.
    ...['-E', 'UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'],
    ...(isDurable ? [] : ['-N']),
  ]);
  fs.appendFileSync(join(part, 'postgresql.conf'), `\ninclude '${CONFIG}'\n`);
  fs.renameSync(part, folder.data);
}

function isComplete({ data }: Folder): boolean {
  if (!fs.existsSync(data)) return false;
  if (fs.existsSync(join(data, 'PG_VERSION'))) return true;
  try {
    fs.rmdirSync(data); // only when it is empty
    return false;
  } catch (cause) {
    throw new CountersignError(
      'database_unavailable',
      `${data} holds files but no PostgreSQL database: move it away, or name another folder.`,
      { cause },
    );
  }
}

/** The settings as the server is to run with; `writeConfig` puts them where it reads them at its next start. */
export function renderConfig(folder: Folder, programs: Programs, settings: Readonly<Record<string, string>>): string {
  const all = {
    listen_addresses: '',
    port: '5432',
    unix_socket_directories: `"${folder.socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Values of rows and parameters stay out of the log.
    log_error_verbosity: 'terse',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    ...settings,
  };
  const lines = Object.entries(all).map(
    ([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`,
  );
  return [`# Written at every start. Programs: ${programs.binDir}`, ...lines, ''].join('\n');
}

export function readConfig(folder: Folder): string | undefined {
  const file = join(folder.data, CONFIG);
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

export function writeConfig(folder: Folder, config: string, runAs: OsUser | undefined): void {
  const file = join(folder.data, CONFIG);
  fs.writeFileSync(file, config, { mode: 0o600 });
  if (runAs) fs.chownSync(file, runAs.uid, runAs.gid);
}

/** Folders on the way that we make are open to PostgreSQL's account, whatever root's umask is. */
function makeParents(parent: string, runAs: OsUser | undefined): void {
  const first = fs.mkdirSync(parent, { recursive: true, mode: 0o755 });
  if (first === undefined || !runAs) return;
  for (let made = parent; made.length >= first.length; made = dirname(made)) fs.chmodSync(made, 0o755);
}

/** PostgreSQL runs as another account than root, which must get through to its folder. */
function requireWayIn(parent: string, runAs: OsUser): void {
  const { mode, uid } = fs.statSync(parent);
  if ((mode & 0o001) === 0 && uid !== runAs.uid) {
    throw new CountersignError(
      'database_unavailable',
      `As root, PostgreSQL runs under an account of its own, and ${parent} is closed to it: name a folder elsewhere.`,
    );
  }
  if (dirname(parent) !== parent) requireWayIn(dirname(parent), runAs);
}

/** A closed folder of PostgreSQL's account. A link, or a folder of somebody else's, is refused: it may be a trap. */
function ownFolder(dir: string, runAs: OsUser | undefined): void {
  if (!fs.existsSync(dir)) fs.mkdirSync(dir, { mode: 0o700 });
  const stat = fs.lstatSync(dir);
  const isOurs = stat.uid === process.getuid?.() || stat.uid === runAs?.uid;
  if (!stat.isDirectory() || !isOurs) {
    throw new CountersignError(
      'database_unavailable',
      `${dir} is not a folder of the account that Countersign runs under.`,
    );
  }
  fs.chmodSync(dir, 0o700);
  if (runAs) fs.chownSync(dir, runAs.uid, runAs.gid);
}

/** The folder itself, or one in the temporary folder when the socket's path would grow too long. */
function socketDirOf(dir: string, runAs: OsUser | undefined): string {
  if (Buffer.byteLength(join(dir, SOCKET)) <= LONGEST_SOCKET_PATH) return dir;
  const hash = createHash('sha256').update(dir).digest('hex').slice(0, 16);
  const short = join(tmpdir(), `countersign-${hash}`);
  ownFolder(short, runAs);
  return short;
}
