import { join } from 'node:path';
import { type Page, chromium as playwright } from 'playwright';
import { createBrowser, createEgress, findChromium } from '../../adapters/browser/index.ts';
import { FEATURE_ARGS } from '../../adapters/browser/launch.ts';
import { runStep, type StepResult } from '../../core/agent/engine.ts';
import type { Browser } from '../../core/ports/browser.ts';
import { createWorkflowRegistry } from '../../core/workflow/registry.ts';
import { recordingRun } from '../core/agent/recording-run.ts';
import { type PracticeShop, startPracticeShop } from '../practice/woocommerce/server.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Bench, Benchmark, Measure } from './benchmark.ts';
import { repeat, timed } from './samples.ts';

const CHROMIUM_FOLDER = join(import.meta.dirname, '../../.countersign/chromium');
const WORKFLOW = createWorkflowRegistry().getDefinition('woocommerce_api_key_generation');
const STEPS = WORKFLOW.steps.slice(0, 1 + WORKFLOW.steps.findIndex((step) => step.kind === 'extract'));
/** The first byte of a shop's admin pages, as measured on real ones. */
const VENDOR_MS = 1_100;

/**
 * The workflow up to the key on the page, against a plain Playwright script with the same actions and a picture after each
 * step, on the same pages: in pairs, each in a browser that was just started for it, as an operation has its own and as a
 * script that somebody runs has; the start itself is not counted. The ratio is what it costs a merchant who waits. The
 * script runs a second time in a browser with our switches for speed: what a browser loads for its own window is then
 * loaded beside neither, and the ratio is what the checks, the masks and the proxy cost.
 */
export const replayOverhead: Benchmark = {
  name: 'replay-overhead',
  async run(bench) {
    const vendor = bench.isSlice ? [] : await pairs(bench, VENDOR_MS, 5); // half a minute each
    const bare = await pairs(bench, 0, bench.isSlice ? 2 : 20);
    const slow = vendor.length === 0 ? [] : measures('a vendor’s latency', vendor, 1.1);
    return [...slow, ...measures('no latency', bare, 1.5)];
  },
};

interface Pair {
  readonly plain: number;
  /** The same script, in a browser with our switches for speed. */
  readonly lean: number;
  readonly replay: number;
}

function measures(where: string, all: readonly Pair[], atMost: number): readonly Measure[] {
  return [
    { what: `WooCommerce at ${where}, plain script`, unit: 'ms', values: all.map(({ plain }) => plain) },
    { what: `WooCommerce at ${where}, replayed`, unit: 'ms', values: all.map(({ replay }) => replay) },
    {
      what: `WooCommerce at ${where}, replay over script`,
      unit: '×',
      values: all.map(({ plain, replay }) => replay / plain),
      target: { of: 'median', atMost },
    },
    {
      what: `WooCommerce at ${where}, replay over script in a browser as lean`,
      unit: '×',
      values: all.map(({ lean, replay }) => replay / lean),
    },
  ];
}

async function pairs(bench: Bench, latencyMs: number, times: number): Promise<readonly Pair[]> {
  const { it: shop, close: closeShop } = await bench.open(
    () => startPracticeShop({ latencyMs, obstacles: { adminEmailCheck: false } }),
    (started) => started.close(),
  );
  const own = await bench.open(
    () => openOwn(shop),
    (browser) => browser.close(),
  );
  const found = await findChromium({ log: silentLog, folder: CHROMIUM_FOLDER, mayInstall: true, ...configured() });
  const start = (more: readonly string[]) => () =>
    playwright.launch({ executablePath: found.path, args: [...found.args, ...more] });
  const replayOnce = async () => {
    const session = await own.it.open({ origins: [shop.origin] });
    const secrets = { admin_username: shop.username, admin_password: shop.password };
    const { run } = recordingRun({ session, base: shop.origin, secrets, obstacles: WORKFLOW.errorRecovery });
    const ms = await timed(async () => {
      let last: StepResult | undefined;
      for (const step of STEPS) {
        last = await runStep(step, run);
        if (last.kind === 'failed') throw new Error(`step ${step.order}: ${last.words}`);
      }
      await last?.picture?.drawn; // those before are drawn while the steps go on
    });
    await session.close();
    return ms;
  };
  const scriptOnce = async (more: readonly string[]) => {
    const plain = await bench.open(start(more), (browser) => browser.close());
    const page = await plain.it.newPage({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
    const ms = await timed(() => script(page, shop));
    await plain.close();
    return ms;
  };
  const runs = {
    plain: () => scriptOnce([]),
    lean: () => scriptOnce(FEATURE_ARGS),
    replay: replayOnce,
  };
  const order = ['plain', 'replay', 'lean'] as const;
  if (!bench.isSlice) for (const who of order) await runs[who](); // code that is compiled, and what the system keeps of the browsers' files
  const all: Pair[] = [];
  await repeat({ times, withinMs: bench.isSlice ? 15_000 : 180_000 }, async (index) => {
    const pair = { plain: 0, lean: 0, replay: 0 };
    // Who comes first changes, so that what the machine does meanwhile hits all; the replay is next to both scripts.
    for (const who of index % 2 === 0 ? order : order.toReversed()) pair[who] = await runs[who]();
    all.push(pair);
    return pair.replay;
  });
  await own.close();
  await closeShop();
  return all;
}

/** What a good test would do: locators by role and label, web-first waits, a picture of each step. */
async function script(page: Page, shop: PracticeShop): Promise<void> {
  const picture = () => page.screenshot({ type: 'jpeg', quality: 75 });
  const keys = `${shop.origin}/wp-admin/admin.php?page=wc-settings&tab=advanced&section=keys`;
  await page.goto(`${shop.origin}/wp-login.php?redirect_to=${encodeURIComponent(keys)}`, {
    waitUntil: 'domcontentloaded',
  });
  await page.locator('#user_login').waitFor();
  await picture();
  await page.getByRole('textbox', { name: 'Username or Email Address', exact: true }).fill(shop.username);
  await picture();
  await page.getByLabel('Password', { exact: true }).fill(shop.password);
  await picture();
  await picture();
  await page.getByRole('button', { name: 'Log In', exact: true }).click();
  await page.locator('a.page-title-action[href*="create-key=1"]').waitFor();
  await picture();
  await page.getByRole('link', { name: 'Add key', exact: true }).click();
  await page.locator('#key_description').waitFor();
  await picture();
  await page.getByRole('textbox', { name: 'Description' }).fill('Countersign op-7k3f9q2m');
  await picture();
  await page.locator('#key_permissions').selectOption('read', { force: true });
  await picture();
  await page.getByRole('button', { name: 'Generate API key', exact: true }).click();
  await page.locator('#key_consumer_key').waitFor();
  const [key, secret] = [
    await page.locator('#key_consumer_key').inputValue(),
    await page.locator('#key_consumer_secret').inputValue(),
  ];
  if (!key.startsWith('ck_') || !secret.startsWith('cs_')) throw new Error('the script found no key');
  await picture();
}

function openOwn(shop: PracticeShop): Browser {
  const egress = createEgress({ privateTargets: [new URL(shop.origin).host], log: silentLog });
  const options = { egress, log: silentLog, chromiumFolder: CHROMIUM_FOLDER, mayInstall: true };
  return createBrowser({ ...options, ...chromiumPath() });
}

function chromiumPath(): { chromiumPath?: string } {
  return process.env.CHROMIUM_PATH ? { chromiumPath: process.env.CHROMIUM_PATH } : {};
}

function configured(): { configured?: string } {
  return process.env.CHROMIUM_PATH ? { configured: process.env.CHROMIUM_PATH } : {};
}
