import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser, findChromium } from '../../adapters/browser/index.ts';
import { sweepProfiles } from '../../adapters/browser/process.ts';
import { type BrowserScene, css, openBrowserScene } from '../support/browser-scene.ts';
import { silentLog } from '../support/silent-log.ts';

let scene: BrowserScene;
beforeAll(async () => {
  scene = await openBrowserScene();
});
afterAll(() => scene.close());

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
    await expect(scene.session.navigate(url, 2_000)).rejects.toMatchObject({ code: 'egress_refused' });
  });

  test('follows a page that sends the browser on while it loads', async () => {
    await scene.openPage('/hop');
    expect(await scene.session.waitFor([{ kind: 'url', path: '/form' }], 3_000)).toBe(0);
    expect(await scene.session.state()).toEqual({ url: `${scene.site.origin}/form`, title: 'Key details' });
  });

  test('leaves a page that asks to stay, closes popups, dismisses dialogs, refuses downloads, and tells', async () => {
    scene.session.incidents();
    await scene.openPage('/leave');
    await scene.act(css('#x'), { kind: 'fill', value: 'edited' });
    await scene.openPage('/popup');
    await scene.act(css('#b'), { kind: 'click' });
    expect(await scene.session.waitFor([{ kind: 'value', locator: css('#done'), equals: 'yes' }], 3_000)).toBe(0);
    await scene.openPage('/download');
    await scene.act(css('#a'), { kind: 'click' });
    const told: string[] = [];
    await expect
      .poll(() => told.push(...scene.session.incidents()) && told.toSorted())
      .toEqual([
        'A dialog of the page (alert) was dismissed.',
        'A download was refused.',
        'A window that the page opened was closed.',
        'The page asked whether to leave it: yes.',
      ]);
    expect(scene.session.incidents()).toEqual([]);
  });

  test('goes on in the window that a click was said to open, and back when that closes itself', async () => {
    await scene.openPage('/opens');
    await scene.act(css('#blank'), { kind: 'click', opensPage: true });
    expect(await scene.session.state()).toMatchObject({ url: `${scene.site.origin}/closes` });
    await scene.openPage('/opens');
    await scene.act(css('#own'), { kind: 'click', opensPage: true });
    expect(await scene.session.waitFor([{ kind: 'url', path: '/closes' }], 3_000)).toBe(0);
    await scene.act(css('#end'), { kind: 'click' });
    expect(await scene.session.waitFor([{ kind: 'url', path: '/opens' }], 3_000)).toBe(0);
  });

  test.each(['early', 'late'])('is not told as a browser that ended when a window closes itself %s', async (id) => {
    await scene.openPage('/opens');
    await scene.act(css('#own'), { kind: 'click', opensPage: true });
    await scene.act(css(`#${id}`), { kind: 'click' });
    expect(await scene.session.waitFor([{ kind: 'visible', locator: css('#two') }], 3_000)).toBe(0);
    expect(await scene.session.state()).toMatchObject({ url: `${scene.site.origin}/opens` });
  });

  test('closes all but the one window, and any on another address, and tells', async () => {
    await scene.openPage('/opens');
    scene.session.incidents();
    await scene.act(css('#away'), { kind: 'click', opensPage: true });
    expect(scene.session.incidents()).toContain('A window that the page opened was closed.');
    expect(await scene.session.state()).toMatchObject({ url: `${scene.site.origin}/opens` });
    await scene.act(css('#two'), { kind: 'click', opensPage: true });
    expect(await scene.session.state()).toMatchObject({ url: `${scene.site.origin}/form` });
    await expect.poll(() => scene.session.incidents()).toContain('A window that the page opened was closed.');
  });

  test('tells what was refused, with the end of the name alone', async () => {
    scene.session.incidents();
    await expect(scene.openPage('/away')).rejects.toMatchObject({ code: 'egress_refused', isRetryable: false });
    expect(scene.session.incidents()).toEqual(['A connection to elsewhere.test:80 was refused (not on the list).']);
  });

  test('a page in an endless loop ends each call by its deadline, and another page can be opened', async () => {
    await scene.openPage('/busy');
    await scene.act(css('#b'), { kind: 'click' });
    await expect(scene.session.waitFor([{ kind: 'visible', locator: css('#nowhere') }], 500)).rejects.toMatchObject({
      code: 'network',
      isRetryable: true,
    });
    expect(await scene.openPage('/form')).toMatchObject({ title: 'Key details' });
  });

  test('two sessions share no cookie', async () => {
    await scene.openPage('/cookie');
    await scene.openPage('/cookies');
    expect(await scene.valueAt('#c')).toBe('seen=1');
    const second = await scene.browser.open({ origins: [scene.site.origin] });
    await second.navigate(`${scene.site.origin}/cookies`, 10_000);
    expect(await second.waitFor([{ kind: 'value', locator: css('#c'), equals: 'none' }], 3_000)).toBe(0);
    await second.close();
  });
});

