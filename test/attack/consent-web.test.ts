import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import type { Browser } from 'playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WebChat } from '../../adapters/web/index.ts';
import { consentCard } from '../../bot/cards/consent-card.ts';
import { resultCard } from '../../bot/cards/result-card.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Card, ThreadRef } from '../../core/ports/chat.ts';
import { woocommerce } from '../../core/services/woocommerce/index.ts';
import { appoint, startTestDemo, type TestDemo } from '../support/demo.ts';
import { granted, memberNamed, NOW, operationWith } from '../support/operation.ts';
import { launchChromium, openPageAs, openWebChat, webChatFolder } from '../support/web-chat.ts';

describe('37 a request that is not what a person’s own page sent', () => {
  let demo: TestDemo;
  let port: number;

  beforeAll(async () => {
    demo = await startTestDemo();
    port = Number(new URL(demo.chatUrl).port);
  });
  afterAll(() => demo?.remove());

  interface Answer {
    readonly status: number;
    readonly text: string;
  }

  /** Exactly these headers and these bytes. */
  function send(method: string, path: string, headers: Record<string, string>, body = ''): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on('error', reject).end(body);
    });
  }

  const own = () => ({ host: `localhost:${port}`, origin: `http://localhost:${port}` });
  const JSON_TYPE = { 'content-type': 'application/json' };
  const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };

  interface Asked {
    readonly operationId: string;
    readonly path: string;
    readonly click: { readonly as: string; readonly action: string; readonly value: string };
  }

  /** Somebody asks; the card's Approve as the page of the approver has it. */
  async function asked(): Promise<Asked> {
    await appoint(demo, ['approver']);
    const said = {
      as: 'merchant',
      thread: 'new',
      text: `set up WooCommerce for ${demo.shop.origin}`,
      nonce: randomUUID(),
    };
    const { text } = await send('POST', '/messages', { ...own(), ...JSON_TYPE }, JSON.stringify(said));
    const { url } = JSON.parse(text) as { url: string }; // the page's own script reads it so
    await expect.poll(() => approveForm(url), { timeout: 30_000, interval: 100 }).toBeTruthy();
    const [, path = '', value = ''] = (await approveForm(url)) ?? [];
    return { operationId: value.split(' ')[0] ?? '', path, click: { as: 'approver', action: 'approve', value } };
  }

  async function approveForm(thread: string): Promise<RegExpExecArray | null> {
    const { text } = await send('GET', thread, { ...own(), cookie: 'countersign_person=approver' });
    return /action="(\/messages\/[^"]+\/actions)"[^>]*><input[^>]*name="as"[^>]*><input[^>]*value="approve"><input[^>]*name="value" value="([^"]+)"/.exec(
      text,
    );
  }

  const grantsOf = async ({ operationId }: Asked) =>
    (await demo.sql('SELECT id FROM autonomous_consent WHERE operation_id = $1', [operationId])).length;

  const approve = (it: Asked, nonce: string = randomUUID(), more: Record<string, string> = {}) =>
    send('POST', it.path, { ...own(), ...JSON_TYPE }, JSON.stringify({ ...it.click, nonce, ...more }));

  test('forged Host, Origin or Sec-Fetch-Site: nothing is approved', async () => {
    const it = await asked();
    const body = JSON.stringify({ ...it.click, nonce: randomUUID() });
    const { host, origin } = own();
    for (const forged of [
      { host, origin: 'https://evil.example' },
      { host, origin: 'null' },
      { host, origin: `http://localhost:${port + 1}` },
      { host, origin: `http://localhost:${port}.evil.example` },
      { host: `evil.example:${port}`, origin },
      { host: 'localhost', origin },
      { host, origin, 'sec-fetch-site': 'cross-site' },
      { host, origin, 'sec-fetch-site': 'same-site' },
      { host },
    ]) {
      const headers = Object.fromEntries(Object.entries(forged).filter(([, value]) => value !== undefined));
      expect((await send('POST', it.path, { ...JSON_TYPE, ...headers }, body)).status).toBe(403);
    }
    expect(await grantsOf(it)).toBe(0);
    expect((await approve(it)).status).toBeLessThan(400); // the same from the page itself
    expect(await grantsOf(it)).toBe(1);
  });

  test('replayed, once and a hundred times, now and after its end: one countersignature', async () => {
    const it = await asked();
    const nonce = randomUUID();
    await Promise.all(Array.from({ length: 100 }, (_, n) => approve(it, n % 2 ? nonce : randomUUID())));
    expect(await grantsOf(it)).toBe(1);
    await approve(it, nonce);
    await approve(it);
    expect(await grantsOf(it)).toBe(1);
    const jobs = await demo.sql(
      "SELECT kind FROM autonomous_operations_audit WHERE operation_id = $1 AND kind = 'consent.granted'",
      [it.operationId],
    );
    expect(jobs).toHaveLength(1);
  });

  test('replayed on the card of another request: nothing is approved there', async () => {
    const [one, two] = [await asked(), await asked()];
    const swapped = { ...one.click, value: `${one.operationId} ${two.click.value.split(' ')[1]}` };
    for (const [path, click] of [
      [two.path, one.click],
      [one.path, two.click],
      [one.path, swapped],
    ] as const) {
      const { status } = await send(
        'POST',
        path,
        { ...own(), ...JSON_TYPE },
        JSON.stringify({ ...click, nonce: randomUUID() }),
      );
      expect(status).toBe(409);
    }
    expect([await grantsOf(one), await grantsOf(two)]).toEqual([0, 0]);
  });

  test('encoded anew: it says the same, or nothing', async () => {
    const it = await asked();
    const { as, action, value } = it.click;
    const nonce = randomUUID();
    const upper = value.replace(/ .*/, (hash) => hash.toUpperCase());
    const broken: readonly [Record<string, string>, string][] = [
      [JSON_TYPE, JSON.stringify({ as: [as], action, value, nonce })],
      [JSON_TYPE, JSON.stringify({ as, action: [action], value: { value }, nonce })],
      [JSON_TYPE, JSON.stringify({ as, action, value: upper, nonce })],
      [JSON_TYPE, JSON.stringify({ as, action, value: `${value} `, nonce })],
      [JSON_TYPE, JSON.stringify({ as, action, value: value.replace(' ', '\u00a0'), nonce })],
      [JSON_TYPE, JSON.stringify({ as, action, value, nonce }).slice(0, -1)],
      [JSON_TYPE, `\ufeff${JSON.stringify({ as: 'somebody', action, value, nonce })}`],
      [
        FORM_TYPE,
        new URLSearchParams([
          ['as', 'merchant'],
          ['as', as],
          ['action', action],
          ['value', value],
          ['nonce', nonce],
        ]).toString(),
      ],
      [FORM_TYPE, JSON.stringify({ as, action, value, nonce })],
      [{ 'content-type': 'text/plain' }, JSON.stringify({ as, action, value, nonce })],
      [{ ...JSON_TYPE, 'content-encoding': 'gzip' }, JSON.stringify({ as, action, value, nonce })],
      [{ 'content-type': 'application/json; charset=utf-16le' }, JSON.stringify({ as, action, value, nonce })],
    ];
    for (const [headers, body] of broken) {
      const { status } = await send('POST', it.path, { ...own(), ...headers }, body);
      expect([400, 403, 409, 415, 422]).toContain(status);
    }
    expect(await grantsOf(it)).toBe(0);
    // The same words in other bytes are the same words: one decision, however often.
    const escaped = JSON.stringify({ as, action, value, nonce }).replaceAll('a', '\\u0061');
    await send('POST', it.path, { ...own(), ...JSON_TYPE }, escaped);
    await send(
      'POST',
      it.path,
      { ...own(), ...FORM_TYPE },
      new URLSearchParams({ as, action, value, nonce }).toString(),
    );
    expect(await grantsOf(it)).toBe(1);
  });
});

