// `npm run pictures`: plays the whole conversation in a demo of its own, and in a stand-in for Slack, and photographs it, for the README and for our own eyes.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContextOptions, chromium, type Page } from 'playwright';
import { findChromium } from '../../adapters/browser/index.ts';
import { defaultPostgresDir } from '../../adapters/postgres/index.ts';
import { startDemo } from '../practice/demo.ts';
import { playScript } from '../practice/script.ts';
import { startPracticeStripe } from '../practice/stripe/server.ts';
import { takeConsolePictures } from './console-pictures.ts';
import { say, seen } from './people.ts';
import { silentLog } from './silent-log.ts';
import { takeSlackPictures } from './slack/pictures.ts';

const DOCS = join(import.meta.dirname, '../../docs/pictures');
/** Pictures that no document shows: for our own eyes. */
const LOOKS = join(import.meta.dirname, '../../.countersign/pictures');
const IN_DOCS = [
  'thread',
  'thread-dark',
  'thread-phone',
  'console-operation',
  ...['consent', 'running', 'thread', 'settings', 'home'].map((name) => `slack-${name}`),
];
const fileFor = (name: string) => join(IN_DOCS.includes(name) ? DOCS : LOOKS, `${name}.png`);
const WIDE = { viewport: { width: 900, height: 700 }, deviceScaleFactor: 1.5 } as const;
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true } as const;

/** As high as the thread, so that what sticks to the window's edges stands where it belongs. */
async function tall(page: Page): Promise<void> {
  const size = page.viewportSize();
  const box = await page.locator('html').boundingBox();
  if (size && box)
    await page.setViewportSize({ width: size.width, height: Math.max(size.height, Math.ceil(box.height)) });
}

async function sayInNewThread(page: Page, words: string): Promise<void> {
  await page.goto(new URL('/t/new', page.url()).href);
  await say(page, words);
  await seen(page, 'Approver may approve');
}

async function main(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-pictures-'));
  const stripe = await startPracticeStripe();
  const demo = await startDemo({
    folder: join(home, '.countersign'),
    chatPort: 0,
    httpPort: 0,
    shopPort: 4001,
    env: { PATH: process.env.PATH, ALLOW_PRIVATE_TARGETS: new URL(stripe.origin).host },
    log: silentLog,
  });
  const found = await findChromium({ mayInstall: true, log: silentLog });
  const browser = await chromium.launch({
    executablePath: found.path,
    chromiumSandbox: process.getuid?.() !== 0,
    args: [...found.args],
  });
  for (const folder of [DOCS, LOOKS]) mkdirSync(folder, { recursive: true });
  const shoot = async (
    name: string,
    role: string,
    look: BrowserContextOptions,
    prepare?: (page: Page) => Promise<unknown>,
  ) => {
    const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Europe/Berlin', ...look });
    const page = await context.newPage();
    await page.goto(demo.chatUrl);
    await page.getByRole('navigation', { name: 'Speak as' }).getByRole('button', { name: role }).click();
    await prepare?.(page);
    await page.waitForLoadState('networkidle');
    await tall(page);
    await page.screenshot({ path: fileFor(name) });
    await context.close();
  };
  try {
    await shoot('welcome', 'Merchant', WIDE);
    const at: Record<string, () => Promise<void>> = {
      asked: async () => {
        await shoot('consent-approver', 'Approver', WIDE);
        await shoot('consent-phone', 'Approver', PHONE);
        await shoot('first-admin', 'Admin', WIDE);
      },
      link: () => shoot('one-time-link', 'Merchant', WIDE),
      running: () => shoot('progress', 'Merchant', WIDE),
    };
    const code = await playScript(
      demo,
      { sentence: `can you set up WooCommerce for ${demo.shop.origin}?` },
      { say: () => {}, at: (moment) => at[moment]?.() ?? Promise.resolve() },
    );
    if (code !== 0) throw new Error('the conversation did not end well, so there are no new pictures');
    await shoot('thread', 'Merchant', WIDE);
    await shoot('thread-dark', 'Merchant', { ...WIDE, colorScheme: 'dark' });
    await shoot('thread-phone', 'Merchant', PHONE);
    await shoot('audit', 'Admin', WIDE);
    await shoot('audit-phone', 'Admin', PHONE);
    await shoot('together', 'Merchant', WIDE, (page) =>
      sayInNewThread(page, `set up WooCommerce for ${demo.shop.origin} and Stripe for ${stripe.origin}`),
    );
    for (const [name, look] of Object.entries({ 'together-approver': WIDE, 'together-phone': PHONE }))
      await shoot(name, 'Approver', look);
    await takeConsolePictures(browser, demo, fileFor);
    await takeSlackPictures(browser, fileFor);
  } finally {
    await browser.close();
    await demo.stop();
    await stripe.close();
    // As root the database lies elsewhere, in a folder named after this one.
    for (const folder of [defaultPostgresDir(home), home]) rmSync(folder, { recursive: true, force: true });
  }
}

await main();
process.exit(0);
