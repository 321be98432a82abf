import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiRoutes } from '../adapters/api/api.ts';
import { connectRoutes } from '../adapters/api/connect.ts';
import { plainPage } from '../adapters/api/connect-page.ts';
import { pictureRoutes } from '../adapters/api/pictures.ts';
import { allRoutes } from '../adapters/api/routes.ts';
import { createApiServer } from '../adapters/api/server.ts';
import { installationTries, sourceOf } from '../adapters/api/source.ts';
import {
  createEgress,
  findChromium,
  openBrowser,
  openNetworkEgress,
  openRemoteBrowser,
} from '../adapters/browser/index.ts';
import { consoleRoutes } from '../adapters/console/index.ts';
import { createHttp } from '../adapters/http/index.ts';
import { createAnthropicModel, createAnthropicPageModel } from '../adapters/model/index.ts';
import { createSlack, createSlackForMany, type OAuthDeps } from '../adapters/slack/index.ts';
import {
  createTeams,
  MESSAGES_PATH,
  type MicrosoftAddresses,
  openLocalListener,
  type TeamsOptions,
} from '../adapters/teams/index.ts';
import { createWebChat, type WebChat, type WebChatOptions } from '../adapters/web/index.ts';
import type { Installed } from '../core/customers/installations.ts';
import { CountersignError } from '../core/errors.ts';
import { createGuesses } from '../core/guesses.ts';
import type { CustomerId } from '../core/ids.ts';
import { createSharedLimits, type SharedLimits } from '../core/limits.ts';
import { measuredPageModel } from '../core/measured-ports.ts';
import { gatherNotices } from '../core/notices/gather.ts';
import { createControl } from '../core/operations/control.ts';
import { createDeadlines, createLateDeadlines } from '../core/operations/deadlines.ts';
import { endGivenUp } from '../core/operations/ending.ts';
import { createParking } from '../core/operations/parking.ts';
import { createRunner, type RunnerDeps } from '../core/operations/run.ts';
import type { Browser } from '../core/ports/browser.ts';
import type { Chat, ChatListener, MessageRef, Person, PictureLink, Platform } from '../core/ports/chat.ts';
import type { ConnectPages } from '../core/ports/connect.ts';
import type { Egress } from '../core/ports/egress.ts';
import type { Log } from '../core/ports/log.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { type Redact, redactedChat, redactedModel, redactedReply } from '../core/redacted-ports.ts';
import { createPictureLinks } from '../core/vault/picture-links.ts';
import { createSeals } from '../core/vault/seals.ts';
import { createTokens } from '../core/vault/tokens.ts';
import { newestMigration } from '../prisma/migrate.ts';
import { createApiDesk } from './api.ts';
import { welcomeInstaller } from './approvers-flow.ts';
import { type Config, readConfig } from './config.ts';
import { createConnectPages } from './connect.ts';
import { consoleParts } from './console.ts';
import type { Context } from './context.ts';
import { converse } from './conversation.ts';
import { explain } from './explain.ts';
import { type Foundation, type FoundationOptions, openFoundation } from './foundation.ts';
import { countedChats, liveStream, metricsRoutes, programMetrics, startHealth, startWebhooks } from './live.ts';
import { createNotices } from './notices.ts';
import { createProgress } from './progress.ts';
import { startSlack } from './slack.ts';
import { slackScopes } from './slack-manifest.ts';
import { createCallerStanding } from './standing.ts';
import { cardOnRecord, createTeamsReferences, signInToken, startTeams } from './teams.ts';
import { createDatabaseWatch } from './watch.ts';

const PROJECT = join(import.meta.dirname, '..');
/** For jobs that are being handed back; with everything else that ends then, a stop takes 20 s at most. */
const DRAIN_MS = 15_000;
const UPKEEP_SECONDS = 3600;

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

