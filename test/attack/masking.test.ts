import { PNG } from 'pngjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Box, BrowserSession, Picture, PictureResult } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';
import { IS_WHOLE } from '../support/whole.ts';

/**
 * Non-interference: the same page is shown with two different secrets of one length in a monospaced font. If the two
 * pictures are the same pixel for pixel, nothing of the secret is in them; without masking they must differ.
 */
const FIRST = 'ck_+/3f9q2m0a1b2c3d4e5f60718293a4b';
const SECOND = 'zp_/+8h7w6v5u4t3s2r1q0p9o8n7m6l5k4';

const half = (text: string) => [text.slice(0, 15), text.slice(15)] as const;
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Each is the content of a box of its own on the page. `{other}` is an origin of another site. */
const BY_VALUE: Readonly<Record<string, (secret: string) => string>> = {
  'a field': (s) => `<input size="50" value="${s}">`,
  'a field that script filled': (s) => `<input size="50" id="late"><script>late.value = '${s}'</script>`,
  'a text area': (s) => `<textarea cols="50">${s}</textarea>`,
  'a placeholder': (s) => `<input size="50" placeholder="${s}">`,
  'running text': (s) => `<p>Your key is ${s}, keep it</p>`,
  'text in capitals': (s) => `<p style="text-transform: uppercase">${s}</p>`,
  'text split over nodes': (s) =>
    `<p>${half(s)[0]}<b>${half(s)[1].slice(0, 4)}</b><!-- x -->${half(s)[1].slice(4)}</p>`,
  'text in groups': (s) => `<p>${(s.match(/.{1,4}/g) ?? []).join(' - ')}</p>`,
  'text in parts that styles put in order': (s) =>
    `<p style="display: flex; flex-direction: row-reverse; justify-content: flex-end"><span>${half(s)[1]}</span><span>${half(s)[0]}</span></p>`,
  'text written backwards': (s) =>
    `<p style="direction: rtl; unicode-bidi: bidi-override">${[...s].reverse().join('')}</p>`,
  'text over two lines': (s) => `<p style="width: 200px; overflow-wrap: anywhere">${s}</p>`,
  'a pseudo element': (s) => `<style>.before::before { content: '${s}' }</style><p class="before"></p>`,
  'an open shadow root': (s) =>
    `<div id="open"></div><script>open_ = document.getElementById('open').attachShadow({ mode: 'open' }); open_.innerHTML = '<p>${s}</p>'</script>`,
  'a closed shadow root': (s) =>
    `<div id="closed"></div><script>document.getElementById('closed').attachShadow({ mode: 'closed' }).innerHTML = '<input size="50" value="${s}">'</script>`,
  'a frame of this site': (s) =>
    `<iframe src="/inner?s=${encodeURIComponent(s)}" style="border: 9px solid; padding: 13px"></iframe>`,
  'a frame of another site': (s) =>
    `<iframe src="{other}/inner?s=${encodeURIComponent(s)}" style="border: 9px solid; padding: 13px"></iframe>`,
  base64: (s) => `<p>${base64(s)}</p>`,
  'base64 of a longer text': (s) => `<p>${base64(`key=${s}&x`)}</p>`,
  'URL encoding': (s) => `<p>${encodeURIComponent(s)}</p>`,
  'a drawing in letters': (s) => `<svg width="400" height="40"><text x="5" y="25">${s}</text></svg>`,
  'an image made of text': (s) =>
    `<img src="data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" width="400" height="40"><text y="25" font-family="monospace">${s}</text></svg>`)}">`,
  'a background made of text': (s) =>
    `<div style="width: 400px; height: 40px; background-image: url('data:image/svg+xml;base64,${base64(`<svg xmlns="http://www.w3.org/2000/svg" width="400" height="40"><text y="25" font-family="monospace">${s}</text></svg>`)}')"></div>`,
  'a list of choices': (s) => `<select><option>${s}</option></select>`,
  'something turned and larger': (s) => `<p style="transform: rotate(3deg) scale(1.2); transform-origin: 0 0">${s}</p>`,
  'something zoomed': (s) => `<p style="zoom: 1.3">${s}</p>`,
  'a page that is scrolled': (s) => `<p style="margin: 600px 0 900px">${s}</p><script>scrollTo(0, 350)</script>`,
  'text that goes on below the picture': (s) =>
    `<p style="position: absolute; top: 740px; width: 200px; line-height: 40px; overflow-wrap: anywhere">${s}</p>`,
  'text that goes on below a frame that is cut off': (s) =>
    `<iframe src="/inner?narrow&s=${encodeURIComponent(s)}" style="height: 80px" scrolling="no"></iframe>`,
  'something fixed on a page that is scrolled': (s) =>
    `<p style="position: fixed; top: 90px; left: 200px">${s}</p><p style="height: 2000px"></p><script>scrollTo(0, 350)</script>`,
  'a list that is scrolled': (s) =>
    `<div id="box" style="height: 100px; overflow: auto"><p style="margin: 300px 0">${s}</p></div><script>box.scrollTop = 260</script>`,
  'a frame that is scaled': (s) =>
    `<iframe src="/inner?s=${encodeURIComponent(s)}" style="transform: scale(1.4); transform-origin: 0 0"></iframe>`,
  'a frame of another site that is scaled': (s) =>
    `<iframe src="{other}/inner?s=${encodeURIComponent(s)}" style="transform: scale(1.4); transform-origin: 0 0"></iframe>`,
  'a frame in a frame of another site': (s) =>
    `<iframe src="{other}/outer?s=${encodeURIComponent(s)}" width="600" height="300"></iframe>`,
};

