import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { prepareRoles } from '../../../adapters/postgres/index.ts';
import { readConfig } from '../../../bot/config.ts';
import { type Foundation, openFoundation } from '../../../bot/foundation.ts';
import type { CustomerId, OperationId } from '../../../core/ids.ts';
import { parseOperationId } from '../../../core/ids.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import { type PracticeShop, startPracticeShop } from '../../practice/woocommerce/server.ts';
import { inheritedEnvironment } from '../../support/environment.ts';
import { freePort } from '../../support/free-port.ts';
import { openPostgresRelay, type PostgresRelay } from '../../support/postgres-relay.ts';
import { type RunServer, startRunServer } from '../../support/run-postgres.ts';
import { silentLog } from '../../support/silent-log.ts';
import { type ChatServer, openChatServer, personOf, threadOf } from './chat-server.ts';
import type { HttpChatOptions } from './http-chat.ts';
import { type BrokenModel, openBrokenModel } from './model-server.ts';
import { type Program, startProgram, until } from './program.ts';
import type { SimulatedStep } from './simulated-browser.ts';
import { openWatch, type Watch } from './watch.ts';

/** Everything that an operation needs, each in a process of its own but for what stands outside the product. */
export interface World {
  readonly postgres: RunServer;
  readonly urls: { readonly owner: string; readonly admin: string };
  readonly admin: pg.Pool;
  readonly chat: ChatServer;
  readonly model: BrokenModel;
  readonly bot: Program;
  readonly workers: readonly Program[];
  /** The programs' ways to the database, by their names, where they are relayed. */
  readonly relays: ReadonlyMap<string, PostgresRelay>;
  readonly watch: Watch;
  /** Ports of inspectors, by the programs' names, where `isInspected`. */
  readonly inspectors: ReadonlyMap<string, number>;
  /** The product's own eyes on its database, from outside of every program. */
  readonly foundation: Foundation;
  /** Customers with a shop each: operations of two of them touch nothing in common but the programs. */
  readonly lanes: readonly Lane[];
  readonly logFile: string;
  programNamed(name: string): Program | undefined;
  look(asked: Asked): Promise<Operation>;
  close(): Promise<void>;
}

export interface Lane {
  readonly customerId: CustomerId;
  readonly workspaceId: string;
  readonly shop: PracticeShop;
}

/** An operation that somebody asked for in the chat. */
export interface Asked {
  readonly lane: Lane;
  readonly thread: string;
  readonly id: OperationId;
}

export interface WorldOptions {
  readonly lanes: number;
  readonly workers?: number;
  /** The workers' steps are simulated so, see simulated-worker.ts. */
  readonly simulated?: SimulatedStep;
  readonly workerConcurrency?: number;
  /** Each program's inspector is open on loopback. */
  readonly isInspected?: boolean;
  /** The programs' ways to the database can be cut, which costs this process a part of each byte's way; so it is unless this says no. */
  readonly isRelayed?: boolean;
}

const PROJECT = join(import.meta.dirname, '../../..');
const DATABASE = 'countersign';

