import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BrowserSession, Candidate } from '../../core/ports/browser.ts';
import { openTestBrowser, type TestBrowser } from '../support/browser.ts';
import { type LoopbackSite, serveSite } from '../support/loopback-site.ts';

const FORM = `<main><h1>Settings</h1><form aria-label="API key">
  <label for="d">Description</label> <input id="d" name="description" value="typed by somebody" placeholder="What for">
  <label>Permissions <select id="p" name="permissions"><option>Read</option><option>Write</option></select></label>
  <table><tr><th>Agree</th><td><input type="checkbox" id="c"></td></tr></table>
  <button type="submit" id="go" class="button primary" data-testid="generate">  Generate
     key</button></form>
  <button style="display:none" id="gone">Hidden</button><button style="opacity:0">See-through</button>
  <a href="/next?page=2">Next <img alt="arrow"></a><div onclick="1" id="tile">Tile</div><p id="plain">Plain words</p>
  <x-part></x-part><iframe src="/inner"></iframe></main>
  <script>document.querySelector('x-part').attachShadow({ mode: 'open' }).innerHTML = '<button aria-label="In a shadow">x</button>'</script>`;

let site: LoopbackSite;
let browser: TestBrowser;
let session: BrowserSession;
beforeAll(async () => {
  site = await serveSite({
    '/form': FORM,
    '/icons': `<button><i class="fa fa-pencil"></i></button><button class="btn icon-trash"></button>
      <button><svg width="9" height="9"><use href="#copy"></use></svg></button><button aria-label="Close"><i class="fa fa-x"></i></button>`,
    '/rows': `<main><form><h2>Profile</h2><button>Save</button></form><form><h2>Keys</h2>
      <table><thead><tr><th>Name</th><th>State</th></tr></thead>
        <tr><td>ci</td><td>On</td><td><button>Edit ci</button></td></tr>
        <tr><td>web</td><td>Off</td><td><button>Edit web</button></td></tr></table>
      <div class="card"><h4>Alice</h4><button>Remove Alice</button></div><div class="card"><h4>Bob</h4><button>Remove Bob</button></div>
      </form></main>`,
    '/inner': '<button>In a frame</button>',
    '/many':
      '<main></main><script>document.querySelector("main").innerHTML = "<button>b</button>".repeat(2000)</script>',
  });
  browser = openTestBrowser({ privateTargets: [site.authority] });
  session = await browser.browser.open({ origins: [site.origin] });
});
afterAll(async () => {
  await browser.close();
  await site.close();
});

const open = (path: string) => session.navigate(`${site.origin}${path}`, 10_000);
const byName = (candidates: readonly Candidate[], name: string) =>
  candidates.find(({ fingerprint }) => fingerprint.name === name);

