import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

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

    test('is accepted', () => {
      const validate = compile();
      expect(validate(manifest) ? [] : validate.errors).toEqual([]);
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

describe('the Slack manifest', () => {
  const { features, oauth_config, settings } = z
    .looseObject({
      features: z.looseObject({ slash_commands: z.array(z.looseObject({ command: z.string() })) }),
      oauth_config: z.looseObject({ scopes: z.looseObject({ bot: z.array(z.string()) }) }),
      settings: z.looseObject({
        event_subscriptions: z.looseObject({ bot_events: z.array(z.string()) }),
        interactivity: z.looseObject({ is_enabled: z.boolean() }),
      }),
    })
    .parse(manifest);

  /** The scope that each event needs (docs.slack.dev, events reference); the others need none. */
  const SCOPES: Readonly<Record<string, string>> = {
    app_mention: 'app_mentions:read',
    'message.channels': 'channels:history',
    'message.groups': 'groups:history',
    'message.im': 'im:history',
  };

  test('asks for the scope of every event that it subscribes to', () => {
    const needed = settings.event_subscriptions.bot_events.flatMap((event) => SCOPES[event] ?? []);
    expect(oauth_config.scopes.bot).toEqual(expect.arrayContaining(needed));
    expect(needed).toHaveLength(4);
  });

  test('has the commands and buttons that the bot answers', () => {
    expect(features.slash_commands.map(({ command }) => command).toSorted()).toEqual(['/audit', '/countersign']);
    expect(oauth_config.scopes.bot).toEqual(expect.arrayContaining(['commands', 'chat:write', 'files:write']));
    expect(settings.interactivity.is_enabled).toBe(true);
  });
});
