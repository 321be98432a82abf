import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { apiRoutes } from '../adapters/api/api.ts';
import { connectRoutes } from '../adapters/api/connect.ts';
import { pictureRoutes } from '../adapters/api/pictures.ts';
import { allRoutes } from '../adapters/api/routes.ts';
import { createApiServer } from '../adapters/api/server.ts';
import { sourceOf } from '../adapters/api/source.ts';
import { createEgress, findChromium } from '../adapters/browser/index.ts';
import { consoleRoutes } from '../adapters/console/index.ts';
import { createHttp } from '../adapters/http/index.ts';
import { createTeams, MESSAGES_PATH, type MicrosoftAddresses, openLocalListener } from '../adapters/teams/index.ts';
import type { WebChatOptions } from '../adapters/web/index.ts';
import { CountersignError } from '../core/errors.ts';
import { createGuesses } from '../core/guesses.ts';
import type { CustomerId } from '../core/ids.ts';
import { createSharedLimits } from '../core/limits.ts';
import { createControl } from '../core/operations/control.ts';
import { createDeadlines, createLateDeadlines } from '../core/operations/deadlines.ts';
import { endGivenUp } from '../core/operations/ending.ts';
import type { Chat, Person, Platform } from '../core/ports/chat.ts';
import { redactedChat } from '../core/redacted-ports.ts';
import { createPictureLinks } from '../core/vault/picture-links.ts';
import { createTokens } from '../core/vault/tokens.ts';
import { newestMigration } from '../prisma/migrate.ts';
import { createApiDesk } from './api.ts';
import { type Config, readConfig } from './config.ts';
import { createConnectPages } from './connect.ts';
import { consoleParts } from './console.ts';
import type { Context } from './context.ts';
import { explain } from './explain.ts';
import { type Foundation, type FoundationOptions, openFoundation } from './foundation.ts';
import { countedChats, liveStream, metricsRoutes, programMetrics, startWebhooks } from './live.ts';
import { createCallerStanding } from './membership.ts';
import { modelFor } from './models.ts';
import { createNotices } from './notices.ts';
import { type ConnectedChat, openChat, openSlack, openWebChat, teamsAs, teamsDeps } from './platforms.ts';
import { createProgress } from './progress.ts';
import { startSlack } from './slack.ts';
import { startTeams } from './teams.ts';
import { createDatabaseWatch } from './watch.ts';
import { startWorker } from './worker.ts';

const PROJECT = join(import.meta.dirname, '..');
/** For jobs that are being handed back; with everything else that ends then, a stop takes 20 s at most. */
const DRAIN_MS = 15_000;

/**
 * V8 takes what many requests make for long-lived, and makes it among the old from then on: dead as it is there, it keeps alive
 * what it points at, and each collection of the young copies that: at 300 requests a second for 15 ms, four times a second,
 * where otherwise it takes 3 ms and the memory stays flat.
 */
const NO_PRETENURING = '--no-allocation-site-pretenuring';

export interface StartOptions extends Pick<FoundationOptions, 'folder' | 'log' | 'patienceMs' | 'services'> {
  /** Opens web chat to this computer alone: only the demo does this. `installer` becomes the first admin. */
  readonly webChat?: WebChatOptions & { readonly installer: string };
  /** Takes a client of Teams on this computer, which shows no credentials, at this port of 127.0.0.1: only the demo does this. */
  readonly localTeams?: { readonly port: number };
  /** Where Microsoft's side of Teams is, if not at Microsoft: a stand-in on this computer. */
  readonly microsoft?: MicrosoftAddresses;
  /** One more chat: how a test speaks with the program. */
  readonly chat?: ConnectedChat;
}

export interface App {
  readonly urls: {
    readonly http: string | undefined;
    readonly webChat: string | undefined;
    /** Where a client of Teams on this computer is answered. */
    readonly teams: string | undefined;
  };
  /** The database's login of the program: what `npm run bench` and tests look through. */
  readonly databaseUrl: string;
  /** Finishes running steps, then ends everything that was started here. */
  stop(): Promise<void>;
}