/** A chat with its way in. */
export interface ConnectedChat<Started = unknown> extends Chat {
  /** Who hears what people say and press. Called before `start`. */
  listen(listener: ChatListener): void;
  start(): Promise<Started>;
  stop(): Promise<void>;
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
  const {
    folder,
    log,
    secrets,
    redact,
    rootKeys,
    databaseUrl,
    database,
    directory,
    audit,
    vault,
    links,
    sessions,
    queue,
    checkpoints,
  } = foundation;
  const { customers, operations, consents, mover, threads, workflows, screenshots, services, getService } = foundation;
  const { standingGrants, repairOffers, repairs } = foundation;
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
  const model =
    config.model &&
    redactedModel(createAnthropicModel({ ...config.model, egress: modelEgress(config.model, log), log }), redact);
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
    const local = () =>
      openBrowser({
        egress,
        log,
        chromiumFolder: join(folder, 'chromium'),
        ownersFolder: join(tmpdir(), 'countersign-browsers'),
        mayInstall,
        keepWarm: options.webChat !== undefined,
        ...(chromiumPath ? { chromiumPath } : {}),
        ...(config.isProduction ? { requireSandbox: true } : {}),
      });
    const browser = (await remoteBrowser(config, log, ending)) ?? (await local());
    ending.push(() => browser.close());
    const parking = createParking(database);
    ending.push(() => parking.close());
    const runner = createRunner({
      ...{ queue, parking, atOnce: config.limits.operationsAtOnce },
      ...(isBot || slack || teams ? { identify } : {}),
      database,
      audit,
      vault,
      consents,
      operations,
      mover,
      workflows,
      agentMode: config.agent.mode,
      browser,
      http,
      screenshots,
      log,
      secrets,
      ...pagesFor(config, log, metrics),
    });
    await queue.workUpkeep(UPKEEP_SECONDS, async () => {
      const { rotated, failed } = await foundation.keyRotation.upkeep(config.retention.keyRotationDays);
      if (rotated > 0) log.info({ rotated }, 'keys of customers were rotated');
      for (const { customerId, error } of failed)
        log.warn({ code: 'key_rotation', customerId, cause: String(error) }, 'a key could not be rotated');
      const replaced = await repairs.rotateDue();
      if (replaced.count > 0) log.info({ begun: replaced.count }, 'keys of connections were due to be replaced');
      for (const { customerId, error } of replaced.failed)
        log.warn({ code: 'repair', customerId, cause: String(error) }, 'keys that are due could not be looked at');
      await sharedLimits.prune();
      await gatherNotices({ ...foundation, ...(isBot || slack || teams ? { identify } : {}) });
      for (const customerId of await directory.customers())
        await foundation.inbox
          .forget(customerId)
          .catch((err: unknown) => log.warn({ customerId, err }, 'answered events could not be forgotten yet'));
    });
    await startHealth(config, foundation, http, ending);
    const { operationsAtOnce: atOnce } = config.limits;
    await queue.workOperations(config.agent.workerConcurrency, (job, signal) => runner.run(job, signal), atOnce);
    // Before the browser goes.
    ending.push(() => {
      runner.drain();
      return queue.stop(DRAIN_MS);
    });
  }
  watch.start();
  ending.push(async () => watch.stop());
  return { urls, databaseUrl, stop };
}

/** The model that steps may ask; none in replay mode, nor without a key. */
function pagesFor({ model, agent, limits }: Config, log: Log, metrics: Metrics): Pick<RunnerDeps, 'pages'> {
  if (model === undefined || agent.mode === 'replay') return {};
  return {
    pages: {
      model: measuredPageModel(createAnthropicPageModel({ ...model, egress: modelEgress(model, log), log }), metrics),
      limits: { perOperationUsd: limits.modelBudgetUsdPerOperation, perMonthUsd: limits.modelBudgetUsdPerMonth },
    },
  };
}

/** Browsers of a farm, where one is configured: proven to leave through our proxy before anything else is done with them. */
async function remoteBrowser(
  { agent: { browserWsEndpoint: endpoint, egressProxyUrl: url }, targets }: Config,
  log: Log,
  ending: (() => Promise<unknown>)[],
): Promise<Browser | undefined> {
  if (endpoint === undefined || url === undefined) return undefined;
  const egress = await openNetworkEgress({ url, privateTargets: targets.private, log });
  ending.push(() => egress.close());
  return openRemoteBrowser({ endpoint, egress, log });
}

