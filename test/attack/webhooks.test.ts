// Webhooks, tried by whoever got SQL into the program's connection: where a customer's events go is the program's own word.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newUuid } from '../../core/ids.ts';
import { createDelivery } from '../../core/webhooks/delivery.ts';
import { createWebhooks } from '../../core/webhooks/webhooks.ts';
import { asCustomer } from '../support/by-hand.ts';
import { type Core, installShop, openCore, requestOperation, type Shop } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let shop: Shop;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  shop = await installShop(core);
});
afterAll(async () => {
  await core.close();
  await testDatabase.drop();
});

describe('79 a webhook', () => {
  test('79 is made by nobody but the program, led nowhere else, and not brought back', async () => {
    const { customerId } = shop;
    const added = await createWebhooks(core).add(customerId, {
      url: 'https://hooks.example.com/',
      kinds: ['operation'],
    });
    const id = added.kind === 'added' ? added.webhook.id : '';
    const attempts: readonly (readonly [string, readonly unknown[]])[] = [
      [
        `INSERT INTO webhooks (customer_id, id, url, kinds, sealed, cursor)
          SELECT customer_id, $1::uuid, 'https://evil.example.com/', kinds, sealed, 0 FROM webhooks`,
        [newUuid()],
      ],
      ["UPDATE webhooks SET url = 'https://evil.example.com/'", []],
      ["UPDATE webhooks SET kinds = '{operation,credential}'", []],
      ["UPDATE webhooks SET sealed = '\\x00'", []],
      ['UPDATE webhooks SET sealed = NULL, removed_at = app.now()', []],
      ['UPDATE webhooks SET cursor = 1000000', []],
      ['UPDATE webhooks SET cursor = cursor + 1', []],
      ['DELETE FROM webhooks', []],
    ];
    for (const [statement, values] of attempts)
      await expect(
        asCustomer(testDatabase.programUrl, customerId, (client) => client.query(statement, [...values])),
        statement,
      ).rejects.toMatchObject({ code: '42501' });
    const sealed = await asCustomer(testDatabase.programUrl, customerId, (client) =>
      client.query<{ sealed: Buffer }>('SELECT sealed FROM webhooks'),
    );
    await createWebhooks(core).remove(customerId, id);
    await expect(
      asCustomer(testDatabase.programUrl, customerId, (client) =>
        client.query("UPDATE webhooks SET removed_at = app.now() - interval '1 day'"),
      ),
    ).rejects.toMatchObject({ code: '42501' });
    await expect(
      asCustomer(testDatabase.programUrl, customerId, (client) =>
        client.query('UPDATE webhooks SET sealed = $1, removed_at = NULL', [sealed.rows[0]?.sealed]),
      ),
    ).rejects.toMatchObject({ code: '42501' });
    expect(await createWebhooks(core).list(customerId)).toEqual([]);
  });

  test('79 signs nothing that the trail does not say, whatever lies in the queue’s tables', async () => {
    const { customerId } = shop;
    const webhooks = createWebhooks(core);
    const added = await webhooks.add(customerId, { url: 'https://hooks.example.com/', kinds: ['operation'] });
    const webhookId = added.kind === 'added' ? added.webhook.id : '';
    const sent: string[] = [];
    const http = {
      async request({ body = '' }: { readonly body?: string }) {
        sent.push(body);
        return { status: 204, headers: {}, body: '' };
      },
    };
    const delivery = createDelivery({ ...core, webhooks, http, log: silentLog });
    const operation = await requestOperation(core, shop);
    const entry = await core.database.withCustomer(customerId, (tx) =>
      tx.auditEntry.findFirstOrThrow({ where: { customerId, operationId: operation.id, kind: 'operation.requested' } }),
    );
    // A row of the queue is nobody's word: these are of the shape that it takes.
    for (const type of ['operation.completed', 'operation.denied', 'connection.ready', 'credential.deleted'])
      await delivery.deliver({ customerId, webhookId, seq: entry.seq, type });
    expect(sent).toEqual([]);
    await delivery.deliver({ customerId, webhookId, seq: entry.seq, type: 'operation.requested' });
    expect(sent.map((body) => JSON.parse(body).type)).toEqual(['operation.requested']);
  });
});
