/**
 * Three customers over a pool of two connections, in random transactions that are interleaved step by step, against a model
 * of what each of them has. `ISOLATION_SECONDS` makes it longer, `ISOLATION_SEED` repeats a run.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createDatabase, type Database, type Transaction } from '../../core/database.ts';
import { sqlState } from '../../core/database-errors.ts';
import { type CustomerId, newUuid } from '../../core/ids.ts';
import { Prisma } from '../../prisma/generated/client.ts';
import { contextOf } from '../support/by-hand.ts';
import { type Core, installShop, openCore, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';

const SEED = Number(process.env.ISOLATION_SEED ?? Date.now() % 2 ** 31);
const SECONDS = Number(process.env.ISOLATION_SECONDS ?? 12);
/** Two of them work for the same customer at the same time, each on rows of its own. */
const ACTORS = [0, 0, 1, 2] as const;
const ITEMS = 4;

let testDatabase: TestDatabase;
let core: Core;
let pool: Database;
let customers: readonly CustomerId[];
let committed = 0;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  const shops = [await installShop(core), await installShop(core), await installShop(core)];
  customers = shops.map((shop) => shop.customerId);
  pool = createDatabase({ url: testDatabase.programUrl, rootKeys: testRootKeys, poolSize: 2 });
});

afterAll(async () => {
  await pool.close();
  await core.close();
  await testDatabase.drop();
});

const item = fc.nat({ max: ITEMS - 1 });
const value = fc.string({ maxLength: 8 });
const action = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), item, value }),
  fc.record({ kind: fc.constant('update' as const), item, value }),
  fc.record({ kind: fc.constant('delete' as const), item }),
  fc.constant({ kind: 'read' as const }),
  fc.record({
    kind: fc.constant('reach' as const),
    by: fc.constantFrom('update', 'delete', 'move', 'insert', 'enter', 'forge', 'forge for good'),
    victim: fc.nat({ max: 2 }),
  }),
);
const ending = fc.oneof(
  { weight: 4, arbitrary: fc.constant('commit' as const) },
  { weight: 3, arbitrary: fc.constantFrom('throw', 'fault', 'time out', 'die') },
);
const transaction = fc.record({ actions: fc.array(action, { maxLength: 5 }), ending });
const programs = fc.tuple(...ACTORS.map(() => fc.array(transaction, { maxLength: 4 })));

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;
type Ending = typeof ending extends fc.Arbitrary<infer T> ? T : never;
type Rows = ReadonlyMap<number, string>;

/** What is known of a transaction while it runs. */
interface Course {
  readonly rows: Map<number, string>;
  /** The context was broken from inside: nothing shows any more. */
  isBlind: boolean;
}

const place = (actor: number, n: number) => `${actor}/${n}`;
const where = (actor: number, n: number) => ({ service: 'model', target: place(actor, n) });
const bytes = (text: string) => Uint8Array.from(Buffer.from(text));

/** Does it, and checks what came of it. @throws what PostgreSQL refused: the transaction is over then. */
async function take(tx: Transaction, actor: number, step: Action, course: Course): Promise<void> {
  const own = customers[ACTORS[actor] ?? 0];
  if (!own) throw new Error('no such actor');
  switch (step.kind) {
    case 'create':
      await tx.credential.create({ data: row(own, actor, step.item, step.value) });
      course.rows.set(step.item, step.value);
      return;
    case 'update': {
      const data = { encryptedCredential: bytes(step.value) };
      const { count } = await tx.credential.updateMany({ where: where(actor, step.item), data });
      expect(count).toBe(course.isBlind || !course.rows.has(step.item) ? 0 : 1);
      if (count === 1) course.rows.set(step.item, step.value);
      return;
    }
    case 'delete': {
      const { count } = await tx.credential.deleteMany({ where: where(actor, step.item) });
      expect(count).toBe(course.isBlind || !course.rows.has(step.item) ? 0 : 1);
      if (count === 1) course.rows.delete(step.item);
      return;
    }
    case 'read':
      return read(tx, actor, own, course);
    case 'reach':
      return reach(tx, own, customers[step.victim] ?? own, step.by, course);
    default:
      return step satisfies never;
  }
}

function row(customerId: CustomerId, actor: number, n: number, text: string) {
  return {
    ...where(actor, n),
    ...{ customerId, id: newUuid(), credentialType: 'session' },
    ...{ encryptedCredential: bytes(text), encryptionKeyId: 'none' },
  };
}

async function read(tx: Transaction, actor: number, own: CustomerId, course: Course): Promise<void> {
  const found = await tx.credential.findMany();
  expect(found.filter((credential) => credential.customerId !== own)).toEqual([]);
  const mine = found.filter(({ target }) => target.startsWith(`${actor}/`));
  const seen = new Map(mine.map((each) => [each.target, Buffer.from(each.encryptedCredential).toString()]));
  const expected = course.isBlind ? [] : [...course.rows].map(([n, text]) => [place(actor, n), text] as const);
  expect(seen).toEqual(new Map(expected));
}

