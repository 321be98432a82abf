// A connection that repairs itself under a standing grant, against the practice shop, with a real browser.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createProgress } from '../../bot/progress.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { keptWorking, madeConnection, placeOf, repairsAt } from '../support/connections.ts';
import { installShop, look, queuedOperation, type Shop, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createRecordingChat } from '../support/recording-chat.ts';
import { silentLog } from '../support/silent-log.ts';
import { IS_WHOLE } from '../support/whole.ts';
import { openWorker, type Worker } from '../support/worker.ts';

const RUN_MS = 120_000;

let database: TestDatabase;
let site: PracticeShop;
let worker: Worker;
/** Done to the next sessions. */
let wrap: ((session: BrowserSession) => BrowserSession) | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  site = await startPracticeShop({ obstacles: { adminEmailCheck: false } });
  worker = await openWorker(database, {
    target: new URL(site.origin).host,
    wrap: (session) => wrap?.(session) ?? session,
  });
});

afterEach(() => {
  wrap = undefined;
  for (const name of alive()) if (name.startsWith('Countersign')) site.endKey(name);
});

afterAll(async () => {
  await worker?.close();
  await site?.close();
  await database?.drop();
});

const signIn = () => ({ admin_username: site.username, admin_password: site.password });
const alive = () =>
  site
    .keys()
    .filter(({ isRevoked }) => !isRevoked)
    .map(({ description }) => description);
const ours = () => alive().filter((name) => name.startsWith('Countersign'));
const endingOf = (label: string | undefined) =>
  site.keys().find(({ description }) => description === label)?.consumerKeyEnding;

/** The stored key, by its name and by what it is, as it is read. */
async function stored({ customerId }: Shop) {
  const found = await worker.core.vault.get(customerId, 'woocommerce', 'api_key', { target: site.origin });
  return found && { label: found.metadata.label, ending: found.fields.consumer_key?.reveal().slice(-7) };
}

interface Scene {
  readonly shop: Shop;
  readonly old: Operation;
}

/** Set up, and kept working. */
async function keptConnection(): Promise<Scene> {
  const { core } = worker;
  const shop = await installShop(core);
  const at = { origin: site.origin, base: site.origin };
  const setUp = async () => {
    const operation = await queuedOperation(core, shop, at, signIn());
    await worker.run(operation);
    return look(core, operation);
  };
  const make = (description: string) => site.addKey({ description, permissions: 'read' });
  const old = IS_WHOLE ? await setUp() : await madeConnection(core, shop, at, make);
  await keptWorking(core, shop, old, signIn());
  return { shop, old };
}

/** The repair that was begun for it, carried out. */
async function repaired({ old }: Scene, cause: 'broken' | 'expiring'): Promise<Operation> {
  const { core } = worker;
  await core.repairs.consider(placeOf(old), cause);
  const [repair] = await repairsAt(core, placeOf(old));
  if (!repair) throw new Error('no repair was begun');
  await worker.run(repair);
  return look(core, repair);
}

/** Of anything that operations keep in the vault: what lies there, and of which. */
const besides = ({ customerId }: Shop) =>
  sql<{ id: string }>(
    database.adminUrl,
    'SELECT DISTINCT operation_id AS id FROM autonomous_credentials WHERE customer_id = $1 AND operation_id IS NOT NULL',
    [customerId],
  );

describe('a connection under a standing grant', () => {
  test(
    'whose key was revoked in the shop gets a new one by itself, and its thread shows how',
    async () => {
      const scene = await keptConnection();
      const { shop, old } = scene;
      site.endKey(`Countersign ${old.id}`);
      const repair = await repaired(scene, 'broken');
      expect(repair).toMatchObject({ state: 'completed', isKeyStored: true, threadId: old.threadId });
      const label = `Countersign ${repair.id}`;
      expect(ours()).toEqual([label]); // no key that nobody holds
      expect(await stored(shop)).toEqual({ label, ending: endingOf(label) });
      expect(await besides(shop)).toEqual([{ id: old.id }]); // what is kept for the next time, and nothing else
      const chat = createRecordingChat();
      const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
      const progress = createProgress({ ...worker.core, log: silentLog, chat: () => chat, pictureUrl });
      await progress.refresh(shop.customerId, old.threadId);
      const words = JSON.stringify(chat.shown());
      expect(words).toContain('Repair under the standing consent of Abel. ');
      expect(words).toContain(`“Countersign ${old.id}”, ended: The shop no longer takes it: 401`);
      const pictures = new Set(words.match(/\/pictures\/[\w-]+/g));
      expect(pictures.size).toBeGreaterThanOrEqual(5);
      expect(words).not.toContain(site.password);
    },
    RUN_MS,
  );

  test(
    'gets a new key before the old one ends, so that whoever reads it never gets one that does not work',
    async () => {
      const scene = await keptConnection();
      const { shop, old } = scene;
      const seen = new Set<string | undefined>();
      const bad: string[] = [];
      let reads = 0;
      let isOver = false;
      const reading = (async () => {
        while (!isOver) {
          const key = await stored(shop);
          reads++;
          seen.add(key?.label);
          const live = site.keys().some((each) => !each.isRevoked && each.consumerKeyEnding === key?.ending);
          if (!live) bad.push(`read ${reads}: ${key?.label}`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      })();
      const repair = await repaired(scene, 'expiring');
      isOver = true;
      await reading;
      expect(repair.state).toBe('completed');
      expect(bad).toEqual([]);
      expect(reads).toBeGreaterThan(30);
      expect([...seen]).toEqual([`Countersign ${old.id}`, `Countersign ${repair.id}`]);
      expect(ours()).toEqual([`Countersign ${repair.id}`]);
    },
    RUN_MS,
  );

  // A rotation that fails is gone through by key-change.test.ts in any case.
  if (IS_WHOLE)
    test(
      'whose repair fails keeps its old key as it was',
      async () => {
        const scene = await keptConnection();
        const { shop, old } = scene;
        // Somebody revokes the new key before it was proven.
        wrap = (session) => ({
          ...session,
          shoot(options) {
            const made = ours().find((name) => name !== `Countersign ${old.id}`);
            if (options.isRevealing && made) site.endKey(made);
            return session.shoot(options);
          },
        });
        const repair = await repaired(scene, 'expiring');
        expect(repair).toMatchObject({ state: 'failed', errorCode: 'verification_failed', isKeyStored: false });
        const label = `Countersign ${old.id}`;
        expect([await stored(shop), ours()]).toEqual([{ label, ending: endingOf(label) }, [label]]);
        expect(await besides(shop)).toEqual([{ id: old.id }]);
      },
      RUN_MS,
    );
});