/** Configuration → database → adapters → core → conversation. Whatever was started is ended again when a later part fails. */
export async function start(config: Config, options: StartOptions = {}): Promise<App> {
  setFlagsFromString(NO_PRETENURING);
  const ending: (() => Promise<unknown>)[] = [];
  const state = { isDraining: false };
  const stop = once(async () => {
    state.isDraining = true; // nobody sends anything here any more, while what runs is finished
    for (const end of ending.splice(0).reverse()) await end().catch(() => {});
  });
  try {
    return await wire(config, options, ending, stop, state);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function wire(
  config: Config,
  options: StartOptions,
  ending: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
  state: { readonly isDraining: boolean },
): Promise<App> {
  const metrics = programMetrics(config);
  const chats = countedChats(metrics);
  const chat = (platform: Platform): Chat => {
    const found = chats.get(platform);
    if (!found) throw new CountersignError('chat_unavailable', `${platform} is not connected to this installation.`);
    return found;
  };
  const identify = async (person: Person, group?: string) => chat(person.platform).standing(person, group);
  const { chromiumPath } = config.agent;
  const mayInstall = options.webChat !== undefined && !config.isProduction;
  // An operator hears of a missing browser now, not from the first merchant.
  const first = async ({ folder, log }: Pick<Foundation, 'folder' | 'log'>) => {
    if (config.role !== 'bot' && !mayInstall && config.agent.browserWsEndpoint === undefined)
      await findChromium({
        ...{ mayInstall, folder: join(folder, 'chromium'), log },
        ...(chromiumPath ? { configured: chromiumPath } : {}),
      });
  };
  const foundation = await openFoundation(config, { ...options, role: config.role, identify, first, metrics }, ending);
  const { log, redact, rootKeys, databaseUrl, database, directory, audit, vault, links, sessions, queue, checkpoints } =
    foundation;
  const { customers, operations, consents, mover, threads, screenshots, services, getService } = foundation;
  const { standingGrants, repairOffers } = foundation;
  const egress = createEgress({ privateTargets: config.targets.private, log });
  const sharedLimits = createSharedLimits(database);
  const pictureLinks = createPictureLinks(rootKeys);
  const pictures = pictureRoutes({ screenshots, read: pictureLinks.read });

  const pictureUrl = (customerId: CustomerId, id: string) => `/pictures/${pictureLinks.token(customerId, id)}`;

  const isBot = config.role !== 'worker';
  const progress = createProgress({
    database,
    directory,
    audit,
    customers,
    operations,
    threads,
    log,
    publicUrl: () => address.publicUrl,
    chat,
    repairOffers,
    pictureUrl,
  });
  const model = modelFor(config, log, redact);
  const address = { publicUrl: config.http.publicUrl };
  const deciding = { database, audit, customers, consents, operations, mover, queue, vault };
  const http = createHttp({ egress });
  const tokens = createTokens({ database, vault, audit, http, getService });
  const context: Context = {
    ...{
      database,
      directory,
      customers,
      operations,
      threads,
      consents,
      standingGrants,
      repairOffers,
      mover,
      audit,
      checkpoints,
      vault,
      tokens,
      links,
      sessions,
      queue,
      egress,
      http,
      progress,
      services,
      model,
      log,
      chat,
      control: createControl({ ...deciding, egress }),
    },
    retentionDays: { usual: config.retention.auditDays, least: config.retention.leastAuditDays },
    publicUrl: () => address.publicUrl,
  };

  // A worker may be gone tomorrow with whatever lies on its disk: it has a bot sign.
  checkpoints.start(isBot ? checkpoints.make : queue.sendCheckpoint);
  ending.push(() => checkpoints.stop());
  await queue.start();
  ending.push(() => queue.stop(DRAIN_MS));
  const watch = createDatabaseWatch({ database, role: config.role, log, version: newestMigration() });
  const urls: { -readonly [K in keyof App['urls']]: App['urls'][K] } = {
    ...{ http: undefined, webChat: undefined, teams: undefined },
  };
  const guesses = createGuesses(sharedLimits);
  const slack = openSlack(config, foundation, context, sharedLimits, pictureLinks.read);
  const pages = createConnectPages(context, redact);
  const teamsOptions = teamsAs(config, options);
  const teams = teamsOptions && createTeams(teamsOptions, teamsDeps(foundation, context, sharedLimits, pages));
  // A worker says nothing there and hears nothing: it asks who may still approve.
  if (slack && !isBot) chats.set('slack', redactedChat(slack.chat, redact));
  if (teams && !isBot) chats.set('teams', redactedChat(teams, redact));
  if (!slack && !teams && config.role === 'worker')
    log.info(
      { role: config.role },
      'No chat platform is configured for this worker: whoever approved is as they were at their click',
    );
  const console = consoleParts(context, foundation);
  const routes = () => [
    ...(slack?.chat.routes ? [slack.chat.routes] : []), // before anything that reads a body: its signature is over the bytes
    ...(teams && teamsOptions?.kind === 'azure' ? [teams.routes] : []),
    connectRoutes({ pages, guesses, publicUrl: context.publicUrl }),
    consoleRoutes({ ...console, guesses, sourceOf }),
    pictures,
    apiRoutes(
      { ...foundation, guesses, publicUrl: context.publicUrl, standing: createCallerStanding(context) },
      allRoutes({ ...context, redact, desk: createApiDesk(context, pictureUrl) }),
    ),
  ];
  const stream = isBot
    ? liveStream(config, { foundation, guesses, pictureLinks, publicUrl: context.publicUrl, metrics, console })
    : undefined;
  const server = createApiServer({
    isLocal: options.webChat !== undefined,
    isBehindProxy: config.http.publicUrl.startsWith('https:'),
    port: config.http.port,
    // Whoever looks after the processes asks a worker, too, how it is.
    routes: [metricsRoutes(metrics, config, foundation), ...(isBot ? routes() : [])],
    ...(stream ? { upgrade: stream.upgrade } : {}),
    log,
    isReady: async () => !state.isDraining && (await watch.answers()),
  });
  const { port } = await server.start();
  ending.push(() => server.stop());
  if (stream) ending.push(() => stream.stop());
  if (config.http.port === 0) address.publicUrl = `http://localhost:${port}`;
  urls.http = isBot ? address.publicUrl : `http://localhost:${port}`;
  if (isBot) {
    if (options.webChat)
      urls.webChat = await openWebChat(options.webChat, context, { pictures, redact }, chats, ending);
    if (options.chat) await openChat(options.chat, context, redact, chats, ending);
    if (slack) await startSlack(slack, config, context, { ...foundation, drainMs: DRAIN_MS }, chats, ending);
    if (teams) {
      await startTeams(teams, context, { ...foundation, drainMs: DRAIN_MS }, chats, ending);
      if (options.localTeams && teamsOptions?.kind === 'local') {
        const local = await openLocalListener(teams.routes, MESSAGES_PATH, options.localTeams.port, log);
        ending.push(() => local.close());
        urls.teams = local.url;
      } else log.info({ type: config.teams?.type }, 'Teams is connected');
    }
    progress.start();
    ending.push(() => progress.stop());
    const notices = createNotices({ ...foundation, chat, pictureUrl });
    notices.start();
    ending.push(() => notices.stop());
    const deadlines = { database, audit, operations, mover, vault };
    await queue.workDeadlines(createDeadlines(deadlines));
    await queue.workLateDeadlines(createLateDeadlines(deadlines));
    await queue.workGivenUp((job, jobId) =>
      endGivenUp({ database, mover, operations, vault, consents, audit }, job, jobId),
    );
    await startWebhooks(foundation, http, metrics, ending);
    await queue.workCheckpoints(checkpoints.makeAll);
    await queue.workRetention(() => foundation.retention.dropAll(config.retention.auditDays));
  }
  if (config.role !== 'bot') {
    const vouching = isBot || slack || teams ? { identify } : {};
    const keepWarm = options.webChat !== undefined;
    const worker = { foundation, egress, http, sharedLimits, metrics, mayInstall, keepWarm, drainMs: DRAIN_MS };
    await startWorker(config, { ...worker, ...vouching }, ending);
  }
  watch.start();
  ending.push(async () => watch.stop());
  return { urls, databaseUrl, stop };
}

/** One stop may arrive twice within this time: from the terminal or the service manager, and from npm, which forwards it. */
const SAME_STOP_MS = 500;

/** Ends in order on the first signal, and at once, as a kill would, on a second one. */
export function stopOnSignals(stop: () => Promise<void>, say: (words: string) => void): void {
  let stoppedAt: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (stoppedAt !== undefined && performance.now() - stoppedAt > SAME_STOP_MS) process.exit(1);
      if (stoppedAt !== undefined) return;
      stoppedAt = performance.now();
      say('Stopping: running steps are finished first. A second signal ends it at once.');
      void stop().finally(() => process.exit(0));
    });
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= run());
}

if (import.meta.main) {
  try {
    process.loadEnvFile(join(PROJECT, '.env'));
  } catch {
    // no .env: the environment alone
  }
  try {
    const config = readConfig(process.env);
    const app = await start(config);
    if (config.role !== 'worker' && !config.slack && !config.teams)
      process.stderr.write(
        'No chat platform is connected: set up Slack (docs/slack.md) or Teams (docs/teams.md), or try npm run demo.\n',
      );
    process.stderr.write(`Countersign is ready${app.urls.http ? ` at ${app.urls.http}` : ''}.\n`);
    stopOnSignals(app.stop, (words) => process.stderr.write(`${words}\n`));
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exit(1);
  }
}
