// The main job in Microsoft 365 Agents Playground, in real Chromium, as `npm run demo -- --teams` answers it. Its licence is for
// evaluation: it is fetched by npx for whoever asks with TEAMS_E2E=1, and is no dependency of ours.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TEAMS_CLIENT } from '../practice/demo.ts';
import { startTestDemo, type TestDemo } from '../support/demo.ts';
import { freePort } from '../support/free-port.ts';
import { fillSignIn, RUN_MS } from '../support/people.ts';
import { launchChromium } from '../support/web-chat.ts';

const PATIENCE_MS = 60_000;
/** To be looked at afterwards. */
const PICTURES = process.env.TEAMS_E2E_PICTURES;

describe.runIf(process.env.TEAMS_E2E === '1')('Teams, in Microsoft’s client (asked with TEAMS_E2E=1)', () => {
  let demo: TestDemo;
  let client: ChildProcess;
  let folder: string;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    demo = await startTestDemo({ teamsPort: 0 });
    folder = mkdtempSync(join(tmpdir(), 'teams-playground-')); // it writes a log where it is started
    const port = await freePort();
    const args = ['start', '-e', demo.app.urls.teams ?? '', '-c', 'msteams', '-p', String(port), '--disable-telemetry'];
    client = spawn('npx', ['-y', TEAMS_CLIENT, ...args], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await listening(client);
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 1400, height: 1100 } });
    page.setDefaultTimeout(PATIENCE_MS);
    await page.route(/^https:/, (route) => route.abort()); // fonts of the vendor's, which it does without
    await page.goto(`http://localhost:${port}`);
    await page.getByText('Connected.').first().waitFor();
  }, 300_000);
  afterEach(async () => {
    await picture('9-last');
  });
  afterAll(async () => {
    await browser?.close();
    if (client?.pid !== undefined && client.exitCode === null) process.kill(-client.pid, 'SIGKILL');
    await demo?.remove();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const say = async (words: string) => {
    await page.getByRole('textbox').last().fill(words);
    await page.keyboard.press('Enter');
  };
  const press = (name: string) => page.getByRole('button', { name, exact: true }).last().click();
  const shows = (words: RegExp, timeout = PATIENCE_MS) => page.getByText(words).last().waitFor({ timeout });
  const picture = async (name: string) => {
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  };

  it(
    'carries a request to the result and its audit: first card, form, approval, one-time page, live card',
    async () => {
      await shows(/^Welcome\./);
      await picture('1-welcome');
      await press('I work alone');
      await shows(/may approve/);
      await say(`set up WooCommerce for ${demo.shop.origin}`);
      await shows(/Create a WooCommerce API key/);
      await picture('2-consent');
      await press('Deny');
      await page.getByLabel('Reason').last().waitFor();
      await picture('3-form');
      await press('Cancel');
      await press('Approve');
      await shows(/Countersigned by/);
      await picture('4-countersigned');
      const link = page.getByText('Open the one-time page', { exact: true }).last(); // a link, by its role
      const [tab] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
      await fillSignIn(tab, { user: demo.shop.username, password: demo.shop.password });
      await tab.getByRole('heading', { name: 'Thank you' }).waitFor();
      await tab.close();
      await page.locator('img[src*="/pictures/"]').last().waitFor();
      await picture('5-progress');
      await shows(/WooCommerce is connected\./, 2 * RUN_MS);
      await picture('6-result');
      const [id = ''] = /op-[a-z0-9]{8}/.exec(await page.content()) ?? [];
      await say(`audit ${id}`);
      await shows(/All \d+ entries/);
      await picture('7-audit');
      await page
        .getByRole('button', { name: /All \d+ entries/ })
        .last()
        .click();
      await page.mouse.wheel(0, 5_000);
      await picture('8-entries');
      await page.getByRole('treeitem', { name: /General/ }).click();
      await page.getByRole('textbox').first().click();
      await page.keyboard.type('@');
      await page.getByRole('menuitem', { name: 'Test Bot' }).click();
      await page.keyboard.type(` set up WooCommerce with write access for ${demo.shop.origin}`);
      await page.getByRole('button', { name: 'Post' }).click();
      await shows(/Create a WooCommerce API key/);
      await picture('8-channel');
      await press('Deny');
      await page.getByLabel('Reason').last().fill('Not this one.');
      await press('Deny');
      await shows(/Denied by/);
      expect(await page.content()).not.toContain(demo.shop.password);
    },
    4 * RUN_MS,
  );
});

async function listening(child: ChildProcess): Promise<void> {
  let said = '';
  const ended = once(child, 'exit').then(() => {
    throw new Error(`the client ended by itself: ${said.slice(-500)}`);
  });
  const ready = new Promise<void>((resolve) => {
    child.stdout?.on('data', (part: Buffer) => {
      said += part.toString();
      if (said.includes('Listening on')) resolve();
    });
  });
  await Promise.race([ready, ended]);
}
