import type { Browser, BrowserContextOptions, Page } from 'playwright';
import type { Demo } from '../practice/demo.ts';
import { say } from './people.ts';

const WIDE = { viewport: { width: 1280, height: 800 } } as const;
const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 } as const;

/** Signs somebody in by the link that chat gives them, and photographs what they see of a demo in which something was done. */
export async function takeConsolePictures(
  browser: Browser,
  demo: Pick<Demo, 'chatUrl'>,
  fileFor: (name: string) => string,
): Promise<void> {
  const states = new Map<string, Awaited<ReturnType<typeof signedIn>>>();
  for (const person of ['Admin', 'Approver']) states.set(person, await signedIn(browser, demo.chatUrl, person));
  const shoot = async (
    name: string,
    person: string,
    look: BrowserContextOptions,
    open: (page: Page) => Promise<unknown>,
  ) => {
    const { origin, storageState } = states.get(person) ?? {
      origin: demo.chatUrl,
      storageState: { cookies: [], origins: [] },
    };
    const context = await browser.newContext({
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      ...look,
      baseURL: origin,
      storageState,
    });
    const page = await context.newPage();
    await page.goto('/console/operations');
    await open(page);
    await page.screenshot({ path: fileFor(name), fullPage: true });
    await context.close();
  };
  const operation = async (page: Page) => {
    await page.goto('/console/operations?state=completed');
    await page.getByRole('table').getByRole('link').first().click();
    await page.getByRole('region', { name: 'Steps' }).getByRole('link').nth(5).click();
    await page.getByRole('region', { name: 'Step 6' }).getByRole('img').waitFor();
    await page.getByText(/^intact · #\d+$/).waitFor();
  };
  await shoot('console-operation', 'Admin', WIDE, operation);
  await shoot('console-operation-dark', 'Admin', { ...WIDE, colorScheme: 'dark' }, operation);
  await shoot('console-operation-phone', 'Admin', PHONE, operation);
  await shoot('console-operations', 'Admin', WIDE, async () => {});
  for (const page of ['connections', 'workflows', 'audit', 'people', 'queue', 'health'])
    await shoot(`console-${page}`, 'Admin', WIDE, (at) => at.goto(`/console/${page}`));
  await shoot('console-approvals', 'Approver', WIDE, (page) => page.goto('/console/approvals'));
}

async function signedIn(browser: Browser, chatUrl: string, person: string) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(chatUrl);
  await page.getByRole('navigation', { name: 'Speak as' }).getByRole('button', { name: person }).click();
  await page.goto(new URL('/t/new', chatUrl).href);
  await say(page, 'open the console');
  const link = page.getByRole('link', { name: /^Open the console/ }).last();
  await link.waitFor();
  const [opened] = await Promise.all([context.waitForEvent('page'), link.click()]);
  await opened.getByRole('button', { name: /^Sign in as/ }).click();
  await opened.waitForURL(/\/console\/operations$/);
  const { origin } = new URL(opened.url());
  const storageState = await context.storageState();
  await context.close();
  return { origin, storageState };
}
