// `npm run demo`: the product as it is, with everything around it on this computer: PostgreSQL from npm, a practice shop
// instead of a real one, and web chat instead of Slack or Teams. The practice shop is a simulation and says so.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Config, readConfig } from '../../bot/config.ts';
import { explain } from '../../bot/explain.ts';
import { type App, start, stopOnSignals } from '../../bot/main.ts';
import { CountersignError } from '../../core/errors.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Service } from '../../core/services/service.ts';
import { playScript } from './script.ts';
import { type PracticeShop, startPracticeShop } from './woocommerce/server.ts';

const CHAT_PORT = 3000;
const HTTP_PORT = 3001;
const SHOP_PORT = 4001;
/** Where Microsoft's tools look for a bot by themselves. */
const TEAMS_PORT = 3978;
/** Microsoft's client without an account. Its licence is for evaluation: it is fetched when somebody wants it, and is no part of this. */
export const TEAMS_CLIENT = '@microsoft/m365agentsplayground@0.2.28';

/** What web chat offers after a slash: all that the help names. */
export const DEMO_COMMANDS = [
  { command: 'audit', hint: 'op-…', help: 'What was done, by whom, and whether the record is intact (admins)' },
  { command: 'countersign console', hint: '', help: 'The console: your own link to it, good once' },
  { command: 'countersign operations', hint: '', help: 'The latest operations' },
  { command: 'countersign stop', hint: 'op-…', help: 'Stop an operation' },
  { command: 'countersign stop all', hint: '', help: 'Stop everything (admins)' },
  { command: 'countersign pause', hint: 'op-…', help: 'Let an operation rest; resume lets it go on' },
  { command: 'countersign resume', hint: 'op-…', help: 'Let what rests go on' },
  { command: 'countersign retry', hint: 'op-…', help: 'Try again what failed or was stopped' },
  { command: 'countersign link', hint: '', help: 'Your one-time page, once more' },
  { command: 'countersign consents', hint: '', help: 'What is countersigned, repairs to come included' },
  { command: 'countersign credentials', hint: '', help: 'The stored keys, and what is wrong with any (admins)' },
  { command: 'countersign test', hint: 'WooCommerce', help: 'Try the stored keys (approvers and admins)' },
  { command: 'countersign notify', hint: '', help: 'How I tell you, and your quiet hours' },
  { command: 'countersign settings', hint: '', help: 'Who may approve, and what I may do (admins)' },
  { command: 'countersign accounts', hint: '', help: 'Which accounts are one person’s (admins)' },
  { command: 'countersign help', hint: '', help: 'What I can do' },
] as const;

const PEOPLE = [
  { userId: 'merchant', name: 'Merchant' },
  { userId: 'approver', name: 'Approver' },
  { userId: 'admin', name: 'Admin' },
] as const;

export interface DemoOptions {
  readonly folder: string;
  /** 0 takes any free port. */
  readonly chatPort: number;
  readonly httpPort: number;
  readonly shopPort: number;
  /** Takes Teams' local client as well; absent: it doesn't. */
  readonly teamsPort?: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log?: Log;
  readonly shop?: Parameters<typeof startPracticeShop>[0];
  /** What can be set up, where practice services stand in for real ones. */
  readonly services?: readonly Service[];
}

export interface Demo {
  readonly chatUrl: string;
  readonly shop: PracticeShop;
  readonly app: App;
  stop(): Promise<void>;
}

/** The same program as `npm start`, with the practice shop beside it and web chat opened. */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const shop = await startPracticeShop({ ...options.shop, port: options.shopPort }).catch((error: unknown) => {
    throw inUse(error, options.shopPort);
  });
  try {
    const app = await start(demoConfig(options, shop), {
      folder: options.folder,
      ...(options.log ? { log: options.log } : {}),
      ...(options.services ? { services: options.services } : {}),
      ...(options.teamsPort === undefined ? {} : { localTeams: { port: options.teamsPort } }),
      webChat: {
        port: options.chatPort,
        workspaceId: 'demo',
        channelName: 'shop-integrations',
        people: PEOPLE,
        installer: 'admin',
        storeFile: join(options.folder, 'web-chat.jsonl'),
        examples: [`set up WooCommerce for ${shop.origin}`, 'can you connect my woo store?', 'what can you do?'],
        commands: DEMO_COMMANDS,
      },
    });
    const stop = async () => {
      await app.stop();
      await shop.close();
    };
    return { chatUrl: app.urls.webChat ?? '', shop, app, stop };
  } catch (error) {
    await shop.close();
    throw error;
  }
}