/** Every way to another customer's rows that a statement has. */
async function reach(tx: Transaction, own: CustomerId, victim: CustomerId, by: string, course: Course): Promise<void> {
  if (own === victim) return;
  const theirs = { where: { customerId: victim } };
  switch (by) {
    case 'update':
      expect(await tx.credential.updateMany({ ...theirs, data: { target: 'taken' } })).toEqual({ count: 0 });
      return;
    case 'delete':
      expect(await tx.credential.deleteMany(theirs)).toEqual({ count: 0 });
      return;
    case 'move':
      expect(await tx.credential.updateMany({ ...theirs, data: { customerId: own } })).toEqual({ count: 0 });
      return;
    case 'insert':
      await tx.credential.create({ data: row(victim, 9, 9, 'planted') });
      throw new Error('a row was planted');
    case 'enter': {
      if (course.isBlind) return; // a spoilt context is none, and whoever holds the token of a customer may enter it then
      const [id, expires, token] = contextOf(victim);
      await tx.$executeRaw`SELECT sec.enter(${id}::uuid, ${expires}::bigint, ${token})`;
      throw new Error('a second customer was entered');
    }
    default: {
      const forged = Prisma.sql`replace(current_setting('app.context'), ${own}, ${victim})`;
      await tx.$executeRaw`SELECT set_config('app.context', ${forged}, ${by === 'forge'})`;
      course.isBlind = true;
    }
  }
}

async function end(tx: Transaction, how: Ending): Promise<void> {
  switch (how) {
    case 'commit':
      return;
    case 'throw':
      throw new Error('thrown in the middle');
    case 'fault':
      await tx.$queryRaw`SELECT 1 / 0`;
      return;
    case 'time out':
      await tx.$queryRaw`SELECT set_config('statement_timeout', '20', true)`;
      await tx.$queryRaw`SELECT pg_sleep(10)::text`;
      return;
    case 'die':
      await tx.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`;
      return;
    default:
      throw new Error(`no such ending: ${how}`);
  }
}

/** Taken already, somebody else's, and a context that was refused: what ends a transaction that was to be committed. */
const REFUSALS = ['23505', '42501'];

/** A failed check is no failed transaction. */
class Broken extends Error {}

async function act(
  scheduler: fc.Scheduler,
  actor: number,
  transactions: readonly { actions: readonly Action[]; ending: Ending }[],
): Promise<Rows> {
  const own = customers[ACTORS[actor] ?? 0];
  if (!own) throw new Error('no such actor');
  let rows: Rows = new Map();
  for (const { actions, ending: how } of transactions) {
    await scheduler.schedule(Promise.resolve(), `${actor} begins`);
    let course: Course = { rows: new Map(rows), isBlind: false };
    try {
      await pool.withCustomer(own, async (tx) => {
        course = { rows: new Map(rows), isBlind: false }; // one that lost its connection is run again, from its beginning
        for (const step of actions) {
          await scheduler.schedule(Promise.resolve(), `${actor} ${JSON.stringify(step)}`);
          await take(tx, actor, step, course).catch(asBroken);
        }
        await read(tx, actor, own, course).catch(asBroken);
        await scheduler.schedule(Promise.resolve(), `${actor} ends by ${how}`);
        await end(tx, how);
      });
      if (how !== 'commit') throw new Broken(`a transaction that ended by “${how}” was committed`);
      rows = course.rows;
      committed++;
    } catch (error) {
      if (error instanceof Broken) throw error;
      if (how === 'commit' && !REFUSALS.includes(sqlState(error) ?? ''))
        throw new Broken(String(error), { cause: error });
    }
  }
  return rows;
}

function asBroken(error: unknown): never {
  const isCheck =
    error instanceof Error && (error.name === 'AssertionError' || /^a (?:row|second)/.test(error.message));
  throw isCheck ? new Broken(error.message, { cause: error }) : error;
}

const stored = z.array(z.object({ customer_id: z.string(), target: z.string(), text: z.string() }));

async function everything(): Promise<readonly string[]> {
  const rows = await sql(
    testDatabase.adminUrl,
    "SELECT customer_id, target, convert_from(encrypted_credential, 'UTF8') AS text FROM autonomous_credentials",
  );
  return stored
    .parse(rows)
    .map((each) => JSON.stringify([each.customer_id, each.target, each.text]))
    .sort();
}

test(
  `21 three customers on two connections see and change what is theirs, in any order (seed ${SEED})`,
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), programs, async (scheduler, chosen) => {
        await sql(testDatabase.adminUrl, 'DELETE FROM autonomous_credentials');
        const acting = Promise.all(chosen.map((transactions, actor) => act(scheduler, actor, transactions)));
        const rows = await scheduler.waitFor(acting);
        const expected = rows.flatMap((own, actor) =>
          [...own].map(([n, text]) => JSON.stringify([customers[ACTORS[actor] ?? 0], place(actor, n), text])),
        );
        expect(await everything()).toEqual(expected.sort());
        // Neither connection is anybody's now.
        const idle = [1, 2].map(() => pool.directory(Prisma.sql`SELECT id FROM public.autonomous_credentials`));
        expect((await Promise.all(idle)).flat()).toEqual([]);
      }),
      { seed: SEED, numRuns: 100_000, interruptAfterTimeLimit: SECONDS * 1000, endOnFailure: SECONDS < 60 },
    );
    expect(committed).toBeGreaterThan(20);
  },
  (SECONDS + 60) * 1000,
);
