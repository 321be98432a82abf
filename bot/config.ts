import { CountersignError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { ENVIRONMENT, type Environment, list, TEAMS_TYPE, VARIABLES } from './variables.ts';

/** Everything that the environment decides. Optional groups are absent when none of their variables is set. */
export interface Config {
  readonly database: { readonly url?: string; readonly ownerUrl?: string };
  /** Root keys in base64: the current one, and older ones that still open what they sealed. */
  readonly keys: { readonly current?: string; readonly old: readonly string[] };
  /** `metricsToken`: who reads `/metrics` from elsewhere; absent: nobody does. */
  readonly http: { readonly port: number; readonly publicUrl: string; readonly metricsToken?: Secret };
  readonly role: 'all' | 'bot' | 'worker';
  readonly slack?: SlackConfig;
  readonly teams?: TeamsConfig;
  readonly model?: { readonly apiKey: Secret; readonly baseUrl?: string; readonly model: string };
  readonly agent: {
    readonly mode: 'ladder' | 'vision' | 'replay';
    readonly browserWsEndpoint?: string;
    readonly egressProxyUrl?: string;
    readonly chromiumPath?: string;
    readonly workerConcurrency: number;
  };
  /** `host:port` in small letters. */
  readonly targets: { readonly private: readonly string[] };
  readonly checkpointDir: string;
  readonly limits: {
    readonly operationsPerHour: number;
    readonly operationsAtOnce: number;
    readonly picturesMbPerMonth: number;
    readonly modelBudgetUsdPerOperation: number;
    readonly modelBudgetUsdPerMonth: number;
  };
  readonly connections: {
    /** A stored key that its service does not take any more is found within so many hours. */
    readonly checkHours: number;
  };
  readonly retention: {
    /** Of customers whose admins chose nothing else. */
    readonly auditDays: number;
    /** No admin chooses fewer. */
    readonly leastAuditDays: number;
    readonly keyRotationDays: number;
  };
  readonly isVerbose: boolean;
  readonly isProduction: boolean;
}

/** One workspace over HTTP, one over a socket, or many by OAuth. */
export type SlackConfig = { readonly apiUrl?: string; readonly firstAdmin?: string } & (
  | { readonly kind: 'http'; readonly signingSecret: Secret; readonly botToken: Secret }
  | { readonly kind: 'socket'; readonly appToken: Secret; readonly botToken: Secret }
  | {
      readonly kind: 'oauth';
      readonly signingSecret: Secret;
      readonly clientId: string;
      readonly clientSecret: Secret;
      readonly stateSecret: Secret;
    }
);

export interface TeamsConfig {
  readonly appId: string;
  /** Absent with a managed identity. */
  readonly appPassword?: Secret;
  readonly tenantId?: string;
  readonly type: 'MultiTenant' | 'SingleTenant' | 'UserAssignedMSI';
}

export interface ConfigOptions {
  /** Whether a root key must be given: yes in production; a demo makes and keeps its own. */
  readonly requiresKey?: boolean;
}

/**
 * Reads the environment; an empty variable counts as absent.
 * @throws CountersignError `config_invalid` whose message has one sentence a line for each problem, and no value.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>, options: ConfigOptions = {}): Config {
  const given: Given = Object.fromEntries(
    VARIABLES.flatMap((name) => {
      const value = env[name]?.trim();
      return value ? [[name, value]] : [];
    }),
  );
  const parsed = ENVIRONMENT.safeParse(given);
  const problems = [
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => `${String(issue.path[0])} ${issue.message}.`)),
    ...missing(given, options),
    ...slackProblems(given),
    ...teamsProblems(given),
    ...mismatches(given),
  ];
  if (!parsed.success || problems.length > 0)
    throw new CountersignError('config_invalid', [...new Set(problems)].join('\n'));
  return configFrom(parsed.data);
}

type Given = Readonly<Record<string, string | undefined>>;

function missing(given: Given, options: ConfigOptions): string[] {
  const isProduction = given.NODE_ENV === 'production';
  return when([
    [
      (options.requiresKey ?? isProduction) && !given.ENCRYPTION_KEY,
      'ENCRYPTION_KEY environment variable required: 32 bytes in base64, as `openssl rand -base64 32` prints them.',
    ],
    [isProduction && !given.DATABASE_URL, 'DATABASE_URL environment variable required when NODE_ENV is production.'],
    [
      isProduction && !given.PUBLIC_URL,
      'PUBLIC_URL environment variable required when NODE_ENV is production: where people’s browsers reach this server.',
    ],
    [
      isProduction && /^http:/i.test(given.PUBLIC_URL ?? ''),
      'PUBLIC_URL must begin with https:// when NODE_ENV is production, for people enter passwords there.',
    ],
  ]);
}

function mismatches(given: Given): string[] {
  const old = list(given.ENCRYPTION_KEYS_OLD ?? '');
  return when([
    [old.length > 0 && !given.ENCRYPTION_KEY, 'ENCRYPTION_KEYS_OLD is set, but ENCRYPTION_KEY is not.'],
    [
      old.includes(given.ENCRYPTION_KEY ?? ''),
      'ENCRYPTION_KEYS_OLD lists the key that is also ENCRYPTION_KEY: an old key must be another one.',
    ],
    [
      !given.BROWSER_WS_ENDPOINT !== !given.EGRESS_PROXY_URL,
      'BROWSER_WS_ENDPOINT and EGRESS_PROXY_URL go together: a remote browser must leave through our proxy.',
    ],
    [
      Number(given.AUDIT_RETENTION_MIN_DAYS) > Number(given.AUDIT_RETENTION_DAYS ?? 90),
      'AUDIT_RETENTION_MIN_DAYS is more than AUDIT_RETENTION_DAYS, which is how long records are kept where no admin chooses.',
    ],
    [given.AGENT_MODE === 'vision' && !given.ANTHROPIC_API_KEY, 'AGENT_MODE is vision, which needs ANTHROPIC_API_KEY.'],
  ]);
}

/** One of three groups: over HTTP, over a socket, or many workspaces by OAuth. */
function slackProblems(given: Given): string[] {
  const names = VARIABLES.filter((name) => name.startsWith('SLACK_') && given[name]);
  if (names.length === 0) return [];
  const isOAuth = given.SLACK_CLIENT_ID || given.SLACK_CLIENT_SECRET || given.SLACK_STATE_SECRET;
  const group = isOAuth ? SLACK_GROUPS.oauth : given.SLACK_APP_TOKEN ? SLACK_GROUPS.socket : SLACK_GROUPS.http;
  const isReal = !given.SLACK_API_URL;
  return when([
    ...group.needs.map(
      (name) => [!given[name], `${name} is missing: Slack ${group.words} needs ${group.needs.join(', ')}.`] as const,
    ),
    [
      isOAuth && given.SLACK_BOT_TOKEN,
      'SLACK_BOT_TOKEN is for one workspace and SLACK_CLIENT_ID for many: set one of them.',
    ],
    [
      isOAuth && given.SLACK_APP_TOKEN,
      'SLACK_APP_TOKEN (Socket Mode) does not go with SLACK_CLIENT_ID (OAuth, over HTTP): set one of them.',
    ],
    [
      isOAuth && given.SLACK_FIRST_ADMIN,
      'SLACK_FIRST_ADMIN is for one workspace: with SLACK_CLIENT_ID whoever installs it is the first admin.',
    ],
    [
      isOAuth && isReal && !/^https:/i.test(given.PUBLIC_URL ?? ''),
      'PUBLIC_URL must begin with https:// for SLACK_CLIENT_ID: Slack sends people back there.',
    ],
    [
      isReal && given.SLACK_BOT_TOKEN && !/^xox[be]/.test(given.SLACK_BOT_TOKEN),
      'SLACK_BOT_TOKEN must be a bot token, which begins with xoxb-.',
    ],
    [
      isReal && given.SLACK_APP_TOKEN && !/^xapp-/.test(given.SLACK_APP_TOKEN),
      'SLACK_APP_TOKEN must be an app-level token, which begins with xapp-.',
    ],
  ]);
}

const SLACK_GROUPS = {
  http: { words: 'for one workspace over HTTP', needs: ['SLACK_SIGNING_SECRET', 'SLACK_BOT_TOKEN'] },
  socket: { words: 'in Socket Mode', needs: ['SLACK_APP_TOKEN', 'SLACK_BOT_TOKEN'] },
  oauth: {
    words: 'for many workspaces by OAuth',
    needs: ['SLACK_CLIENT_ID', 'SLACK_CLIENT_SECRET', 'SLACK_STATE_SECRET', 'SLACK_SIGNING_SECRET'],
  },
} as const;

const TEAMS_NEEDS = {
  MultiTenant: ['TEAMS_APP_ID', 'TEAMS_APP_PASSWORD'],
  SingleTenant: ['TEAMS_APP_ID', 'TEAMS_APP_PASSWORD', 'TEAMS_APP_TENANT_ID'],
  UserAssignedMSI: ['TEAMS_APP_ID', 'TEAMS_APP_TENANT_ID'],
} as const satisfies { [K in TeamsConfig['type']]: readonly string[] };

function teamsProblems(given: Given): string[] {
  if (!VARIABLES.some((name) => name.startsWith('TEAMS_') && given[name])) return [];
  const type = TEAMS_TYPE.safeParse(given.TEAMS_APP_TYPE);
  if (!type.success) return [];
  const needs = TEAMS_NEEDS[type.data];
  return when(
    needs.map(
      (name) =>
        [!given[name], `${name} is missing: a Teams bot of type ${type.data} needs ${needs.join(', ')}.`] as const,
    ),
  );
}

/** The sentences whose condition holds. */
function when(cases: readonly (readonly [unknown, string])[]): string[] {
  return cases.flatMap(([holds, sentence]) => (holds ? [sentence] : []));
}

function configFrom(env: Environment): Config {
  const slack = slackFrom(env);
  return {
    database: defined({ url: env.DATABASE_URL, ownerUrl: env.DATABASE_OWNER_URL }),
    keys: { ...defined({ current: env.ENCRYPTION_KEY }), old: env.ENCRYPTION_KEYS_OLD },
    http: {
      port: env.PORT,
      publicUrl: env.PUBLIC_URL?.replace(/\/$/, '') ?? `http://localhost:${env.PORT}`,
      ...defined({ metricsToken: secretOf(env.METRICS_TOKEN) }),
    },
    role: env.ROLE,
    ...(slack && { slack }),
    ...(env.TEAMS_APP_ID !== undefined && { teams: teamsFrom(env, env.TEAMS_APP_ID) }),
    ...(env.ANTHROPIC_API_KEY !== undefined && {
      model: {
        apiKey: new Secret(env.ANTHROPIC_API_KEY),
        ...defined({ baseUrl: env.ANTHROPIC_BASE_URL }),
        model: env.ANTHROPIC_MODEL,
      },
    }),
    agent: {
      mode: env.AGENT_MODE,
      ...defined({
        browserWsEndpoint: env.BROWSER_WS_ENDPOINT,
        egressProxyUrl: env.EGRESS_PROXY_URL,
        chromiumPath: env.CHROMIUM_PATH,
      }),
      workerConcurrency: env.WORKER_CONCURRENCY,
    },
    targets: { private: env.ALLOW_PRIVATE_TARGETS },
    checkpointDir: env.CHECKPOINT_DIR,
    limits: {
      operationsPerHour: env.OPERATIONS_PER_HOUR,
      operationsAtOnce: env.OPERATIONS_AT_ONCE,
      picturesMbPerMonth: env.PICTURES_MB_PER_MONTH,
      modelBudgetUsdPerOperation: env.MODEL_BUDGET_USD_PER_OPERATION,
      modelBudgetUsdPerMonth: env.MODEL_BUDGET_USD_PER_MONTH,
    },
    connections: { checkHours: env.CONNECTION_CHECK_HOURS },
    retention: {
      auditDays: env.AUDIT_RETENTION_DAYS,
      leastAuditDays: env.AUDIT_RETENTION_MIN_DAYS ?? env.AUDIT_RETENTION_DAYS,
      keyRotationDays: env.KEY_ROTATION_DAYS,
    },
    isVerbose: env.DEBUG_AUTONOMOUS === 'true',
    isProduction: env.NODE_ENV === 'production',
  };
}

function slackFrom(env: Environment): SlackConfig | undefined {
  const common = defined({ apiUrl: env.SLACK_API_URL, firstAdmin: env.SLACK_FIRST_ADMIN });
  const [signingSecret, botToken, appToken] = [env.SLACK_SIGNING_SECRET, env.SLACK_BOT_TOKEN, env.SLACK_APP_TOKEN].map(
    secretOf,
  );
  const [clientSecret, stateSecret] = [env.SLACK_CLIENT_SECRET, env.SLACK_STATE_SECRET].map(secretOf);
  if (env.SLACK_CLIENT_ID && clientSecret && stateSecret && signingSecret) {
    return { ...common, kind: 'oauth', signingSecret, clientId: env.SLACK_CLIENT_ID, clientSecret, stateSecret };
  }
  if (appToken && botToken) return { ...common, kind: 'socket', appToken, botToken };
  return signingSecret && botToken && { ...common, kind: 'http', signingSecret, botToken };
}

function teamsFrom(env: Environment, appId: string): TeamsConfig {
  const type = env.TEAMS_APP_TYPE;
  const appPassword = type === 'UserAssignedMSI' ? undefined : secretOf(env.TEAMS_APP_PASSWORD);
  return { appId, type, ...defined({ appPassword, tenantId: env.TEAMS_APP_TENANT_ID }) };
}

function secretOf(value: string | undefined): Secret | undefined {
  return value === undefined ? undefined : new Secret(value);
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the keys whose value is undefined. */
function defined<T extends object>(values: T): Defined<T> {
  // Every remaining value is one of T's that is not undefined, which is what Defined<T> says.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
