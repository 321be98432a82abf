import { connectionsBeside } from '../core/database.ts';
import { QUEUE_CONNECTIONS } from '../core/queue/queue.ts';
import type { Config } from './config.ts';

/** PostgreSQL connections that one process opens at most; `docs/scale.md` says the same in words. */
export interface Connections {
  /** Of Prisma. */
  readonly pool: number;
  /** Of the program's login, everything together. A migration at the start takes two more, as the owner. */
  readonly all: number;
}

const BOT_POOL = 10; // requests of people, threads that are shown, and what is due
const WORKER_POOL = 4; // keys and retention looked after, and browsers that wait for an answer
const PER_OPERATION = 2; // the step, and the look at fence and consent each second
const FEEDS = 2; // what hears that a trail grew: for threads, and for the live stream

export function connectionsOf({ role, agent }: Pick<Config, 'role' | 'agent'>): Connections {
  const isBot = role !== 'worker';
  const operations = role === 'bot' ? 0 : WORKER_POOL + PER_OPERATION * agent.workerConcurrency;
  const pool = (isBot ? BOT_POOL : 0) + operations;
  // Locks are taken for showing a thread, which is the bot's part.
  return { pool, all: pool + connectionsBeside(isBot) + QUEUE_CONNECTIONS + (isBot ? FEEDS : 0) };
}
