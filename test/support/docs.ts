// `npm run docs`: writes the pages that are made from the program itself. test/documents.test.ts fails where one is out of date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nameOf } from '../../bot/cli/command.ts';
import { COMMANDS } from '../../bot/cli.ts';
import { ABOUT, type About, ENVIRONMENT, GROUPS } from '../../bot/variables.ts';
import { servicesPage } from './services-page.ts';

const ROOT = join(import.meta.dirname, '../..');
const WIDTH = 120;

interface Variable extends About {
  readonly name: string;
  /** As it would be written; empty where there is none. */
  readonly fallback: string;
}

const defaults: Readonly<Record<string, unknown>> = ENVIRONMENT.parse({});
const variables: readonly Variable[] = Object.entries(ENVIRONMENT.shape).map(([name, schema]) => {
  const about = ABOUT.get(schema);
  if (about === undefined) throw new Error(`bot/variables.ts says nothing about ${name}`);
  return { name, fallback: String(defaults[name] ?? ''), ...about };
});
const groups = Object.entries(GROUPS).map(([id, group]) => ({
  ...group,
  variables: variables.filter((variable) => variable.group === id),
}));

const BY: Readonly<Record<About['by'], string>> = {
  all: 'every process',
  bot: 'bot',
  worker: 'worker',
  owner: 'one process',
};

/** Names of variables, pages, folders and addresses in a text become code and links. */
function marked(text: string): string {
  return text
    .replace(/\(docs\/([\w-]+\.md)\)/g, '([more]($1))')
    .replace(
      /(?<![`\w.])(?:[A-Z]+(?:_[A-Z]+)+|PORT|\.countersign\/?[\w./]*\b\/?|\/slack\/install|\/metrics|http:\/\/[\w:]+)(?![\w`])/g,
      '`$&`',
    );
}

function configuration(): string {
  const parts = groups.flatMap(({ title, intro, variables: own }) => [
    `## ${title}`,
    '',
    ...(intro === '' ? [] : [marked(intro), '']),
    '| variable | meaning | default | read by |',
    '|---|---|---|---|',
    ...own.map(({ name, means, without, fallback, by }) => {
      const absent = without ? marked(without) : fallback ? `\`${fallback}\`` : '';
      return `| \`${name}\` | ${marked(means)} | ${absent} | ${BY[by]} |`;
    }),
    '',
  ]);
  return [
    '# Configuration',
    '',
    '<!-- npm run docs makes this page of bot/variables.ts -->',
    '',
    'Everything comes from the environment, or from `.env` beside `package.json` (`.env.example` has the same list); the environment goes before.',
    'An empty variable counts as absent. What is wrong is said at the start, all of it at once, and never with a value. “Read by” is the',
    '[`ROLE`](scale.md) that needs it: “one process” is the one that migrates, and `all` reads everything.',
    '',
    ...parts,
  ].join('\n');
}

function example(): string {
  const parts = groups.flatMap(({ title, intro, variables: own }) => [
    '',
    `# --- ${title} ---`,
    ...comment(intro),
    ...(intro === '' ? [] : ['']),
    ...own.flatMap(({ name, means, without, fallback, example: shown }) => [
      ...comment(without ? `${means} Absent: ${without}.` : means),
      `${name}=${shown ?? fallback}`,
    ]),
  ]);
  const head =
    'Copy this file to .env and set what you need; everything has a default or is optional, unless it says otherwise. `npm run docs` makes it of bot/variables.ts, as it makes docs/configuration.md.';
  return [...comment(head), ...parts, ''].join('\n');
}

/** Lines of at most `WIDTH` characters. */
function comment(text: string): string[] {
  const lines: string[] = [];
  for (const word of text === '' ? [] : text.split(' ')) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > WIDTH) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}

/** Where a command's room has a page of its own. */
const PAGES: Readonly<Record<string, string>> = {
  audit: 'console.md#the-record-checked-where-you-are',
  customer: 'privacy.md',
  vault: 'rotate-keys.md',
  queue: 'operate.md#what-waits-and-what-is-stuck',
  token: 'api.md#tokens',
  webhook: 'webhooks.md',
  restored: 'back-up-and-restore.md#restore',
  slack: 'slack.md',
  teams: 'teams.md',
  workflow: 'write-a-workflow.md',
};

function commandLine(): string {
  const rooms = Map.groupBy(COMMANDS, (command) => nameOf(command)[0] ?? '');
  const parts = [...rooms].flatMap(([room, commands]) => [
    `## ${room}`,
    '',
    ...(PAGES[room] ? [`[More](${PAGES[room]}).`, ''] : []),
    ...commands.flatMap(({ usage, summary, options = {} }) => [
      `**\`${usage}\`** ${summary}`,
      '',
      ...Object.entries(options).map(([name, { type, help }]) => {
        const value = type === 'string' ? ' VALUE' : '';
        return `- \`--${name}${value}\` ${help}`;
      }),
      ...(Object.keys(options).length > 0 ? [''] : []),
    ]),
  ]);
  return [
    '# The operator’s command line',
    '',
    '<!-- npm run docs makes this page of the commands themselves -->',
    '',
    'Each is `npm run countersign --` and what stands here; `--help` after it says the same. It reads `.env` and works beside a running',
    'program, on the same database. With `DATABASE_OWNER_URL` in its environment it migrates the database first, where it opens one, as a start does:',
    'run a new version’s commands only once you mean to upgrade. It ends with 0 when it is done, 1 when something was found wrong, and 2 when it',
    'was used wrongly.',
    '',
    ...parts,
  ].join('\n');
}

/** Every page that is made, by its path. */
export const GENERATED: readonly { readonly path: string; readonly text: string }[] = [
  { path: 'docs/configuration.md', text: configuration() },
  { path: 'docs/command-line.md', text: commandLine() },
  { path: 'docs/services.md', text: servicesPage() },
  { path: '.env.example', text: example() },
];

if (import.meta.main) for (const { path, text } of GENERATED) writeFileSync(join(ROOT, path), text);
