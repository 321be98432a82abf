/**
 * `npm run stress -- --slack`: many people ask for something in Slack at once. Two processes of the program take what a
 * stand-in for Slack sends: each mention as `message` to one and as `app_mention` to the other, and some of it again, as
 * Slack repeats what it believes lost. Prints how fast that is acknowledged, that each request has one operation and one
 * card in its own thread, and each method's busiest minute, for the stand-in keeps to Slack's rates.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { prepareRoles } from '../../adapters/postgres/index.ts';
import { startProgram, until } from '../attack/faults/program.ts';

import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { startRunServer } from '../support/run-postgres.ts';
import { freePort } from '../support/slack/local-slack.ts';
import { shownAs } from '../support/slack/reading.ts';
import { type Answer, BOT, BOT_TOKEN, SIGNING_SECRET, startSlackServer, TEAM } from '../support/slack/server.ts';

export interface SlackLoad {
  readonly requests: number;
  readonly seconds: number;
  readonly persons: number;
  /** Within which 99 of 100 are acknowledged; absent: how fast is told, and no matter, as on a machine that does other things. */
  readonly ackMs?: number;
}

interface Request {
  readonly channel: string;
  readonly ts: string;
}

const PROGRAM = join(import.meta.dirname, '../../bot/main.ts');
const DATABASE = 'countersign';
const CHANNELS = 5; // that people share; every second request is made in one of them, the others in direct messages
const CARDS_MS = 300_000;

export async function slackLoad(load: SlackLoad, say: (line: string) => void): Promise<number> {
  const ending: (() => Promise<unknown>)[] = [];
  try {
    return await run(load, say, ending);
  } finally {
    for (const end of ending.splice(0).reverse()) await end().catch(() => {});
  }
}

