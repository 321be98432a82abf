import { spawnSync } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { CountersignError } from '../../core/errors.ts';

/** The account that PostgreSQL runs under when we are root; PostgreSQL itself refuses to run as root. */
export interface OsUser {
  readonly uid: number;
  readonly gid: number;
}

/** The whole environment of programs that are started here: ours holds the root key and passwords. */
export const CLEAN_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' } as const;

const NAME = 'countersign';
const MAKE = [
  ...['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'],
  ...['--shell', '/usr/sbin/nologin', NAME],
];

/**
 * As root: the account `countersign`, made when absent, with no home and no shell. Otherwise `undefined`: PostgreSQL runs
 * as whoever we are. initdb looks its account up by name, so a bare number would not do.
 */
export async function osUser(): Promise<OsUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  let said = '';
  for (let attempt = 0; attempt < 10; attempt++) {
    const found = lookUp();
    if (found) return found;
    const made = spawnSync('useradd', MAKE, { encoding: 'utf8', env: CLEAN_ENVIRONMENT });
    said = made.error?.message ?? made.stderr;
    // Another start may be making the same account: the list of accounts is locked, or it is there by now.
    if (made.status !== 0) await wait(100);
  }
  throw new CountersignError(
    'database_unavailable',
    `PostgreSQL does not run as root, and the account "${NAME}" could not be made (${said.trim()}). Start Countersign as an ordinary account, or set DATABASE_URL and DATABASE_OWNER_URL.`,
  );
}

function lookUp(): OsUser | undefined {
  const number = (flag: string) =>
    Number.parseInt(spawnSync('id', [flag, NAME], { encoding: 'utf8', env: CLEAN_ENVIRONMENT }).stdout ?? '', 10);
  const [uid, gid] = [number('-u'), number('-g')];
  return Number.isNaN(uid) || Number.isNaN(gid) ? undefined : { uid, gid };
}
