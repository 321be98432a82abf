import { setTimeout as delay } from 'node:timers/promises';
import { chromium } from 'playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { perform } from '../../adapters/browser/elements.ts';
import { findChromium } from '../../adapters/browser/index.ts';
import type { Locator } from '../../core/ports/browser.ts';
import { Secret } from '../../core/secret.ts';
import { type BrowserScene, css, openBrowserScene } from '../support/browser-scene.ts';
import { silentLog } from '../support/silent-log.ts';

let scene: BrowserScene;
beforeAll(async () => {
  scene = await openBrowserScene();
});
afterAll(() => scene.close());

describe('finding', () => {
  test('takes the first locator that finds exactly one visible element, and says what it is', async () => {
    await scene.openPage('/form');
    const locators: Locator[] = [
      css('#nowhere'),
      { by: 'role', role: 'button', name: 'Copy' },
      { by: 'role', role: 'button', name: 'Generate' },
    ];
    const result = await scene.session.find(locators, { timeoutMs: 3_000 });
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
    await scene.openPage('/form');
    expect((await scene.the(locator)).identity).toEqual(identity);
  });

  test('says of several that it is ambiguous, and of none that it is missing', async () => {
    await scene.openPage('/form');
    const copy: Locator = { by: 'role', role: 'button', name: 'Copy' };
    expect(await scene.session.find([css('#nowhere'), copy], { timeoutMs: 200 })).toEqual({
      kind: 'ambiguous',
      locator: copy,
      count: 2,
    });
    expect(await scene.session.find([css('#nowhere')], { timeoutMs: 200 })).toEqual({ kind: 'missing' });
  });

  test('keeps looking until a late element is there', async () => {
    await scene.openPage('/late');
    expect((await scene.the({ by: 'role', role: 'button', name: 'Ready' })).identity.name).toBe('Ready');
  });

  test('scrolls to an element far below, so that its box is in the viewport', async () => {
    await scene.openPage('/form');
    const { box } = await scene.the(css('#below'));
    expect(box?.y).toBeGreaterThan(0);
    expect(box?.y).toBeLessThan(800 - (box?.height ?? 0));
  });

  test('looks into embedded frames of the allowed origins only', async () => {
    await scene.openPage('/frame');
    await scene.act({ by: 'label', text: 'Inside' }, { kind: 'fill', value: new Secret('in a frame') });
    expect(await scene.valueAt('#i')).toBe('in a frame');
    await scene.openPage('/foreign-frame');
    expect(await scene.session.find([{ by: 'label', text: 'Elsewhere' }], { timeoutMs: 300 })).toEqual({
      kind: 'missing',
    });
  });
});

describe('a frame that only looks like the shop', () => {
  test('is not searched: made by a script, or inside of such a one', async () => {
    await scene.openPage('/blob-frame');
    expect(await scene.session.waitFor([{ kind: 'visible', locator: css('#put') }], 3_000)).toBe(0);
    const labels = ['In a blob', 'In a srcdoc', 'Inside'].map((text): Locator => ({ by: 'label', text }));
    expect(await scene.session.find(labels, { timeoutMs: 500 })).toEqual({ kind: 'missing' });
  });

  test('gets no secret typed, also when a field of it is at hand', async () => {
    const log = silentLog;
    const { path } = await findChromium({ mayInstall: true, log, configured: process.env.CHROMIUM_PATH ?? '' });
    const raw = await chromium.launch({ executablePath: path, chromiumSandbox: process.getuid?.() !== 0 });
    const page = await raw.newPage();
    await page.goto(`${scene.site.origin}/blob-frame`);
    const [blob, nested] = [
      page.frameLocator('iframe').nth(0).locator('input'),
      page.frameLocator('iframe').nth(1).frameLocator('iframe').locator('input'),
    ];
    for (const field of [blob, nested]) {
      const handle = await field.elementHandle();
      if (!handle) throw new Error('no such field');
      const claims = { isSame: async () => true, hasClosedItself: async () => false };
      const around = { page, origins: [scene.site.origin], timeoutMs: 2_000, ...claims };
      const typing = perform(handle, { kind: 'fill', value: new Secret('hunter2') }, around);
      await expect(typing).rejects.toMatchObject({ code: 'egress_refused' });
      expect(await handle.inputValue()).toBe('');
    }
    await raw.close();
  });
});

describe('what is taken from a page', () => {
  test('has an end, however long it is there', async () => {
    const { url, title } = await scene.openPage('/long');
    expect([url, title.length]).toEqual([`${scene.site.origin}/`, 300]);
    expect((await scene.session.state()).url).toBe(`${scene.site.origin}/`);
    const [button, vast, value, text] = [
      await scene.the(css('#b')),
      await scene.the(css('#vast')),
      await scene.the(css('#v')),
      await scene.the(css('#t')),
    ];
    expect(button.identity.name).toHaveLength(1_000);
    expect(vast.identity).toEqual({ tag: 'button', type: 'submit' });
    expect([(await scene.session.read(value)).length, (await scene.session.read(text)).length]).toEqual([
      10_000, 10_000,
    ]);
  });
});

