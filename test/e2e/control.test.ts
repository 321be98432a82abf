// Pause, Resume, Try again and the operator's pause, as the people in the thread meet them.
import type { Page } from 'playwright';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../bot/cli.ts';
import { appoint, demoEnvironment, startTestDemo, type TestDemo } from '../support/demo.ts';
import {
  enterSignIn,
  openPeople,
  operationIdIn,
  type People,
  press,
  pressAndConfirm,
  RUN_MS,
  say,
  seen,
} from '../support/people.ts';
import { TEST_ENCRYPTION_KEY } from '../support/root-keys.ts';

let demo: TestDemo;
let people: People;
let merchant: Page;
let approver: Page;
let latencyMs: (path: string) => number = () => 0;

beforeAll(async () => {
  const env = { ENCRYPTION_KEY: TEST_ENCRYPTION_KEY };
  demo = await startTestDemo({ shop: { latencyMs: (path) => latencyMs(path) }, env });
  people = await openPeople(demo.chatUrl);
  [merchant, approver] = [people.page('Merchant'), people.page('Approver')];
});
afterAll(async () => {
  await people?.close();
  await demo?.remove();
});
beforeEach(async () => {
  latencyMs = () => 0;
  await appoint(demo, ['approver']);
});

const ask = () => people.begin('Merchant', `set up WooCommerce for ${demo.shop.origin}`);
const signIn = () => enterSignIn(merchant, { user: demo.shop.username, password: demo.shop.password });

/** Runs until the shop is slow to show its list of keys. */
async function untilSlow(): Promise<string> {
  latencyMs = (path) => (path === '/wp-admin/admin.php' ? 300_000 : 0);
  await ask();
  const id = await operationIdIn(merchant);
  await press(approver, 'Approve');
  await signIn();
  await seen(merchant, /Working on it · step [345] of 10/, RUN_MS);
  return id;
}

/** The operator's command line, on the demo's database. */
async function operator(...argv: string[]): Promise<string> {
  const said: string[] = [];
  const code = await runCli(argv, {
    env: { ...demoEnvironment(), DATABASE_URL: demo.app.databaseUrl, ENCRYPTION_KEY: TEST_ENCRYPTION_KEY },
    say: (line) => said.push(line),
    complain: (line) => said.push(line),
    folder: demo.project.folder,
  });
  expect({ argv, code, said }).toMatchObject({ code: 0 });
  return said.join('\n');
}

describe('a person', () => {
  it(
    'pauses what runs, and another one resumes it; it ends with one key',
    async () => {
      const id = await untilSlow();
      await press(merchant, 'Pause');
      await seen(approver, /Paused by Merchant · step [345] of 10/);
      await seen(approver, 'Resume signs in anew and goes on; nothing is made twice.');
      expect(await merchant.getByRole('button', { name: 'Pause', exact: true }).count()).toBe(0);
      latencyMs = () => 0;
      await press(approver, 'Resume');
      await seen(merchant, /Done in/, RUN_MS);
      expect(demo.shop.keys().filter(({ description }) => description.includes(id))).toHaveLength(1);
    },
    2 * RUN_MS,
  );

  it('asks again with one press for what was withdrawn, and both cards name the other', async () => {
    await ask();
    const id = await operationIdIn(merchant);
    await say(people.page('Admin'), `pause ${id}`);
    await seen(people.page('Admin'), `Nothing of ${id} runs that could pause: it is waiting for approval.`);
    await pressAndConfirm(merchant, 'Withdraw', 'Withdraw it');
    await seen(merchant, 'Stopped: WooCommerce for');
    await press(merchant, 'Try again');
    await seen(approver, `tries ${id} again`);
    await seen(approver, 'It is tried again as op-');
    expect(await merchant.getByRole('button', { name: 'Try again' }).count()).toBe(0);
    await say(approver, `/countersign retry ${id}`);
    await seen(approver, `${id} is being tried again already, as op-`);
  });
});

describe('the operator', () => {
  it(
    'pauses everything from the command line: threads say why, approvals are kept, and it all goes on afterwards',
    async () => {
      const id = await untilSlow();
      expect(await operator('pause', '--reason', 'moving to a new server')).toContain(
        'Everything is paused. 1 operation was running or about to.',
      );
      const words = 'Countersign is paused by its operator: “moving to a new server”.';
      await seen(merchant, /Paused by the operator · step [345] of 10/);
      await seen(approver, words);
      expect(await operator('pause', '--status')).toMatch(/Everything is paused since .*: moving to a new server\./);
      const first = merchant.url();
      latencyMs = () => 0;
      await ask();
      await seen(approver, `${words} What is approved now is kept, and starts when that ends.`);
      await press(approver, 'Approve');
      await signIn();
      await seen(merchant, 'Paused by the operator before its first step', RUN_MS);
      await say(merchant, 'resume');
      await seen(merchant, `${words} It goes on by itself when that ends. Nothing was changed.`);
      expect(await operator('resume')).toBe('Resumed: 2 operations go on.');
      await seen(merchant, /Done in/, RUN_MS);
      expect(await operator('pause', '--status')).toBe('Nothing is paused.');
      await people.open(first);
      await seen(merchant, /Done in/, RUN_MS);
      expect(demo.shop.keys().filter(({ description }) => description.includes(id))).toHaveLength(1);
    },
    3 * RUN_MS,
  );
});
