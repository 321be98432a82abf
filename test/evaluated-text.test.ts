import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { evaluatedText, nodesIn, otherThanValues, parse } from './support/boundaries/evaluated.ts';
import type { ProjectFile } from './support/boundaries/rules.ts';

const ROOT = join(import.meta.dirname, '..');
const program: readonly ProjectFile[] = ['adapters', 'bot', 'core', 'prisma'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[cm]?[jt]s$/.test(name) && !name.startsWith('generated/'))
    .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(join(ROOT, folder, name), 'utf8') })),
);

/** The one build of Chromium that may be installed is a package, found in a folder that is only known when it runs. */
const PINNED_BUILD: ReadonlySet<string> = new Set([
  'adapters/browser/install-chromium.ts: an import of a computed name',
  'adapters/browser/unpack-chromium.ts: an import of a computed name',
]);

/** The recorder runs a developer's own spec, whose selectors it is given; no page and no operation reaches it. */
const RECORDER: ReadonlySet<string> = new Set([
  'adapters/browser/recording/watch.ts: a locator that is not said to be CSS',
]);
const isKnown = (place: string) => PINNED_BUILD.has(place) || RECORDER.has(place);

describe('in the whole program', () => {
  test('no text becomes code, in a page or in the program itself', () => {
    expect(program.length).toBeGreaterThan(150);
    expect(evaluatedText(program).filter((place) => !isKnown(place))).toEqual([]);
  });

  test('functions do run in pages, so that the walk finds something to judge', () => {
    const calls = program.flatMap((file) =>
      [...nodesIn(parse(file))].filter(
        ({ type, property }) => type === 'MemberExpression' && JSON.stringify(property).includes('"evaluate'),
      ),
    );
    expect(calls.length).toBeGreaterThan(20);
  });

  test.each([
    ['core/ports/browser.ts', ['Action', 'Condition', 'Locator', 'LocatorRule', 'FoundElement']],
    ['core/ports/model.ts', ['ModelAction', 'ModelTarget']],
  ])('%s: what is done to a page is a value', (path, names) => {
    const file = program.find((one) => one.path === path);
    expect(file).toBeDefined();
    const tree = file && parse(file);
    for (const name of names) expect([name, tree && otherThanValues(tree, name)]).toEqual([name, []]);
  });
});

const IN_PAGE: ProjectFile = {
  path: 'adapters/browser/in-page.ts',
  text: 'export function title() { return 1 }\nexport const late = title;',
};

describe('a planted fault is found', () => {
  test.each([
    'eval(text);',
    'globalThis.eval(text);',
    "globalThis['eval'](text);",
    'const run = globalThis.eval; run(text);',
    "new Function('return 1')();",
    "(() => 1).constructor('return 1')();",
    "new (class {}.constructor)('return 1');",
    "import vm from 'node:vm';",
    "import { runInThisContext } from 'vm';",
    "await import('data:text/javascript,1');",
    'await import(name);',
    "setTimeout('stop()', 1);",
    'setInterval(`stop(#{x})`, 1);',
    "setTimeout('stop(' + x + ')', 1);",
    "await page.evaluate('1 + 1');",
    'await page.evaluate<string>(`document.#{name}`);',
    'await page.evaluate(text);',
    'await frame.evaluateHandle(step.code);',
    "import { late } from './in-page.ts'; await page.evaluate(late);",
    "import { title } from './elsewhere.ts'; await page.evaluate(title);",
    'function go(title: string) { return page.waitForFunction(title) }',
    "await page.addInitScript('x');",
    'await context.addInitScript(() => 1);',
    'await page.setContent(text);',
    "execFile(process.execPath, ['-e', text]);",
    "await page.locator('js=1').click();",
    'page.locator(step.selector);',
    'page.locator(`#{by}=x`);',
    "await session.send('Runtime.evaluate', { expression: text });",
    "await session.send('Page.addScriptToEvaluateOnNewDocument', { source: text });",
    "await session.send('Runtime.callFunctionOn', { functionDeclaration: text });",
    "await session.send('Runtime.callFunctionOn', { functionDeclaration: String(text) });",
  ])('%s', (text) => {
    const planted = { path: 'adapters/browser/a.ts', text: text.replaceAll('#{', '$' + '{') };
    expect(evaluatedText([IN_PAGE, planted])).not.toEqual([]);
  });

  test.each([
    "import { title } from './in-page.ts'; await page.evaluate(title, 'eval(1)');",
    'function own() {} await frame.evaluateHandle(own);',
    'await page.evaluate(() => 1); setTimeout(() => stop(), 1); setTimeout(done, 1);',
    'page.locator(`css=#{selector}`);',
    "import { title } from './in-page.ts'; session.send('Runtime.callFunctionOn', { functionDeclaration: String(title) });",
    'retrieval(text); const isFunction = (f: Function) => f;',
  ])('and nothing else: %s', (text) => {
    const planted = { path: 'adapters/browser/a.ts', text: text.replaceAll('#{', '$' + '{') };
    expect(evaluatedText([IN_PAGE, planted])).toEqual([]);
  });
});