describe('acting', () => {
  test('chooses in a select that a widget hides, by value or exact text, and the widget follows', async () => {
    await scene.openPage('/form');
    const select = await scene.the(css('#p'), true);
    expect(select.box).toMatchObject({ width: 300, height: 30 }); // of the widget, which is what people see
    await scene.session.act(select, { kind: 'select', option: 'read_write' }, 3_000);
    expect([await scene.session.read(select), await scene.valueAt('#w')]).toEqual(['read_write', 'Read/Write']);
    await scene.session.act(select, { kind: 'select', option: 'Write' }, 3_000);
    expect([await scene.session.read(select), await scene.valueAt('#w')]).toEqual(['write', 'Write']);
  });

  test('gives up on an option that never comes', async () => {
    await scene.openPage('/form');
    await expect(
      scene.session.act(await scene.the(css('#p'), true), { kind: 'select', option: 'Delete' }, 200),
    ).rejects.toMatchObject({ code: 'network' });
  });

  test('fills, checks, presses and clicks', async () => {
    await scene.openPage('/form');
    await scene.act(css('#d'), { kind: 'fill', value: 'Countersign op-7k3f9q2m' });
    await scene.act(css('#c'), { kind: 'check', isChecked: true });
    await scene.act(css('#d'), { kind: 'press', key: 'Enter' });
    expect([await scene.valueAt('#d'), await scene.valueAt('#out')]).toEqual(['Countersign op-7k3f9q2m', 'entered']);
    await scene.act(css('#go'), { kind: 'click' });
    expect(await scene.session.waitFor([{ kind: 'value', locator: css('#out'), equals: 'made' }], 3_000)).toBe(0);
  });

  test('clicks no button before the scripts that stand behind it on the page have run', async () => {
    await scene.openPage('/to-bound');
    await scene.act(css('#to'), { kind: 'click' });
    const button = await scene.the(css('#late'));
    const clicking = scene.session
      .ready(button, { kind: 'click' }, 8_000)
      .then(() => scene.session.act(button, { kind: 'click' }, 3_000));
    expect(await Promise.race([clicking.then(() => 'clicked'), delay(500, 'waits')])).toBe('waits');
    scene.bind();
    await clicking;
    expect(await scene.session.waitFor([{ kind: 'value', locator: css('#made'), equals: 'made' }], 3_000)).toBe(0);
  });

  test('puts a secret into form fields only', async () => {
    await scene.openPage('/form');
    await scene.act(css('#d'), { kind: 'fill', value: new Secret('hunter2') });
    expect(await scene.valueAt('#d')).toBe('hunter2');
    await expect(scene.act(css('#editable'), { kind: 'fill', value: new Secret('hunter2') })).rejects.toMatchObject({
      code: 'egress_refused',
    });
    expect(await scene.valueAt('#editable')).toBe('words');
  });

  test('does not repeat a secret in the error when the field does not take it', async () => {
    await scene.openPage('/form');
    const field = await scene.the(css('#s'));
    const error = await scene.session
      .act(field, { kind: 'fill', value: new Secret('hunter2hunter2') }, 300)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'network', isRetryable: true });
    expect(`${(error as Error).message} ${(error as Error).stack} ${(error as Error).cause}`).not.toContain('hunter2'); // an Error, as just checked
  });

  test('says of an element whose page is gone that it is gone', async () => {
    await scene.openPage('/form');
    const button = await scene.the(css('#go'));
    await scene.openPage('/late');
    const stale = { code: 'element_stale', isRetryable: true };
    await expect(scene.session.act(button, { kind: 'click' }, 500)).rejects.toMatchObject(stale);
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
    await scene.openPage('/form?section=x&tab=keys');
    expect(await scene.session.waitFor([condition], 150)).toBe(index);
  });

  test('sees whether a box is ticked', async () => {
    await scene.openPage('/tick');
    const claim = (is: boolean) => scene.session.waitFor([{ kind: 'checked', locator: css('#tick'), is }], 500);
    expect([await claim(false), await claim(true)]).toEqual([0, undefined]);
    await scene.act(css('#tick'), { kind: 'check', isChecked: true });
    expect([await claim(false), await claim(true)]).toEqual([undefined, 0]);
  });

  test('says which condition held', async () => {
    await scene.openPage('/late');
    const ready = { kind: 'visible', locator: { by: 'role', role: 'button', name: 'Ready' } } as const;
    expect(await scene.session.waitFor([{ kind: 'visible', locator: css('#nowhere') }, ready], 3_000)).toBe(1);
  });

  test('nothing holds on an error page of the browser', async () => {
    await expect(scene.openPage('/away')).rejects.toMatchObject({ code: 'egress_refused' });
    expect(await scene.session.waitFor([{ kind: 'hidden', locator: css('#nowhere') }], 200)).toBeUndefined();
  });
});
