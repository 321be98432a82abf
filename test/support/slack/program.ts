import pg from 'pg';
import { readConfig } from '../../../bot/config.ts';
import { type App, start } from '../../../bot/main.ts';
import type { TestDatabase } from '../database.ts';
import { asAdmin, demoEnvironment, throwawayProject } from '../demo.ts';
import { freePort } from '../free-port.ts';
import { serveSite } from '../loopback-site.ts';
import { silentLog } from '../silent-log.ts';
import { SIGNING_SECRET } from './delivery.ts';
import { type Hands, handsOn } from './hands.ts';
import { BOT_TOKEN, type SlackServer, startSlackServer } from './server.ts';

/** The program as `npm start` runs it, in front of the Slack that refuses what Slack refuses. */
export interface SlackProgram {
  readonly server: SlackServer;
  readonly hands: Hands;
  /** Of a site that answers, which requests may name; as `host:port`. */
  readonly target: string;
  /** Looks behind row level security. */
  sql(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export interface SlackProgramOptions {
  /** `bot`: what is approved waits, since nothing works. */
  readonly role?: 'all' | 'bot';
  /** Sites that may be private, as `host:port`. */
  readonly targets?: string;
  /** It goes with the program; absent: a PostgreSQL of its own. */
  readonly database?: TestDatabase;
}

export async function startSlackProgram(options: SlackProgramOptions = {}): Promise<SlackProgram> {
  const { role = 'bot', targets, database } = options;
  const ending: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    const project = await throwawayProject();
    ending.push(async () => project.remove());
    if (database) ending.push(() => database.drop());
    const server = await startSlackServer();
    ending.push(() => server.close());
    const site = await serveSite({ '/': 'a shop' });
    ending.push(() => site.close());
    const port = await freePort();
    const config = readConfig({
      ...demoEnvironment(),
      ...(database ? { DATABASE_URL: database.programUrl, DATABASE_OWNER_URL: database.ownerUrl } : {}),
      ...{ PORT: String(port), PUBLIC_URL: `http://localhost:${port}`, ROLE: role },
      ALLOW_PRIVATE_TARGETS: targets ?? site.authority,
      ...{ SLACK_API_URL: server.apiUrl, SLACK_BOT_TOKEN: BOT_TOKEN, SLACK_SIGNING_SECRET: SIGNING_SECRET },
      ...{ OPERATIONS_PER_HOUR: '1000' },
    });
    const app: App = await start(config, { folder: project.folder, log: silentLog });
    ending.push(() => app.stop());
    server.sendTo(`http://127.0.0.1:${port}/slack/events`);
    const admin = new pg.Pool({ connectionString: asAdmin(app.databaseUrl), max: 2 });
    admin.on('error', () => {}); // the server ends before the pool does when a test failed
    ending.push(() => admin.end());
    const sql = async (text: string, values: readonly unknown[] = []) => (await admin.query(text, [...values])).rows;
    return { server, hands: handsOn(server), target: site.authority, sql, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
