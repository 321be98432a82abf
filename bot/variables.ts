import { z } from 'zod';
import { MOST_RETENTION_DAYS } from '../core/customers/settings.ts';

/** What a variable is for: docs/configuration.md and .env.example are made of it (`npm run docs`). */
export interface About {
  readonly group: Group;
  /** Sentences for whoever sets it. */
  readonly means: string;
  /** Which processes read it, by their `ROLE`; `owner`: one of them, which migrates. */
  readonly by: 'all' | 'bot' | 'worker' | 'owner';
  /** What holds where it is absent, in words, if its default doesn't say it. */
  readonly without?: string;
  /** What .env.example puts there instead of the default. */
  readonly example?: string;
}

/** The parts of the pages, in order, with what stands above the variables of each. */
export const GROUPS = {
  database: { title: 'Database', intro: 'PostgreSQL 15 or later.' },
  keys: { title: 'Keys', intro: '' },
  http: { title: 'HTTP', intro: '' },
  slack: {
    title: 'Slack',
    intro:
      'One of three groups: one workspace over HTTP (SLACK_SIGNING_SECRET, SLACK_BOT_TOKEN); one workspace in Socket Mode, without a public address (SLACK_APP_TOKEN, SLACK_BOT_TOKEN); many workspaces by OAuth (SLACK_CLIENT_ID, SLACK_CLIENT_SECRET, SLACK_STATE_SECRET, SLACK_SIGNING_SECRET and an https PUBLIC_URL). A worker is given the same ones, for a part of a group is refused: it asks Slack whether whoever approved still may.',
  },
  teams: {
    title: 'Microsoft Teams',
    intro: 'An Azure Bot. Off as long as none of these is set. A worker is given the same ones, as of Slack.',
  },
  model: { title: 'Model', intro: '' },
  browser: { title: 'Browser', intro: '' },
  audit: { title: 'Audit', intro: '' },
  limits: { title: 'Limits of one customer', intro: '' },
  operation: { title: 'Operation', intro: '' },
} as const;
type Group = keyof typeof GROUPS;

export const ABOUT = z.registry<About>();

/** 32 bytes as `openssl rand -base64 32` prints them. */
const ROOT_KEY = /^[A-Za-z0-9+/]{43}=$/;
const ROOT_KEY_BYTES = 32;
/** Among 32 random bytes, fewer than 16 different ones occur less than once in 10^11 keys. */
const DISTINCT_BYTES = 16;

const text = z.string();
const wholeNumber = (min: number, max: number) =>
  text
    .refine(
      (value) => /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max,
      `must be a whole number from ${min} to ${max}`,
    )
    .transform(Number);
const whole = (min: number, max: number, fallback: number) => wholeNumber(min, max).default(fallback);
const dollars = (fallback: number) =>
  text
    .refine((value) => /^\d{1,7}(?:\.\d{1,2})?$/.test(value), 'must be an amount of dollars, such as 1 or 2.50')
    .transform(Number)
    .default(fallback);
const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });
const address = (schemes: readonly string[], example: string) =>
  text.refine((value) => schemes.includes(protocolOf(value)), `must be an address such as ${example}`);
/** `a, b` as its parts. */
export const list = (value: string) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** Microsoft ended the creation of multi-tenant bots on 2025-07-31, so a new one is a single-tenant bot. */
export const TEAMS_TYPE = oneOf(['MultiTenant', 'SingleTenant', 'UserAssignedMSI']).default('SingleTenant');

