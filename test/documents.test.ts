import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCli } from '../bot/cli.ts';
import { VARIABLES } from '../bot/config.ts';

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
