import { existsSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connectRoutes } from '../adapters/api/connect.ts';
import { pictureRoutes } from '../adapters/api/pictures.ts';
import { createApiServer } from '../adapters/api/server.ts';
import { createBrowser, createEgress, findChromium } from '../adapters/browser/index.ts';
import { createHttp } from '../adapters/http/index.ts';
import { createEnvironmentRootKeys, loadOrMakeRootKey } from '../adapters/keys/index.ts';
import { createAnthropicModel } from '../adapters/model/index.ts';
import { defaultPostgresDir, type PostgresServer, prepareRoles, startPostgres } from '../adapters/postgres/index.ts';
import { createScreenshots } from '../adapters/screenshots/index.ts';
import { createWebChat, type WebChat, type WebChatOptions } from '../adapters/web/index.ts';
import { createAudit } from '../core/audit/audit.ts';
import { createConsents } from '../core/consent/consent.ts';
import { createCustomers } from '../core/customers/customers.ts';
import { createDatabase } from '../core/database.ts';
import { createDirectory } from '../core/directory.ts';
import { CountersignError } from '../core/errors.ts';
import { createDeadlines } from '../core/operations/deadlines.ts';
import { createMover } from '../core/operations/move.ts';
import { createOperations } from '../core/operations/operations.ts';
import { createRunner } from '../core/operations/run.ts';
import { createThreads } from '../core/operations/threads.ts';
import type { Chat, Platform } from '../core/ports/chat.ts';
import type { Egress } from '../core/ports/egress.ts';
import type { RootKeys } from '../core/ports/keys.ts';
import type { Log } from '../core/ports/log.ts';
import { createQueue } from '../core/queue/queue.ts';
import { createSecretRegistry, redact } from '../core/redaction.ts';
import { getService, services } from '../core/services/index.ts';
import { createLinks } from '../core/vault/links.ts';
import { createPictureLinks } from '../core/vault/picture-links.ts';
import { createSealer } from '../core/vault/sealer.ts';
import { createVault } from '../core/vault/vault.ts';
import { createWorkflowRegistry } from '../core/workflow/registry.ts';
import { migrate } from '../prisma/migrate.ts';
import { type Config, readConfig } from './config.ts';
import { createConnectPages } from './connect.ts';
import type { Context } from './context.ts';
import { converse } from './conversation.ts';
import { createLog } from './log.ts';
import { createProgress } from './progress.ts';

const PROJECT = join(import.meta.dirname, '..');
const DRAIN_MS = 20_000;
const LOCAL_FOLDER = '.countersign';

export interface StartOptions {
  /** Opens web chat on 127.0.0.1: the demo alone does this. `installer` becomes the first admin. */
  readonly webChat?: WebChatOptions & { readonly installer: string };
  /** Where the embedded database, a made root key and the like lie; the project's `.countersign` by default. */
  readonly folder?: string;
  readonly log?: Log;
}

export interface App {
  readonly urls: { readonly http: string | undefined; readonly webChat: string | undefined };
  /** The database's login of the program: what `npm run bench` and tests look through. */
  readonly databaseUrl: string;
  /** Finishes running steps, then ends everything that was started here. */
  stop(): Promise<void>;
}

