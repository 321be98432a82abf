// Slack's own Stop, while a real browser is in the middle of a slow step: how long until the thread has its last word.
import { availableParallelism, loadavg } from 'node:os';
import type { Browser } from 'playwright';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Person, ThreadRef } from '../../core/ports/chat.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { fillSignIn, RUN_MS } from '../support/people.ts';
import { type SlackProgram, startSlackProgram } from '../support/slack/program.ts';
import { CHANNEL, TEAM } from '../support/slack/server.ts';
import { launchChromium } from '../support/web-chat.ts';

const PATIENCE = { timeout: RUN_MS, interval: 10 };
/** The promise; on a computer that has more to do than it can, as much longer as that. */
const withinMs = () => 2_000 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
const SLOW_MS = 15_000;
const SLOW_PAGE = '/wp-admin/admin.php';

let shop: PracticeShop;
let program: SlackProgram;
let browser: Browser;
beforeAll(async () => {
  shop = await startPracticeShop({ port: 0, latencyMs: (path) => (path === SLOW_PAGE ? SLOW_MS : 0) });
  const targets = new URL(shop.origin).host;
  program = await startSlackProgram({ role: 'all', targets, database: await createEmptyDatabase() });
  browser = await launchChromium();
}, RUN_MS);
afterAll(async () => {
  await browser?.close();
  await program?.stop();
  await shop?.close();
});

const messages = () => program.server.messages(CHANNEL);
const says = (words: RegExp, to?: Person) =>
  messages().findLast((each) => words.test(JSON.stringify(each)) && each.to === to?.userId);

it(
  'Stop in Slack’s own list ends a run within two seconds, the thread’s last word included',
  async () => {
    const { hands, server } = program;
    const [merchant, approver, owner] = hands.people;
    if (!merchant || !approver || !owner) throw new Error('the stand-in for Slack has nobody in it');
    await hands.say(merchant, `set up WooCommerce for ${shop.origin}`);
    const ref = `${CHANNEL}:${messages()[0]?.ts}`;
    const thread: ThreadRef = { platform: 'slack', workspaceId: TEAM, ref };
    await vi.waitUntil(() => says(/I work alone/, owner), PATIENCE);
    await hands.click(owner, thread, undefined, 'choose_approvers');
    await vi.waitUntil(() => server.view(owner.userId), PATIENCE);
    await hands.submit(owner, thread, { approvers: [approver.userId], required: ['1'] });
    const card = await vi.waitUntil(() => says(/"approve#/), PATIENCE);
    await hands.click(approver, thread, { ref: card.ts, thread }, 'approve');
    const link = await vi.waitUntil(() => says(/\/connect\//, merchant), PATIENCE);
    const page = await browser.newPage();
    await page.goto(/"url":"([^"]+\/connect\/[^"]+)"/.exec(JSON.stringify(link.blocks))?.[1] ?? '');
    await fillSignIn(page, { user: shop.username, password: shop.password });
    await page.getByRole('heading', { name: 'Thank you' }).waitFor();
    const isInIt = () => shop.requests.some(({ path }) => path.startsWith(SLOW_PAGE));
    await vi.waitUntil(isInIt, PATIENCE);

    const stopped = { type: 'agent_session_stopped', channel: CHANNEL, user: approver.userId };
    const [, thread_ts] = ref.split(':');
    const began = performance.now();
    expect((await hands.event({ ...stopped, thread_ts, event_ts: thread_ts })).isTaken).toBe(true);
    const last = await vi.waitUntil(() => says(/Stopped: WooCommerce for/), PATIENCE);
    const tookMs = performance.now() - began;
    process.stdout.write(`Slack’s own Stop, from the event to the thread’s last word: ${Math.round(tookMs)} ms\n`);
    expect(last.thread_ts).toBe(thread_ts);
    expect(JSON.stringify(last)).toMatch(/Stopped by Approver\./);
    expect(tookMs).toBeLessThan(withinMs());
    const [row] = await program.sql('SELECT status FROM autonomous_operations');
    expect(row).toEqual({ status: 'cancelled' });
    expect(shop.keys()).toEqual([]);
    // Slack does not take its Stop away by itself.
    await vi.waitUntil(() => server.statuses.at(-1) !== 'processing', PATIENCE);
  },
  2 * RUN_MS,
);
