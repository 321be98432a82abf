import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  BOT_EVENTS,
  COMMANDS,
  EVENTS_PATH,
  INSTALLATION_EVENTS,
  PROMPTS,
  REDIRECT_PATH,
  SET_UP_SHORTCUT,
} from '../adapters/slack/config.ts';
import { runCli } from '../bot/cli.ts';
import { slackScopes } from '../bot/slack-manifest.ts';

const ROOT = join(import.meta.dirname, '..');
/** Slack's own schema (github.com/slackapi/manifest-schema, 2.0.0), where it lies beside the project. */
const SCHEMA = join(ROOT, '..', 'shared', 'data', 'slack-manifest.schema.2.0.0.json');

const json = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));
const manifest = json(join(ROOT, 'manifest.json'));

describe.runIf(existsSync(SCHEMA))(
  'the Slack manifest, by Slack’s schema (left out where the schema is absent)',
  () => {
    // In a function: what stands here runs also where the tests are left out.
    const compile = () =>
      new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(
        z.looseObject({}).parse(json(SCHEMA)),
      );

    test('is accepted, for Socket Mode, for HTTP and for many workspaces', async () => {
      const validate = compile();
      expect(validate(manifest) ? [] : validate.errors).toEqual([]);
      const overHttp = await printed('--url', 'https://countersign.example.com');
      expect(validate(overHttp) ? [] : validate.errors).toEqual([]);
      const forMany = await printed('--url', 'https://countersign.example.com', '--oauth');
      expect(validate(forMany) ? [] : validate.errors).toEqual([]);
    });

    test('would not be accepted with a feature that Slack does not know, or a name that is too long', () => {
      const validate = compile();
      const known = z
        .looseObject({ features: z.looseObject({}), display_information: z.looseObject({}) })
        .parse(manifest);
      expect(validate({ ...known, features: { ...known.features, telepathy: {} } })).toBe(false);
      expect(validate({ ...known, display_information: { ...known.display_information, name: 'x'.repeat(36) } })).toBe(
        false,
      );
    });
  },
);

/** What `countersign slack manifest` prints. */
async function printed(...options: string[]): Promise<unknown> {
  const lines: string[] = [];
  const out = {
    env: {},
    say: (line: string) => void lines.push(line),
    complain: (line: string) => void lines.push(line),
  };
  expect(await runCli(['slack', 'manifest', ...options], out)).toBe(0);
  return JSON.parse(lines.join('\n'));
}

