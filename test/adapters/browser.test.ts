import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { chromium } from 'playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { perform } from '../../adapters/browser/elements.ts';
import { createBrowser, findChromium } from '../../adapters/browser/index.ts';
import { sweepProfiles } from '../../adapters/browser/process.ts';
import type { Action, BrowserSession, FoundElement, Locator } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { silentLog } from '../support/silent-log.ts';

const FORM = `<title>Key details</title>
<style>.far { margin-top: 1500px } .gone { display: none }
  .select2-hidden-accessible { clip: rect(0 0 0 0); height: 1px; width: 1px; overflow: hidden; position: absolute }
  .widget { display: inline-block; width: 300px; height: 30px }</style>
<h1>Key details</h1>
<label for="d">Description</label> <input id="d" type="text" placeholder="What for">
<div class="gone"><button>Generate</button></div> <button id="go">Generate</button>
<button>Copy</button> <button>Copy</button>
<label for="p">Permissions</label>
<select id="p" class="select2-hidden-accessible" aria-hidden="true" tabindex="-1">
  <option value="read">Read</option><option value="write">Write</option><option value="read_write">Read/Write</option></select>
<span class="widget" id="w">Read</span>
<label><input type="checkbox" id="c"> Remember me</label>
<table><tr><th>Consumer secret</th><td><input readonly id="s" value="cs_1"></td></tr></table>
<div id="editable" contenteditable>words</div>
<div id="out"></div>
<p class="far"><a id="below" href="#">At the bottom</a></p>
<script>
  p.onchange = () => { w.textContent = p.selectedOptions[0].text };
  go.onclick = () => { out.textContent = 'made'; out.className = 'ready' };
  d.onkeydown = (event) => { if (event.key === 'Enter') out.textContent = 'entered' };
</script>`;

let site: LoopbackSite;
let other: LoopbackSite;
let test1: TestBrowser;
let session: BrowserSession;
/** Lets the script come that binds the button of `/bound`. */
const { promise: binding, resolve: bind } = Promise.withResolvers<void>();

