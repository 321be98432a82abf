// What people see of the health of their keys: in the thread where one was set up, on their own page, and in the list of keys.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { connectionCard } from '../../bot/cards/connection-card.ts';
import { listCredentials } from '../../bot/commands/credentials.ts';
import type { Context } from '../../bot/context.ts';
import { showHome } from '../../bot/home.ts';
import { createProgress } from '../../bot/progress.ts';
import type { Health } from '../../core/connections/health.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { NewOperation } from '../../core/operations/operations.ts';
import type { Block, Card, ChatEvent, Person } from '../../core/ports/chat.ts';
import { services } from '../../core/services/index.ts';
import { stripe } from '../../core/services/stripe/index.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { keepTrails } from '../support/audit.ts';
import { type Core, grantedOperation, installShop, openCore, requestOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { type Connected, connect, healthOf, httpTo } from '../support/health.ts';
import { operationWith } from '../support/operation.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { runnerWithoutBrowser } from '../support/runner.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let practice: PracticeShop;
let shop: Shop;
let health: Health;
let connection: Connected;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  practice = await startPracticeShop();
  const http = httpTo(practice);
  core = await openCore(testDatabase, { http, perHour: 100 });
  shop = await installShop(core);
  health = healthOf(core, http);
  connection = await connect(core, runnerWithoutBrowser(core, http), shop, practice);
});
afterAll(async () => {
  await core.close();
  await practice.close();
  await testDatabase.drop();
});

async function passes(...intervals: readonly string[]): Promise<void> {
  for (const interval of intervals) {
    await shiftClock(testDatabase.ownerUrl, interval);
    await health.checkDue();
  }
}

const buttonsOf = ({ blocks }: Card) =>
  blocks.flatMap((block: Block) => (block.kind === 'actions' ? block.buttons.map(({ label }) => label) : []));

test('the thread is told once of a break and once of its end, whoever shows it and however often', async () => {
  const chat = createRecordingChat();
  const shown = () => chat.shown().filter(({ summary }) => summary.startsWith('The WooCommerce key for'));
  const [one, two] = [0, 1].map(() =>
    createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: () => '' }),
  );
  const show = async () => {
    await Promise.all([one, two].map((each) => each?.refresh(shop.customerId, shop.threadId)));
  };
  await passes('2 hours');
  await show();
  expect(shown()).toEqual([]);
  practice.setOutage('unauthorised');
  await passes('6 hours', '6 minutes');
  await show();
  const [broken] = shown();
  expect(shown()).toHaveLength(1);
  expect(broken?.summary).toContain('does not work any more');
  expect(broken && buttonsOf(broken)).toEqual([]); // the repair asks by itself
  await passes('6 hours', '6 hours');
  await show();
  expect(shown()).toHaveLength(1);
  practice.setOutage();
  await passes('6 hours');
  await show();
  expect(shown().map(({ summary }) => summary.replace(/.* key for \S+ /, ''))).toEqual([
    'does not work any more.',
    'works again.',
  ]);
  expect(shown().map(buttonsOf)).toEqual([[], []]); // what is over asks for nothing
  expect(connection.operation.isKeyStored).toBe(true);
});

test('a thread that was out of reach meanwhile shows how it is now, and not everything that was', async () => {
  const chat = createRecordingChat();
  practice.setOutage('unauthorised');
  await passes('25 hours', '6 minutes');
  practice.setOutage();
  await passes('6 hours');
  await createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: () => '' }).refresh(
    shop.customerId,
    shop.threadId,
  );
  const summaries = chat.calls.flatMap(({ call, card }) => (call === 'post' && card ? [card.summary] : []));
  expect(summaries.filter((words) => words.startsWith('The WooCommerce key for'))).toEqual([
    expect.stringContaining('works again'),
  ]);
});

/** What `showHome` shows and `/countersign credentials` answers. */
function openPages() {
  const pages: Card[] = [];
  const recording = createRecordingChat();
  const chat = { ...recording, showHome: async (_: Person, card: Card) => void pages.push(card) };
  const egress = createEgress({ privateTargets: [], log: silentLog });
  const keeper = keepTrails(core);
  const context: Context = {
    ...core,
    progress: createProgress({ ...core, log: silentLog, chat: () => chat, pictureUrl: () => '' }),
    ...{ egress, http: createHttp({ egress }), checkpoints: keeper.checkpoints, services, model: undefined },
    ...{ log: silentLog, publicUrl: () => 'http://localhost:3000', chat: () => chat },
  };
  const thread = { platform: 'web', workspaceId: shop.workspaceId, ref: 'thread' } as const;
  const event = { kind: 'home', id: 'home', thread } as const;
  return {
    close: () => keeper.remove(),
    async homeOf(member: Member) {
      await showHome(context, shop.customerId, member, { ...event, from: member.person });
      return JSON.stringify(pages.at(-1));
    },
    async listOfKeys() {
      const asked = { ...event, kind: 'command', command: 'countersign', text: 'credentials', from: shop.admin.person };
      await listCredentials(context, shop.customerId, shop.admin, asked as ChatEvent); // a command has no more to it
      return JSON.stringify(recording.calls.at(-1)?.card);
    },
  };
}