/** Where a value can't be found: hidden for what it is, on a step that reveals. */
const BY_KIND: Readonly<Record<string, (secret: string) => string>> = {
  'a canvas': (s) =>
    `<canvas id="qr" width="400" height="60"></canvas><script>pen = qr.getContext('2d'); pen.font = '16px monospace'; pen.fillText('${s}', 5, 30)</script>`,
  'a read-only field': (s) => `<input size="50" readonly value="${s}">`,
  'an element with a copy attribute': (s) => `<p data-clipboard-target="#x">${s}</p>`,
  'a code': (s) => `<code>${s}</code>`,
  'an image': (s) =>
    `<img src="data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" width="400" height="40"><text y="25" font-family="monospace">${s}</text></svg>`)}">`,
};

/** Hidden always: without a secret known and on every step. */
const ALWAYS: Readonly<Record<string, (secret: string) => string>> = {
  'a password that is shown': (s) => `<input size="50" autocomplete="current-password" value="${s}">`,
  'a code from a telephone': (s) => `<input size="50" autocomplete="one-time-code" value="${s}">`,
  'a password field': (s) => `<input size="50" type="password" value="${s.slice(0, s === FIRST ? 20 : 30)}">`,
};

const CASES = { ...BY_VALUE, ...BY_KIND, ...ALWAYS };

function page(body: string): string {
  return `<title>t</title><style>* { font-family: monospace; letter-spacing: 0 } body { margin: 20px }</style>${body}`;
}

let site: LoopbackSite;
let other: LoopbackSite;
let browser: TestBrowser;
let session: BrowserSession;

beforeAll(async () => {
  const inner = (
    asked: { url?: string | undefined },
    response: { setHeader(name: string, value: string): void; end(text: string): void },
  ) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    const { searchParams } = new URL(asked.url ?? '', 'http://x');
    const style = searchParams.has('narrow') ? 'width: 200px; line-height: 40px; overflow-wrap: anywhere' : '';
    response.end(page(`<p style="${style}">${searchParams.get('s')}</p>`));
  };
  other = await serveSite({
    '/inner': inner,
    '/outer': (asked, response) => {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      const { search } = new URL(asked.url ?? '', 'http://x');
      response.end(
        page(
          `<div style="height: 40px"></div><iframe src="http://localhost:${asked.headers.referer?.split(':')[2]?.replace('/', '') ?? ''}/inner${search}" style="margin: 11px"></iframe>`,
        ),
      );
    },
  });
  site = await serveSite({
    '/inner': inner,
    '/case': (asked, response) => {
      const { searchParams } = new URL(asked.url ?? '', 'http://x');
      const body = CASES[searchParams.get('name') ?? '']?.(searchParams.get('secret') ?? '') ?? 'no such case';
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(page(body.replaceAll('{other}', `http://127.0.0.1:${other.port}`)));
    },
    '/plain': (asked, response) => {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(page(new URL(asked.url ?? '', 'http://x').searchParams.get('body') ?? ''));
    },
    '/moving': page(
      `<p id="m" style="position: absolute">${FIRST}</p><script>x = 0; setInterval(() => { m.style.left = (x = (x + 37) % 500) + 'px' }, 1)</script>`,
    ),
    '/both': page(`<input size="50" id="a" value="${FIRST}"><p>nothing</p>`),
    [`/keys/${encodeURIComponent(FIRST)}`]: page('<p>the address holds it</p>'),
  });
  browser = openTestBrowser({ privateTargets: [site.authority, `127.0.0.1:${other.port}`], pictureType: 'image/png' });
  session = await browser.browser.open({ origins: [site.origin, `http://127.0.0.1:${other.port}`] });
});
afterAll(async () => {
  await browser.close();
  await Promise.all([site.close(), other.close()]);
});

