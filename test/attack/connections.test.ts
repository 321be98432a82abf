// Looks at stored keys, tried by another customer, by a service that says what it was sent, and by several processes at once.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProgress } from '../../bot/progress.ts';
import { connectionsOf } from '../../core/connections/records.ts';
import type { Http } from '../../core/ports/http.ts';
import { getService } from '../../core/services/index.ts';
import type { Service, VerifyInput, VerifyResult } from '../../core/services/service.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, installShop, openCore, requestOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, shiftClock, type TestDatabase } from '../support/database.ts';
import { type Connected, connect, healthOf, httpTo } from '../support/health.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { runnerWithoutBrowser } from '../support/runner.ts';
import { databaseSinks, recordingLog } from '../support/sinks.ts';
import { sweep } from '../support/sweep.ts';

let testDatabase: TestDatabase;
/** Two processes on one database. */
let core: Core;
let second: Core;
let practice: PracticeShop;
let http: Http;
/** What the service answers in place of its own proof. */
let instead: ((input: VerifyInput) => Promise<VerifyResult>) | undefined;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  practice = await startPracticeShop();
  http = httpTo(practice);
  const type = woocommerce.operationTypes.api_key_generation;
  const echoing: Service = {
    ...woocommerce,
    operationTypes: {
      ...woocommerce.operationTypes,
      api_key_generation: { ...type, verify: (input) => (instead ?? type.verify)(input) },
    },
  };
  const serviceOf: typeof getService = (id) => (id === 'woocommerce' ? echoing : getService(id));
  [core, second] = [
    await openCore(testDatabase, { http, serviceOf }),
    await openCore(testDatabase, { http, serviceOf }),
  ];
});
afterAll(async () => {
  await core.close();
  await second.close();
  await practice.close();
  await testDatabase.drop();
});

async function connected(): Promise<{ readonly shop: Shop } & Connected> {
  const shop = await installShop(core);
  return { shop, ...(await connect(core, runnerWithoutBrowser(core, http), shop, practice)) };
}

const later = (interval: string) => shiftClock(testDatabase.ownerUrl, interval);

function stateOf({ customerId }: Shop) {
  return core.database.withCustomer(customerId, async (tx) => (await connectionsOf(tx, customerId))[0]?.state);
}

describe('136 the health of a connection', () => {
  test('136 is seen, changed and made by its own customer alone, and the troubles of one are not another’s', async () => {
    const [a, b] = [await connected(), await connected()]; // the same shop
    const health = healthOf(core, http);
    await later('2 hours');
    await health.checkDue();
    practice.endKey(b.label);
    for (const interval of ['6 hours', '6 minutes']) {
      await later(interval);
      await health.checkDue();
    }
    expect([await stateOf(a.shop), await stateOf(b.shop)]).toEqual(['healthy', 'broken']);
    const ofB = [b.shop.customerId];
    await asCustomer(testDatabase.programUrl, a.shop.customerId, async (client) => {
      expect((await client.query('SELECT FROM connection_health')).rowCount).toBe(1);
      expect((await client.query('SELECT FROM connection_health WHERE customer_id = $1', ofB)).rowCount).toBe(0);
      const hidden = "UPDATE connection_health SET state = 'healthy', next_check_at = NULL WHERE customer_id = $1";
      expect((await client.query(hidden, ofB)).rowCount).toBe(0);
    });
    const forged = `INSERT INTO connection_health (customer_id, service, target, credential_type, state, reason, since, told_state)
      VALUES ($1, 'stripe', 'x', 'api_key', 'broken', '', app.now(), 'healthy')`;
    await expect(
      asCustomer(testDatabase.programUrl, a.shop.customerId, (client) => client.query(forged, ofB)),
    ).rejects.toMatchObject({ code: '42501' });
    const trail = await sql<{ customer_id: string }>(
      testDatabase.adminUrl,
      "SELECT customer_id FROM autonomous_operations_audit WHERE kind LIKE 'connection.%'",
    );
    expect(trail.map(({ customer_id }) => customer_id)).toEqual(ofB);
  });
});

