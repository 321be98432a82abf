// What the page of an operation checks by itself, in the reader's browser: adapters/console/assets/chain.js, given real exports.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleLines, exportTrail } from '../../core/audit/export.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { type Keeper, keepTrails } from '../support/audit.ts';
import {
  type Core,
  cancel,
  grantedOperation,
  installShop,
  openCore,
  requestOperation,
  type Shop,
} from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

/** The page's own script, as the browser has it. */
const script = new URL('../../adapters/console/assets/chain.js', import.meta.url).href;
const { checkTrail } = (await import(script)) as { checkTrail(text: string): Promise<Verdict> }; // it has no types of its own

interface Verdict {
  readonly isIntact: boolean;
  readonly seq?: bigint;
  readonly entries?: number;
  readonly words?: string;
  readonly signed?: { readonly seq: string; readonly at: Date; readonly keyId: string };
}

let testDatabase: TestDatabase;
let core: Core;
let keeper: Keeper;
let shop: Shop;
let operation: Operation;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  core = await openCore(testDatabase);
  keeper = keepTrails(core);
  shop = await installShop(core);
  await requestOperation(core, shop);
  operation = await grantedOperation(core, shop);
  await requestOperation(core, shop); // entries of others lie between
  await cancel(core, operation);
  await requestOperation(core, shop);
});

afterAll(async () => {
  await core.close();
  keeper.remove();
  await testDatabase.drop();
});

async function exported(): Promise<readonly string[]> {
  const deps = { ...core, checkpoints: keeper.checkpoints };
  const trail = await exportTrail(deps, shop.customerId, { operationId: operation.id, isToCheckpoint: true });
  const lines: string[] = [];
  for await (const line of bundleLines(trail)) lines.push(line.trimEnd());
  return lines;
}

/** The same lines, with one of them changed. */
function changed(lines: readonly string[], at: number, change: (line: string) => string): string {
  return lines.map((line, index) => (index === at ? change(line) : line)).join('\n');
}

describe('a trail, checked by the page itself', () => {
  test('is intact before anything is signed', async () => {
    const verdict = await checkTrail((await exported()).join('\n'));
    expect(verdict).toMatchObject({ isIntact: true });
    expect(verdict.signed).toBeUndefined();
  });

  test('agrees with the checkpoint that was signed behind it', async () => {
    const signed = await keeper.checkpoints.make(shop.customerId);
    const lines = await exported();
    const verdict = await checkTrail(lines.join('\n'));
    expect(verdict).toMatchObject({ isIntact: true, seq: signed?.seq, entries: lines.length - 1 });
    expect(verdict.signed).toMatchObject({ seq: String(signed?.seq), keyId: signed?.keyId });
  });

  test.each([
    [
      'a header is changed',
      2,
      (line: string) => line.replace('\\"kind\\":\\"', '\\"kind\\":\\"x'),
      /not what was put on record/,
    ],
    ['a word is changed', 1, (line: string) => line.replace('"payload":{', '"payload":{"added":1,'), /words of entry/],
    [
      'words can’t be opened',
      1,
      (line: string) => line.replace(/"salt":"[^"]*","payload":\{.*\}\}$/, '"payload":"damaged"}'),
      /damaged/,
    ],
    ['an entry is taken out', 3, () => '', /is missing/],
    [
      'the time is changed',
      2,
      (line: string) => line.replace(/"at":"20\d\d/, '"at":"1999'),
      /not what was put on record/,
    ],
  ])('is broken where %s', async (_, at, change, says) => {
    const lines = await exported();
    expect(change(lines[at] ?? '')).not.toBe(lines[at]);
    const verdict = await checkTrail(changed(lines, at, change));
    expect(verdict).toMatchObject({ isIntact: false, words: expect.stringMatching(says) });
  });

  test('is broken where its end is cut off, or a checkpoint is not signed or says something else', async () => {
    const lines = await exported();
    expect(await checkTrail(lines.slice(0, -1).join('\n'))).toMatchObject({ isIntact: false });
    const head = JSON.parse(lines[0] ?? '');
    const last = head.checkpoints.at(-1) as string;
    const forged = (note: string) =>
      checkTrail([JSON.stringify({ ...head, checkpoints: [note] }), ...lines.slice(1)].join('\n'));
    expect(await forged(last)).toMatchObject({ isIntact: true });
    expect(await forged(last.replace(/time 20/, 'time 19'))).toMatchObject({
      isIntact: false,
      words: expect.stringMatching(/no good signature/),
    });
    const other = await core.database.withCustomer(shop.customerId, (tx) =>
      tx.auditHead.findUniqueOrThrow({ where: { customerId: shop.customerId } }),
    );
    const hash = Buffer.from(other.hash.map((byte) => byte ^ 1)).toString('base64');
    expect(await forged(last.replace(/\n[A-Za-z0-9+/]{43}=\ntime/, `\n${hash}\ntime`))).toMatchObject({
      isIntact: false,
    });
  });
});