describe('a survey', () => {
  test('describes every control that shows, in frames and shadow roots too', async () => {
    await open('/form');
    const names = async () => (await session.survey({})).map(({ fingerprint }) => fingerprint.name);
    await expect
      .poll(names) // the page is there before what is in its frame
      .toEqual(['Description', 'Permissions', undefined, 'Generate key', 'Next', 'Tile', 'In a shadow', 'In a frame']);
    const candidates = await session.survey({});
    expect(byName(candidates, 'Generate key')?.fingerprint).toEqual({
      tag: 'button',
      type: 'submit',
      role: 'button',
      name: 'Generate key',
      text: 'Generate key',
      id: 'go',
      testId: 'generate',
      classes: ['button', 'primary'],
      neighbours: ['Settings'],
      path: ['main Settings', 'form API key'],
      box: expect.any(Object),
    });
    expect(candidates[2]?.fingerprint).toMatchObject({
      role: 'checkbox',
      neighbours: expect.arrayContaining(['Agree']),
    });
    expect(byName(candidates, 'Next')?.fingerprint).toMatchObject({ href: '/next?page=2', role: 'link' });
  });

  test('never tells what a field holds', async () => {
    await open('/form');
    expect(JSON.stringify(await session.survey({ hiddenIsFine: true }))).not.toContain('typed by somebody');
  });

  test('takes hidden controls and elements of one more tag where they are asked for', async () => {
    await open('/form');
    expect(byName(await session.survey({ hiddenIsFine: true }), 'Hidden')).toBeDefined();
    expect(byName(await session.survey({ alsoTag: 'p' }), 'Plain words')).toBeDefined();
  });

  test('names the row that a control is in, and no part of the page that it is not in', async () => {
    await open('/rows');
    const candidates = await session.survey({});
    expect(byName(candidates, 'Edit web')?.fingerprint).toMatchObject({
      neighbours: ['Off', 'web', 'Keys', 'Profile Save'],
      path: ['main Keys', 'form Keys', 'table', 'row web'],
    });
    expect(byName(candidates, 'Remove Bob')?.fingerprint.path).toEqual(['main Keys', 'form Keys', 'row Bob']);
  });

  test('names the icon of a control without words', async () => {
    await open('/icons');
    const icons = (await session.survey({})).map(({ fingerprint }) => fingerprint.alt);
    expect(icons).toEqual(['pencil', 'trash', 'copy', undefined]);
  });

  test('stops at 500', async () => {
    await open('/many');
    expect(await session.survey({})).toHaveLength(500);
  });

  test('hands out the element that it described, and none that has become another', async () => {
    await open('/form');
    const generate = byName(await session.survey({}), 'Generate key');
    if (!generate) throw new Error('not surveyed');
    const picked = await session.pick(generate);
    expect(picked?.identity).toEqual({ tag: 'button', type: 'submit', role: 'button', name: 'Generate key' });
    expect(picked && (await session.boxOf(picked))).toEqual(picked?.box);
    await session.act(picked as NonNullable<typeof picked>, { kind: 'press', key: 'Tab' }, 3_000); // it was found above
    expect(
      await session.pick({ ...generate, fingerprint: { ...generate.fingerprint, name: 'Other' } }),
    ).toBeUndefined();
    await open('/many');
    expect(await session.pick(generate).catch(() => undefined)).toBeUndefined();
  });
});

describe('a description', () => {
  const describing = async (name: string) => {
    const candidate = byName(await session.survey({}), name);
    const picked = candidate && (await session.pick(candidate));
    if (!picked) throw new Error('not there');
    return { picked, description: await session.describe(picked) };
  };

  test('has locators of several kinds, each of which finds that element alone', async () => {
    await open('/form');
    const { description } = await describing('Generate key');
    const [role, testId, id] = [
      { by: 'role', role: 'button', name: 'Generate key', exact: true },
      { by: 'css', selector: '[data-testid="generate"]' },
      { by: 'css', selector: '[id="go"]' },
    ] as const;
    expect(description?.locators.slice(0, 3)).toEqual([role, testId, id]);
    expect(description).toMatchObject({ identity: { tag: 'button', type: 'submit', name: 'Generate key' } });
    for (const locator of description?.locators ?? []) {
      const found = await session.find([locator], { timeoutMs: 1_000 });
      expect(found).toMatchObject({ kind: 'found', element: { identity: { name: 'Generate key' } } });
    }
  });

  test('is none of an element that nothing finds alone', async () => {
    await open('/many');
    const [first] = await session.survey({});
    const picked = first && (await session.pick(first));
    expect(picked && (await session.describe(picked))).toBeUndefined();
  });
});

describe('a claim about an element at hand', () => {
  const held = async (is: 'visible' | 'hidden' | { equals?: string; matches?: string }, handle: string) =>
    (await session.waitFor([{ kind: 'element', handle, is }], 0)) === 0;

  test('is of its value and whether it shows, and follows the element, not a locator', async () => {
    await open('/form');
    const candidate = byName(await session.survey({}), 'Description');
    const picked = candidate && (await session.pick(candidate));
    const handle = picked?.handle ?? '';
    expect(await held({ equals: 'typed by somebody' }, handle)).toBe(true);
    expect(await held({ matches: 'typed by .+' }, handle)).toBe(true);
    expect(await held({ equals: 'typed' }, handle)).toBe(false);
    expect([await held('visible', handle), await held('hidden', handle)]).toEqual([true, false]);
    await open('/many');
    expect([await held('visible', handle), await held('hidden', handle)]).toEqual([false, true]);
    expect(await held({ matches: '.*' }, handle)).toBe(false);
  });
});
