import { z } from 'zod';
import { Prisma } from '../prisma/generated/client.ts';
import type { Database } from './database.ts';
import { type QueueStats, queueStats } from './operations/dead-letters.ts';

/** How things stand in the database, for all customers together. */
export interface Measures {
  readonly queues: readonly QueueStats[];
  readonly operations: readonly OpenOperations[];
  readonly connections: readonly StoredConnections[];
}

export interface StoredConnections {
  readonly service: string;
  /** As core/connections/verdict.ts has it. */
  readonly state: string;
  readonly connections: number;
}

export interface OpenOperations {
  readonly service: string;
  readonly state: string;
  readonly open: number;
  /** Since the one moved that has not moved for the longest. */
  readonly oldestSeconds: number;
}

const rows = z.array(
  z.object({ service: z.string(), state: z.string(), open: z.int(), oldestSeconds: z.number().min(0) }),
);

const connectionRows = z.array(z.object({ service: z.string(), state: z.string(), connections: z.int() }));

/** Nobody asks the database more often than this, however many look. */
const KEPT_MS = 5_000;
/** Prometheus waits 10 s for everything together unless told otherwise. */
const LONGEST_MS = 4_000;

/** @returns a reader of how things stand, at most 5 s old; `undefined` while the database does not answer. */
export function createMeasures(database: Database): () => Promise<Measures | undefined> {
  let read: { readonly at: number; readonly measures: Promise<Measures | undefined> } | undefined;
  const ask = async (): Promise<Measures> => {
    const statement = Prisma.sql`SELECT service, state, open, oldest_seconds AS "oldestSeconds" FROM app.open_operations()`;
    const operations = rows.parse(await database.shared(statement));
    const connections = connectionRows.parse(
      await database.shared(Prisma.sql`SELECT service, state, connections FROM app.connections_by_state()`),
    );
    return { queues: await queueStats(database), operations, connections };
  };
  return () => {
    if (read === undefined || performance.now() - read.at > KEPT_MS)
      read = { at: performance.now(), measures: within(LONGEST_MS, ask()) };
    return read.measures;
  };
}

async function within<T>(limitMs: number, asked: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limitMs);
  });
  try {
    return await Promise.race([asked.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
