// What the documents name is there: files, links and their anchors, scripts, commands with their options, variables, texts.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { argumentsOf, type Command, nameOf } from '../bot/cli/command.ts';
import { COMMANDS } from '../bot/cli.ts';
import { VARIABLES } from '../bot/variables.ts';
import vitestConfig from '../vitest.config.ts';
import { GENERATED } from './support/docs.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const scripts: Record<string, string> = JSON.parse(read('package.json')).scripts;
const PAGES = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...PAGES];
/** Of something of the reader's own, of the reference system's, or a constant: no variable of ours. */
const NO_VARIABLES =
  /^(?:[A-Z]+_ID|ACME_\w+|CONSOLE_ROUTES|WITHOUT_PAGE|ENCRYPTION_KEY_VERSION|CONSENT_VERSION|RATE_LIMIT_PER_ORG|ENABLE_METRICS|LINES_PEOPLE|COUNTERSIGN_(?:TESTS|ATTACKS))$/;
const PATH = /`((?:\.ci|adapters|bot|core|docs|prisma|test)\/[\w./-]*|[\w-]+\.md)`/g;
/** Of the reader's own making, as a recipe or an example names it. */
const MADE = /NAME|\b(?:acme|lines|show)\b|\/x$/;

const codesIn = (text: string) => Array.from(text.matchAll(/`([^`\n]+)`/g), ([, code = '']) => code);

/** The parts of a page that are no code blocks, and those that are. */
function partsOf(text: string): { readonly prose: string; readonly blocks: readonly string[] } {
  const block = /^ *```[^\n]*\n[\s\S]*?^ *```$/gm;
  return { prose: text.replace(block, ''), blocks: text.match(block) ?? [] };
}

/** As GitHub makes them of headings. */
function anchorsOf(name: string): readonly string[] {
  const { prose } = partsOf(read(name));
  return Array.from(prose.matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe.each(DOCUMENTS)('%s', (name) => {
  const text = read(name);
  const { prose, blocks } = partsOf(text);
  const inline = codesIn(prose);

  test('names only files that are there', () => {
    const links = [...prose.matchAll(/\]\((?!https?:|mailto:|#)([^)\s#]+)|(?:src|srcset)="([^"]+)"/g)].map((m) =>
      normalize(join(dirname(name), m[1] ?? m[2] ?? '')),
    );
    const paths = [...prose.matchAll(PATH)]
      .map(([, path = '']) => path)
      .flatMap((path) =>
        [path, join(dirname(name), path)].some((each) => existsSync(join(ROOT, each))) ? [] : [path],
      );
    const missing = [...links.filter((path) => !existsSync(join(ROOT, path))), ...paths];
    expect(missing.filter((path) => !MADE.test(path))).toEqual([]);
  });

  test('leads to places that are there', () => {
    const links = [...prose.matchAll(/\]\((?!https?:)([^)\s#]*)#([^)\s]+)\)/g)];
    const lost = links.filter(([, path = '', anchor = '']) => {
      const page = path === '' ? name : normalize(join(dirname(name), path));
      return existsSync(join(ROOT, page)) && !anchorsOf(page).includes(anchor);
    });
    expect(lost.map(([link]) => link)).toEqual([]);
  });

  test('names only npm scripts that exist', () => {
    const named = [...text.matchAll(/npm (?:run (?:-s )?)?(?!ci\b|run\b|install\b|start\b|test\b)([a-z][\w:-]*)/g)].map(
      (m) => m[1] ?? '',
    );
    expect(named.filter((script) => !(script in scripts) && !NO_SCRIPTS.includes(script))).toEqual([]);
  });

  test('names only commands of the operator that there are, as they are used', () => {
    const written = [...blocks, ...inline].flatMap(commandLines);
    expect(written.flatMap((line) => misuseOf(line))).toEqual([]);
    // What a block or a numbered step says is done as it stands there.
    const steps = prose.match(/^\d+\. .+(?:\n {2,}.+)*/gm) ?? [];
    const done = [...blocks, ...steps.flatMap(codesIn)].flatMap(commandLines);
    expect(done.filter(isBare)).toEqual([]);
    const rooms = new Set(COMMANDS.map((command) => nameOf(command)[0] ?? ''));
    const short = inline.filter((code) => rooms.has(code.split(' ')[0] ?? '') && /^[a-z]+ [a-z]+(?: |$)/.test(code));
    expect(short.flatMap((line) => misuseOf(line))).toEqual([]);
  });

  test('names only options of the demo that there are', () => {
    const demo = read('test/practice/demo.ts');
    const options = [...text.matchAll(/npm run demo -- ([^\n`]+)/g)].flatMap(
      ([, rest = '']) => rest.match(/--[\w-]+/g) ?? [],
    );
    expect(options.filter((option) => !demo.includes(option))).toEqual([]);
  });

  test('names only variables that there are', () => {
    const variables = [...prose.matchAll(/`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`/g)].map(([, variable = '']) => variable);
    expect(variables.filter((each) => !VARIABLES.includes(each) && !NO_VARIABLES.test(each))).toEqual([]);
  });
});

/** Words after `npm`, and scripts of npm itself. */
const NO_SCRIPTS = ['and', 'brings', 'itself', 'itself.', 'fetches', 'on'];