/** Configuration → database → adapters → core → conversation. Whatever was started is ended again when a later part fails. */
export async function start(config: Config, options: StartOptions = {}): Promise<App> {
  const ending: (() => Promise<unknown>)[] = [];
  const stop = once(async () => {
    for (const end of ending.splice(0).reverse()) await end().catch(() => {});
  });
  try {
    return await wire(config, options, ending, stop);
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
): Promise<App> {
  const folder = options.folder ?? join(PROJECT, LOCAL_FOLDER);
  const isDemo = options.webChat !== undefined;
  const secrets = createSecretRegistry();
  const log = options.log ?? createLog({ isVerbose: config.isVerbose, redact: (text) => redact(text, secrets.all()) });
  const { chromiumPath } = config.agent;
  const chromium = { mayInstall: isDemo && !config.isProduction, folder: join(folder, 'chromium') };
  // An operator hears of a missing browser now, not from the first merchant.
  if (config.role !== 'bot' && !chromium.mayInstall)
    await findChromium({ ...chromium, log, ...(chromiumPath ? { configured: chromiumPath } : {}) });
  const keyFile = join(folder, 'root.key');
  const hasNoKey = config.keys.current === undefined && !existsSync(keyFile);
  if (hasNoKey && !config.database.url) await setAside(defaultPostgresDir(dirname(folder)), log);
  const current = config.keys.current ?? (await loadOrMakeRootKey(keyFile));
  const rootKeys = createEnvironmentRootKeys({ current, old: config.keys.old });
  const { url: databaseUrl } = await openPostgres(config, options, rootKeys, log, ending);

  const database = createDatabase({ url: databaseUrl, rootKeys, poolSize: 10 });
  ending.push(() => database.close());
  const queue = createQueue({ url: databaseUrl, log });
  const directory = createDirectory(database);
  const sealer = createSealer(rootKeys);
  const audit = createAudit({ database, sealer });
  const vault = createVault({ sealer, audit });
  const links = createLinks({ database, directory });
  const customers = createCustomers({ database, directory });
  const mover = createMover({ audit, vault });
  const threads = createThreads();
  const workflows = createWorkflowRegistry();
  const operations = createOperations({ database, audit, customers, queue, workflows, getService });
  const consents = createConsents({ database, audit, customers, operations, mover, queue, vault });
  const screenshots = createScreenshots({ database, sealer });
  const egress = createEgress({ privateTargets: config.targets.private, log });
  const pictureLinks = createPictureLinks(rootKeys);
  const pictures = pictureRoutes({ screenshots, read: pictureLinks.read });

  const chats = new Map<Platform, Chat>();
  const chat = (platform: Platform): Chat => {
    const found = chats.get(platform);
    if (!found) throw new CountersignError('chat_unavailable', `${platform} is not connected to this installation.`);
    return found;
  };
  const isBot = config.role !== 'worker';
  const progress = createProgress({
    database,
    directory,
    audit,
    customers,
    operations,
    threads,
    log,
    chat,
    pictureUrl: (customerId, id) => `/pictures/${pictureLinks.token(customerId, id)}`,
  });
  const model = config.model && createAnthropicModel({ ...config.model, egress: modelEgress(config.model, log), log });
  const address = { publicUrl: config.http.publicUrl };
  const context: Context = {
    ...{
      database,
      directory,
      customers,
      operations,
      threads,
      consents,
      mover,
      audit,
      vault,
      links,
      queue,
      egress,
      progress,
      services,
      model,
      log,
      chat,
    },
    publicUrl: () => address.publicUrl,
  };

  await queue.start();
  ending.push(() => queue.stop(DRAIN_MS));
  const urls: { http: string | undefined; webChat: string | undefined } = { http: undefined, webChat: undefined };
  if (isBot) {
    const isReady = () => directory.customersBehind().then(() => true);
    const server = createApiServer({
      ...(options.webChat ? { host: '127.0.0.1' } : {}),
      port: config.http.port,
      routes: [connectRoutes({ pages: createConnectPages(context), publicUrl: context.publicUrl }), pictures],
      log,
      isReady,
    });
    const { port } = await server.start();
    ending.push(() => server.stop());
    if (config.http.port === 0) address.publicUrl = `http://localhost:${port}`;
    urls.http = address.publicUrl;
    if (options.webChat) urls.webChat = await openWebChat(options.webChat, context, pictures, chats, ending);
    progress.start();
    ending.push(() => progress.stop());
    await queue.workDeadlines(createDeadlines({ database, operations, mover }));
  }
  if (config.role !== 'bot') {
    const browser = createBrowser({
      egress,
      log,
      chromiumFolder: chromium.folder,
      mayInstall: chromium.mayInstall,
      keepWarm: isDemo,
      ...(chromiumPath ? { chromiumPath } : {}),
      ...(config.isProduction ? { requireSandbox: true } : {}),
    });
    ending.push(() => browser.close());
    const runner = createRunner({
      database,
      audit,
      vault,
      consents,
      customers,
      operations,
      mover,
      workflows,
      browser,
      http: createHttp({ egress }),
      screenshots,
      log,
      secrets,
    });
    await queue.workOperations(config.agent.workerConcurrency, (job, signal) => runner.run(job, signal));
    ending.push(() => queue.stop(DRAIN_MS)); // before the browser goes
  }
  return { urls, databaseUrl, stop };
}

/** The model's own way out: a configured address may be private, which no page and no other call may reach for that. */
function modelEgress({ baseUrl }: NonNullable<Config['model']>, log: Log): Egress {
  if (baseUrl === undefined) return createEgress({ privateTargets: [], log });
  const { host, port, protocol } = new URL(baseUrl);
  const standard = protocol === 'https:' ? 443 : 80;
  return createEgress({ privateTargets: [port === '' ? `${host}:${standard}` : host], log });
}

/** A database whose root key is gone can't be opened by anybody: it is kept beside, and a new one is begun. */
async function setAside(dir: string, log: Log): Promise<void> {
  if (!existsSync(join(dir, 'data', 'PG_VERSION'))) return;
  await (await startPostgres({ dir })).stop(); // it may still be running for a program that was killed
  const aside = `${dir}.without-key-${new Date()
    .toISOString()
    .replaceAll(/[^0-9]/g, '')
    .slice(0, 14)}`;
  renameSync(dir, aside);
  log.warn({ aside }, 'the root key of the earlier database is gone: it was set aside, and an empty one is begun');
}

/** The operator's PostgreSQL, or our own in a folder; brought up to this version where the owner's address is known. */
async function openPostgres(
  config: Config,
  options: StartOptions,
  rootKeys: RootKeys,
  log: Log,
  ending: (() => Promise<unknown>)[],
): Promise<{ url: string }> {
  const { url, ownerUrl } = config.database;
  if (url) {
    if (ownerUrl) await migrate({ ownerUrl, rootKeys, log });
    return { url };
  }
  const server: PostgresServer = await startPostgres({
    dir: defaultPostgresDir(dirname(options.folder ?? join(PROJECT, LOCAL_FOLDER))),
  });
  ending.push(() => server.stop());
  const urls = await prepareRoles(server, { database: 'countersign' });
  await migrate({ ownerUrl: urls.ownerUrl, rootKeys, log });
  return { url: urls.programUrl };
}

async function openWebChat(
  options: NonNullable<StartOptions['webChat']>,
  context: Context,
  pictures: ReturnType<typeof pictureRoutes>,
  chats: Map<Platform, Chat>,
  ending: (() => Promise<unknown>)[],
): Promise<string> {
  const { installer, ...webChat } = options;
  const web: WebChat = createWebChat(webChat, { log: context.log, extraRoutes: pictures });
  const admin = web.people.find((person) => person.userId === installer);
  if (!admin) throw new CountersignError('config_invalid', 'Web chat has no person who could install it.');
  await context.customers.install({ platform: 'web', workspaceId: webChat.workspaceId, name: 'This computer' }, admin);
  chats.set('web', web);
  web.listen((event) => converse(context, event));
  const { url } = await web.start();
  ending.push(() => web.stop());
  return url;
}

/** Ends on the first signal; a second one, which npm may forward, changes nothing. */
export function stopOnSignals(stop: () => Promise<void>, say: (words: string) => void): void {
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (isStopping) return;
      isStopping = true;
      say('Stopping: running steps are finished first.');
      void stop().finally(() => process.exit(0));
    });
}

/** What an operator reads when a start fails: the sentence, and no stack trace for what is no fault of ours. */
export function explain(error: unknown): string {
  if (error instanceof CountersignError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
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
    if (config.role !== 'worker')
      process.stderr.write(
        'No chat platform is connected: this version has web chat alone, which npm run demo opens.\n',
      );
    if (config.slack || config.teams)
      process.stderr.write('Slack or Teams is configured, but this version cannot connect to it yet.\n');
    process.stderr.write(`Countersign is ready${app.urls.http ? ` at ${app.urls.http}` : ''}.\n`);
    stopOnSignals(app.stop, (words) => process.stderr.write(`${words}\n`));
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exit(1);
  }
}
