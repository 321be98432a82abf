// docs/architecture.md against the house as it is: what it names is there, and what is there it names.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RouteDeps } from '../adapters/api/deps.ts';
import { allRoutes } from '../adapters/api/routes.ts';
import { STREAM_PATH } from '../adapters/api/stream.ts';
import { EVENTS_PATH, INSTALL_PATH, REDIRECT_PATH } from '../adapters/slack/config.ts';
import { MESSAGES_PATH } from '../adapters/teams/config.ts';
import { nameOf } from '../bot/cli/command.ts';
import { COMMANDS } from '../bot/cli.ts';
import { VARIABLES } from '../bot/variables.ts';
import { STATES } from '../core/operations/states.ts';
import { QUEUES } from '../core/queue/queues.ts';
import { stepSchema } from '../core/workflow/steps/index.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const TEXT = read('docs/architecture.md');

/** What stands in backticks, in order. */
const codesIn = (text: string) => Array.from(text.matchAll(/`([^`\n]+)`/g), ([, code = '']) => code);
const CODES = codesIn(TEXT);

function section(heading: string): string {
  const [, ...rest] = TEXT.split(`\n## ${heading}\n`);
  expect(rest, heading).toHaveLength(1);
  return rest[0]?.split('\n## ')[0] ?? '';
}

/** The line of a table that begins with that. */
function row(begin: string): string {
  const found = TEXT.split('\n').filter((line) => line.startsWith(`| ${begin} |`));
  expect(found, begin).toHaveLength(1);
  return found[0] ?? '';
}

const sorted = (words: Iterable<string>) => [...new Set(words)].sort();
const foldersIn = (path: string) =>
  readdirSync(join(ROOT, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'generated')
    .map(({ name }) => `${path}/${name}/`);
const filesIn = (path: string) => readdirSync(join(ROOT, path)).filter((name) => name.endsWith('.ts'));

describe('rooms', () => {
  test('that it names are there', () => {
    const named = CODES.filter((code) => /^(?:adapters|bot|core|prisma|test)\/[\w./-]+$|^[\w-]+\.json$/.test(code));
    expect(named.length).toBeGreaterThan(60);
    expect(named.filter((path) => path !== 'AGENT_KNOWLEDGE_BASE.json' && !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test('that are there it names', () => {
    const rooms = ['adapters', 'bot', 'core', 'test'].flatMap(foldersIn);
    const files = filesIn('core').map((name) => `core/${name}`);
    expect([...rooms, ...files].filter((path) => !CODES.includes(path))).toEqual([]);
  });

  test('and every port', () => {
    const [, ...ports] = codesIn(row('`core/ports/`'));
    expect(sorted(ports)).toEqual(sorted(filesIn('core/ports').map((name) => name.replace(/\.ts$/, ''))));
  });
});

describe('words', () => {
  test('every state of an operation, and no other', () => {
    const named = codesIn(section('States of an operation')).filter((code) => /^[a-z_]+$/.test(code));
    expect(sorted(named)).toEqual(sorted(STATES));
  });

  test('every step kind, way and rung', () => {
    const [, kinds = ''] = row('workflow, step, step kind').split('one of them;');
    expect(sorted(codesIn(kinds))).toEqual(sorted(stepSchema.options.map(({ shape }) => shape.kind.value)));
    const listed = (file: string, pattern: RegExp) => codesOfUnion(pattern.exec(read(file))?.[1] ?? '');
    expect(sorted(codesIn(row('way')))).toEqual(
      sorted(listed('core/services/service.ts', /readonly kind: ('browser'[^;]+);/)),
    );
    expect(sorted([...codesIn(row('rung')), 'none'])).toEqual(
      sorted(listed('core/agent/stage.ts', /export type Rung = ([^;]+);/)),
    );
  });
});

/** `'a' | 'b'` */
function codesOfUnion(text: string): string[] {
  return Array.from(text.matchAll(/'(\w+)'/g), ([, word = '']) => word);
}

describe('commands, variables and queues', () => {
  const [, chat = '', shell = ''] =
    /\n([\s\S]*?)\n\nAfter `npm run countersign --`([\s\S]*)/.exec(section('Commands')) ?? [];

  test('every word after /countersign', () => {
    const source = read('bot/command-flow.ts').split('switch (verb.toLowerCase())')[1]?.split('default:')[0] ?? '';
    const verbs = Array.from(source.matchAll(/case '(\w+)':/g), ([, verb = '']) => verb);
    expect(verbs.length).toBeGreaterThan(10);
    expect(sorted(codesIn(chat).filter((code) => !code.startsWith('/')))).toEqual(sorted(verbs));
  });

  test('every command of the operator', () => {
    expect(sorted(codesIn(shell))).toEqual(sorted(COMMANDS.map((command) => nameOf(command).join(' '))));
  });

  test('every variable', () => {
    expect(sorted(codesIn(section('Variables')))).toEqual(sorted(VARIABLES));
  });

  test('every queue', () => {
    expect(sorted(codesIn(section('Queues')))).toEqual(sorted(QUEUES.map(({ name }) => name)));
  });
});

describe('routes', () => {
  const [outside = '', api = ''] = section('Routes').split('\nBelow `/api/autonomous`');
  const routesIn = (text: string) => codesIn(text).filter((code) => /^(?:GET|POST|DELETE|WebSocket) \//.test(code));

  test('every one of the API', () => {
    // None of them uses anything before it is asked.
    const routes = allRoutes({} as RouteDeps);
    expect(sorted(routesIn(api))).toEqual(sorted(routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`)));
  });

  test('and every other one', () => {
    const written = ['adapters/api', 'adapters/metrics'].flatMap((folder) =>
      filesIn(folder).flatMap((name) =>
        Array.from(
          read(`${folder}/${name}`).matchAll(/\.(get|post|delete)\(\s*'(\/[^']*)'/g),
          ([, method = '', path = '']) => `${method.toUpperCase()} ${path}`,
        ),
      ),
    );
    expect(written.length).toBeGreaterThan(8);
    expect(sorted(routesIn(outside))).toEqual(
      sorted([
        ...written,
        ...[`POST ${EVENTS_PATH}`, `GET ${INSTALL_PATH}`, `GET ${REDIRECT_PATH}`, `POST ${MESSAGES_PATH}`],
        ...[`WebSocket ${STREAM_PATH}`, 'GET /console'],
      ]),
    );
  });
});
