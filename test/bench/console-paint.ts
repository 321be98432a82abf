import { join } from 'node:path';
import { chromium as playwright } from 'playwright';
import { findChromium } from '../../adapters/browser/index.ts';
import { createConsoleSessions } from '../../core/console/sessions.ts';
import { createCustomers } from '../../core/customers/customers.ts';
import { createDirectory } from '../../core/directory.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Bench, Measure } from './benchmark.ts';
import type { Rig, RigCustomer } from './rig.ts';

const CHROMIUM_FOLDER = join(import.meta.dirname, '../../.countersign/chromium');
const PAINT_LIMIT_MS = 30_000;

/**
 * From asking for a page of the console until Chromium paints something of it, in a browser window that was never there
 * before: the first time for each page apart, which also fills the server's and the database's memory, then `times` more.
 */
export async function firstPaints(
  bench: Bench,
  { database, audit }: Rig,
  { customerId }: RigCustomer,
  at: { readonly url: string; readonly operation: string; readonly text: string },
  times: number,
): Promise<readonly Measure[]> {
  const directory = createDirectory(database);
  const customers = createCustomers({ database, directory });
  const sessions = createConsoleSessions({ database, directory, customers, audit });
  const [admin] = await database.withCustomer(customerId, (tx) => customers.members(tx, customerId, 'admin'));
  const issued = admin && (await sessions.issue(customerId, admin.id));
  if (!issued || 'tooSoon' in issued) throw new Error('there is no link to the console');
  const { origin } = new URL(at.url);
  const path = `${origin}/console/sign-in/${issued.token}`;
  const answer = await fetch(path, { method: 'POST', redirect: 'manual', headers: { origin } });
  const [name, value] = (answer.headers.get('set-cookie')?.split(';')[0] ?? '').split('=');
  if (!name || !value) throw new Error(`nobody was signed in: ${answer.status} ${await answer.text()}`);

  const configured = process.env.CHROMIUM_PATH === undefined ? {} : { chromiumPath: process.env.CHROMIUM_PATH };
  const found = await findChromium({ log: silentLog, folder: CHROMIUM_FOLDER, mayInstall: true, ...configured });
  const { it: browser, close } = await bench.open(
    () => playwright.launch({ executablePath: found.path, args: [...found.args] }),
    (opened) => opened.close(),
  );
  const paint = async (page: string): Promise<number> => {
    const context = await browser.newContext();
    try {
      await context.addCookies([{ name, value, url: origin }]);
      const tab = await context.newPage();
      const shown = await tab.goto(`${origin}/console/${page}`, { timeout: PAINT_LIMIT_MS });
      if (shown?.status() !== 200) throw new Error(`${page} answered ${shown?.status()}`);
      return await tab.evaluate(
        () =>
          new Promise<number>((resolve) => {
            const look = () => {
              const [first] = performance.getEntriesByName('first-contentful-paint');
              if (first) resolve(first.startTime);
              else setTimeout(look, 10);
            };
            look();
          }),
      );
    } finally {
      await context.close();
    }
  };
  const pages = [
    ...['operations', `operations?text=${at.text}`, `operations/${at.operation}`, 'approvals', 'connections'],
    ...['people', 'workflows', 'audit', 'queue', 'health'],
  ];
  const [cold, warm]: [number[], number[]] = [[], []];
  let slowest = { page: '', ms: 0 };
  for (const page of pages) {
    cold.push(await paint(page));
    for (let n = 0; n < times; n++) {
      const ms = await paint(page);
      warm.push(ms);
      if (ms > slowest.ms) slowest = { page: page.replace(at.operation, 'op-…'), ms };
    }
  }
  await close();
  return [
    { what: 'first paint of the console’s pages, each asked for the first time', unit: 'ms', values: cold },
    {
      what: `first paint of the console’s pages, slowest ${slowest.page}`,
      unit: 'ms',
      values: warm,
      target: { of: 'max', atMost: 1_000 },
    },
  ];
}
