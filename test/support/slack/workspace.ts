import pg from 'pg';
import { readConfig } from '../../../bot/config.ts';
import { type App, start } from '../../../bot/main.ts';
import { type PracticeShop, startPracticeShop } from '../../practice/woocommerce/server.ts';
import { createEmptyDatabase } from '../database.ts';
import { asAdmin, demoEnvironment, throwawayProject } from '../demo.ts';
import { freePort } from '../free-port.ts';
import { silentLog } from '../silent-log.ts';
import { LOCAL, type LocalSlack, startLocalSlack } from './local-slack.ts';

/** The program as `npm start` runs it, with a Slack and a shop on this computer. */
export interface SlackWorkspace {
  readonly slack: LocalSlack;
  readonly shop: PracticeShop;
  readonly app: App;
  /** Looks behind row level security. */
  sql(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export async function startSlackWorkspace(way: 'http' | 'socket' = 'http'): Promise<SlackWorkspace> {
  const ending: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    const project = await throwawayProject();
    ending.push(async () => project.remove());
    const database = await createEmptyDatabase();
    ending.push(() => database.drop());
    const port = await freePort();
    const slack = await startLocalSlack(way === 'http' ? `http://127.0.0.1:${port}/slack/events` : undefined);
    ending.push(() => slack.stop());
    const shop = await startPracticeShop({ port: 0 });
    ending.push(() => shop.close());
    const config = readConfig({
      ...demoEnvironment(),
      ...{ DATABASE_URL: database.programUrl, DATABASE_OWNER_URL: database.ownerUrl },
      ...{ PORT: String(port), PUBLIC_URL: `http://localhost:${port}` },
      ALLOW_PRIVATE_TARGETS: new URL(shop.origin).host,
      SLACK_API_URL: `${slack.url}/api/`,
      ...{ SLACK_BOT_TOKEN: LOCAL.botToken, SLACK_FIRST_ADMIN: 'U0ADMIN' },
      ...(way === 'http' ? { SLACK_SIGNING_SECRET: LOCAL.signingSecret } : { SLACK_APP_TOKEN: LOCAL.appToken }),
    });
    const app = await start(config, { folder: project.folder, log: silentLog });
    ending.push(() => app.stop());
    const admin = new pg.Pool({ connectionString: asAdmin(app.databaseUrl), max: 2 });
    admin.on('error', () => {}); // the server ends before the pool does when a test failed
    ending.push(() => admin.end());
    const sql = async (text: string, values: readonly unknown[] = []) => (await admin.query(text, [...values])).rows;
    return { slack, shop, app, sql, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
