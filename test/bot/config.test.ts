import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../bot/config.ts';
import { VARIABLES } from '../../bot/variables.ts';
import { CountersignError } from '../../core/errors.ts';

const KEY = randomBytes(32).toString('base64');
const OLD = randomBytes(32).toString('base64');
const PRODUCTION = {
  NODE_ENV: 'production',
  ENCRYPTION_KEY: KEY,
  DATABASE_URL: 'postgres://program@db.example.com/countersign',
  PUBLIC_URL: 'https://bot.example.com',
};

function problemsOf(env: Record<string, string>, options?: { requiresKey: boolean }): string[] {
  try {
    readConfig(env, options);
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'config_invalid') return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('readConfig', () => {
  test('gives every default in an empty environment', () => {
    expect(readConfig({})).toEqual({
      database: {},
      keys: { old: [] },
      http: { port: 3000, publicUrl: 'http://localhost:3000' },
      role: 'all',
      agent: { mode: 'ladder', workerConcurrency: 2 },
      targets: { private: [] },
      checkpointDir: '.countersign/checkpoints',
      limits: {
        ...{ operationsPerHour: 10, operationsAtOnce: 1, picturesMbPerMonth: 1000 },
        ...{ modelBudgetUsdPerOperation: 1, modelBudgetUsdPerMonth: 50 },
      },
      connections: { checkHours: 6 },
      retention: { auditDays: 90, leastAuditDays: 90, keyRotationDays: 90 },
      isVerbose: false,
      isProduction: false,
    });
  });

  test('reads every variable', () => {
    const config = readConfig({
      ...PRODUCTION,
      DATABASE_OWNER_URL: 'postgresql://owner@db.example.com/countersign',
      ENCRYPTION_KEYS_OLD: ` ${OLD} , `,
      PORT: '8080',
      PUBLIC_URL: 'https://bot.example.com/',
      ROLE: 'worker',
      SLACK_SIGNING_SECRET: 'sign',
      SLACK_BOT_TOKEN: 'xoxb-1',
      TEAMS_APP_ID: 'app',
      TEAMS_APP_PASSWORD: 'pass',
      TEAMS_APP_TENANT_ID: 'here',
      ANTHROPIC_API_KEY: 'key',
      ANTHROPIC_BASE_URL: 'http://127.0.0.1:9',
      ANTHROPIC_MODEL: 'claude-haiku-5-5',
      AGENT_MODE: 'vision',
      BROWSER_WS_ENDPOINT: 'wss://farm.example.com',
      EGRESS_PROXY_URL: 'http://proxy.example.com:3128',
      CHROMIUM_PATH: '/opt/chromium',
      WORKER_CONCURRENCY: '4',
      ALLOW_PRIVATE_TARGETS: 'LOCALHOST:4001, [::1]:8443',
      CHECKPOINT_DIR: '/var/checkpoints',
      OPERATIONS_PER_HOUR: '20',
      OPERATIONS_AT_ONCE: '3',
      PICTURES_MB_PER_MONTH: '500',
      MODEL_BUDGET_USD_PER_OPERATION: '0.50',
      MODEL_BUDGET_USD_PER_MONTH: '75',
      AUDIT_RETENTION_DAYS: '365',
      AUDIT_RETENTION_MIN_DAYS: '30',
      KEY_ROTATION_DAYS: '30',
      CONNECTION_CHECK_HOURS: '2',
      DEBUG_AUTONOMOUS: 'true',
    });
    expect(config).toMatchObject({
      database: { url: PRODUCTION.DATABASE_URL, ownerUrl: 'postgresql://owner@db.example.com/countersign' },
      keys: { current: KEY, old: [OLD] },
      http: { port: 8080, publicUrl: 'https://bot.example.com' },
      role: 'worker',
      slack: { kind: 'http' },
      teams: { appId: 'app', tenantId: 'here', type: 'SingleTenant' },
      model: { baseUrl: 'http://127.0.0.1:9', model: 'claude-haiku-5-5' },
      agent: {
        mode: 'vision',
        browserWsEndpoint: 'wss://farm.example.com',
        egressProxyUrl: 'http://proxy.example.com:3128',
        chromiumPath: '/opt/chromium',
        workerConcurrency: 4,
      },
      targets: { private: ['localhost:4001', '[::1]:8443'] },
      checkpointDir: '/var/checkpoints',
      limits: {
        ...{ operationsPerHour: 20, operationsAtOnce: 3, picturesMbPerMonth: 500 },
        ...{ modelBudgetUsdPerOperation: 0.5, modelBudgetUsdPerMonth: 75 },
      },
      connections: { checkHours: 2 },
      retention: { auditDays: 365, leastAuditDays: 30, keyRotationDays: 30 },
      isVerbose: true,
      isProduction: true,
    });
    expect(config.model?.apiKey.reveal()).toBe('key');
    expect(config.teams?.appPassword?.reveal()).toBe('pass');
  });

  test('takes an empty variable for an absent one', () => {
    expect(readConfig(Object.fromEntries(VARIABLES.map((name) => [name, ' '])))).toEqual(readConfig({}));
  });

  test('reports all problems at once, each in a sentence and without any value', () => {
    const wrong = Object.fromEntries(VARIABLES.map((name) => [name, `wrong-value-of-${name.toLowerCase()}`]));
    const problems = problemsOf({ ...wrong, NODE_ENV: 'production' });
    const named = [
      'DATABASE_URL',
      'DATABASE_OWNER_URL',
      'ENCRYPTION_KEY',
      'ENCRYPTION_KEYS_OLD',
      'PORT',
      'PUBLIC_URL',
      'ROLE',
      'SLACK_API_URL',
      'TEAMS_APP_TYPE',
    ];
    const others = [
      'ANTHROPIC_BASE_URL',
      'AGENT_MODE',
      'BROWSER_WS_ENDPOINT',
      'EGRESS_PROXY_URL',
      'WORKER_CONCURRENCY',
      'ALLOW_PRIVATE_TARGETS',
      'OPERATIONS_PER_HOUR',
      'OPERATIONS_AT_ONCE',
      'PICTURES_MB_PER_MONTH',
    ];
    const last = [
      'MODEL_BUDGET_USD_PER_OPERATION',
      'MODEL_BUDGET_USD_PER_MONTH',
      'AUDIT_RETENTION_DAYS',
      'AUDIT_RETENTION_MIN_DAYS',
      'KEY_ROTATION_DAYS',
      'DEBUG_AUTONOMOUS',
    ];
    for (const name of [...named, ...others, ...last])
      expect(problems.some((problem) => problem.startsWith(`${name} `))).toBe(true);
    for (const problem of problems) expect(problem).toMatch(/^[A-Z].*\.$/);
    expect(problems.join('\n')).not.toContain('wrong-value');
  });

  test.each([
    [
      'nothing',
      { NODE_ENV: 'production' },
      [/^ENCRYPTION_KEY environment variable required/, /^DATABASE_URL .*required/, /^PUBLIC_URL .*required/],
    ],
    [
      'an address without TLS',
      { ...PRODUCTION, PUBLIC_URL: 'http://bot.example.com' },
      [/^PUBLIC_URL must begin with https/],
    ],
    ['all it needs', PRODUCTION, []],
  ])('in production, with %s', (_, env, problems) => {
    expect(problemsOf(env)).toEqual(problems.map((pattern) => expect.stringMatching(pattern)));
  });

  test('asks for a root key outside production when the caller says so', () => {
    expect(problemsOf({}, { requiresKey: true })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEY environment variable required/),
    ]);
    expect(problemsOf({ ENCRYPTION_KEY: KEY }, { requiresKey: true })).toEqual([]);
  });

  test.each([
    ['31 bytes', randomBytes(31).toString('base64')],
    ['33 bytes', randomBytes(33).toString('base64')],
    ['hexadecimal', randomBytes(32).toString('hex')],
    ['32 characters', 'abcdefghijklmnopqrstuvwxyz012345'],
    ['base64url', `${'-_'.repeat(21)}A=`],
    ['base64 without its end', KEY.slice(0, -1)],
    ['a space inside', `${KEY.slice(0, 20)} ${KEY.slice(20)}`],
    ['bits beyond the last byte', `${KEY.slice(0, 42)}B=`],
  ])('refuses a root key of %s', (_, key) => {
    expect(problemsOf({ ENCRYPTION_KEY: key })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEY must be exactly 32 bytes long/),
    ]);
    expect(problemsOf({ ENCRYPTION_KEY: KEY, ENCRYPTION_KEYS_OLD: `${OLD},${key}` })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEYS_OLD must be/),
    ]);
  });

  test('refuses a root key that repeats itself', () => {
    const key = Buffer.from('ab'.repeat(16)).toString('base64');
    expect(problemsOf({ ENCRYPTION_KEY: key })).toEqual(['ENCRYPTION_KEY has insufficient entropy (too repetitive).']);
  });

  test('refuses old root keys without a current one, and the current one among them', () => {
    expect(problemsOf({ ENCRYPTION_KEYS_OLD: OLD })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEYS_OLD is set, but/),
    ]);
    expect(problemsOf({ ENCRYPTION_KEY: KEY, ENCRYPTION_KEYS_OLD: `${OLD},${KEY}` })).toHaveLength(1);
  });

  const http = { SLACK_SIGNING_SECRET: 's', SLACK_BOT_TOKEN: 'xoxb-1' };
  const socket = { SLACK_APP_TOKEN: 'xapp-1', SLACK_BOT_TOKEN: 'xoxb-1' };
  const https = { PUBLIC_URL: 'https://countersign.example.com' };
  const three = { SLACK_CLIENT_ID: 'c', SLACK_CLIENT_SECRET: 's', SLACK_STATE_SECRET: 't' };
  const oauth = { ...https, ...three, SLACK_SIGNING_SECRET: 's' };

  test.each([
    ['http', http],
    ['socket', socket],
    ['socket', { ...socket, SLACK_SIGNING_SECRET: 's' }],
    ['oauth', oauth],
  ])('knows Slack’s group %s', (kind, env) => {
    expect(readConfig(env).slack?.kind).toBe(kind);
  });

  test.each([
    ['a signing secret alone', { SLACK_SIGNING_SECRET: 's' }, [/^SLACK_BOT_TOKEN is missing/]],
    [
      'an address alone',
      { SLACK_API_URL: 'http://127.0.0.1:9/api/' },
      [/^SLACK_SIGNING_SECRET is missing/, /^SLACK_BOT_TOKEN is missing/],
    ],
    ['an app token alone', { SLACK_APP_TOKEN: 'xapp-1' }, [/^SLACK_BOT_TOKEN is missing/]],
    [
      'a client id alone',
      { ...https, SLACK_CLIENT_ID: 'c' },
      [/^SLACK_CLIENT_SECRET/, /^SLACK_STATE_SECRET/, /^SLACK_SIGNING_SECRET/],
    ],
    ['one workspace and many', { ...oauth, SLACK_BOT_TOKEN: 'xoxb-1' }, [/^SLACK_BOT_TOKEN is for one workspace/]],
    [
      'OAuth without https',
      { ...oauth, PUBLIC_URL: 'http://countersign.example.com' },
      [/^PUBLIC_URL must begin with https/],
    ],
    [
      'OAuth and a first admin',
      { ...oauth, SLACK_FIRST_ADMIN: 'U012AB3CD' },
      [/^SLACK_FIRST_ADMIN is for one workspace/],
    ],
    ['OAuth in Socket Mode', { ...oauth, SLACK_APP_TOKEN: 'xapp-1' }, [/^SLACK_APP_TOKEN \(Socket Mode\)/]],
    [
      'tokens in each other’s place',
      { SLACK_APP_TOKEN: 'xoxb-1', SLACK_BOT_TOKEN: 'xapp-1' },
      [/^SLACK_BOT_TOKEN must/, /^SLACK_APP_TOKEN must/],
    ],
    ['a Teams id alone', { TEAMS_APP_ID: 'a' }, [/^TEAMS_APP_PASSWORD is missing/, /^TEAMS_APP_TENANT_ID is missing/]],
    [
      'a Teams type alone',
      { TEAMS_APP_TYPE: 'MultiTenant' },
      [/^TEAMS_APP_ID is missing/, /^TEAMS_APP_PASSWORD is missing/],
    ],
    [
      'a browser farm without our proxy',
      { BROWSER_WS_ENDPOINT: 'wss://farm.example.com' },
      [/^BROWSER_WS_ENDPOINT and EGRESS_PROXY_URL/],
    ],
    ['vision without a model', { AGENT_MODE: 'vision' }, [/^AGENT_MODE is vision/]],
    ['a public address with a path', { PUBLIC_URL: 'https://bot.example.com/x' }, [/^PUBLIC_URL must be/]],
    ['a port out of range', { PORT: '65536' }, [/^PORT must be a whole number from 0 to 65535/]],
    ['half a worker', { WORKER_CONCURRENCY: '1.5' }, [/^WORKER_CONCURRENCY must/]],
    ['a private target without a port', { ALLOW_PRIVATE_TARGETS: 'localhost' }, [/^ALLOW_PRIVATE_TARGETS must/]],
  ])('refuses %s', (_, env, problems) => {
    expect(problemsOf(env)).toEqual(problems.map((pattern) => expect.stringMatching(pattern)));
  });

  test('takes any token for a Slack that is not Slack’s', () => {
    expect(
      problemsOf({ SLACK_SIGNING_SECRET: 's', SLACK_BOT_TOKEN: 'test', SLACK_API_URL: 'http://127.0.0.1:9/api/' }),
    ).toEqual([]);
  });

  test('needs no password for a Teams bot with a managed identity', () => {
    const { teams } = readConfig({ TEAMS_APP_TYPE: 'UserAssignedMSI', TEAMS_APP_ID: 'a', TEAMS_APP_TENANT_ID: 't' });
    expect(teams).toEqual({ appId: 'a', type: 'UserAssignedMSI', tenantId: 't' });
  });

  test('follows the port with the address, unless one is given', () => {
    expect(readConfig({ PORT: '4000' }).http.publicUrl).toBe('http://localhost:4000');
  });
});

describe('.env.example', () => {
  const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
  const listed = parseEnv(example);

  test('lists every variable and no other', () => {
    expect(Object.keys(listed).toSorted()).toEqual(VARIABLES.toSorted());
  });

  test('explains each group and shows the defaults', () => {
    const config = readConfig(Object.fromEntries(Object.entries(listed).map(([name, value]) => [name, value ?? ''])));
    expect(config).toEqual(readConfig({}));
    expect(example.match(/^# /gm)?.length ?? 0).toBeGreaterThan(20);
  });
});