const caption = { number: 7, sentence: 'Put the key into the vault', detail: 'replayed' };

function taken(result: PictureResult): Picture {
  if (result.kind !== 'taken') throw new Error(`withheld: ${result.reason}`);
  return result.picture;
}

interface Hiding {
  readonly secrets: readonly string[];
  readonly isRevealing: boolean;
}

async function pictureOf(name: string, secret: string, hiding: Hiding): Promise<Picture> {
  const query = new URLSearchParams({ name, secret });
  await session.navigate(`${site.origin}/case?${query}`, 10_000);
  const frame = { kind: 'visible', locator: { by: 'css', selector: 'p' } } as const;
  if (name.startsWith('a frame')) await session.waitFor([frame], 5_000);
  const secrets = hiding.secrets.map((text) => new Secret(text));
  return taken(await session.picture({ secrets, isRevealing: hiding.isRevealing, caption }));
}

/** How many pixels differ. */
function difference(a: Picture, b: Picture): number {
  const [one, two] = [PNG.sync.read(a.bytes), PNG.sync.read(b.bytes)];
  expect([one.width, one.height]).toEqual([two.width, two.height]);
  let count = 0;
  for (let i = 0; i < one.data.length; i += 4) {
    if (one.data.readUInt32BE(i) !== two.data.readUInt32BE(i)) count++;
  }
  return count;
}

function colours(picture: Picture, box: Box): Set<number> {
  const png = PNG.sync.read(picture.bytes);
  const found = new Set<number>();
  for (let y = box.y; y < box.y + box.height; y++) {
    for (let x = box.x; x < box.x + box.width; x++) found.add(png.data.readUInt32BE((y * png.width + x) * 4));
  }
  return found;
}

async function expectHidden(name: string, hiding: (secret: string) => Hiding, open: Hiding | undefined): Promise<void> {
  const [first, second] = [await pictureOf(name, FIRST, hiding(FIRST)), await pictureOf(name, SECOND, hiding(SECOND))];
  expect(first.masks.length).toBeGreaterThan(0);
  for (const mask of first.masks) expect([...colours(first, mask)]).toEqual([0x333333ff]);
  expect(difference(first, second)).toBe(0);
  // That each would show itself without its mask takes as long again: of some of them, unless the whole suite runs.
  if (!open || !(IS_WHOLE || name.length % 3 === 0)) return;
  expect(difference(await pictureOf(name, FIRST, open), await pictureOf(name, SECOND, open))).toBeGreaterThan(100);
}

const NOTHING: Hiding = { secrets: [], isRevealing: false };

describe('a secret that is known shows nothing of itself in', () => {
  test.each(Object.keys(BY_VALUE))('%s', (name) =>
    expectHidden(name, (secret) => ({ secrets: [secret], isRevealing: false }), NOTHING),
  );
});

describe('on a step that reveals, nothing shows in', () => {
  test.each(Object.keys(BY_KIND))('%s', (name) =>
    expectHidden(name, () => ({ secrets: [], isRevealing: true }), NOTHING),
  );
});

describe('on every step, nothing shows in', () => {
  test.each(Object.keys(ALWAYS))('%s', (name) => expectHidden(name, () => NOTHING, undefined));
});

