import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createFileCheckpoints } from '../../adapters/checkpoints/index.ts';
import { createCheckpoints } from '../../core/audit/checkpoints.ts';
import { checkpointSigners, parseVerifier, readCheckpoint, signCheckpoint, splitNotes } from '../../core/audit/note.ts';
import { customerId as asCustomerId, type CustomerId, newUuid } from '../../core/ids.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import { type Core, installShop, openCore, queuedOperation, sql } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { silentLog } from '../support/silent-log.ts';

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
});

afterAll(async () => {
  keeper.remove();
  await core.close();
  await testDatabase.drop();
});

const append = (customerId: CustomerId) =>
  core.database.withCustomer(customerId, (tx) => core.audit.append(tx, customerId, { kind: 'rules.changed' }));
const seqs = async (customerId: CustomerId) =>
  (await keeper.checkpoints.held(customerId)).checkpoints.map(({ seq }) => Number(seq));
const fileOf = (customerId: CustomerId) => join(keeper.dir, `${customerId}.checkpoints`);

test('a checkpoint is a signed note that can be read, and names its key', () => {
  const [signer] = checkpointSigners(testRootKeys);
  if (!signer) throw new Error('there is no key');
  const customerId = asCustomerId('5a6c2f0e-0000-4000-8000-000000000001');
  const at = new Date('2026-03-04T10:02:00.000Z');
  const hash = Buffer.alloc(32, 1);
  const note = signCheckpoint({ customerId, seq: 412n, hash, at, previous: undefined }, signer);
  expect(note).toBe(
    `countersign/audit/${customerId}\n412\n${hash.toString('base64')}\ntime 2026-03-04T10:02:00.000Z\nprevious none\n\n— countersign-audit ${/\S+\n$/.exec(note)?.[0]}`,
  );
  const exported = parseVerifier(signer.verifier.text);
  expect(exported?.id).toBe(signer.verifier.id);
  expect(readCheckpoint(note, exported ? [exported] : [])).toMatchObject({ seq: 412n, at, keyId: signer.verifier.id });
  for (let bit = 0; bit < note.length; bit += 7) {
    const changed = note.slice(0, bit) + String.fromCharCode(note.charCodeAt(bit) ^ 1) + note.slice(bit + 1);
    expect(readCheckpoint(changed, [signer.verifier])?.keyId).toBeUndefined();
  }
  for (const text of [
    '',
    'countersign-audit+00000000+AAAA',
    signer.verifier.text.replace(/\+[0-9a-f]{8}\+/, '+00000000+'),
  ])
    expect(parseVerifier(text)).toBeUndefined();
});

test('is made where the chain has grown, once', async () => {
  const { customerId } = await installShop(core);
  expect(await keeper.checkpoints.make(customerId)).toBeUndefined();
  await append(customerId);
  const made = await Promise.all(Array.from({ length: 5 }, () => keeper.checkpoints.make(customerId)));
  expect(made.filter((checkpoint) => checkpoint !== undefined)).toHaveLength(1);
  for (let n = 0; n < 3; n++) await append(customerId);
  await keeper.checkpoints.makeAll();
  await keeper.checkpoints.makeAll();
  expect(await keeper.checkpoints.held(customerId)).toMatchObject({ problems: [] });
  expect(await seqs(customerId)).toEqual([1, 4]);
  const rows = await core.database.withCustomer(customerId, (tx) =>
    tx.auditCheckpoint.findMany({ orderBy: { seq: 'asc' } }),
  );
  expect(rows.map(({ note }) => note)).toEqual(await keeper.store.read(customerId));
  expect([statSync(keeper.dir).mode & 0o777, statSync(fileOf(customerId)).mode & 0o777]).toEqual([0o700, 0o600]);
});

test('goes on where a crash tore the file, and where the folder was lost', async () => {
  const { customerId } = await installShop(core);
  await append(customerId);
  await keeper.checkpoints.make(customerId);
  await append(customerId);
  await keeper.checkpoints.make(customerId);
  const whole = readFileSync(fileOf(customerId), 'utf8');
  expect(splitNotes(whole)).toHaveLength(2);
  const length = (splitNotes(whole)[0] ?? '').length;
  for (const torn of [length + 1, length + 60, whole.length - 1]) {
    truncateSync(fileOf(customerId), Buffer.byteLength(whole.slice(0, torn)));
    expect(await seqs(customerId)).toEqual([1]);
  }
  await keeper.checkpoints.make(customerId);
  expect(await keeper.checkpoints.held(customerId)).toMatchObject({ problems: [] });
  expect(await seqs(customerId)).toEqual([1, 2]);
  writeFileSync(fileOf(customerId), '');
  await append(customerId);
  await keeper.checkpoints.make(customerId);
  expect(await keeper.checkpoints.held(customerId)).toMatchObject({ problems: [] });
  expect(await seqs(customerId)).toEqual([3]);
});

