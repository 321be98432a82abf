import { type Browser as PlaywrightBrowser, chromium as playwright } from 'playwright';
import { expect, test } from 'vitest';
import { findChromium } from '../../adapters/browser/index.ts';
import { FEATURE_ARGS } from '../../adapters/browser/launch.ts';
import { silentLog } from '../support/silent-log.ts';

async function withBrowser<T>(args: readonly string[], work: (browser: PlaywrightBrowser) => Promise<T>): Promise<T> {
  const configured = process.env.CHROMIUM_PATH;
  const found = await findChromium({ log: silentLog, mayInstall: true, ...(configured ? { configured } : {}) });
  const browser = await playwright.launch({ executablePath: found.path, args: [...found.args, ...args] });
  try {
    return await work(browser);
  } finally {
    await browser.close();
  }
}

test('what Playwright switches off stays off in our browsers', async () => {
  const commandLine = await withBrowser([], async (browser) => {
    const session = await browser.newBrowserCDPSession();
    return (await session.send('SystemInfo.getInfo')).commandLine;
  });
  const off = (words: string) => /--disable-features=(\S+)/.exec(words)?.[1]?.split(',') ?? [];
  expect(off(commandLine).length).toBeGreaterThan(10);
  expect(off(FEATURE_ARGS.join(' '))).toEqual(expect.arrayContaining(off(commandLine)));
});

test('a window of ours loads no pages for its address bar', async () => {
  const urls = await withBrowser(FEATURE_ARGS, async (browser) => {
    await browser.newPage();
    const session = await browser.newBrowserCDPSession();
    const { targetInfos } = await session.send('Target.getTargets', { filter: [{}] });
    return targetInfos.map(({ url }) => url);
  });
  expect(urls).toContain('about:blank');
  expect(urls.filter((url) => url.startsWith('chrome:'))).toEqual([]);
});
