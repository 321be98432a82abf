import type { Database } from '../core/database.ts';
import type { Log } from '../core/ports/log.ts';
import type { Config } from './config.ts';

const EVERY_MS = 5_000;

/** Looks at the database every few seconds, and says in the log what an operator would otherwise hear from merchants. */
export interface DatabaseWatch {
  start(): void;
  stop(): void;
  /** Whether the database answers at this moment, within 5 s, and has the migrations that this process needs. */
  answers(): Promise<boolean>;
}

export interface DatabaseWatchDeps {
  readonly database: Pick<Database, 'processes' | 'version'>;
  /** The newest migration that it needs; absent: any will do. */
  readonly version?: string;
  readonly role: Config['role'];
  readonly log: Log;
  readonly everyMs?: number;
}

type Part = 'bot' | 'worker';
const PARTS: readonly Part[] = ['bot', 'worker'];
const WITHOUT: Readonly<Record<Part, string>> = {
  bot: 'no process with ROLE=bot is connected to this database: nobody is answered, and no thread shows what is done',
  worker: 'no process with ROLE=worker is connected to this database: what is approved waits until one is',
};

/**
 * The other part may well be started later, so its absence is said once, and so is its coming; the same of the database
 * itself.
 */
export function createDatabaseWatch(deps: DatabaseWatchDeps): DatabaseWatch {
  const { database, role, log, version = '', everyMs = EVERY_MS } = deps;
  let asking: Promise<readonly string[] | undefined> | undefined;
  let awaySince: number | undefined;
  const missing = new Set<Part>();
  let timer: NodeJS.Timeout | undefined;

  /** One question at a time, whoever asks: the address of readiness is open to everybody. */
  const ask = () =>
    (asking ??= database
      .processes()
      .catch(() => undefined)
      .finally(() => {
        asking = undefined;
      }));

  const look = async () => {
    const processes = await ask();
    if (timer === undefined) return; // stopped meanwhile
    if (processes === undefined) {
      if (awaySince === undefined) log.warn({ code: 'database_away' }, 'the database does not answer: waiting for it');
      awaySince ??= performance.now();
      return;
    }
    if (awaySince !== undefined)
      log.info({ seconds: Math.round((performance.now() - awaySince) / 1000) }, 'the database answers again');
    awaySince = undefined;
    for (const part of PARTS) {
      const isThere = role === 'all' || role === part || processes.includes(part) || processes.includes('all');
      if (!isThere && !missing.has(part)) log.warn({ code: 'part_missing', part }, WITHOUT[part]);
      if (isThere && missing.has(part)) log.info({ part }, `a process with ROLE=${part} is connected now`);
      if (isThere) missing.delete(part);
      else missing.add(part);
    }
  };

  return {
    start() {
      timer = setInterval(() => void look(), everyMs);
      timer.unref();
      void look();
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
    // A later version is none of ours to refuse: processes are replaced one by one.
    answers: async () =>
      (await ask()) !== undefined && ((await database.version().catch(() => undefined)) ?? '') >= version,
  };
}