test('of processes with a folder each follows on the last one, whoever signed that: there is one log, and no fork', async () => {
  const { customerId } = await installShop(core);
  const elsewhere = keepTrails(core);
  try {
    const [here, there] = [keeper.checkpoints, elsewhere.checkpoints];
    for (const checkpoints of [here, there, here, there, there, here]) {
      await append(customerId);
      await checkpoints.make(customerId);
    }
    const notes = await keeper.store.read(customerId);
    expect(await here.held(customerId)).toMatchObject({ problems: [] });
    expect(await seqs(customerId)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await there.held(customerId)).toMatchObject({ problems: [] });
    // It began with its own first one, and has not signed since the last one was.
    expect(await elsewhere.store.read(customerId)).toEqual(notes.slice(1, 5));
  } finally {
    elsewhere.remove();
  }
});

test('lies in the folder with the next one where the folder took none for a while', async () => {
  const { customerId } = await installShop(core);
  const folder = { ...keeper.store, append: () => Promise.reject(new Error('no space left on device')) };
  const full = createCheckpoints({ ...core, rootKeys: testRootKeys, store: folder, log: silentLog });
  await append(customerId);
  await keeper.checkpoints.make(customerId);
  await append(customerId);
  await expect(full.make(customerId)).rejects.toThrow('no space left');
  await append(customerId);
  await keeper.checkpoints.make(customerId);
  expect(await keeper.checkpoints.held(customerId)).toMatchObject({ problems: [] });
  expect(await seqs(customerId)).toEqual([1, 2, 3]);
});

test('is not made where the record does not follow on the folder', async () => {
  const { customerId } = await installShop(core);
  const elsewhere = keepTrails(core);
  try {
    await append(customerId);
    await keeper.checkpoints.make(customerId);
    await append(customerId);
    await elsewhere.checkpoints.make(customerId);
    await append(customerId);
    await elsewhere.checkpoints.make(customerId);
    await sql(
      testDatabase.adminUrl,
      `BEGIN; SET LOCAL session_replication_role = replica;
       DELETE FROM audit_checkpoints WHERE customer_id = '${customerId}' AND seq = 2; COMMIT`,
    );
    await expect(keeper.checkpoints.make(customerId)).rejects.toMatchObject({ code: 'audit_chain_broken' });
    expect(await seqs(customerId)).toEqual([1]);
  } finally {
    elsewhere.remove();
  }
});

test('is not made on top of what was scribbled on', async () => {
  const { customerId } = await installShop(core);
  await append(customerId);
  await keeper.checkpoints.make(customerId);
  writeFileSync(fileOf(customerId), readFileSync(fileOf(customerId), 'utf8').replace('previous none', 'previous nine'));
  await append(customerId);
  await expect(keeper.checkpoints.make(customerId)).rejects.toMatchObject({ code: 'audit_chain_broken' });
  appendFileSync(fileOf(customerId), 'scribble');
  expect((await keeper.checkpoints.held(customerId)).problems[0]).toContain('bears no good signature');
});

test('comes by itself when an operation ends', async () => {
  keeper.checkpoints.start();
  try {
    const operation = await queuedOperation(core, await installShop(core));
    const { customerId, id: operationId } = operation;
    expect(await seqs(customerId)).toEqual([]);
    await core.database.withCustomer(customerId, (tx) =>
      core.mover.move(tx, customerId, {
        operationId,
        from: ['queued'],
        to: 'cancelled',
        entry: { kind: 'operation.cancelled' },
      }),
    );
    await vi.waitUntil(async () => (await seqs(customerId)).length === 1, { timeout: 20_000 });
    const { seq } = await core.database.withCustomer(customerId, (tx) =>
      tx.auditHead.findUniqueOrThrow({ where: { customerId } }),
    );
    expect(await seqs(customerId)).toEqual([Number(seq)]);
  } finally {
    await keeper.checkpoints.stop();
  }
});

test('a store that holds nothing yet reads as empty, and keeps each key once', async () => {
  const store = createFileCheckpoints({ dir: join(keeper.dir, 'new') });
  expect([await store.read(asCustomerId(newUuid())), await store.keys()]).toEqual([[], []]);
  for (const key of ['a+b', 'c+d', 'a+b']) await store.addKey(key);
  expect(await store.keys()).toEqual(['a+b', 'c+d']);
});
