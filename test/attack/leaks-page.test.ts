// Pages that say secrets in every encoding wherever a program could pick up their words: none of them leaves the browser
// adapter, through which the real engine sees the real pages.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BrowserSession } from '../../core/ports/browser.ts';
import { redact } from '../../core/redaction.ts';
import { Secret } from '../../core/secret.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import { installShop, look, queuedOperation } from '../support/core.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { ENCODINGS, leftOver } from '../support/encodings.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { RUN_MS } from '../support/people.ts';
import { sweep } from '../support/sweep.ts';
import { openWorker } from '../support/worker.ts';
import { type HostileShop, startHostileShop } from './hostile-shop.ts';

const CANARIES = [
  `Tr0ub4dor&${randomBytes(3).toString('hex')}`,
  randomBytes(20).toString('hex'),
  `kö/nig+käse & 100% "rye" <${randomBytes(6).toString('hex')}>'s`,
];
const secrets = CANARIES.map((canary) => new Secret(canary));
const WRITTEN = CANARIES.flatMap((canary) =>
  Object.entries(ENCODINGS).map(([encoding, write]) => ({
    name: `${canary.slice(0, 4)}… ${encoding}`,
    text: write(canary),
    length: canary.length,
  })),
);
/** Those that can be the name of a host, in the one case that hosts have. */
const HOSTS = WRITTEN.map(({ text }) => text.toLowerCase()).filter((text) => /^[a-z0-9]{8,63}$/.test(text));

describe('66 out of the browser', () => {
  let site: LoopbackSite;
  let browser: TestBrowser;
  let session: BrowserSession;

  beforeAll(async () => {
    site = await serveSite({
      '/': PAGE,
      '/away': (request, response) => {
        const to = new URL(request.url ?? '/', 'http://site.test').searchParams.get('to');
        response.writeHead(302, { location: `http://${to}.test/` }).end();
      },
    });
    browser = openTestBrowser({ privateTargets: [site.authority] });
    const hide = (words: string) => redact(words, secrets);
    session = await browser.browser.open({ origins: [site.origin], hide });
    await session.navigate(`${site.origin}/`, 10_000);
  });
  afterAll(async () => {
    await session?.close();
    await browser?.close();
    await site?.close();
  });

  async function button(at: number) {
    const found = await session.find([{ by: 'css', selector: `#say${at}` }], { timeoutMs: 5_000 });
    if (found.kind !== 'found') throw new Error(`there is no button ${at}`);
    return found.element;
  }

  test.each(WRITTEN.map((written, at) => ({ ...written, at })))(
    'comes no canary in a name, a title or an address: $name',
    async ({ text, length, at }) => {
      const element = await button(at);
      await session.act(element, { kind: 'click' }, 5_000);
      const state = await session.state();
      expect(element.identity.name).toContain('[secret]');
      expect(state.title).toContain('[secret]');
      expect(state.url).toBe(`${site.origin}/`);
      const came = [element.identity.name, state.title, state.url, JSON.stringify([element, state])].join('\n');
      expect(leftOver(text, came, length)).toBeUndefined();
    },
  );

  test('comes no canary in what was refused, nor in an error', async () => {
    expect(HOSTS.length).toBeGreaterThan(5);
    for (const host of HOSTS) {
      const error: unknown = await session.navigate(`${site.origin}/away?to=${host}`, 10_000).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'egress_refused', message: expect.stringContaining('[secret]') });
      const said = `${(error as Error).message}${(error as Error).stack}${session.incidents().join(' ')}`;
      expect(said.toLowerCase()).not.toContain(host);
      expect(said).toMatch(/A connection to \S*\[secret\]\S* was refused/);
    }
  });
});

describe('66 out of the browser of a run', () => {
  let hostile: HostileShop;
  let testDatabase: TestDatabase;
  const password = `Kö-nig+${randomBytes(6).toString('hex')} & "7"`;

  beforeAll(async () => {
    hostile = await startHostileShop(password);
    testDatabase = await createTestDatabase();
  });
  afterAll(async () => {
    await testDatabase?.drop();
    await hostile?.close();
  });

  test(
    'comes nothing of what a shop echoes but the key itself, where it is read for the vault',
    async () => {
      const came: string[] = [];
      const wrap = (session: BrowserSession) => overheard(session, password, came);
      const worker = await openWorker(testDatabase, { target: hostile.authority, wrap });
      try {
        const shop = await installShop(worker.core);
        const place = { origin: hostile.origin, base: hostile.origin };
        const signIn = { admin_username: hostile.username, admin_password: password };
        const operation = await queuedOperation(worker.core, shop, place, signIn);
        await worker.run(operation);
        expect((await look(worker.core, operation)).state).toBe('completed');
      } finally {
        await worker.close();
      }
      expect(decodeURIComponent([...hostile.shownPaths].join('\n'))).toContain(encodeURIComponent(password));
      const found = Object.fromEntries(hostile.secrets().map((secret, at) => [`${at}`, secret]));
      expect(Object.keys(found)).toHaveLength(3);
      const words = came.join('\n');
      expect(words).toContain('[secret]');
      expect(sweep([{ name: 'the browser', bytes: Buffer.from(words) }], found)).toEqual([]);
    },
    RUN_MS,
  );
});

/**
 * The same session; whatever words it gives are kept, those of a field that is read apart, from when the password was typed:
 * what this shop says of it before could be known to no run.
 */
function overheard(session: BrowserSession, password: string, came: string[]): BrowserSession {
  let isTyped = false;
  const keep = <T>(words: T): T => {
    if (isTyped) came.push(JSON.stringify(words));
    return words;
  };
  return {
    ...session,
    navigate: async (url, timeoutMs) => keep(await session.navigate(url, timeoutMs)),
    state: async () => {
      keep(session.incidents());
      return keep(await session.state());
    },
    act: async (element, action, timeoutMs) => {
      await session.act(element, action, timeoutMs);
      isTyped ||= action.kind === 'fill' && action.value instanceof Secret && action.value.reveal() === password;
    },
    find: async (locators, options) => keep(await session.find(locators, options)),
    incidents: () => keep(session.incidents()),
  };
}

/** A button for each text, which is its name; a click makes it the page's title and address, too. */
const PAGE = `<body><script>
  const texts = ${JSON.stringify(WRITTEN.map(({ text }) => text)).replaceAll('<', '\\u003c')};
  texts.forEach((text, at) => {
    const button = document.createElement('button');
    button.id = 'say' + at;
    button.textContent = 'say it';
    button.setAttribute('aria-label', text);
    button.onclick = () => {
      document.title = text;
      history.replaceState(null, '', '/p?q=' + text.replaceAll('#', '%23'));
    };
    document.body.append(button);
  });
</script>`;
