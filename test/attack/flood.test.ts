import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BrowserSession, PictureResult } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';

/**
 * Pages that hold far more than any shop's: what is searched for secrets is searched in one go, so a page that decides how
 * much that is would decide how long nothing else of the program runs. Each shows the secret at its top.
 */
const SECRET = 'ck_+/3f9q2m0a1b2c3d4e5f60718293a4b';
const MILLION = 1_000_000;

function prose(characters: number): string {
  let text = '';
  for (let i = 0; text.length < characters; i++) text += `word${i} `;
  return text;
}

const elements = (count: number, style: string) =>
  `<script>all = document.createDocumentFragment(); for (i = 0; i < ${count}; i++) { one = document.createElement('b'); one.style = '${style}'; one.textContent = 'a' + i; all.append(one) } document.body.append(all)</script>`;
const hidden = (characters: number, also = '') =>
  `<p hidden id="h"></p><script>h.textContent = 'y'.repeat(${characters}); ${also}</script>`;

const TOO_MUCH: Readonly<Record<string, string>> = {
  '4 MB of letters of one pixel, all in sight': `<p style="font-size: 1px; line-height: 1px">${prose(4 * MILLION)}</p>`,
  '4 MB of text in one place': `<div style="position: relative">${`<span style="position: absolute; white-space: nowrap">${prose(10_000)}</span>`.repeat(400)}</div>`,
  'one word of 4 MB': `<p style="white-space: nowrap">${'x'.repeat(4 * MILLION)}</p>`,
  '200,000 elements': elements(200_000, ''),
  '60,000 elements in one place': elements(60_000, 'position: absolute; left: 0; top: 0'),
  'a line for each of 300,000 letters': `<p style="width: 1px; word-break: break-all">${'y'.repeat(300_000)}</p>`,
  '50 MB of text that is not shown': hidden(50 * MILLION),
  'a field with 4 MB in it': `<textarea id="t"></textarea><script>t.value = 'y'.repeat(${4 * MILLION})</script>`,
  'an attribute of 4 MB': `<p id="h">x</p><script>h.title = 'y'.repeat(${4 * MILLION})</script>`,
  'attributes of 40 MB': `<div id="h"></div><script>for (i = 0; i < 400; i++) { one = document.createElement('i'); one.title = i + 'y'.repeat(1e5); h.append(one) }</script>`,
  'an open shadow root with 6 MB': `<div id="h"></div><script>h.attachShadow({ mode: 'open' }).append('y'.repeat(${6 * MILLION}))</script>`,
  'a closed shadow root with 12 MB': `<div id="h" style="display: none"></div><script>h.attachShadow({ mode: 'closed' }).append('y'.repeat(${12 * MILLION}))</script>`,
  'the secret 3,000 times': `<p style="font-size: 2px; line-height: 2px">${`<b>${SECRET}</b> `.repeat(3_000)}</p>`,
  'a page that has replaced what counts': hidden(
    6 * MILLION,
    'Element.prototype.getAttributeNames = () => []; TreeWalker.prototype.nextNode = () => null; Document.prototype.createTreeWalker = () => ({ nextNode: () => null })',
  ),
  'a form whose fields are named like what counts': `<form title="${'y'.repeat(6 * MILLION)}"><input name="attributes"><input name="getAttributeNames"><input name="getAttribute"><input name="nodeValue"></form><img name="createTreeWalker">`,
  '120 frames': `<script>for (i = 0; i < 120; i++) document.body.append(document.createElement('iframe'))</script>`,
};

const FINE: Readonly<Record<string, string>> = {
  '4 MB of text below the picture': `<p>${prose(4 * MILLION)}</p>`,
  'a list of 20,000 choices':
    '<select id="s"></select><script>for (i = 0; i < 2e4; i++) s.add(new Option("choice " + i))</script>',
  '5,000 elements in 400 others':
    "<script>at = document.body; for (i = 0; i < 400; i++) { at.append(one = document.createElement('div')); at = one } for (i = 0; i < 5000; i++) { one = document.createElement('b'); one.style = 'position: absolute; left: 0; top: 90px'; one.textContent = 'q'; at.append(one) }</script>",
  'frames in frames':
    "<script>depth = +new URLSearchParams(location.search).get('depth'); if (depth < 12) { one = document.createElement('iframe'); one.src = location.pathname + '?depth=' + (depth + 1); document.body.append(one) }</script>",
};

const CASES = { ...TOO_MUCH, ...FINE };
const pathOf = (name: string) => `/${Object.keys(CASES).indexOf(name)}`;

let site: LoopbackSite;
let browser: TestBrowser;
let session: BrowserSession;

beforeAll(async () => {
  const pages = Object.entries(CASES).map(([name, body]) => [pathOf(name), `<p>${SECRET}</p>${body}`] as const);
  site = await serveSite(Object.fromEntries(pages));
  browser = openTestBrowser({ privateTargets: [site.authority], pictureType: 'image/png' });
  session = await browser.browser.open({ origins: [site.origin] });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

async function pictureOf(name: string): Promise<PictureResult> {
  await session.navigate(`${site.origin}${pathOf(name)}`, 30_000);
  const caption = { number: 1, sentence: 'Look at the page', detail: '' };
  return session.picture({ secrets: [new Secret(SECRET)], isRevealing: false, caption });
}

describe('there is no picture, and no long search, of', () => {
  test.each(Object.keys(TOO_MUCH))('%s', async (name) => {
    const reason = 'the page holds more than can be searched for what must be hidden';
    expect(await pictureOf(name)).toEqual({ kind: 'withheld', reason });
  });
});

describe('the secret is masked beside', () => {
  test.each(Object.keys(FINE))('%s', async (name) => {
    const result = await pictureOf(name);
    if (result.kind !== 'taken') throw new Error(result.reason);
    // The paragraph at the top: one line in letters of 16 pixels, below the address bar of 40.
    const first = result.picture.masks[0];
    expect(first).toMatchObject({ x: expect.any(Number), y: expect.any(Number) });
    expect(result.picture.masks.some(({ y, width, height }) => y < 75 && width > 200 && height > 15)).toBe(true);
  });
});
