import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CountersignError } from '../../core/errors.ts';
import type { Command } from './command.ts';

const MANIFEST = join(import.meta.dirname, '..', '..', 'manifest.json');
/** Where the program takes what Slack sends (adapters/slack/config.ts; test/manifest.test.ts holds both together). */
const EVENTS_PATH = '/slack/events';

const manifest = z.looseObject({
  features: z.looseObject({ slash_commands: z.array(z.looseObject({ command: z.string() })) }),
  settings: z.looseObject({ event_subscriptions: z.looseObject({}), interactivity: z.looseObject({}) }),
});

/** `slack manifest`: what to paste when Slack asks for an app's manifest. */
export const slackManifest: Command = {
  usage: 'slack manifest',
  summary: 'Prints the manifest of the Slack app: for Socket Mode, or with --url for HTTP.',
  options: {
    url: { type: 'string', help: 'Where Slack reaches this installation, such as https://countersign.example.com' },
  },
  async run({ values, say }) {
    say(JSON.stringify(manifestFor(typeof values.url === 'string' ? values.url : undefined), null, 2));
    return 0;
  },
};

/** @throws CountersignError `config_invalid` for an address that Slack does not send to. */
function manifestFor(url: string | undefined): object {
  const given = manifest.parse(JSON.parse(readFileSync(MANIFEST, 'utf8')));
  if (url === undefined) return given;
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw new CountersignError(
      'config_invalid',
      'Slack sends to an https address only, such as https://countersign.example.com.',
    );
  const request_url = new URL(EVENTS_PATH, url).href;
  const { features, settings } = given;
  return {
    ...given,
    features: {
      ...features,
      slash_commands: features.slash_commands.map((command) => ({ ...command, url: request_url })),
    },
    settings: {
      ...settings,
      event_subscriptions: { request_url, ...settings.event_subscriptions },
      interactivity: { ...settings.interactivity, request_url },
      socket_mode_enabled: false,
    },
  };
}