/** One sentence instead of a stack trace when the practice shop's port is taken. */
function inUse(error: unknown, port: number): unknown {
  const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  const words = `Port ${port}, where the practice shop opens, is in use by another program. Stop that one and start again.`;
  return isTaken ? new CountersignError('port_in_use', words, { cause: error }) : error;
}

function demoConfig(options: DemoOptions, shop: PracticeShop): Config {
  const { env, httpPort } = options;
  const shopHost = new URL(shop.origin).host;
  const { NODE_ENV: _, ...rest } = env; // a demo is no production, whatever the shell says
  return readConfig({
    ...rest,
    PORT: env.PORT ?? String(httpPort),
    PUBLIC_URL: env.PUBLIC_URL ?? `http://localhost:${env.PORT ?? httpPort}`,
    ALLOW_PRIVATE_TARGETS: [env.ALLOW_PRIVATE_TARGETS, shopHost].filter(Boolean).join(','),
  });
}

const USAGE = `Usage: npm run demo                                    everything on this computer, until Ctrl-C
       npm run demo -- --script "set up WooCommerce"   plays the whole conversation by itself, exits 0 or 1
         --user NAME --password-file FILE              … on the real site that the sentence names
       npm run demo -- --two-factor                    the practice shop asks for a one-time code, too
       npm run demo -- --captcha                       … or shows a CAPTCHA
       npm run demo -- --teams                         answers Teams' local client, too (docs/teams.md)`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      script: { type: 'string' },
      user: { type: 'string' },
      'password-file': { type: 'string' },
      'two-factor': { type: 'boolean', default: false },
      captcha: { type: 'boolean', default: false },
      teams: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const began = performance.now();
  const folder = join(import.meta.dirname, '../../.countersign');
  const { script } = values;
  // A script needs no address that anybody remembers, so it takes free ports; the shop's, unless the sentence names it.
  const ports =
    script === undefined
      ? { chatPort: CHAT_PORT, httpPort: HTTP_PORT, shopPort: SHOP_PORT }
      : { chatPort: 0, httpPort: 0, shopPort: script.includes(`:${SHOP_PORT}`) ? SHOP_PORT : 0 };
  const obstacles = { twoFactor: values['two-factor'], captcha: values.captcha };
  const teams = values.teams ? { teamsPort: TEAMS_PORT } : {};
  const demo = await startDemo({ folder, ...ports, ...teams, env: process.env, shop: { obstacles } });
  const readyAfter = ((performance.now() - began) / 1000).toFixed(1);
  if (script !== undefined) {
    try {
      return await playScript(demo, {
        sentence: script,
        user: values.user,
        passwordFile: values['password-file'],
      });
    } finally {
      await demo.stop();
    }
  }
  process.stdout.write(welcome(demo, readyAfter));
  stopOnSignals(demo.stop, (words) => process.stdout.write(`\n${words}\n`));
  return await new Promise<never>(() => {}); // until a signal
}

function welcome({ chatUrl, shop, app }: Demo, readyAfter: string): string {
  const { teams, http } = app.urls;
  const client =
    teams === undefined
      ? ''
      : `  Teams           npx -y ${TEAMS_CLIENT} start -e ${teams} -c msteams --disable-telemetry
                  (Microsoft's client for trying out; whoever opens it first is the admin)
`;
  return `
Countersign is ready (${readyAfter} s). Everything runs on this computer.

  Chat            ${chatUrl}
  API, console    ${http}   (write “console” in the chat for your link)
  Practice shop   ${shop.origin}/wp-admin/   (a simulation)
                  user ${shop.username}   password ${shop.password}${shop.oneTimeCode ? `   one-time code ${shop.oneTimeCode}` : ''}
${client}
  1. Open the chat and write: set up WooCommerce for ${shop.origin}
  2. Switch to Admin and choose who may approve, then to Approver and press Approve.
  3. Switch back to Merchant, open the one-time page, enter the user and password above, and watch.

Ctrl-C stops it.
`;
}

if (import.meta.main) {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`${explain(error)}\n`);
      process.exit(1);
    },
  );
}