/** What follows `countersign --` in a text, without comments; lines that go on are one. */
function commandLines(text: string): string[] {
  return Array.from(text.replaceAll(/\\\n\s*/g, ' ').matchAll(/\bcountersign -- ([^\n]+)/g), ([, line = '']) =>
    (line.split(/ {2,}# | # /)[0] ?? '').trim(),
  );
}

/** Whether the command does nothing without the words that are missing. `audit verify` needs a file, or a customer. */
function isBare(line: string): boolean {
  const command = COMMANDS.find((each) => nameOf(each).join(' ') === line);
  return command !== undefined && (argumentsOf(command).least > 0 || line === 'audit verify');
}

/** What is wrong with a command line: no such command or option, or too few or too many words. */
function misuseOf(line: string): string[] {
  const words = line.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  if (words[0] === 'help') return [];
  const command = COMMANDS.find((each) => nameOf(each).every((word, index) => words[index] === word));
  if (command === undefined) return [`there is no such command: ${line}`];
  const rest = words.slice(nameOf(command).length);
  // A command that is only named takes no words.
  return rest.length === 0 ? [] : misuseOfWords(command, rest).map((problem) => `${line}: ${problem}`);
}

function misuseOfWords(command: Command, rest: readonly string[]): string[] {
  const problems: string[] = [];
  let positionals = 0;
  for (let index = 0; index < rest.length; index += 1) {
    const word = rest[index] ?? '';
    const option = /^--([\w-]+)(=.*)?$/.exec(word);
    if (option === null) {
      positionals += 1;
      continue;
    }
    const known = command.options?.[option[1] ?? ''];
    if (known === undefined && word !== '--help') problems.push(`${word} is no option of it`);
    if (known?.type === 'string' && option[2] === undefined) index += 1;
  }
  const { least, most } = argumentsOf(command);
  return positionals > most || (positionals > 0 && positionals < least)
    ? [...problems, 'too few or too many words']
    : problems;
}

test('the documents name files, commands and variables at all', () => {
  expect(read('README.md').match(/`(?:bot|core|test)\//g)?.length).toBeGreaterThan(5);
  expect(PAGES.flatMap((name) => commandLines(read(name))).length).toBeGreaterThan(40);
  expect(misuseOf('audit verfy FILE')).toHaveLength(1);
  expect(misuseOf('vault rotate --route')).toHaveLength(1);
  expect(misuseOf('queue redrive ONE TWO')).toHaveLength(1);
  expect(['doctor', 'audit verify', 'vault list', 'doctor woocommerce'].filter(isBare)).toEqual([
    'doctor',
    'audit verify',
  ]);
});

test('README leads to every page', () => {
  expect(PAGES.filter((page) => !read('README.md').includes(`](${page}`))).toEqual([]);
});

test.each(GENERATED)('$path is what `npm run docs` makes', ({ path, text }) => {
  expect(read(path)).toBe(text);
});

test('every text that docs/troubleshooting.md quotes is one of ours', () => {
  const source = ['adapters', 'bot', 'core', 'prisma']
    .flatMap((room) =>
      readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('generated'))
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')),
    )
    .join('\n');
  const rows = read('docs/troubleshooting.md').split('\n## Texts of the reference system')[0] ?? '';
  const quoted = Array.from(rows.matchAll(/^\| `([^`]+)` \|/gm), ([, text = '']) => text);
  expect(quoted.length).toBeGreaterThan(45);
  const pieces = quoted.flatMap((text) => text.split('…').map((piece) => piece.trim()));
  expect(pieces.filter((piece) => !source.includes(piece))).toEqual([]);
});

describe('docs/measured.md', () => {
  const rows = read('docs/measured.md')
    .split('\n')
    .filter((line) => /^\| (?!what \|)/.test(line))
    .map((line) => line.slice(2, -2).split(' | '));
  const commands = rows.map((cells) => cells.at(-1) ?? '');

  test('says of everything the target, what was measured, and by which command', () => {
    expect(rows.length).toBeGreaterThan(60);
    expect(rows.filter((cells) => cells.length !== 4 || cells.some((cell) => cell.trim() === ''))).toEqual([]);
    expect(commands.filter((command) => !/^(?:`[^`]+`|—)$/.test(command))).toEqual([]);
  });

  test('names only commands that there are', () => {
    const named = commands.flatMap((command) => command.match(/(?<=npm run )[\w:-]+/g) ?? []);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((script) => !Object.hasOwn(scripts, script))).toEqual([]);
    const files = commands.flatMap((command) => command.match(/(?:test|\.ci)\/[\w./-]+/g) ?? []);
    expect(files.length).toBeGreaterThan(40);
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
    const parts = commands.flatMap((command) => command.match(/(?<=npm run bench -- --only )[\w-]+/g) ?? []);
    expect(parts.filter((name) => !read(`test/bench/${name}.ts`).includes(`name: '${name}'`))).toEqual([]);
    const faults = commands.flatMap((command) => command.match(/(?<=npm run faults -- --only )'[^']+'/g) ?? []);
    const sources = ['kill-worker', 'kill-bot', 'cut-connections', 'surroundings'];
    const known = sources.map((name) => read(`test/attack/faults/${name}.ts`)).join();
    expect(faults.length).toBeGreaterThan(8);
    expect(faults.filter((name) => !known.includes(`name: ${name}`))).toEqual([]);
  });

  test('says where a file runs in the whole suite alone', () => {
    const long = (vitestConfig.test?.exclude ?? []).filter((name) => name.endsWith('.test.ts'));
    const isWhole = (command: string) => command.includes('COUNTERSIGN_TESTS=whole');
    expect(commands.filter((each) => !isWhole(each) && long.some((name) => each.includes(name)))).toEqual([]);
  });
});

test('every npm script starts a file that is there', () => {
  const files = Object.values(scripts).flatMap((command) => command.match(/[\w./-]+\.(?:ts|mjs)/g) ?? []);
  expect(files.length).toBeGreaterThan(4);
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test('the demo takes the place of npm’s shell, so that a signal to npm reaches it', () => {
  expect(scripts.demo).toMatch(/^exec node /);
});
