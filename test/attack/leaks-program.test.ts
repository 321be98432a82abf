// The program as it starts, with all of its wiring: a secret that somebody writes, or that a run is using at that moment, is
// neither shown nor recorded, whatever way its words take.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEnvironmentRootKeys } from '../../adapters/keys/index.ts';
import { createAudit } from '../../core/audit/audit.ts';
import { createDatabase } from '../../core/database.ts';
import { customerId, type OperationId } from '../../core/ids.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { type ChatByHttp, chatByHttp } from '../support/chat-by-http.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { RUN_MS } from '../support/people.ts';

/** Of no shape that a stranger would take for a secret: only a run that uses it knows. */
const PASSWORD = `blaubeere${randomBytes(4).toString('hex')}7kuchen`;
const PATIENCE = { timeout: 45_000, interval: 100 };

let demo: TestDemo;
let chat: ChatByHttp;

beforeAll(async () => {
  demo = await startTestDemo({ shop: { password: PASSWORD } });
  chat = chatByHttp(demo.chatUrl);
  await appoint(demo, ['approver']);
}, 60_000);
afterAll(() => demo?.remove());

describe('66 what somebody writes', () => {
  test('is neither shown nor recorded where it is a password in the reason of a denial', async () => {
    const password = `Tr0ub4dor-${randomBytes(4).toString('hex')}`;
    const path = await ask(demo.shop.origin);
    await deny(path, `not while the password is ${password}`);
    await isPosted(/not while the password is \S+”/);
    for (const person of ['merchant', 'approver', 'admin'])
      expect(await chat.pageOf(path, person)).not.toContain(password);
    expect(cards()).not.toContain(password);
    expect(cards()).toContain('not while the password is [secret]');
    const recorded = await payloads();
    expect(recorded).not.toContain(password);
    expect(recorded).toMatch(/not while the password is \[secret\]/);
  }, 60_000);
});

describe('66 a secret that a run is using', () => {
  test(
    'is neither shown nor recorded by another request: in its address, its plan, its reason',
    async () => {
      const hold = demo.shop.holdGenerate();
      const running = await ask(demo.shop.origin);
      await chat.press(running, 'approver', 'approve');
      await enterSignIn(running);
      await vi.waitUntil(() => hold.asked > 0, PATIENCE); // signed in: the run waits for a button that stays grey
      const other = await ask(`${demo.shop.origin}/${PASSWORD}`);
      await deny(other, `whoever reads ${PASSWORD} could sign in`);
      await isPosted(/whoever reads \S+ could sign in/);
      const [shown, recorded] = [cards(), await payloads()];
      hold.isHeld = false;
      await isPosted(/Done in /);
      for (const words of [shown, recorded, cards(), await payloads()]) {
        expect(words).not.toContain(PASSWORD);
        expect(words).toContain(`${new URL(demo.shop.origin).host}/[secret]`);
        expect(words).toContain('whoever reads [secret] could sign in');
      }
    },
    2 * RUN_MS,
  );
});

/** @returns the thread's path. */
const ask = (address: string) => chat.say('merchant', `set up WooCommerce for ${address}`);

async function deny(path: string, reason: string): Promise<void> {
  await chat.press(path, 'approver', 'deny');
  const answer = await chat.post(await chat.form(path, 'approver'), 'approver', { 'field-reason': reason });
  expect(answer.status).toBe(200);
}

const isPosted = (words: RegExp) => vi.waitUntil(() => words.test(cards()), PATIENCE);

/** Fills in the one-time page that the merchant of the thread was sent. */
async function enterSignIn(path: string): Promise<void> {
  const link = /href="(http:[^"]*\/connect\/[\w-]+)"/;
  const page = await vi.waitUntil(async () => link.exec(await chat.pageOf(path, 'merchant'))?.[1] ?? false, PATIENCE);
  const answer = await fetch(page, {
    method: 'POST',
    headers: { origin: new URL(page).origin },
    body: new URLSearchParams({ admin_username: demo.shop.username, admin_password: PASSWORD }),
  });
  expect(answer.status).toBe(200);
}

/** What Countersign itself posted so far: what people wrote and sent stands there as events. */
function cards(): string {
  const lines = readFileSync(join(demo.project.folder, 'web-chat.jsonl'), 'utf8').split('\n');
  return lines.filter((line) => line.includes('"card"')).join('\n');
}

/** The words of the whole trail, in clear. */
async function payloads(): Promise<string> {
  const current = readFileSync(join(demo.project.folder, 'root.key'), 'utf8').trim();
  const rootKeys = createEnvironmentRootKeys({ current, old: [] });
  const database = createDatabase({ url: demo.app.databaseUrl, rootKeys, poolSize: 1 });
  try {
    const trail = createAudit({ database, sealer: createSealer(rootKeys) });
    const rows = await demo.sql('SELECT customer_id, id FROM autonomous_operations');
    const words = rows.map(({ customer_id, id }) =>
      database.withCustomer(customerId(String(customer_id)), (tx) =>
        trail.entriesOf(tx, customerId(String(customer_id)), String(id) as OperationId),
      ),
    );
    return JSON.stringify((await Promise.all(words)).flat().map(({ payload }) => payload ?? null));
  } finally {
    await database.close();
  }
}
