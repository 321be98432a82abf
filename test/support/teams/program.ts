import pg from 'pg';
import { readConfig } from '../../../bot/config.ts';
import { type App, start } from '../../../bot/main.ts';
import type { TestDatabase } from '../database.ts';
import { asAdmin, demoEnvironment, throwawayProject } from '../demo.ts';
import { freePort } from '../free-port.ts';
import { serveSite } from '../loopback-site.ts';
import { databaseSinks, recordingLog } from '../sinks.ts';
import type { Sink } from '../sweep.ts';
import { type Hands, handsOn } from './hands.ts';
import { APP_ID, APP_PASSWORD, startTeamsServer, TENANT, type TeamsServer } from './server.ts';

/** The program as `npm start` runs it, in front of the Teams that refuses what Teams refuses. */
export interface TeamsProgram {
  readonly server: TeamsServer;
  readonly hands: Hands;
  /** Of a site that answers, which requests may name; as `host:port`. */
  readonly target: string;
  /** Looks behind row level security. */
  sql(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** Ends the program and begins it anew on the same database, with nothing in its memory. */
  restart(): Promise<void>;
  /** One more process of it, as it were, on the same database. @returns its messaging endpoint. */
  another(): Promise<string>;
  /** Whatever it has written down: its database and its log. */
  sinks(): Promise<readonly Sink[]>;
  stop(): Promise<void>;
}

export interface TeamsProgramOptions {
  /** `bot`: what is approved waits, since nothing works. */
  readonly role?: 'all' | 'bot';
  /** Sites that may be private, as `host:port`. */
  readonly targets?: string;
  /** It goes with the program. */
  readonly database: TestDatabase;
}

export async function startTeamsProgram(options: TeamsProgramOptions): Promise<TeamsProgram> {
  const { role = 'bot', targets, database } = options;
  const ending: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    const project = await throwawayProject();
    ending.push(async () => project.remove());
    ending.push(() => database.drop());
    const server = await startTeamsServer();
    ending.push(() => server.close());
    const site = await serveSite({ '/': 'a shop' });
    ending.push(() => site.close());
    const port = await freePort();
    const configAt = (port: number) =>
      readConfig({
        ...demoEnvironment(),
        ...{ DATABASE_URL: database.programUrl, DATABASE_OWNER_URL: database.ownerUrl },
        ...{ PORT: String(port), PUBLIC_URL: `http://localhost:${port}`, ROLE: role },
        ALLOW_PRIVATE_TARGETS: targets ?? site.authority,
        ...{ TEAMS_APP_ID: APP_ID, TEAMS_APP_PASSWORD: APP_PASSWORD, TEAMS_APP_TENANT_ID: TENANT },
        ...{ OPERATIONS_PER_HOUR: '1000' },
      });
    const microsoft = { openId: `${server.origin}/openid`, login: server.origin };
    const { log, sink } = recordingLog();
    const begin = (at = port): Promise<App> => start(configAt(at), { folder: project.folder, log, microsoft });
    let app = await begin();
    ending.push(() => app.stop());
    server.sendTo(`http://127.0.0.1:${port}/api/messages`);
    const admin = new pg.Pool({ connectionString: asAdmin(app.databaseUrl), max: 2 });
    admin.on('error', () => {}); // the server ends before the pool does when a test failed
    ending.push(() => admin.end());
    return {
      ...{ server, hands: handsOn(server), target: site.authority, stop },
      sql: async (text, values = []) => (await admin.query(text, [...values])).rows,
      async restart() {
        await app.stop();
        app = await begin();
      },
      async another() {
        const at = await freePort();
        const other = await begin(at);
        ending.push(() => other.stop());
        return `http://127.0.0.1:${at}/api/messages`;
      },
      sinks: async () => [...(await databaseSinks(asAdmin(app.databaseUrl))), sink()],
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
