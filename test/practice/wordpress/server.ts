/**
 * A REAL WordPress, Debian's package on PHP's own web server and MariaDB, for tests: on loopback, on free ports, with all of
 * its data in a temporary folder, ended by the ids of its processes.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { type OsUser, osUser } from '../../../adapters/postgres/os-user.ts';
import { freePort } from '../../support/free-port.ts';
import type { Packages } from './packages.ts';

const run = promisify(execFile);
const READY_MS = 60_000;
/** A request that a plugin holds takes one of them. */
const WORKERS = 4;
const TOOL = 'tool.php';
const CONFIG = 'wp-config.php';

export interface Account {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

/** What a site can be given: a file of `plugins/`, as a must-use plugin. */
export type Plugin =
  | 'no-application-passwords'
  | 'administrators-only'
  | 'closed-rest-api'
  | 'hidden-accounts'
  | 'no-local-site'
  | 'answer-held'
  | 'request-held'
  | 'one-time-code'
  | 'another-code'
  | 'locked-account'
  | 'captcha-at-sign-in'
  | 'maintenance'
  | 'signs-out-once'
  | 'answer-lost'
  | 'elsewhere'
  | 'hidden-sign-in';

export interface WordPressOptions {
  /** The folder that it lies in, such as `blog`; at the root without one. */
  readonly folder?: string;
}

export interface WordPress {
  /** `http://localhost:PORT`, and the folder. */
  readonly base: string;
  /** `localhost:PORT` */
  readonly host: string;
  readonly version: string;
  readonly admin: Account;
  readonly editor: Account;
  /** The application passwords of an account that live now, oldest first. */
  passwords(of?: Account): Promise<readonly ApplicationPassword[]>;
  /** Makes one without any page. */
  createPassword(of: Account, name: string): Promise<string>;
  /** Ends the administrator's of that name, as they would on their profile page. @throws Error where there is none */
  endPassword(name: string): Promise<void>;
  setOption(name: string, value: string): Promise<void>;
  setLanguage(of: Account, locale: string): Promise<void>;
  plug(plugin: Plugin): void;
  unplug(plugin: Plugin): void;
  /** A request for a new password has come, and the plugin `request-held` holds it. */
  holdsRequest(): boolean;
  /** Method and path, with the query, of every request, oldest first. */
  readonly requests: readonly string[];
  /** Ends its web server; the data stay until the host closes. */
  close(): Promise<void>;
}

const passwordSchema = z.object({ name: z.string(), uuid: z.string(), lastUsed: z.int().nullable() });
export type ApplicationPassword = z.infer<typeof passwordSchema>;

/** One MariaDB and any number of sites on it. */
export interface WordPressHost {
  site(options?: WordPressOptions): Promise<WordPress>;
  /** Ends everything, and removes the data. */
  close(): Promise<void>;
}

/** What a host's parts share. */
interface Host {
  readonly packages: Packages;
  readonly folder: string;
  readonly socket: string;
  readonly runAs: OsUser | undefined;
}

export async function openWordPressHost(packages: Packages): Promise<WordPressHost> {
  const runAs = await osUser();
  const folder = mkdtempSync(join(tmpdir(), 'countersign-wp-'));
  if (runAs) chownSync(folder, runAs.uid, runAs.gid);
  // Copied, because whoever runs them may not enter the project's folder.
  for (const file of [TOOL, CONFIG]) copyFileSync(join(import.meta.dirname, file), join(folder, file));
  const host: Host = { packages, folder, socket: join(folder, 'mariadb.sock'), runAs };
  const sites: WordPress[] = [];
  let database: ChildProcess | undefined;
  const close = async () => {
    await Promise.all(sites.map((site) => site.close()));
    await ended(database, 'SIGKILL'); // nobody needs its data any more
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    database = await startMariaDb(host);
    return {
      async site(options = {}) {
        const site = await startSite(host, `site${sites.length}`, options);
        sites.push(site);
        return site;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startMariaDb({ folder, socket, runAs }: Host): Promise<ChildProcess> {
  const data = join(folder, 'mariadb');
  const options = { ...runAs, cwd: folder, env: environment() };
  await run(
    'mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    options,
  );
  const server = spawn(
    'mariadbd',
    [
      ...['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, '--skip-networking', `--tmpdir=${folder}`],
      ...['--innodb-flush-log-at-trx-commit=0', '--skip-log-bin', `--pid-file=${join(folder, 'mariadb.pid')}`],
    ],
    { ...options, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const said = lastWords(server);
  await until(() => existsSync(socket), server, said);
  return server;
}

async function startSite(host: Host, name: string, { folder: inside }: WordPressOptions): Promise<WordPress> {
  const port = await freePort();
  const authority = `localhost:${port}`;
  const base = `http://${authority}${inside === undefined ? '' : `/${inside}`}`;
  const content = join(host.folder, name);
  const plugins = join(content, 'mu-plugins');
  mkdirSync(plugins, { recursive: true });
  if (host.runAs) for (const one of [content, plugins]) chownSync(one, host.runAs.uid, host.runAs.gid);
  const env = siteEnvironment(host, { base, content, database: name });
  await run('mariadb', ['--no-defaults', '-u', 'root', '-S', host.socket, '-e', `CREATE DATABASE ${name}`]);
  const admin = account('practice-admin');
  const editor = account('practice-editor');
  const tool = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await run('php', [join(host.folder, TOOL), ...args], { ...host.runAs, cwd: host.folder, env });
    return JSON.parse(stdout);
  };
  const version = z
    .string()
    .parse(await tool('install', admin.username, admin.password, editor.username, editor.password));
  const server = await serve(host, { port, env, root: rootFor(host, content, inside) });
  const file = (plugin: Plugin) => join(plugins, `${plugin}.php`);
  const waits = join(content, 'request-waits');
  return {
    ...{ base, host: authority, version, admin, editor, requests: server.requests },
    passwords: async (of = admin) => z.array(passwordSchema).parse(await tool('passwords', of.username)),
    createPassword: async (of, label) => z.string().parse(await tool('create', of.username, label)),
    endPassword: async (label) => void z.literal(true).parse(await tool('end_password', admin.username, label)),
    setOption: async (option, value) => void (await tool('option', option, value)),
    setLanguage: async (of, locale) => void (await tool('locale', of.username, locale)),
    plug: (plugin) => copyFileSync(join(import.meta.dirname, 'plugins', `${plugin}.php`), file(plugin)),
    unplug: (plugin) => {
      rmSync(file(plugin), { force: true });
      if (plugin === 'request-held') rmSync(waits, { force: true });
    },
    holdsRequest: () => existsSync(waits),
    close: server.close,
  };
}

function account(username: string): Account {
  return { username, email: `${username}@example.com`, password: randomBytes(12).toString('base64url') };
}

/** Our own environment holds keys and passwords; these programs get what they need. */
function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC', ...more };
}

function siteEnvironment(host: Host, site: { base: string; content: string; database: string }) {
  return environment({
    WORDPRESS_CODE: host.packages.code,
    WORDPRESS_LANGUAGES: host.packages.languages,
    WORDPRESS_CONFIG: join(host.folder, CONFIG),
    WORDPRESS_SOCKET: host.socket,
    WORDPRESS_URL: site.base,
    WORDPRESS_CONTENT: site.content,
    WORDPRESS_DATABASE: site.database,
    PHP_CLI_SERVER_WORKERS: String(WORKERS),
  });
}

/** What the web server takes as its root: WordPress itself, or a folder in which it lies. */
function rootFor({ packages }: Host, content: string, inside: string | undefined): string {
  if (inside === undefined) return packages.code;
  const root = join(content, 'root');
  mkdirSync(root);
  symlinkSync(packages.code, join(root, inside));
  return root;
}

async function serve(host: Host, site: { port: number; env: Record<string, string>; root: string }) {
  const address = `127.0.0.1:${site.port}`;
  const settings = ['opcache.enable_cli=1', 'max_execution_time=0', 'display_errors=0', 'memory_limit=256M'];
  const server = spawn('php', [...settings.flatMap((one) => ['-d', one]), '-S', address, '-t', site.root], {
    ...host.runAs,
    cwd: host.folder,
    env: site.env,
    detached: true, // a group of its own, for its workers
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const requests: string[] = [];
  const said = lastWords(server, (line) => {
    const request = /\]: ([A-Z]+ \S+)/.exec(line)?.[1];
    if (request) requests.push(request);
  });
  await until(() => answers(site.port), server, said);
  return { requests, close: () => ended(server, 'SIGKILL', { isGroup: true }) };
}

function lastWords({ stderr }: ChildProcess, hear: (line: string) => void = () => {}): () => string {
  const lines: string[] = [];
  if (stderr)
    createInterface({ input: stderr }).on('line', (line) => {
      lines.push(line);
      if (lines.length > 50) lines.shift();
      hear(line);
    });
  return () => lines.join('\n');
}

async function until(
  isReady: () => boolean | Promise<boolean>,
  server: ChildProcess,
  said: () => string,
): Promise<void> {
  const end = performance.now() + READY_MS;
  while (!(await isReady())) {
    if (server.exitCode !== null || performance.now() > end)
      throw new Error(`${server.spawnfile} is not ready: ${said()}`);
    await delay(50);
  }
}

async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/wp-includes/js/wp-util.js`).then(
    () => true,
    () => false,
  );
}

async function ended(child: ChildProcess | undefined, signal: NodeJS.Signals, { isGroup = false } = {}): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const over = once(child, 'exit');
  process.kill(isGroup ? -child.pid : child.pid, signal);
  await over;
}