describe('137 a look', () => {
  test('137 leaves nothing of the key in the log, the trail, the tables or the thread, whatever the service says', async () => {
    const { shop, key } = await connected();
    const logged = recordingLog();
    const chat = createRecordingChat();
    const health = healthOf(core, http, { log: logged.log });
    const progress = createProgress({ ...core, log: logged.log, chat: () => chat, pictureUrl: () => '' });
    const said = (input: VerifyInput) => {
      const secret = input.credential.consumer_secret?.reveal() ?? '';
      const hex = Buffer.from(secret).toString('hex');
      return `I know ${secret}, in hex ${hex}, for ${encodeURIComponent(input.credential.consumer_key?.reveal() ?? '')}`;
    };
    const ways: readonly NonNullable<typeof instead>[] = [
      async (input) => ({ kind: 'works', checked: said(input), method: 'GET' }),
      async (input) => ({ kind: 'fails', reason: said(input), isRetryable: false, refusedWith: '401' }),
      async (input) => ({ kind: 'fails', reason: said(input), isRetryable: false, refusedWith: '401' }),
      async (input) => {
        throw new Error(said(input));
      },
    ];
    await later('2 hours');
    for (const way of ways) {
      instead = way;
      await health.checkDue();
      await progress.refresh(shop.customerId, shop.threadId);
      await later('6 hours');
    }
    instead = undefined;
    expect(chat.shown().some(({ summary }) => summary.includes('does not work any more'))).toBe(true);
    const sinks = [
      ...(await databaseSinks(testDatabase.adminUrl)),
      logged.sink(),
      { name: 'thread', bytes: Buffer.from(JSON.stringify(chat.calls)) },
    ];
    expect(sweep(sinks, { secret: key.consumerSecret, key: key.consumerKey })).toEqual([]);
  });
});

describe('152 a look', () => {
  test('152 takes a key nowhere but to where it lies, whatever a smuggled statement says of who made it', async () => {
    const { shop, key } = await connected();
    const elsewhere = await startPracticeShop();
    const { origin } = elsewhere;
    const asked: string[] = [];
    const watched: Http = {
      async request(request) {
        asked.push(`${request.url} ${JSON.stringify(request.headers ?? {})}`);
        return httpTo(practice, elsewhere).request(request);
      },
    };
    // It was asked for and nobody approved it: whoever speaks SQL in the program's name makes it the key's maker.
    const made = await requestOperation(core, shop, { origin, base: origin });
    await asCustomer(testDatabase.programUrl, shop.customerId, (client) =>
      client.query(
        `UPDATE autonomous_credentials SET credential_metadata = credential_metadata || jsonb_build_object('operationId', $1::text)
         WHERE operation_id IS NULL`,
        [made.id],
      ),
    );
    await sql(
      testDatabase.adminUrl,
      'UPDATE connection_health SET next_check_at = CASE WHEN customer_id = $1 THEN app.now() END',
      [shop.customerId],
    );
    await healthOf(core, watched).checkDue();
    await elsewhere.close();
    expect([elsewhere.requests, asked]).toEqual([[], []]);
    expect(await stateOf(shop)).toBe('unknown');
    expect(key.consumerKey).toMatch(/^ck_/);
  });
});

describe('138 two processes', () => {
  test('138 never look at the same key at the same time, nor twice when it was due once', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => connected()));
    const under = new Map<string, number>();
    const looks: string[] = [];
    let most = 0;
    instead = async (input) => {
      const name = input.credential.consumer_key?.reveal() ?? '';
      looks.push(name);
      under.set(name, (under.get(name) ?? 0) + 1);
      most = Math.max(most, under.get(name) ?? 0);
      await woocommerce.operationTypes.api_key_generation.verify(input); // takes as long as it takes
      under.set(name, (under.get(name) ?? 1) - 1);
      return { kind: 'works', checked: 'it works', method: 'GET' };
    };
    await sql(
      testDatabase.adminUrl,
      'UPDATE connection_health SET next_check_at = NULL WHERE customer_id <> ALL ($1)',
      [all.map(({ shop }) => shop.customerId)],
    );
    await later('2 hours');
    const passes = [core, second, core, second].map((each) => healthOf(each, http).checkDue());
    await Promise.all(passes);
    instead = undefined;
    expect(looks.toSorted()).toEqual(all.map(({ key }) => key.consumerKey).toSorted());
    expect(most).toBe(1);
  });
});