/** The model's own way out: a configured address may be private, which no page and no other call may reach for that. */
function modelEgress({ baseUrl }: NonNullable<Config['model']>, log: Log): Egress {
  if (baseUrl === undefined) return createEgress({ privateTargets: [], log });
  const { host, port, protocol } = new URL(baseUrl);
  const standard = protocol === 'https:' ? 443 : 80;
  return createEgress({ privateTargets: [port === '' ? `${host}:${standard}` : host], log });
}

/** The Azure Bot; or, in a demo that asks for it and never in production, a client on this computer. */
function teamsAs(config: Config, { localTeams, microsoft }: StartOptions): TeamsOptions | undefined {
  if (localTeams && !config.isProduction) return { kind: 'local' };
  return config.teams && { kind: 'azure', bot: config.teams, ...(microsoft ? { microsoft } : {}) };
}

function teamsDeps(foundation: Foundation, context: Context, line: SharedLimits, pages: ConnectPages) {
  const dialogs = { pages, tokenFor: (person: Person) => signInToken(context, person) };
  const { log, redact } = foundation;
  const cardOf = (message: MessageRef) => cardOnRecord(context, redact, message);
  const seals = createSeals(foundation.rootKeys, 'countersign/teams-thread/v1');
  return {
    log,
    line,
    seals,
    references: createTeamsReferences(foundation),
    publicUrl: context.publicUrl,
    cardOf,
    dialogs,
  };
}

/** Slack as configured; nothing is said to it yet. */
function openSlack(
  { slack, http }: Config,
  { screenshots, installations, log }: Foundation,
  context: Context,
  line: SharedLimits,
  readPicture: ReturnType<typeof createPictureLinks>['read'],
) {
  if (slack === undefined) return undefined;
  const picture = async ({ url }: PictureLink) => {
    const link = readPicture(url.replace(/^\/pictures\//, ''));
    return link && screenshots.get(link.customerId, link.pictureId);
  };
  if (slack.kind !== 'oauth')
    return { ways: 'one', ...slack, chat: createSlack(slack, { log, line, picture }) } as const;
  const options = { ...slack, publicUrl: http.publicUrl, scopes: slackScopes() };
  // Whoever it does not reach is asked with the first request.
  const onInstalled = ({ customerId, installer }: Installed) =>
    welcomeInstaller(context, customerId, installer).catch((err: unknown) =>
      log.warn({ err, customerId }, 'Slack: whoever installed it could not be written to'),
    );
  const mayTry: OAuthDeps['mayTry'] = (request) => line.take(installationTries(request));
  const deps = { log, line, picture, installations, page: plainPage, onInstalled, mayTry };
  const chat = createSlackForMany(options, deps);
  return { ways: 'many', chat } as const;
}

async function openWebChat(
  options: NonNullable<StartOptions['webChat']>,
  context: Context,
  { pictures, redact }: { pictures: ReturnType<typeof pictureRoutes>; redact: Redact },
  chats: Map<Platform, Chat>,
  ending: (() => Promise<unknown>)[],
): Promise<string> {
  const { installer, ...webChat } = options;
  const web: WebChat = createWebChat(webChat, { log: context.log, extraRoutes: pictures });
  const admin = web.people.find((person) => person.userId === installer);
  if (!admin) throw new CountersignError('config_invalid', 'Web chat has no person who could install it.');
  await context.customers.install({ platform: 'web', workspaceId: webChat.workspaceId, name: 'This computer' }, admin);
  const { url } = await openChat(web, context, redact, chats, ending);
  return url;
}

async function openChat<Started>(
  chat: ConnectedChat<Started>,
  context: Context,
  redact: Redact,
  chats: Map<Platform, Chat>,
  ending: (() => Promise<unknown>)[],
): Promise<Started> {
  chats.set(chat.platform, redactedChat(chat, redact));
  chat.listen(async (event) => redactedReply(await converse(context, event), redact));
  const started = await chat.start();
  ending.push(() => chat.stop());
  return started;
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