describe('the browser', () => {
  test('gives a browser that was kept warm to one session only', async () => {
    const { egress } = scene;
    const log = silentLog;
    const warm = createBrowser({ egress, log, mayInstall: true, keepWarm: true, ...configured() });
    await (await warm.open({ origins: [scene.site.origin] })).close();
    const [one, two] = await Promise.all([
      warm.open({ origins: [scene.site.origin] }),
      warm.open({ origins: [scene.site.origin] }),
    ]);
    await one.navigate(`${scene.site.origin}/form`, 10_000);
    await one.close();
    expect(await two.navigate(`${scene.site.origin}/form`, 10_000)).toMatchObject({ title: 'Key details' });
    await warm.close();
    await expect(two.state()).rejects.toMatchObject({ code: 'browser_crashed' });
  });

  test('a session whose browser was killed says so, and the next one works', async () => {
    const before = childProcesses();
    const doomed = await scene.browser.open({ origins: [scene.site.origin] });
    await doomed.navigate(`${scene.site.origin}/form`, 10_000);
    const waiting = doomed.waitFor([{ kind: 'visible', locator: css('#nowhere') }], 10_000);
    for (const pid of childProcesses()) if (!before.has(pid)) process.kill(pid, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ code: 'browser_crashed', isRetryable: true });
    await expect(doomed.state()).rejects.toMatchObject({ code: 'browser_crashed', isRetryable: true });
    await doomed.close();
    const next = await scene.browser.open({ origins: [scene.site.origin] });
    expect(await next.navigate(`${scene.site.origin}/form`, 10_000)).toMatchObject({ title: 'Key details' });
    await next.close();
  });

  test('a session whose renderers crashed goes on with a new page, its cookies and its pictures', async () => {
    const before = childProcesses();
    const hurt = await scene.browser.open({ origins: [scene.site.origin] });
    await hurt.navigate(`${scene.site.origin}/cookie`, 10_000);
    const seen = await scene.the(css('body'), false, hurt);
    const [browserPid] = [...childProcesses()].filter((pid) => !before.has(pid));
    const waiting = hurt.waitFor([{ kind: 'visible', locator: css('#nowhere') }], 10_000);
    const crash = { code: 'browser_crashed', isRetryable: true };
    for (const pid of renderersOf(browserPid)) process.kill(pid, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject(crash);
    // Whoever asks is told, and nobody else is: what fails without being waited for would end the program, and this run.
    await expect(hurt.ready(seen, { kind: 'fill', value: 'x' }, 1_000)).rejects.toMatchObject(crash);
    await expect(hurt.read(seen)).rejects.toMatchObject(crash);
    await expect(hurt.fingerprint(seen)).rejects.toMatchObject(crash);
    await hurt.navigate(`${scene.site.origin}/cookies`, 10_000);
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
