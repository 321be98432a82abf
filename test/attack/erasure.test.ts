// What the erasure of a customer leaves behind: nothing, wherever it is looked for.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_ROLE } from '../../adapters/postgres/data-folder.ts';
import { prepareRoles, startPostgres } from '../../adapters/postgres/index.ts';
import { runCli } from '../../bot/cli.ts';
import { checkpointSigners } from '../../core/audit/note.ts';
import { readReceipt } from '../../core/rights/receipt.ts';
import { migrate } from '../../prisma/migrate.ts';
import { reclaimSpace } from '../../prisma/reclaim.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, cancel, installShop, openCore, queuedOperation, sql } from '../support/core.ts';
import type { TestDatabase } from '../support/database.ts';
import { erasuresOf, newMark } from '../support/erasures.ts';
import { databaseFolder, findMark, plant, sealMarks } from '../support/marks.ts';
import { TEST_ENCRYPTION_KEY, testRootKeys } from '../support/root-keys.ts';
import { openTwoCustomers, type TwoCustomers } from '../support/two-customers.ts';
import { IS_WHOLE } from '../support/whole.ts';

describe('of an erased customer', () => {
  let two: TwoCustomers;
  let testDatabase: TestDatabase;
  let core: Core;
  let keeper: Keeper;

  beforeAll(async () => {
    two = await openTwoCustomers();
    ({ testDatabase, core } = two);
    keeper = keepTrails(core);
  });

  afterAll(async () => {
    keeper.remove();
    await two.close();
  });

  test('143 nothing is left in rows, files or checkpoints, and its trail says “erased”', async () => {
    const [{ customerId }, mark] = [two.a, newMark()];
    await cancel(core, two.ofA);
    const sealed = await sealMarks(core, two.a, mark);
    const planted = await plant(testDatabase, customerId, mark);
    expect(planted.length + sealed).toBeGreaterThan(49);
    await sql(testDatabase.adminUrl, 'CHECKPOINT');
    const folders = [await databaseFolder(testDatabase), keeper.dir];
    // The search finds it where it lies: in the tables, and in the files under them.
    const before = await findMark(testDatabase, mark, folders);
    expect(before.filter((name) => name.startsWith('table ')).length).toBeGreaterThan(20);
    expect(before.filter((name) => name.includes('/base/')).length).toBeGreaterThan(20);

    const revoked: string[] = [];
    const erased = await erasuresOf(core, keeper, {
      reclaim: async () => (await reclaimSpace(testDatabase.ownerUrl)).stillOpen.length === 0,
      revokeSlackToken: async (token) => void revoked.push(token.reveal()),
    }).ofCustomer(customerId);
    expect(erased).toMatchObject({ kind: 'erased', isNew: true });
    expect(revoked).toEqual([expect.stringMatching(/^xoxb-of /)]);
    await sql(testDatabase.adminUrl, 'CHECKPOINT');
    expect(await findMark(testDatabase, mark, folders)).toEqual([]);

    const { checkpoints } = await keeper.checkpoints.held(customerId);
    const verdict = await core.audit.verify(customerId, checkpoints);
    expect(verdict).toMatchObject({ isIntact: true, unexplained: 0 });
    expect('erased' in verdict && verdict.erased).toBeGreaterThan(10);
    const env = {
      ENCRYPTION_KEY: TEST_ENCRYPTION_KEY,
      DATABASE_URL: testDatabase.programUrl,
      CHECKPOINT_DIR: keeper.dir,
    };
    const said: string[] = [];
    const sinks = { say: (line: string) => said.push(line), complain: (line: string) => said.push(line) };
    expect(
      await runCli(['audit', 'verify', '--customer', customerId, '--checkpoints', keeper.dir], { env, ...sinks }),
    ).toBe(0);
    expect(said.join('\n')).toMatch(/intact[\s\S]*payloads are erased/);
    expect(said.join('\n')).not.toMatch(/modified/);

    // The receipt is signed by the key of the checkpoints, and names what it is about by ids alone.
    const note = erased.kind === 'erased' ? erased.receipt : '';
    const verifiers = checkpointSigners(testRootKeys).map(({ verifier }) => verifier);
    expect(readReceipt(note, verifiers)).toMatchObject({ customerId, space: 'rewritten' });
    expect(readReceipt(note.replace('rewritten', 'left     '), verifiers)).toBeUndefined();
    expect(await erasuresOf(core, keeper).ofCustomer(customerId)).toEqual({
      kind: 'erased',
      receipt: note,
      isNew: false,
      isRewritten: false,
    });
    // Whoever has the same workspace begins anew, as somebody else.
    const again = await core.customers.install(
      { platform: 'web', workspaceId: two.a.workspaceId, name: 'Shop' },
      two.a.admin.person,
    );
    expect(again).not.toBe(customerId);
  }, 60_000);
});

if (IS_WHOLE)
  test('143 nothing of an erased customer is left in any file of the database, its log of changes and its log of words included', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'countersign-erased-'));
    chmodSync(dir, 0o755); // as root, the server runs under an account of its own
    const server = await startPostgres({ dir: join(dir, 'pg'), isDurable: true, settings: { full_page_writes: 'on' } });
    try {
      const urls = await prepareRoles(server, { database: 'erased' });
      await migrate({ ownerUrl: urls.ownerUrl, rootKeys: testRootKeys });
      const place = { ...urls, adminUrl: server.url(ADMIN_ROLE, 'erased') };
      const core = await openCore(urls);
      const keeper = keepTrails(core);
      const mark = newMark();
      const shop = await installShop(core);
      await cancel(core, await queuedOperation(core, shop, {}, { admin_username: mark }));
      await sealMarks(core, shop, mark);
      expect((await plant(place, shop.customerId, mark)).length).toBeGreaterThan(25);
      await sql(place.adminUrl, 'CHECKPOINT');
      const places = async () => (await findMark(place, mark, [join(dir, 'pg'), keeper.dir])).join('\n');
      const before = await places();
      for (const where of [/table public/, /base/, /pg_wal/]) expect(before).toMatch(where);
      const erasures = erasuresOf(core, keeper, {
        reclaim: async () => (await reclaimSpace(urls.ownerUrl)).stillOpen.length === 0,
      });
      expect(await erasures.ofCustomer(shop.customerId)).toMatchObject({ kind: 'erased' });
      await sql(place.adminUrl, 'SELECT pg_switch_wal()');
      await sql(place.adminUrl, 'CHECKPOINT');
      expect(await places()).toBe('');
      keeper.remove();
      await core.close();
    } finally {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  }, 240_000);