/** Every variable there is. */
export const ENVIRONMENT = z.object({
  DATABASE_URL: address(['postgres:', 'postgresql:'], 'postgres://name@host:5432/database')
    .optional()
    .register(ABOUT, {
      ...{ group: 'database', by: 'all' },
      means: 'The login of the program’s role. Required when NODE_ENV is production.',
      without: 'an embedded PostgreSQL in .countersign/',
    }),
  DATABASE_OWNER_URL: address(['postgres:', 'postgresql:'], 'postgres://owner@host:5432/database')
    .optional()
    .register(ABOUT, {
      ...{ group: 'database', by: 'owner' },
      means:
        'The login of the owner of the schema, for migrations and for writing tables anew after an erasure alone. A command of the operator’s that has it migrates, too.',
      without: 'another process migrates',
    }),
  ENCRYPTION_KEY: text
    .superRefine(checkRootKey)
    .optional()
    .register(ABOUT, {
      ...{ group: 'keys', by: 'all' },
      means:
        'The root key of the vault: 32 bytes in base64, as `openssl rand -base64 32` prints them. Required when NODE_ENV is production. Without it nothing that was sealed can be opened again: keep a copy elsewhere.',
      without: 'made once, and kept in .countersign/root.key',
    }),
  ENCRYPTION_KEYS_OLD: text
    .transform(list)
    .pipe(z.array(text.superRefine(checkRootKey)))
    .default([])
    .register(ABOUT, {
      ...{ group: 'keys', by: 'all' },
      means: 'Earlier root keys, separated by commas, while you rotate (docs/rotate-keys.md).',
    }),
  PORT: whole(0, 65_535, 3000).register(ABOUT, {
    ...{ group: 'http', by: 'all' },
    means: 'The one port that is listened on; a worker answers there how it is, and nothing else.',
  }),
  PUBLIC_URL: text
    .refine(isOrigin, 'must be an address without a path, such as https://countersign.example.com')
    .optional()
    .register(ABOUT, {
      ...{ group: 'http', by: 'all', example: 'http://localhost:3000' },
      means:
        'Where people’s browsers reach the server, without a path. Required when NODE_ENV is production, with https.',
      without: 'http://localhost: and PORT',
    }),
  METRICS_TOKEN: text
    .refine(
      (value) => /^[\x21-\x7e]{32,}$/.test(value),
      'must be 32 characters or more, such as `openssl rand -hex 32` prints',
    )
    .optional()
    .register(ABOUT, {
      ...{ group: 'http', by: 'all' },
      means:
        'Who may read /metrics from another computer, as a bearer token: `openssl rand -hex 32` prints one (docs/monitoring.md).',
      without: 'programs on this computer alone',
    }),
  ROLE: oneOf(['all', 'bot', 'worker'])
    .default('all')
    .register(ABOUT, {
      ...{ group: 'http', by: 'all' },
      means: 'What this process does: all, bot or worker (docs/scale.md).',
    }),
  SLACK_SIGNING_SECRET: text.optional().register(ABOUT, {
    ...{ group: 'slack', by: 'all' },
    means: 'Of the app: what Slack signs its requests with.',
  }),
  SLACK_BOT_TOKEN: text.optional().register(ABOUT, {
    ...{ group: 'slack', by: 'all' },
    means: 'Of the app in one workspace; it begins with xoxb-.',
  }),
  SLACK_APP_TOKEN: text.optional().register(ABOUT, {
    ...{ group: 'slack', by: 'all' },
    means: 'For Socket Mode; it begins with xapp-.',
  }),
  SLACK_CLIENT_ID: text.optional().register(ABOUT, {
    ...{ group: 'slack', by: 'all' },
    means: 'Of the app, for many workspaces; people begin at /slack/install.',
  }),
  SLACK_CLIENT_SECRET: text.optional().register(ABOUT, {
    ...{ group: 'slack', by: 'all' },
    means: 'Of the app, beside its id.',
  }),
  SLACK_STATE_SECRET: text.optional().register(ABOUT, {
    ...{ group: 'slack', by: 'all' },
    means:
      'Your own, the same in every process: `openssl rand -base64 32` prints one. It signs what an installation begins with.',
  }),
  SLACK_FIRST_ADMIN: text
    .refine((value) => /^[UW][A-Z0-9]{2,30}$/.test(value), 'must be the id of a person in Slack, such as U012AB3CD')
    .optional()
    .register(ABOUT, {
      ...{ group: 'slack', by: 'bot' },
      means:
        'Who is the first admin of one workspace by its bot token, by their id in Slack (their profile, “Copy member ID”). It counts at the first start alone.',
      without: 'the workspace’s Primary Owner',
    }),
  SLACK_API_URL: address(['http:', 'https:'], 'https://slack.com/api/')
    .optional()
    .register(ABOUT, {
      ...{ group: 'slack', by: 'all' },
      means: 'Another address of Slack’s Web API.',
      without: 'Slack’s own',
    }),
  TEAMS_APP_ID: text.optional().register(ABOUT, {
    ...{ group: 'teams', by: 'all' },
    means: 'The bot’s Microsoft App ID.',
  }),
  TEAMS_APP_PASSWORD: text.optional().register(ABOUT, {
    ...{ group: 'teams', by: 'all' },
    means: 'A client secret of it; not needed with a managed identity.',
  }),
  TEAMS_APP_TENANT_ID: text.optional().register(ABOUT, {
    ...{ group: 'teams', by: 'all' },
    means: 'The organisation that a single-tenant bot was made in.',
  }),
  TEAMS_APP_TYPE: TEAMS_TYPE.register(ABOUT, {
    ...{ group: 'teams', by: 'all', example: '' },
    means: 'SingleTenant, MultiTenant or UserAssignedMSI.',
  }),
  ANTHROPIC_API_KEY: text.optional().register(ABOUT, {
    ...{ group: 'model', by: 'all' },
    means: 'Lets the model help to understand people and to find a step’s element.',
    without: 'grammar alone, and steps are found without a model',
  }),
  ANTHROPIC_BASE_URL: address(['http:', 'https:'], 'https://api.anthropic.com')
    .optional()
    .register(ABOUT, {
      ...{ group: 'model', by: 'all' },
      means: 'Another address of the API.',
      without: 'the vendor’s own',
    }),
  ANTHROPIC_MODEL: text.default('claude-sonnet-5-5').register(ABOUT, {
    ...{ group: 'model', by: 'all' },
    means: 'Which model is asked.',
  }),
  AGENT_MODE: oneOf(['ladder', 'vision', 'replay'])
    .default('ladder')
    .register(ABOUT, {
      ...{ group: 'browser', by: 'all' },
      means:
        'How a step finds its element: ladder (replay, relocate, model, person), vision (the model each time) or replay (never the model). Plans say whether the model may be asked, so every process has the same.',
    }),
  BROWSER_WS_ENDPOINT: address(['ws:', 'wss:'], 'wss://browsers.example.com')
    .optional()
    .register(ABOUT, {
      ...{ group: 'browser', by: 'worker' },
      means: 'A remote browser farm, a Playwright server (docs/remote-browser.md).',
      without: 'a browser on this machine',
    }),
  EGRESS_PROXY_URL: address(['http:'], 'http://worker.example.com:3128')
    .optional()
    .register(ABOUT, {
      ...{ group: 'browser', by: 'worker' },
      means:
        'Where the farm’s browsers reach this worker’s proxy, which they must leave through: http://host:port, and the port is listened on. A farm that gets past it is refused at the start. Goes with BROWSER_WS_ENDPOINT.',
    }),
  CHROMIUM_PATH: text.optional().register(ABOUT, {
    ...{ group: 'browser', by: 'worker' },
    means: 'The binary of Chromium or Google Chrome.',
    without: 'it is looked for',
  }),
  WORKER_CONCURRENCY: whole(1, 64, 2).register(ABOUT, {
    ...{ group: 'browser', by: 'worker' },
    means: 'How many operations run at once in this process.',
  }),
  ALLOW_PRIVATE_TARGETS: text
    .transform((value) => list(value.toLowerCase()))
    .refine((hosts) => hosts.every(isHostAndPort), 'must be a comma list of host:port, such as localhost:4001')
    .default([])
    .register(ABOUT, {
      ...{ group: 'browser', by: 'all' },
      means: 'Private addresses that may be a target all the same: host:port, separated by commas.',
    }),
  CHECKPOINT_DIR: text.default('.countersign/checkpoints').register(ABOUT, {
    ...{ group: 'audit', by: 'bot' },
    means:
      'Where signed checkpoints of the audit chain go, outside of the database; a relative folder lies beside .countersign. Copy it elsewhere.',
  }),
  AUDIT_RETENTION_DAYS: whole(1, MOST_RETENTION_DAYS, 90).register(ABOUT, {
    ...{ group: 'audit', by: 'all' },
    means:
      'After how many days entries of the trail and pictures of steps are dropped, where no admin chose otherwise. The migration, which runs as the owner, tells the database the least that is allowed.',
  }),
  AUDIT_RETENTION_MIN_DAYS: wholeNumber(1, MOST_RETENTION_DAYS)
    .optional()
    .register(ABOUT, {
      ...{ group: 'audit', by: 'all' },
      means: 'No admin of a customer chooses fewer days.',
      without: 'AUDIT_RETENTION_DAYS, so that nobody chooses fewer',
    }),
  OPERATIONS_PER_HOUR: whole(1, 100_000, 10).register(ABOUT, {
    ...{ group: 'limits', by: 'all' },
    means: 'Set-ups that may be asked for in an hour, where no admin chose otherwise.',
  }),
  OPERATIONS_AT_ONCE: whole(1, 1000, 1).register(ABOUT, {
    ...{ group: 'limits', by: 'worker' },
    means:
      'Operations under way at once, in all processes together. Fewer than all of them do at once (WORKER_CONCURRENCY times the number of processes), so that another customer always finds a place.',
  }),
  PICTURES_MB_PER_MONTH: whole(1, 1_000_000, 1000).register(ABOUT, {
    ...{ group: 'limits', by: 'worker' },
    means:
      'Megabytes of pictures of steps in 30 days; beyond that the steps go on without pictures. A picture has some 20 kB.',
  }),
  MODEL_BUDGET_USD_PER_OPERATION: dollars(1).register(ABOUT, {
    ...{ group: 'limits', by: 'worker' },
    means: 'What the model may cost in one operation; beyond that its steps go on without it.',
  }),
  MODEL_BUDGET_USD_PER_MONTH: dollars(50).register(ABOUT, {
    ...{ group: 'limits', by: 'worker' },
    means: 'The same in a month.',
  }),
  KEY_ROTATION_DAYS: whole(1, 3650, 90).register(ABOUT, {
    ...{ group: 'operation', by: 'worker' },
    means:
      'After how many days stored secrets are sealed under a new key of their customer, and keys of connections are replaced by new ones: by themselves under a standing grant (“Keep it working”), else a card asks for it.',
  }),
  CONNECTION_CHECK_HOURS: whole(1, 168, 6).register(ABOUT, {
    ...{ group: 'operation', by: 'worker' },
    means: 'A stored key that its service does not take any more is found and told of within so many hours.',
  }),
  DEBUG_AUTONOMOUS: oneOf(['true', 'false'])
    .default('false')
    .register(ABOUT, {
      ...{ group: 'operation', by: 'all' },
      means: 'true: verbose logs, still redacted.',
    }),
  NODE_ENV: text.optional().register(ABOUT, {
    ...{ group: 'operation', by: 'all' },
    means:
      'production: refuses to start without a database, a root key and an https address, and Chromium without its sandbox.',
    without: 'everything has a default, for this computer alone',
  }),
});
export type Environment = z.infer<typeof ENVIRONMENT>;

/** The names of all variables. */
export const VARIABLES: readonly string[] = Object.keys(ENVIRONMENT.shape);

function checkRootKey(value: string, context: z.RefinementCtx): void {
  const bytes = Buffer.from(value, 'base64');
  // Re-encoding catches bits that base64 has room for and the key has not.
  if (!ROOT_KEY.test(value) || bytes.length !== ROOT_KEY_BYTES || bytes.toString('base64') !== value) {
    context.addIssue('must be exactly 32 bytes long in base64, as `openssl rand -base64 32` prints them');
  } else if (new Set(bytes).size < DISTINCT_BYTES) {
    context.addIssue('has insufficient entropy (too repetitive)');
  }
}

function protocolOf(value: string): string {
  return URL.canParse(value) ? new URL(value).protocol : '';
}

function isOrigin(value: string): boolean {
  if (!['http:', 'https:'].includes(protocolOf(value))) return false;
  const url = new URL(value);
  return url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
}

/** A name, an IPv4 address or a bracketed IPv6 address, and a port. */
function isHostAndPort(value: string): boolean {
  const match = /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\]):(\d{1,5})$/.exec(value);
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65_535;
}