describe('the Slack manifest', () => {
  const { features, oauth_config, settings } = z
    .looseObject({
      features: z.looseObject({
        agent_view: z.looseObject({ suggested_prompts: z.array(z.unknown()) }),
        app_home: z.looseObject({ home_tab_enabled: z.boolean(), messages_tab_enabled: z.boolean() }),
        slash_commands: z.array(z.looseObject({ command: z.string() })),
        shortcuts: z.array(z.looseObject({ type: z.string(), callback_id: z.string() })),
      }),
      oauth_config: z.looseObject({
        scopes: z.looseObject({ bot: z.array(z.string()), bot_optional: z.array(z.string()) }),
      }),
      settings: z.looseObject({
        event_subscriptions: z.looseObject({ bot_events: z.array(z.string()) }),
        interactivity: z.looseObject({ is_enabled: z.boolean() }),
      }),
    })
    .parse(manifest);

  /** The scope that each event and each method needs (docs.slack.dev, references); the others need none. */
  const EVENT_SCOPES: Readonly<Record<string, string>> = {
    app_mention: 'app_mentions:read',
    'message.channels': 'channels:history',
    'message.groups': 'groups:history',
    'message.im': 'im:history',
  };
  const METHOD_SCOPES: Readonly<Record<string, string | undefined>> = {
    'agents.sessions.setStatus': 'assistant:write',
    'assistant.threads.setSuggestedPrompts': 'assistant:write',
    'auth.revoke': undefined,
    'auth.teams.list': undefined,
    'auth.test': undefined,
    'chat.postEphemeral': 'chat:write',
    'chat.postMessage': 'chat:write',
    'chat.update': 'chat:write',
    'conversations.open': 'im:write',
    'files.info': 'files:read',
    'files.completeUploadExternal': 'files:write',
    'oauth.v2.access': undefined,
    'usergroups.list': 'usergroups:read',
    'usergroups.users.list': 'usergroups:read',
    'users.info': 'users:read',
    'users.list': 'users:read',
    'views.open': undefined,
    'views.publish': undefined,
  };

  const called = () => {
    const folder = join(ROOT, 'adapters', 'slack');
    const source = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
    const calls = /(?:\.raw|\.call|\bsend|\bsendRaw)\(\s*'([a-z]+(?:\.\w+)+)'/g;
    return new Set([...source.join('\n').matchAll(calls)].map(([, method]) => method ?? ''));
  };

  test('asks for exactly the scopes that its events, its commands and the called methods need', () => {
    expect([...called()].toSorted()).toEqual(Object.keys(METHOD_SCOPES).toSorted());
    const needed = [
      'commands',
      ...settings.event_subscriptions.bot_events.flatMap((event) => EVENT_SCOPES[event] ?? []),
      ...[...called()].flatMap((method) => METHOD_SCOPES[method] ?? []),
    ];
    const { bot, bot_optional } = oauth_config.scopes;
    expect([...bot, ...bot_optional].toSorted()).toEqual([...new Set(needed)].toSorted());
    expect(bot_optional).toEqual(['files:read', 'usergroups:read']);
  });

  test('subscribes to the events, and has the commands, shortcuts and prompts, that the program knows', () => {
    expect(settings.event_subscriptions.bot_events.toSorted()).toEqual(BOT_EVENTS.toSorted());
    expect(features.slash_commands.map(({ command }) => command).toSorted()).toEqual(
      COMMANDS.map((command) => `/${command}`).toSorted(),
    );
    expect(features.shortcuts).toMatchObject([{ type: 'message', callback_id: SET_UP_SHORTCUT }]);
    expect(features.agent_view.suggested_prompts).toEqual(PROMPTS);
    expect(features.app_home).toMatchObject({ home_tab_enabled: true, messages_tab_enabled: true });
    expect(settings.interactivity.is_enabled).toBe(true);
  });

  test('is printed for Socket Mode as it is, and for HTTP with the address everywhere that Slack sends to', async () => {
    expect(await printed()).toEqual(manifest);
    const url = `https://countersign.example.com${EVENTS_PATH}`;
    expect(await printed('--url', 'https://countersign.example.com')).toMatchObject({
      features: { slash_commands: features.slash_commands.map(({ command }) => ({ command, url })) },
      settings: {
        event_subscriptions: { request_url: url, bot_events: settings.event_subscriptions.bot_events },
        interactivity: { is_enabled: true, request_url: url },
        socket_mode_enabled: false,
      },
    });
  });

  test('is printed for many workspaces with where people come back to, farewells, rotation and organisations', async () => {
    const url = 'https://countersign.example.com';
    expect(await printed('--url', url, '--oauth')).toMatchObject({
      oauth_config: { redirect_urls: [`${url}${REDIRECT_PATH}`], scopes: oauth_config.scopes },
      settings: {
        event_subscriptions: { bot_events: [...BOT_EVENTS, ...INSTALLATION_EVENTS].toSorted() },
        ...{ org_deploy_enabled: true, socket_mode_enabled: false, token_rotation_enabled: true },
      },
    });
    expect(slackScopes().toSorted()).toEqual(
      [...oauth_config.scopes.bot, ...oauth_config.scopes.bot_optional].toSorted(),
    );
    expect(settings).toMatchObject({ org_deploy_enabled: false, token_rotation_enabled: false });
  });

  test('is not printed for many workspaces without an address', async () => {
    const complaints: string[] = [];
    const out = { env: {}, say: () => {}, complain: (line: string) => void complaints.push(line) };
    expect(await runCli(['slack', 'manifest', '--oauth'], out)).toBe(2);
    expect(complaints.join()).toContain('--url');
  });

  test('is not printed for an address that Slack would not send to', async () => {
    const complaints: string[] = [];
    const out = { env: {}, say: () => {}, complain: (line: string) => void complaints.push(line) };
    expect(await runCli(['slack', 'manifest', '--url', 'http://localhost:3000'], out)).toBe(1);
    expect(complaints.join()).toContain('https address only');
  });
});