describe('a picture', () => {
  test('is withheld when what must be hidden keeps moving', async () => {
    await session.navigate(`${site.origin}/moving`, 10_000);
    const moving = { secrets: [new Secret(FIRST)], isRevealing: false, caption };
    expect(await session.picture(moving)).toEqual({ kind: 'withheld', reason: 'what must be hidden kept moving' });
    expect(await session.picture({ ...moving, secrets: [] })).toMatchObject({ kind: 'taken' });
  });

  test('covers what is animated wherever it was caught', async () => {
    const moving = `<style>@keyframes away { to { transform: translateX(150px) } }</style><p style="animation: away 0.2s linear infinite alternate">${FIRST}</p>`;
    await session.navigate(`${site.origin}/plain?${new URLSearchParams({ body: moving })}`, 10_000);
    const white = 0xffffffff;
    for (let i = 0; i < 12; i++) {
      const picture = taken(await session.picture({ secrets: [new Secret(FIRST)], isRevealing: false, caption }));
      expect(picture.masks.length).toBeGreaterThan(0);
      expect(colours(picture, { x: 0, y: 40, width: 1280, height: 800 })).toEqual(new Set([white, 0x333333ff]));
    }
  });

  test('is taken of a page whose frame of a stranger was refused', async () => {
    const body = `<iframe src="http://stranger.test/"></iframe><p>${FIRST}</p>`;
    await session.navigate(`${site.origin}/plain?${new URLSearchParams({ body })}`, 10_000);
    const picture = taken(await session.picture({ secrets: [new Secret(FIRST)], isRevealing: false, caption }));
    expect(picture.masks).toHaveLength(1);
  });

  test('has one colour under each mask, also where the red frame goes round it', async () => {
    await session.navigate(`${site.origin}/both`, 10_000);
    const found = await session.find([{ by: 'css', selector: '#a' }], { timeoutMs: 3_000 });
    if (found.kind !== 'found' || !found.element.box) throw new Error(found.kind);
    const { box } = found.element;
    const picture = taken(
      await session.picture({ secrets: [new Secret(FIRST)], isRevealing: false, highlight: box, caption }),
    );
    expect(picture.masks.map((mask) => [...colours(picture, mask)])).toEqual([[0x333333ff]]);
    const left = { x: Math.round(box.x) - 8, y: Math.round(box.y) + 48, width: 1, height: 4 };
    expect([...colours(picture, left)]).toEqual([0xe0174bff]);
  });

  test('hides what this session typed as a secret, also when nobody names it', async () => {
    const own = await browser.browser.open({ origins: [site.origin] });
    await own.navigate(`${site.origin}/both`, 10_000);
    expect(taken(await own.picture({ ...NOTHING, secrets: [], caption })).masks).toEqual([]);
    const found = await own.find([{ by: 'css', selector: '#a' }], { timeoutMs: 3_000 });
    if (found.kind !== 'found') throw new Error(found.kind);
    await own.act(found.element, { kind: 'fill', value: new Secret(SECOND) }, 3_000);
    const { masks } = taken(await own.picture({ ...NOTHING, secrets: [], caption }));
    expect(masks).toHaveLength(1);
    expect(masks[0]?.width).toBeGreaterThan(found.element.box?.width ?? Number.POSITIVE_INFINITY);
    await own.close();
  });

  test('hides short secrets where they are all of a field or text, and leaves words alone that hold one', async () => {
    const [shown, whole] = [
      await pictureOf('running text', 'abc', { secrets: ['abc'], isRevealing: false }),
      await pictureOf('a field', 'abc', { secrets: ['abc'], isRevealing: false }),
    ];
    expect([shown.masks.length, whole.masks.length]).toEqual([0, 1]);
  });

  test('does not write an address that holds the secret', async () => {
    await session.navigate(`${site.origin}/keys/${encodeURIComponent(FIRST)}`, 10_000);
    const withPath = taken(await session.picture({ ...NOTHING, secrets: [], caption }));
    const without = taken(await session.picture({ ...NOTHING, secrets: [new Secret(FIRST)], caption }));
    expect(difference(withPath, without)).toBeGreaterThan(100);
  });

  test("leaves the vendor's document untouched", async () => {
    const watched = await serveSite({
      '/': page(
        '<input type="password" value="x"><p id="n">0</p><script>new MutationObserver((list) => { document.title = "touched" }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true })</script>',
      ),
    });
    const own = openTestBrowser({ privateTargets: [watched.authority] });
    const seen = await own.browser.open({ origins: [watched.origin] });
    await seen.navigate(watched.origin, 10_000);
    const before = (await seen.state()).title;
    expect(taken(await seen.picture({ ...NOTHING, secrets: [new Secret(FIRST)], caption })).mediaType).toBe(
      'image/jpeg',
    );
    expect((await seen.state()).title).toBe(before);
    await own.close();
    await watched.close();
  });
});
