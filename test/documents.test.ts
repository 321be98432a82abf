import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCli } from '../bot/cli.ts';
import { VARIABLES } from '../bot/config.ts';
import vitestConfig from '../vitest.config.ts';

const ROOT = join(import.meta.dirname, '..');
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md'];
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const scripts = Object.keys(JSON.parse(read('package.json')).scripts);

describe.each(DOCUMENTS)('%s', (name) => {
  const text = read(name);

  test('names only files that are there', () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)\s]+)\)|(?:src|srcset)="([^"]+)"/g)].map(
      (m) => m[1] ?? m[2] ?? '',
    );
    const paths = [
      ...text.matchAll(/`((?:\.ci|adapters|bot|core|docs|prisma|test)\/[\w./-]*|[\w-]+\.(?:md|json|ts))`/g),
    ].map((m) => m[1] ?? '');
    const missing = [...links, ...paths].filter((path) => !/NAME/.test(path) && !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });

  test('names only npm scripts that exist', () => {
    const named = [...text.matchAll(/npm (?:run )?(?!ci\b|run\b|install\b)([\w-]+)/g)].map((m) => m[1] ?? '');
    expect(named.filter((script) => !scripts.includes(script) && script !== 'and')).toEqual([]);
  });
});

test('docs/operate.md names only commands that there are, and variables', async () => {
  const text = read('docs/operate.md');
  const named = [...text.matchAll(/npm run countersign -- ([a-z]+ [a-z]+)/g)].map((m) => m[1] ?? '');
  expect(named.length).toBeGreaterThan(3);
  for (const command of named) {
    const said: string[] = [];
    const sinks = { say: (line: string) => said.push(line), complain: () => {} };
    expect([command, await runCli([...command.split(' '), '--help'], { env: {}, ...sinks })]).toEqual([command, 0]);
    expect(said.join()).toContain(`-- ${command}`);
  }
  const variables = [...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map((m) => m[1] ?? '');
  expect(variables.filter((name) => !VARIABLES.includes(name))).toEqual([]);
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
    expect(commands.filter((command) => !/^(?:`[^`]+`|—|@@[\w-]+@@)$/.test(command))).toEqual([]);
  });

  test('names only commands that there are', () => {
    const named = commands.flatMap((command) => command.match(/(?<=npm run )[\w:-]+/g) ?? []);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((script) => !scripts.includes(script))).toEqual([]);
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

test('the documents name files at all', () => {
  expect(read('README.md').match(/`(?:bot|core|test)\//g)?.length).toBeGreaterThan(5);
});

test('every npm script starts a file that is there', () => {
  const commands = Object.values<string>(JSON.parse(read('package.json')).scripts);
  const files = commands.flatMap((command) => command.match(/[\w./-]+\.(?:ts|mjs)/g) ?? []);
  expect(files.length).toBeGreaterThan(4);
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test('the demo takes the place of npm’s shell, so that a signal to npm reaches it', () => {
  expect(JSON.parse(read('package.json')).scripts.demo).toMatch(/^exec node /);
});