beforeAll(async () => {
  other = await serveSite({ '/field': '<input id="x" aria-label="Elsewhere">' });
  site = await serveSite({
    '/form': FORM,
    '/to-bound': '<a id="to" href="/bound">On</a>',
    '/bound': '<button id="late">Make</button><input id="made"><script src="/binding"></script>',
    '/binding': async (_, response) => {
      await binding;
      response.setHeader('content-type', 'text/javascript');
      response.end(
        `document.querySelector('#late').onclick = () => { document.querySelector('#made').value = 'made' }`,
      );
    },
    '/late': `<p>wait</p><script>setTimeout(() => { document.body.innerHTML = '<button>Ready</button>' }, 300)</script>`,
    '/leave': `<input id="x"><script>onbeforeunload = (event) => { event.preventDefault(); return 'stay?' }</script>`,
    '/popup': `<button id="b" onclick="window.open('/form'); alert('boo'); done.textContent = 'yes'">Open</button><p id="done"></p>`,
    '/opens': `<a id="blank" href="/closes" target="_blank" rel="noopener">New</a>
      <button id="own" onclick="window.open('/closes')">Own</button>
      <button id="two" onclick="window.open('/form'); window.open('/inner')">Two</button>
      <button id="away" onclick="window.open('http://127.0.0.1:${other.port}/field')">Away</button>`,
    '/closes': `<button id="end" onclick="window.close()">Done</button>
      <button id="early" onpointerdown="window.close()">Gone before the button is let go</button>
      <button id="late" onclick="setTimeout(() => window.close(), 300)">Soon</button>`,
    '/download': `<a href="/file" download="f.bin" id="a">Get</a>`,
    '/file': (_asked, response) => {
      response.setHeader('content-disposition', 'attachment; filename=f.bin');
      response.end('bytes');
    },
    '/frame': `<iframe src="/inner"></iframe>`,
    '/inner': `<label>Inside <input id="i"></label>`,
    '/tick': `<input type="checkbox" id="tick">`,
    '/foreign-frame': `<iframe src="http://127.0.0.1:${other.port}/field"></iframe>`,
    '/blob-frame': `<script>
      const put = (html) => document.body.append(Object.assign(document.createElement('iframe'), { src: URL.createObjectURL(new Blob([html], { type: 'text/html' })) }));
      onload = () => { put('<label>In a blob <input id="z"></label>'); put('<iframe src="' + location.origin + '/inner"></iframe>'); document.body.insertAdjacentHTML('beforeend', '<iframe srcdoc="<label>In a srcdoc <input></label>"></iframe><p id="put">put</p>') };</script>`,
    '/long': `<button id="b">${'long '.repeat(400)}</button><button id="vast">${'x'.repeat(300_000)}</button>
      <input id="v" aria-label="Value"><p id="t">${'text '.repeat(20_000)}</p>
      <script>document.title = 't'.repeat(1e6); v.value = 'v'.repeat(1e6); history.replaceState(0, '', '/long?' + 'q'.repeat(5000))</script>`,
    '/away': (_asked, response) => void response.writeHead(302, { location: 'http://elsewhere.test/' }).end(),
    '/hop': `<script>location.href = '/form'</script>`,
    '/busy': `<button id="b" onclick="setTimeout(() => { for (;;); }, 200)">Loop</button>`,
    '/cookie': (_asked, response) =>
      void response.writeHead(200, { 'set-cookie': 'seen=1', 'content-type': 'text/html' }).end('<p>set</p>'),
    '/cookies': (asked, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<p id="c">${asked.headers.cookie ?? 'none'}</p>`),
  });
  test1 = openTestBrowser({ privateTargets: [site.authority, `127.0.0.1:${other.port}`] });
  session = await test1.browser.open({ origins: [site.origin] });
});
afterAll(async () => {
  await test1.close();
  await Promise.all([site.close(), other.close()]);
});

const css = (selector: string): Locator => ({ by: 'css', selector });

async function the(locator: Locator, hiddenIsFine = false, inSession = session): Promise<FoundElement> {
  const result = await inSession.find([locator], { timeoutMs: 3_000, hiddenIsFine });
  if (result.kind !== 'found') throw new Error(`${JSON.stringify(locator)} is ${result.kind}`);
  return result.element;
}

async function act(locator: Locator, action: Action, hiddenIsFine = false): Promise<void> {
  await session.act(await the(locator, hiddenIsFine), action, 3_000);
}

const openPage = (path: string) => session.navigate(`${site.origin}${path}`, 10_000);
const valueAt = async (selector: string) => session.read(await the(css(selector), true));

describe('finding', () => {
  test('takes the first locator that finds exactly one visible element, and says what it is', async () => {
    await openPage('/form');
    const locators: Locator[] = [
      css('#nowhere'),
      { by: 'role', role: 'button', name: 'Copy' },
      { by: 'role', role: 'button', name: 'Generate' },
    ];
    const result = await session.find(locators, { timeoutMs: 3_000 });
    expect(result).toMatchObject({
      kind: 'found',
      element: { locator: locators[2], identity: { tag: 'button', type: 'submit', role: 'button', name: 'Generate' } },
    });
  });

  test.each([
    [
      { by: 'label', text: 'Description' },
      { tag: 'input', type: 'text', role: 'textbox', name: 'Description' },
    ],
    [
      { by: 'placeholder', text: 'What for' },
      { tag: 'input', type: 'text', role: 'textbox', name: 'Description' },
    ],
    [
      { by: 'text', text: 'Key details' },
      { tag: 'h1', role: 'heading', name: 'Key details' },
    ],
    [
      { by: 'role', role: 'checkbox', name: 'Remember me' },
      { tag: 'input', type: 'checkbox', role: 'checkbox', name: 'Remember me' },
    ],
    [
      { by: 'role', role: 'textbox', within: { by: 'role', role: 'row', name: 'Consumer secret' } },
      { tag: 'input', type: 'text', role: 'textbox' },
    ],
  ] satisfies [Locator, object][])('by %j', async (locator, identity) => {
    await openPage('/form');
    expect((await the(locator)).identity).toEqual(identity);
  });

  test('says of several that it is ambiguous, and of none that it is missing', async () => {
    await openPage('/form');
    const copy: Locator = { by: 'role', role: 'button', name: 'Copy' };
    expect(await session.find([css('#nowhere'), copy], { timeoutMs: 200 })).toEqual({
      kind: 'ambiguous',
      locator: copy,
      count: 2,
    });
    expect(await session.find([css('#nowhere')], { timeoutMs: 200 })).toEqual({ kind: 'missing' });
  });

  test('keeps looking until a late element is there', async () => {
    await openPage('/late');
    expect((await the({ by: 'role', role: 'button', name: 'Ready' })).identity.name).toBe('Ready');
  });

  test('scrolls to an element far below, so that its box is in the viewport', async () => {
    await openPage('/form');
    const { box } = await the(css('#below'));
    expect(box?.y).toBeGreaterThan(0);
    expect(box?.y).toBeLessThan(800 - (box?.height ?? 0));
  });

  test('looks into embedded frames of the allowed origins only', async () => {
    await openPage('/frame');
    await act({ by: 'label', text: 'Inside' }, { kind: 'fill', value: new Secret('in a frame') });
    expect(await valueAt('#i')).toBe('in a frame');
    await openPage('/foreign-frame');
    expect(await session.find([{ by: 'label', text: 'Elsewhere' }], { timeoutMs: 300 })).toEqual({ kind: 'missing' });
  });
});

describe('a frame that only looks like the shop', () => {
  test('is not searched: made by a script, or inside of such a one', async () => {
    await openPage('/blob-frame');
    expect(await session.waitFor([{ kind: 'visible', locator: css('#put') }], 3_000)).toBe(0);
    const labels = ['In a blob', 'In a srcdoc', 'Inside'].map((text): Locator => ({ by: 'label', text }));
    expect(await session.find(labels, { timeoutMs: 500 })).toEqual({ kind: 'missing' });
  });

  test('gets no secret typed, also when a field of it is at hand', async () => {
    const log = silentLog;
    const { path } = await findChromium({ mayInstall: true, log, configured: process.env.CHROMIUM_PATH ?? '' });
    const raw = await chromium.launch({ executablePath: path, chromiumSandbox: process.getuid?.() !== 0 });
    const page = await raw.newPage();
    await page.goto(`${site.origin}/blob-frame`);
    const [blob, nested] = [
      page.frameLocator('iframe').nth(0).locator('input'),
      page.frameLocator('iframe').nth(1).frameLocator('iframe').locator('input'),
    ];
    for (const field of [blob, nested]) {
      const handle = await field.elementHandle();
      if (!handle) throw new Error('no such field');
      const claims = { isSame: async () => true, hasClosedItself: async () => false };
      const around = { page, origins: [site.origin], timeoutMs: 2_000, ...claims };
      const typing = perform(handle, { kind: 'fill', value: new Secret('hunter2') }, around);
      await expect(typing).rejects.toMatchObject({ code: 'egress_refused' });
      expect(await handle.inputValue()).toBe('');
    }
    await raw.close();
  });
});

describe('what is taken from a page', () => {
  test('has an end, however long it is there', async () => {
    const { url, title } = await openPage('/long');
    expect([url, title.length]).toEqual([`${site.origin}/`, 300]);
    expect((await session.state()).url).toBe(`${site.origin}/`);
    const [button, vast, value, text] = [
      await the(css('#b')),
      await the(css('#vast')),
      await the(css('#v')),
      await the(css('#t')),
    ];
    expect(button.identity.name).toHaveLength(1_000);
    expect(vast.identity).toEqual({ tag: 'button', type: 'submit' });
    expect([(await session.read(value)).length, (await session.read(text)).length]).toEqual([10_000, 10_000]);
  });
});

describe('acting', () => {
  test('chooses in a select that a widget hides, by value or exact text, and the widget follows', async () => {
    await openPage('/form');
    const select = await the(css('#p'), true);
    expect(select.box).toMatchObject({ width: 300, height: 30 }); // of the widget, which is what people see
    await session.act(select, { kind: 'select', option: 'read_write' }, 3_000);
    expect([await session.read(select), await valueAt('#w')]).toEqual(['read_write', 'Read/Write']);
    await session.act(select, { kind: 'select', option: 'Write' }, 3_000);
    expect([await session.read(select), await valueAt('#w')]).toEqual(['write', 'Write']);
  });

  test('gives up on an option that never comes', async () => {
    await openPage('/form');
    await expect(
      session.act(await the(css('#p'), true), { kind: 'select', option: 'Delete' }, 200),
    ).rejects.toMatchObject({ code: 'network' });
  });

  test('fills, checks, presses and clicks', async () => {
    await openPage('/form');
    await act(css('#d'), { kind: 'fill', value: 'Countersign op-7k3f9q2m' });
    await act(css('#c'), { kind: 'check', isChecked: true });
    await act(css('#d'), { kind: 'press', key: 'Enter' });
    expect([await valueAt('#d'), await valueAt('#out')]).toEqual(['Countersign op-7k3f9q2m', 'entered']);
    await act(css('#go'), { kind: 'click' });
    expect(await session.waitFor([{ kind: 'value', locator: css('#out'), equals: 'made' }], 3_000)).toBe(0);
  });

  test('clicks no button before the scripts that stand behind it on the page have run', async () => {
    await openPage('/to-bound');
    await act(css('#to'), { kind: 'click' });
    const button = await the(css('#late'));
    const clicking = session
      .ready(button, { kind: 'click' }, 8_000)
      .then(() => session.act(button, { kind: 'click' }, 3_000));
    expect(await Promise.race([clicking.then(() => 'clicked'), delay(500, 'waits')])).toBe('waits');
    bind();
    await clicking;
    expect(await session.waitFor([{ kind: 'value', locator: css('#made'), equals: 'made' }], 3_000)).toBe(0);
  });

  test('puts a secret into form fields only', async () => {
    await openPage('/form');
    await act(css('#d'), { kind: 'fill', value: new Secret('hunter2') });
    expect(await valueAt('#d')).toBe('hunter2');
    await expect(act(css('#editable'), { kind: 'fill', value: new Secret('hunter2') })).rejects.toMatchObject({
      code: 'egress_refused',
    });
    expect(await valueAt('#editable')).toBe('words');
  });

  test('does not repeat a secret in the error when the field does not take it', async () => {
    await openPage('/form');
    const field = await the(css('#s'));
    const error = await session
      .act(field, { kind: 'fill', value: new Secret('hunter2hunter2') }, 300)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'network', isRetryable: true });
    expect(`${(error as Error).message} ${(error as Error).stack} ${(error as Error).cause}`).not.toContain('hunter2'); // an Error, as just checked
  });

  test('says of an element whose page is gone that it is gone', async () => {
    await openPage('/form');
    const button = await the(css('#go'));
    await openPage('/late');
    const stale = { code: 'element_stale', isRetryable: true };
    await expect(session.act(button, { kind: 'click' }, 500)).rejects.toMatchObject(stale);
  });
});

describe('waiting', () => {
  test.each([
    ['the whole path and a part of the query', { kind: 'url', path: '/form', query: { tab: 'keys' } }, 0],
    ['another path', { kind: 'url', path: '/for' }, undefined],
    ['another query', { kind: 'url', query: { tab: 'key' } }, undefined],
    ['something visible', { kind: 'visible', locator: css('h1') }, 0],
    ['something hidden', { kind: 'hidden', locator: css('.gone') }, 0],
    ['something that is not hidden', { kind: 'hidden', locator: css('h1') }, undefined],
    ['a value in full', { kind: 'value', locator: css('#s'), equals: 'cs_1' }, 0],
    ['a pattern, anchored', { kind: 'value', locator: css('#s'), matches: 'cs_' }, undefined],
    ['a pattern that fits', { kind: 'value', locator: css('#s'), matches: 'cs_\\d' }, 0],
    [
      'all of several',
      {
        kind: 'all',
        of: [
          { kind: 'visible', locator: css('h1') },
          { kind: 'visible', locator: css('#nowhere') },
        ],
      },
      undefined,
    ],
    [
      'any of several',
      {
        kind: 'any',
        of: [
          { kind: 'visible', locator: css('#nowhere') },
          { kind: 'visible', locator: css('h1') },
        ],
      },
      0,
    ],
  ] as const)('for %s', async (_what, condition, index) => {
    await openPage('/form?section=x&tab=keys');
    expect(await session.waitFor([condition], 150)).toBe(index);
  });

  test('sees whether a box is ticked', async () => {
    await openPage('/tick');
    const claim = (is: boolean) => session.waitFor([{ kind: 'checked', locator: css('#tick'), is }], 500);
    expect([await claim(false), await claim(true)]).toEqual([0, undefined]);
    await act(css('#tick'), { kind: 'check', isChecked: true });
    expect([await claim(false), await claim(true)]).toEqual([undefined, 0]);
  });

  test('says which condition held', async () => {
    await openPage('/late');
    const ready = { kind: 'visible', locator: { by: 'role', role: 'button', name: 'Ready' } } as const;
    expect(await session.waitFor([{ kind: 'visible', locator: css('#nowhere') }, ready], 3_000)).toBe(1);
  });

  test('nothing holds on an error page of the browser', async () => {
    await expect(openPage('/away')).rejects.toMatchObject({ code: 'egress_refused' });
    expect(await session.waitFor([{ kind: 'hidden', locator: css('#nowhere') }], 200)).toBeUndefined();
  });
});

describe('pages', () => {
  test.each([
    'https://example.com/',
    'file:///etc/passwd',
    'data:text/html,x',
    'chrome://version',
    'view-source:http://localhost/',
    'javascript:1',
    'not an address',
  ])('refuses to go to %s', async (url) => {
    await expect(session.navigate(url, 2_000)).rejects.toMatchObject({ code: 'egress_refused' });
  });

  test('follows a page that sends the browser on while it loads', async () => {
    await openPage('/hop');
    expect(await session.waitFor([{ kind: 'url', path: '/form' }], 3_000)).toBe(0);
    expect(await session.state()).toEqual({ url: `${site.origin}/form`, title: 'Key details' });
  });

  test('leaves a page that asks to stay, closes popups, dismisses dialogs, refuses downloads, and tells', async () => {
    session.incidents();
    await openPage('/leave');
    await act(css('#x'), { kind: 'fill', value: 'edited' });
    await openPage('/popup');
    await act(css('#b'), { kind: 'click' });
    expect(await session.waitFor([{ kind: 'value', locator: css('#done'), equals: 'yes' }], 3_000)).toBe(0);
    await openPage('/download');
    await act(css('#a'), { kind: 'click' });
    const told: string[] = [];
    await expect
      .poll(() => told.push(...session.incidents()) && told.toSorted())
      .toEqual([
        'A dialog of the page (alert) was dismissed.',
        'A download was refused.',
        'A window that the page opened was closed.',
        'The page asked whether to leave it: yes.',
      ]);
    expect(session.incidents()).toEqual([]);
  });

  test('goes on in the window that a click was said to open, and back when that closes itself', async () => {
    await openPage('/opens');
    await act(css('#blank'), { kind: 'click', opensPage: true });
    expect(await session.state()).toMatchObject({ url: `${site.origin}/closes` });
    await openPage('/opens');
    await act(css('#own'), { kind: 'click', opensPage: true });
    expect(await session.waitFor([{ kind: 'url', path: '/closes' }], 3_000)).toBe(0);
    await act(css('#end'), { kind: 'click' });
    expect(await session.waitFor([{ kind: 'url', path: '/opens' }], 3_000)).toBe(0);
  });

  test.each(['early', 'late'])('is not told as a browser that ended when a window closes itself %s', async (id) => {
    await openPage('/opens');
    await act(css('#own'), { kind: 'click', opensPage: true });
    await act(css(`#${id}`), { kind: 'click' });
    expect(await session.waitFor([{ kind: 'visible', locator: css('#two') }], 3_000)).toBe(0);
    expect(await session.state()).toMatchObject({ url: `${site.origin}/opens` });
  });

  test('closes all but the one window, and any on another address, and tells', async () => {
    await openPage('/opens');
    session.incidents();
    await act(css('#away'), { kind: 'click', opensPage: true });
    expect(session.incidents()).toContain('A window that the page opened was closed.');
    expect(await session.state()).toMatchObject({ url: `${site.origin}/opens` });
    await act(css('#two'), { kind: 'click', opensPage: true });
    expect(await session.state()).toMatchObject({ url: `${site.origin}/form` });
    await expect.poll(() => session.incidents()).toContain('A window that the page opened was closed.');
  });

  test('tells what was refused, with the end of the name alone', async () => {
    session.incidents();
    await expect(openPage('/away')).rejects.toMatchObject({ code: 'egress_refused', isRetryable: false });
    expect(session.incidents()).toEqual(['A connection to elsewhere.test:80 was refused (not on the list).']);
  });

  test('a page in an endless loop ends each call by its deadline, and another page can be opened', async () => {
    await openPage('/busy');
    await act(css('#b'), { kind: 'click' });
    await expect(session.waitFor([{ kind: 'visible', locator: css('#nowhere') }], 500)).rejects.toMatchObject({
      code: 'network',
      isRetryable: true,
    });
    expect(await openPage('/form')).toMatchObject({ title: 'Key details' });
  });

  test('two sessions share no cookie', async () => {
    await openPage('/cookie');
    await openPage('/cookies');
    expect(await valueAt('#c')).toBe('seen=1');
    const second = await test1.browser.open({ origins: [site.origin] });
    await second.navigate(`${site.origin}/cookies`, 10_000);
    expect(await second.waitFor([{ kind: 'value', locator: css('#c'), equals: 'none' }], 3_000)).toBe(0);
    await second.close();
  });
});

describe('the browser', () => {
  test('gives a browser that was kept warm to one session only', async () => {
    const { egress } = test1;
    const log = silentLog;
    const warm = createBrowser({ egress, log, mayInstall: true, keepWarm: true, ...configured() });
    await (await warm.open({ origins: [site.origin] })).close();
    const [one, two] = await Promise.all([
      warm.open({ origins: [site.origin] }),
      warm.open({ origins: [site.origin] }),
    ]);
    await one.navigate(`${site.origin}/form`, 10_000);
    await one.close();
    expect(await two.navigate(`${site.origin}/form`, 10_000)).toMatchObject({ title: 'Key details' });
    await warm.close();
    await expect(two.state()).rejects.toMatchObject({ code: 'browser_crashed' });
  });

  test('a session whose browser was killed says so, and the next one works', async () => {
    const before = childProcesses();
    const doomed = await test1.browser.open({ origins: [site.origin] });
    await doomed.navigate(`${site.origin}/form`, 10_000);
    const waiting = doomed.waitFor([{ kind: 'visible', locator: css('#nowhere') }], 10_000);
    for (const pid of childProcesses()) if (!before.has(pid)) process.kill(pid, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ code: 'browser_crashed', isRetryable: true });
    await expect(doomed.state()).rejects.toMatchObject({ code: 'browser_crashed', isRetryable: true });
    await doomed.close();
    const next = await test1.browser.open({ origins: [site.origin] });
    expect(await next.navigate(`${site.origin}/form`, 10_000)).toMatchObject({ title: 'Key details' });
    await next.close();
  });

  test('a session whose renderers crashed goes on with a new page, its cookies and its pictures', async () => {
    const before = childProcesses();
    const hurt = await test1.browser.open({ origins: [site.origin] });
    await hurt.navigate(`${site.origin}/cookie`, 10_000);
    const seen = await the(css('body'), false, hurt);
    const [browserPid] = [...childProcesses()].filter((pid) => !before.has(pid));
    const waiting = hurt.waitFor([{ kind: 'visible', locator: css('#nowhere') }], 10_000);
    const crash = { code: 'browser_crashed', isRetryable: true };
    for (const pid of renderersOf(browserPid)) process.kill(pid, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject(crash);
    // Whoever asks is told, and nobody else is: what fails without being waited for would end the program, and this run.
    await expect(hurt.ready(seen, { kind: 'fill', value: 'x' }, 1_000)).rejects.toMatchObject(crash);
    await expect(hurt.read(seen)).rejects.toMatchObject(crash);
    await expect(hurt.fingerprint(seen)).rejects.toMatchObject(crash);
    await hurt.navigate(`${site.origin}/cookies`, 10_000);
    expect(await hurt.waitFor([{ kind: 'value', locator: css('#c'), equals: 'seen=1' }], 3_000)).toBe(0);
    const caption = { number: 1, sentence: 'Go on', detail: '' };
    expect(await hurt.picture({ secrets: [], isRevealing: false, caption })).toMatchObject({ kind: 'taken' });
    await hurt.close();
  });

  test('a configured path without a file is refused in words that name the variable', async () => {
    const log = silentLog;
    await expect(findChromium({ configured: '/nowhere/chromium', mayInstall: false, log })).rejects.toMatchObject({
      code: 'browser_missing',
      message: expect.stringContaining('CHROMIUM_PATH'),
    });
  });

  test('is not fetched from the internet where that is not wanted: the words say what to do', async () => {
    const said: string[] = [];
    const note = (_: unknown, words: string) => void said.push(words);
    const log = { debug: note, info: note, warn: note, error: note };
    const folder = mkdtempSync(join(tmpdir(), 'countersign-none-'));
    await expect(findChromium({ mayInstall: false, look: async () => undefined, folder, log })).rejects.toMatchObject({
      code: 'browser_missing',
      message: 'No Chromium was found: install Chromium or Google Chrome, or set CHROMIUM_PATH to its binary.',
    });
    expect(said).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('sweeps profiles that are older than a day and leaves the others', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-sweep-'));
    const [old, young, stranger] = [
      'playwright_chromiumdev_profile-old',
      'playwright_chromiumdev_profile-young',
      'something-old',
    ].map((name) => join(folder, name));
    for (const path of [old, young, stranger]) mkdirSync(path ?? '');
    writeFileSync(join(old ?? '', 'Cookies'), '');
    for (const path of [old, stranger]) utimesSync(path ?? '', new Date(0), new Date(0));
    expect(await sweepProfiles(folder)).toBe(1);
    expect([old, young, stranger].map((path) => existsSync(path ?? ''))).toEqual([false, true, true]);
  });
});

function configured(): { chromiumPath?: string } {
  const chromiumPath = process.env.CHROMIUM_PATH;
  return chromiumPath === undefined ? {} : { chromiumPath };
}

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function processes(): ProcessRow[] {
  const rows = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).trim().split('\n');
  return rows.map((row) => {
    const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row) ?? [];
    return { pid: Number(pid), parent: Number(parent), command };
  });
}

function childProcesses(): Set<number> {
  const own = processes().filter(({ parent, command }) => parent === process.pid && !command.startsWith('ps '));
  return new Set(own.map(({ pid }) => pid));
}

function renderersOf(browser: number | undefined): number[] {
  const all = processes();
  const isBelow = (pid: number): boolean => {
    const parent = all.find((row) => row.pid === pid)?.parent;
    return parent !== undefined && parent !== 0 && (parent === browser || isBelow(parent));
  };
  return all.filter(({ pid, command }) => command.includes('--type=renderer') && isBelow(pid)).map(({ pid }) => pid);
}