export async function openWorld(options: WorldOptions): Promise<World> {
  const ending: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const end of ending.splice(0).reverse()) await end().catch(() => {});
  };
  const interrupted = () => void close().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, interrupted);
    ending.push(async () => process.off(signal, interrupted));
  }
  try {
    return await build(options, ending, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(
  options: WorldOptions,
  ending: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<World> {
  const { lanes: laneCount, workers: workerCount = 2, simulated, workerConcurrency = 2 } = options;
  const { isInspected = false, isRelayed = true } = options;
  const opened = <T>(it: T, end: (it: T) => Promise<unknown>): T => {
    ending.push(() => end(it));
    return it;
  };
  const folder = mkdtempSync(join(tmpdir(), 'countersign-faults-'));
  ending.push(async () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const logFile = process.env.FAULTS_LOG ?? join(folder, 'programs.log');
  const postgres = opened(await startRunServer(), (server) => server.remove());
  const roles = await prepareRoles(postgres, { database: DATABASE });
  const adminUrl = postgres.url('admin', DATABASE);
  const [eventsPort, httpPort] = [await freePort(), await freePort()];
  const chat = opened(await openChatServer(`http://127.0.0.1:${eventsPort}`), (server) => server.close());
  const model = opened(await openBrokenModel(), (server) => server.close());
  const shops: PracticeShop[] = [];
  for (let n = 0; n < laneCount; n++)
    shops.push(opened(await startPracticeShop({ obstacles: { adminEmailCheck: false } }), (shop) => shop.close()));

  const environment = {
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    CHECKPOINT_DIR: join(folder, 'checkpoints'),
    ALLOW_PRIVATE_TARGETS: shops.map(({ origin }) => new URL(origin).host).join(','),
    OPERATIONS_PER_HOUR: '100000',
    WORKER_CONCURRENCY: String(workerConcurrency),
    ANTHROPIC_API_KEY: 'sk-ant-nobody-answers-to-this',
    ANTHROPIC_BASE_URL: model.url,
    PUBLIC_URL: `http://localhost:${httpPort}`,
    PORT: String(httpPort),
  };
  const foundation = await openFoundation(
    readConfig({ ...environment, DATABASE_URL: roles.programUrl, DATABASE_OWNER_URL: roles.ownerUrl }),
    {
      folder: join(folder, '.countersign'),
      log: silentLog,
      identify: async () => ({ kind: 'member', isInGroup: false }),
    },
    ending,
  );
  const admin = opened(new pg.Pool({ connectionString: adminUrl, max: 4 }), (pool) => pool.end());
  admin.on('error', () => {}); // the database is stopped on purpose
  const watch = opened(await openWatch(adminUrl), (it) => it.close());
  const lanes: Lane[] = [];
  for (const shop of shops) lanes.push(await makeLane(foundation, shop));

  const temporary = join(folder, 'tmp'); // browsers' profiles of programs that are killed lie here
  mkdirSync(temporary);
  const around = { environment: { ...environment, TMPDIR: temporary }, programUrl: roles.programUrl, logFile, opened };
  const { bot, workers, relays, inspectors } = await startPrograms(around, {
    ...{ isInspected, isRelayed },
    count: workerCount,
    botArgs: [
      join(import.meta.dirname, 'bot-program.ts'),
      JSON.stringify({ chatUrl: chat.url, port: eventsPort } satisfies HttpChatOptions),
    ],
    workerArgs: simulated
      ? [join(import.meta.dirname, 'simulated-worker.ts'), JSON.stringify(simulated)]
      : [join(PROJECT, 'bot/main.ts')],
  });
  return {
    ...{ postgres, admin, chat, model, bot, workers, relays, inspectors, watch, foundation, lanes, logFile, close },
    urls: { owner: roles.ownerUrl, admin: adminUrl },
    programNamed: (name) => [bot, ...workers].find((program) => program.name === name),
    async look({ lane: { customerId }, id }) {
      const { database, operations } = foundation;
      const found = await database.withCustomer(customerId, (tx) => operations.get(tx, customerId, id));
      if (!found) throw new Error(`${id} is gone`);
      return found;
    },
  };
}

interface Around {
  readonly environment: Readonly<Record<string, string>>;
  readonly programUrl: string;
  readonly logFile: string;
  opened<T>(it: T, end: (it: T) => Promise<unknown>): T;
}

interface Starting {
  readonly isInspected: boolean;
  readonly isRelayed: boolean;
  readonly count: number;
  readonly botArgs: readonly string[];
  readonly workerArgs: readonly string[];
}

/** One bot and so many workers, each with a way of its own to the database. */
async function startPrograms(
  { environment, programUrl, logFile, opened }: Around,
  { isInspected, isRelayed, count, botArgs, workerArgs }: Starting,
): Promise<Pick<World, 'bot' | 'workers' | 'relays' | 'inspectors'>> {
  const relays = new Map<string, PostgresRelay>();
  const inspectors = new Map<string, number>();
  const inspecting = async (name: string): Promise<readonly string[]> => {
    if (!isInspected) return [];
    const port = await freePort();
    inspectors.set(name, port);
    return [`--inspect=127.0.0.1:${port}`];
  };
  const wayOf = async (name: string): Promise<string> => {
    if (!isRelayed) return programUrl;
    const relay = opened(await openPostgresRelay(programUrl), (it) => it.close());
    relays.set(name, relay);
    return relay.url;
  };
  const run = async (name: string, role: 'bot' | 'worker', args: readonly string[]) => {
    const url = new URL(await wayOf(name));
    url.searchParams.set('application_name', name); // what the watch knows it by
    const own = {
      ...inheritedEnvironment(),
      ROLE: role,
      DATABASE_URL: url.href,
      ...(role === 'worker' ? { PORT: '0' } : {}),
    };
    const env = { ...environment, ...own };
    return opened(await startProgram({ name, args: [...(await inspecting(name)), ...args], env, logFile }), (program) =>
      program.stop(),
    );
  };
  const starting = [
    run('bot', 'bot', botArgs),
    ...Array.from({ length: count }, (_, n) => run(`worker-${n + 1}`, 'worker', workerArgs)),
  ] as const;
  await Promise.allSettled(starting); // none is left behind by another one's failure
  const [bot, ...workers] = await Promise.all(starting);
  return { bot, workers, relays, inspectors };
}

async function makeLane({ database, customers }: Foundation, shop: PracticeShop): Promise<Lane> {
  const workspaceId = `W-${randomUUID()}`;
  const admin = personOf(workspaceId, 'admin');
  const customerId = await customers.install({ platform: 'web', workspaceId, name: 'Shop' }, admin);
  await database.withCustomer(customerId, (tx) =>
    customers.setApprovers(tx, customerId, [personOf(workspaceId, 'approver')], false),
  );
  return { customerId, workspaceId, shop };
}

const PATIENCE_MS = 240_000; // with whatever fault, on a machine that is shared

/** "set up WooCommerce", its consent card, the click on Approve, the one-time page: up to the job in the queue. */
export async function ask(world: World, lane: Lane, beforeQueued?: (asked: Asked) => Promise<void>): Promise<Asked> {
  const asked = await request(world, lane);
  await press(world, asked, 'approve', 'approver');
  await enterSignIn(world, asked, beforeQueued);
  return asked;
}

/** Up to the consent card. */
export async function request(world: World, lane: Lane): Promise<Asked> {
  const thread = `t-${randomUUID()}`;
  const text = `set up WooCommerce for ${lane.shop.origin}`;
  say(world, lane, thread, text);
  const found = await until(PATIENCE_MS, () => world.chat.button(thread, 'approve', 'approver'));
  const id = parseOperationId(/op-[0-9a-z]{8}/.exec(found?.button.value ?? '')?.[0] ?? '');
  if (!id) throw new Error(`no consent card came in ${thread}`);
  return { lane, thread, id };
}

/** Delivered until the program has taken it, which is not waited for. */
function say({ chat }: World, { workspaceId }: Lane, thread: string, text: string): void {
  void chat.deliver({
    ...{ kind: 'message', id: randomUUID(), thread: threadOf(workspaceId, thread) },
    ...{ from: personOf(workspaceId, 'merchant'), text },
  });
}

/** Presses the newest button of that action; not waited for until the program has taken it. */
export async function press(
  { chat }: World,
  { lane: { workspaceId }, thread }: Asked,
  action: string,
  who: string,
): Promise<void> {
  const found = await until(PATIENCE_MS, () => chat.button(thread, action, who));
  if (!found) throw new Error(`there is no button ${action} in ${thread}`);
  const { message, button } = found;
  const ref = threadOf(workspaceId, thread);
  void chat.deliver({
    ...{ kind: 'action', id: randomUUID(), thread: ref, from: personOf(workspaceId, who) },
    ...(message.to === undefined ? { message: { thread: ref, ref: message.ref } } : {}),
    ...{ action, value: button.value, trigger: randomUUID() },
  });
}

const LINK_MS = 20_000;

/**
 * The one-time page; a merchant to whom no link came asks for another one, and an approver who was told that the plan is
 * outdated, as by another key for the same shop, approves the new one.
 */
export async function enterSignIn(
  world: World,
  asked: Asked,
  beforeQueued?: (asked: Asked) => Promise<void>,
): Promise<void> {
  const { lane, thread } = asked;
  const { shop } = lane;
  await beforeQueued?.(asked);
  const endsAt = performance.now() + PATIENCE_MS;
  let answer = 'no link came';
  let approvals = 1;
  const isOutdated = () => timesOutdated(world, asked) >= approvals;
  while (performance.now() < endsAt) {
    const linkOf = () => world.chat.button(thread, 'open', 'merchant')?.button.url;
    await until(LINK_MS, () => isOutdated() || linkOf() !== undefined);
    const link = linkOf();
    if (link === undefined) {
      const again = world.chat.button(thread, 'enter_sign_in', 'merchant');
      if (again) await press(world, asked, 'enter_sign_in', 'merchant');
      if (isOutdated()) {
        approvals += 1;
        await press(world, asked, 'approve', 'approver');
      }
      continue;
    }
    const response = await fetch(link, {
      method: 'POST',
      headers: { origin: new URL(link).origin },
      body: new URLSearchParams({ admin_username: shop.username, admin_password: shop.password }),
    }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok || (await isBeyondSignIn(world, asked))) return;
    answer = `the page answered ${response?.status ?? 'nothing'}`;
    await wait(500);
  }
  const state = await world.look(asked).then(
    (operation) => operation.state,
    () => 'out of sight',
  );
  const shown = world.chat.messages(thread).map(({ to, cards }) => `${to ?? 'all'}: ${cards.at(-1)?.summary}`);
  throw new Error(`the sign-in for ${asked.id} was not taken: ${answer}, and it is ${state}; ${shown.join(' | ')}`);
}

/** How often a click on Approve came to a plan that was made anew meanwhile. */
function timesOutdated({ chat }: World, { thread }: Asked): number {
  const toldTo = chat.messages(thread).filter(({ to }) => to === 'approver');
  return toldTo.filter(({ cards }) => /Nothing was decided/.test(cards.at(-1)?.summary ?? '')).length;
}

async function isBeyondSignIn(world: World, asked: Asked): Promise<boolean> {
  const state = await world.look(asked).then(
    (operation) => operation.state,
    () => undefined,
  );
  return state !== undefined && state !== 'awaiting_consent' && state !== 'awaiting_credentials';
}
