// What is done with a key that is there already, as people ask for it: rotated, revoked, ended in the shop after all.
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import {
  enterSignIn,
  openPeople,
  operationIdIn,
  type People,
  press,
  pressAndConfirm,
  RUN_MS,
  seen,
} from '../support/people.ts';
import { IS_WHOLE } from '../support/whole.ts';

let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;

beforeAll(async () => {
  demo = await startTestDemo();
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
});
beforeEach(() => appoint(demo, ['approver']));

const host = () => new URL(demo.shop.origin).host;
const alive = () =>
  demo.shop
    .keys()
    .filter(({ isRevoked }) => !isRevoked)
    .map(({ description }) => description);
const stored = () =>
  demo.sql(
    `SELECT credential_metadata ->> 'label' AS label FROM autonomous_credentials WHERE operation_id IS NULL AND service = 'woocommerce'`,
  );
const leftOf = (id: string) => demo.sql('SELECT id FROM autonomous_credentials WHERE operation_id = $1', [id]);

/** Asks in a thread of its own, has it approved, and signs in. @returns the operation's id. */
async function ask(words: string): Promise<string> {
  await people.begin('Merchant', words);
  const id = await operationIdIn(merchant);
  await approveAndSignIn();
  return id;
}

async function approveAndSignIn(): Promise<void> {
  await press(approver, 'Approve');
  await enterSignIn(merchant, { user: demo.shop.username, password: demo.shop.password });
}

async function setUp(): Promise<string> {
  const id = await ask(`set up WooCommerce for ${demo.shop.origin}`);
  await seen(merchant, 'WooCommerce is connected.', RUN_MS);
  return id;
}

describe('a key that is there already', () => {
  it(
    'is rotated: the new one is proven and takes its place, the old one ends in the shop, and no other key is touched',
    async () => {
      const first = await setUp();
      demo.shop.addKey({ description: `Countersign ${first} copy`, permissions: 'read' });
      const others = alive().filter((name) => name !== `Countersign ${first}`);
      await people.begin('Merchant', `rotate the WooCommerce key for ${demo.shop.origin}`);
      const card = await (await seen(approver, `Rotate the WooCommerce API key for ${host()}`)).innerText();
      expect(card).toContain(`“Countersign ${first}” (…`);
      expect(card).toMatch(/stays in use until the new key “Countersign op-\w+” has been proven to work/);
      expect(card).toContain('End the old API key in your shop, once the new one works');
      const id = await operationIdIn(merchant);
      expect(id).not.toBe(first);
      await approveAndSignIn();
      const end = await (await seen(merchant, 'The WooCommerce key is rotated.', RUN_MS)).innerText();
      expect(end).toContain(`“Countersign ${first}”, ended: The shop no longer takes it: 401`);
      expect(end).toMatch(/New key\s+…[0-9a-f]{4}, read only, in the vault/);
      expect(end).toMatch(/answered 200, 5 products/);
      expect(alive().toSorted()).toEqual([...others, `Countersign ${id}`].toSorted());
      expect(await stored()).toEqual([{ label: `Countersign ${id}` }]);
      expect(await leftOf(id)).toEqual([]);
    },
    3 * RUN_MS,
  );

  if (IS_WHOLE)
    it(
      'is revoked by a sentence: it ends in the shop, is proven to be refused, and leaves the vault',
      async () => {
        const id = await setUp();
        const others = alive().filter((name) => name !== `Countersign ${id}`);
        const revocation = await ask(`please revoke the WooCommerce key for ${host()}`);
        const end = await (await seen(merchant, 'The WooCommerce key is revoked.', RUN_MS)).innerText();
        expect(end).toContain('The shop no longer takes it: 401');
        expect(end).toContain(`“Countersign ${id}”`);
        expect(alive()).toEqual(others);
        expect(await stored()).toEqual([]);
        expect(await leftOf(revocation)).toEqual([]);
        const entries = await demo.sql(
          `SELECT kind FROM autonomous_operations_audit WHERE operation_id = $1 ORDER BY seq DESC LIMIT 2`,
          [id],
        );
        expect(entries.map(({ kind }) => kind)).toEqual(['credential.deleted', 'consent.revoked']);
        await people.begin('Merchant', `revoke the WooCommerce key for ${demo.shop.origin}`);
        await seen(merchant, `No WooCommerce key that I made is stored for ${host()}, so there is none to revoke.`);
      },
      3 * RUN_MS,
    );

  if (IS_WHOLE)
    it(
      'that was only deleted here is ended in the shop afterwards, with an approval of its own',
      async () => {
        const id = await setUp();
        await pressAndConfirm(merchant, 'Revoke', 'Revoke it');
        await seen(merchant, `Merchant revoked the key of ${id}`);
        expect(alive()).toContain(`Countersign ${id}`);
        await press(merchant, 'End it in WooCommerce for me');
        await seen(approver, `Revoke the WooCommerce API key for ${host()}`);
        expect(alive()).toContain(`Countersign ${id}`);
        await approveAndSignIn();
        const end = await (await seen(merchant, 'The WooCommerce key is revoked.', RUN_MS)).innerText();
        expect(end).toContain('It is not in the shop’s list any more');
        expect(alive()).not.toContain(`Countersign ${id}`);
      },
      3 * RUN_MS,
    );
});
