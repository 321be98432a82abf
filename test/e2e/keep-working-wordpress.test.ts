// A WordPress connection that repairs itself under a standing grant, against a real WordPress, with a real browser.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Operation } from '../../core/operations/operation.ts';
import { permissionsIn } from '../../core/services/ways.ts';
import { wordpress } from '../../core/services/wordpress/index.ts';
import { withWordPress } from '../practice/wordpress/available.ts';
import { openWordPressHost, type WordPress, type WordPressHost } from '../practice/wordpress/server.ts';
import { keptWorking, placeOf, repairsAt } from '../support/connections.ts';
import { installShop, look, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const RUN_MS = 120_000;

await withWordPress('a WordPress connection under a standing grant', (packages) => {
  let database: TestDatabase;
  let host: WordPressHost;
  let site: WordPress;
  let worker: Worker;

  beforeAll(async () => {
    [database, host] = await Promise.all([createTestDatabase(), openWordPressHost(packages)]);
    site = await host.site();
    worker = await openWorker(database, { target: site.host });
  }, RUN_MS);

  afterAll(async () => {
    await worker?.close();
    await host?.close();
    await database?.drop();
  });

  const signIn = () => ({ admin_username: site.admin.username, admin_password: site.admin.password });
  const names = async () => (await site.passwords()).map(({ name }) => name);

  async function setUp(shop: Shop): Promise<Operation> {
    const type = wordpress.operationTypes.api_key_generation;
    const way = type?.ways.find(({ id }) => id === 'profile');
    if (!type || !way) throw new Error('WordPress has its profile page');
    const permissions = permissionsIn(type, way).map(({ id }) => id);
    const at = { origin: site.base, base: site.base };
    const operation = await queuedOperation(
      worker.core,
      shop,
      { service: wordpress, type, way, permissions, ...at },
      signIn(),
    );
    await worker.run(operation);
    return look(worker.core, operation);
  }

  async function repaired(made: Operation, cause: 'broken' | 'rotation_due'): Promise<Operation> {
    const { core } = worker;
    if (cause === 'broken') await core.repairs.consider(placeOf(made), cause);
    else await core.repairs.rotateDue();
    const [repair] = await repairsAt(core, placeOf(made));
    if (!repair) throw new Error('no repair was begun');
    await worker.run(repair);
    return look(core, repair);
  }

  /** The stored password as the site knows it, and what else is kept. */
  async function stored({ customerId }: Shop) {
    const at = { target: site.base };
    const found = await worker.core.vault.get(customerId, 'wordpress', 'password', at);
    const besides = await sql<{ id: string }>(
      database.adminUrl,
      'SELECT DISTINCT operation_id AS id FROM autonomous_credentials WHERE customer_id = $1 AND operation_id IS NOT NULL',
      [customerId],
    );
    return { label: found?.metadata.label, password: found?.fields.application_password?.reveal(), besides };
  }
  const answers = async (password = '') => {
    const authorization = `Basic ${Buffer.from(`${site.admin.username}:${password}`).toString('base64')}`;
    return (await fetch(`${site.base}/wp-json/wp/v2/users/me`, { headers: { authorization } })).status;
  };

  test(
    'whose password is old gets another one, and the old one is ended at the site; so does one that somebody ended there',
    async () => {
      const { core } = worker;
      const shop = await installShop(core);
      const made = await setUp(shop);
      expect(made.state).toBe('completed');
      await keptWorking(core, shop, made, signIn());
      const first = await stored(shop);
      expect(await answers(first.password)).toBe(200);

      await sql(database.adminUrl, "UPDATE autonomous_credentials SET created_at = created_at - interval '91 days'");
      const rotation = await repaired(made, 'rotation_due');
      expect(rotation).toMatchObject({ state: 'completed', isKeyStored: true, threadId: made.threadId });
      const second = await stored(shop);
      expect(second).toMatchObject({ label: `Countersign ${rotation.id}`, besides: [{ id: made.id }] });
      expect(await names()).toEqual([`Countersign ${rotation.id}`]);
      expect([await answers(first.password), await answers(second.password)]).toEqual([401, 200]);

      await site.endPassword(`Countersign ${rotation.id}`);
      const repair = await repaired(made, 'broken');
      expect(repair).toMatchObject({ state: 'completed', isKeyStored: true, threadId: made.threadId });
      const third = await stored(shop);
      expect(third).toMatchObject({ label: `Countersign ${repair.id}`, besides: [{ id: made.id }] });
      expect(await names()).toEqual([`Countersign ${repair.id}`]);
      expect([await answers(second.password), await answers(third.password)]).toEqual([401, 200]);
    },
    2 * RUN_MS,
  );
});