test('a person’s own page and the list of keys show what is not well, wherever the thread is', async () => {
  const { homeOf, listOfKeys, close } = openPages();
  practice.setOutage('unauthorised');
  await passes('25 hours', '6 minutes');
  const page = await homeOf(shop.merchant);
  const list = await listOfKeys();
  expect(page).not.toContain('Keep WooCommerce working');
  expect(page).toContain('Needs a look');
  expect(page).toContain('"text":"broken"');
  expect(list).toMatch(/broken: \S+ does not accept the signed request/);
  practice.setOutage();
  await passes('6 hours');
  const offered = await core.repairOffers.offer(shop.customerId, connection.operation.id, shop.merchant);
  expect(offered.kind).toBe('asked');
  const laterPage = await homeOf(shop.merchant);
  expect(laterPage).not.toContain('Needs a look');
  expect(laterPage).toContain('Keep WooCommerce working');
  expect(laterPage).not.toContain('approve_standing'); // a merchant has no use for it
  const approversPage = await homeOf(shop.approver);
  for (const action of ['approve_standing', 'deny_standing']) expect(approversPage).toContain(`"action":"${action}"`);
  expect(await listOfKeys()).not.toContain('broken');
  close();
});

test('a person’s own page shows what waits, runs and is connected behind 50 newer requests, and counts what it leaves out', async () => {
  const { homeOf, close } = openPages();
  const running = await grantedOperation(core, shop);
  const waiting = await requestOperation(core, shop);
  const { threadId, requester, service, type, plan } = waiting;
  const { origin, base, permissions } = plan;
  const input = { threadId, requester, service, type, origin, base, permissions };
  await core.operations.requestTogether(shop.customerId, Array<NewOperation>(51).fill(input));
  const page = await homeOf(shop.approver);
  expect(page).toContain(running.id);
  expect(page).not.toContain('Nothing is under way.');
  expect(page).toContain(waiting.id);
  expect(page).toContain('And 43 more.'); // of 52 plans and the question for repairs
  expect(page).toContain(connection.operation.id);
  expect(page).not.toContain('Nothing is connected yet.');
  close();
});

test.each([
  ['connection.expiring', { days: 14, expiresAt: '2026-12-31T10:00:00.000Z' }, 'expires in 14 days', []],
  ['connection.expiring', { days: 7, expiresAt: '2026-12-31T10:00:00.000Z' }, 'expires in 7 days', ['Renew']],
  ['connection.expiring', { days: 1, expiresAt: '2026-12-31T10:00:00.000Z' }, 'expires within a day', ['Renew']],
  ['connection.expired', { reason: 'It ended.' }, 'has expired', []],
  ['connection.degraded', { reason: 'It is away.' }, 'could not be checked for more than an hour', []],
  ['connection.unknown', {}, 'can’t be checked any more', []],
])('%s %j says what is so and offers what can be done', (kind, payload, words, buttons) => {
  const operation = operationWith({ state: 'completed', isKeyStored: true });
  const card = connectionCard({ operation, entry: { kind, payload }, isNewest: true });
  expect(card.summary).toContain(words);
  expect(buttonsOf(card)).toEqual(buttons);
});

test('of a key that is gone, and where no rotation is known, the words say how to come to a new one', () => {
  const payload = { days: 1, expiresAt: '2026-12-31T10:00:00.000Z' };
  const { credential_rotation: _, ...rest } = stripe.operationTypes;
  const service = { ...stripe, operationTypes: rest };
  for (const operation of [
    operationWith({ state: 'completed', isKeyStored: false }),
    operationWith({ state: 'completed', isKeyStored: true }, { service }),
  ]) {
    const card = connectionCard({ operation, entry: { kind: 'connection.expiring', payload }, isNewest: true });
    expect(buttonsOf(card)).toEqual([]);
    expect(JSON.stringify(card)).toContain(`write “set up ${operation.service.name}`);
  }
});

test('the words stand without what was erased', () => {
  const operation = operationWith({ state: 'completed', isKeyStored: true });
  const card = connectionCard({ operation, entry: { kind: 'connection.broken' }, isNewest: true });
  expect(card.summary).toBe('The WooCommerce key for shop.example.com does not work any more.');
});