async function run(
  { requests, seconds, persons, ackMs = Number.POSITIVE_INFINITY }: SlackLoad,
  say: (line: string) => void,
  ending: (() => Promise<unknown>)[],
): Promise<number> {
  const opened = <T>(it: T, end: (it: T) => Promise<unknown>): T => {
    ending.push(() => end(it));
    return it;
  };
  const folder = mkdtempSync(join(tmpdir(), 'countersign-slack-'));
  ending.push(async () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const postgres = opened(await startRunServer(), (server) => server.remove());
  const roles = await prepareRoles(postgres, { database: DATABASE });
  const admin = opened(new pg.Pool({ connectionString: postgres.url('admin', DATABASE), max: 2 }), (pool) =>
    pool.end(),
  );
  const slack = opened(await startSlackServer({ hasRates: true }), (server) => server.close());
  const shop = opened(await startPracticeShop(), (it) => it.close());
  const people = Array.from({ length: persons }, (_, n) => `U1${String(n).padStart(3, '0')}`);
  for (const [n, id] of people.entries())
    slack.users.set(id, { id, name: `person${n}`, real_name: `Person ${n}`, team_id: TEAM, deleted: false });

  const urls: string[] = [];
  for (const name of ['one', 'two']) {
    const port = await freePort();
    const program = await startProgram({
      ...{ name, args: [PROGRAM], logFile: process.env.FAULTS_LOG ?? join(folder, 'programs.log') },
      env: {
        ...{ PATH: process.env.PATH ?? '', HOME: folder, ROLE: 'bot', PORT: String(port) },
        PUBLIC_URL: `http://localhost:${port}`,
        ...{ DATABASE_URL: roles.programUrl, DATABASE_OWNER_URL: roles.ownerUrl },
        ...{ ENCRYPTION_KEY: KEY, CHECKPOINT_DIR: join(folder, 'checkpoints') },
        ALLOW_PRIVATE_TARGETS: new URL(shop.origin).host,
        ...{ OPERATIONS_PER_HOUR: '100000', SLACK_API_URL: slack.apiUrl, SLACK_FIRST_ADMIN: 'U0003' },
        ...{ SLACK_BOT_TOKEN: BOT_TOKEN, SLACK_SIGNING_SECRET: SIGNING_SECRET },
      },
    });
    opened(program, (it) => it.stop());
    urls.push(`http://127.0.0.1:${port}/slack/events`);
  }
  const deliver = (to: number, payload: object): Promise<Answer> => {
    slack.sendTo(urls[to % urls.length] ?? '');
    return slack.deliver('events_api', payload);
  };

  const acks: Answer[] = [];
  const asked: Request[] = [];
  const under: Promise<unknown>[] = [];
  const send = (to: number, payload: object) => {
    under.push(deliver(to, payload).then((answer) => acks.push(answer)));
  };
  const began = performance.now();
  for (let n = 0; n < requests; n++) {
    await wait(Math.max(0, began + (1000 * seconds * n) / requests - performance.now()));
    const user = people[n % people.length] ?? '';
    const isDirect = n % 2 === 0;
    const channel = isDirect ? `D${user}` : `C1${String(Math.floor(n / 2) % CHANNELS).padStart(3, '0')}`;
    const text = `${isDirect ? '' : `<@${BOT}> `}set up WooCommerce for ${shop.origin}`;
    const { ts } = slack.write(channel, user, text);
    asked.push({ channel, ts });
    const said = { channel, user, text, ts, event_ts: ts };
    const enveloped = (event: object) => ({
      ...{ type: 'event_callback', team_id: TEAM, api_app_id: 'A0001', event_id: `Ev${crypto.randomUUID()}`, event },
    });
    const first = enveloped({ ...said, type: 'message', channel_type: isDirect ? 'im' : 'channel' });
    send(n, first);
    if (!isDirect) send(n + 1, enveloped({ ...said, type: 'app_mention' }));
    if (n % 4 === 0) send(n + 1, first); // again, to the other process
  }
  await Promise.all(under);
  const sentMs = performance.now() - began;

  const cardsOf = ({ channel, ts }: Request) =>
    slack
      .messages(channel)
      .filter(({ thread_ts, user }) => user === BOT && thread_ts === ts)
      .filter((message) => /Create a WooCommerce API key/.test(shownAs(message, new Map()).text)).length;
  await until(CARDS_MS, () => asked.every((request) => cardsOf(request) > 0), 200);
  const cards = asked.map(cardsOf);
  const cardsMs = performance.now() - began;
  const { rows } = await admin.query<{ n: number }>('SELECT count(*)::int AS n FROM autonomous_operations');
  const operations = rows[0]?.n ?? 0;

  const times = acks.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN;
  const refused = acks.filter(({ isTaken }) => !isTaken).length;
  const missing = cards.filter((n) => n === 0).length;
  const twice = cards.filter((n) => n > 1).length;
  say(
    `${requests} requests of ${persons} people in ${(sentMs / 1000).toFixed(0)} s, sent as ${acks.length} events to two processes`,
  );
  say(
    `acknowledged: p50 ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms, slowest ${at(1).toFixed(0)} ms; ${refused} not taken`,
  );
  say(`operations: ${operations}; requests without a card in their thread: ${missing}, with more than one: ${twice}`);
  say(`the last card stood ${(cardsMs / 1000).toFixed(0)} s after the first request`);
  const busiest = [...slack.busiest()].toSorted(([a], [b]) => a.localeCompare(b));
  say(`busiest minute: ${busiest.map(([method, n]) => `${method} ${n}`).join(', ')}`);
  say(
    `calls beyond Slack's rates: ${slack.beyond.length}${slack.beyond.length > 0 ? ` (${[...new Set(slack.beyond)].join(', ')})` : ''}`,
  );
  const isWell =
    refused === 0 &&
    missing === 0 &&
    twice === 0 &&
    operations === requests &&
    slack.beyond.length === 0 &&
    at(0.99) <= ackMs;
  say(isWell ? 'Slack under load: all well' : 'Slack under load: NOT well');
  return isWell ? 0 : 1;
}

const KEY = randomBytes(32).toString('base64');