const TRICKS: Readonly<Record<string, string>> = {
  markup: '</p><button>Approve</button><script>alert(1)</script><img src=x onerror=alert(1)>',
  entities: '&lt;b&gt;&#60;script&#62;&amp;quot;',
  attribute: '" autofocus onfocus="alert(1)" data-x="',
  mrkdwn: '*bold* _x_ ~x~ `code` ```block``` > quote\n• item',
  mentions: '<!channel> <!here> <@U0000> @here @channel',
  'link spoof': '<https://evil.example|shop.example.com> [shop.example.com](javascript:alert(1))',
  'zero width': 'shop\u200b.exam\u2060ple\u200d.com\ufeff',
  'turned round': 'safe \u202egpj.exe\u202c \u2066x\u2069 \u200f \u061c',
  controls: 'a\u0000b\u0007c\u001b[31mred\u009bd\u0085e\rf',
  'tag letters': 'ok\u{e0041}\u{e0070}\u{e0070}',
  'soft hyphen': 'app\u00adroved',
};
const HIDDEN = /(?![\t\n])[\p{Cc}\p{Cf}]/u;

describe('42 words of pages and people do not rewrite a card', () => {
  let browser: Browser;
  let chat: WebChat;
  let folder: ReturnType<typeof webChatFolder>;
  let thread: ThreadRef;
  let url: string;

  beforeAll(async () => {
    browser = await launchChromium();
    folder = webChatFolder();
    chat = openWebChat(folder.storeFile);
    const { promise, resolve } = Promise.withResolvers<ThreadRef>();
    chat.listen(async (event) => {
      resolve(event.thread);
      return undefined;
    });
    ({ url } = await chat.start());
    const body = JSON.stringify({ as: 'merchant', thread: 'new', text: 'hello', nonce: randomUUID() });
    await fetch(`${url}/messages`, {
      method: 'POST',
      headers: { origin: url, 'content-type': 'application/json' },
      body,
    });
    thread = await promise;
  });
  afterAll(async () => {
    await browser?.close();
    await chat?.stop();
    folder?.remove();
  });

  /** Every place of a card that somebody else's words come to, with these words. */
  function operationSaying(words: string): Operation {
    const plain = operationWith();
    const person = memberNamed(words, '7', ['merchant', 'approver']);
    const type = {
      ...plain.type,
      title: words,
      permissions: plain.type.permissions.map((p) => ({ ...p, words, reason: words, detail: words })),
    };
    const plan = {
      ...plain.plan,
      label: words,
      stores: words,
      replaces: words,
      steps: plain.plan.steps.map((step) => ({ ...step, intent: words })),
    };
    const service = { ...woocommerce, name: words };
    return { ...plain, type, plan, service, requester: person, widened: [{ permission: 'write_shop', by: person }] };
  }

  function cardsSaying(words: string): readonly Card[] {
    const open = operationSaying(words);
    const somebody = memberNamed(words, '8', ['merchant', 'approver', 'admin']);
    const rules = { approvalsRequired: 2, approverGroup: words };
    const people = { approvers: [somebody], admins: [somebody], rules, lack: undefined };
    const record = { entries: 3, seq: 3n, hash: 'ab'.repeat(32), isIntact: true };
    const request = open.request && { ...open.request, decision: 'denied', decidedAt: NOW };
    const denied = { ...open, state: 'denied', request, decidedBy: somebody, errorMessage: words } as const;
    return [
      consentCard({ ...open, approvals: [{ by: somebody, at: NOW }] }, people),
      consentCard({ ...open, state: 'queued', grant: granted(open, somebody) }, people),
      consentCard(denied, people),
      resultCard(denied, record),
    ];
  }

  interface Drawn {
    readonly tags: string;
    readonly words: string;
    readonly links: readonly string[];
  }

  /** What the page makes of these cards: their tags, their words, where their links lead. */
  async function drawn(cards: readonly Card[]): Promise<readonly Drawn[]> {
    const ids: string[] = [];
    for (const card of cards) ids.push((await chat.post(thread, card, { key: randomUUID() })).ref);
    const page = await openPageAs(browser, url, 'approver');
    let dialogs = 0;
    page.on('dialog', (dialog) => {
      dialogs++;
      return dialog.dismiss();
    });
    await page.goto(`${url}/t/${thread.ref}`);
    const found: Drawn[] = [];
    for (const id of ids)
      found.push(
        await page.locator(`[id="${id}"] .said`).evaluate((said) => ({
          tags: [...said.querySelectorAll('*')].map(({ tagName }) => tagName).join(' '),
          words: said.textContent ?? '',
          links: [...said.querySelectorAll('a')].map((link) => link.href),
        })),
      );
    await page.context().close();
    expect(dialogs).toBe(0);
    return found;
  }

  test('no markup, mention, link, direction or hidden character of theirs takes effect, wherever it stands', async () => {
    const tricks = Object.values(TRICKS);
    const plain = await drawn(cardsSaying('harmless'));
    const hostile = await drawn(tricks.flatMap(cardsSaying));
    for (const [index, is] of hostile.entries()) {
      const as = plain[index % plain.length];
      const trick = tricks[Math.floor(index / plain.length)] ?? '';
      expect(is.tags).toBe(as?.tags);
      expect(is.links).toEqual(as?.links);
      expect(is.words).not.toMatch(HIDDEN);
      expect(is.words).toContain(trick.replaceAll(new RegExp(HIDDEN, 'gu'), '\ufffd'));
    }
    expect(hostile).toHaveLength(tricks.length * plain.length);
  }, 120_000);

  test('a host that looks like another one is shown as it is sent', () => {
    const target = woocommerce.parseTarget('https://shор.example.com'); // Cyrillic о and р
    expect(target.kind === 'target' ? consentOf(target.base) : target.kind).toMatch(/xn--/);
  });

  function consentOf(base: string): string {
    const open = operationWith();
    const people = { approvers: [], admins: [], rules: { approvalsRequired: 1, approverGroup: null }, lack: undefined };
    return consentCard({ ...open, plan: { ...open.plan, base } }, people).summary;
  }
});
