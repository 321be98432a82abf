import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const MANIFEST = join(import.meta.dirname, '..', 'manifest.json');

const manifest = z.looseObject({
  features: z.looseObject({ slash_commands: z.array(z.looseObject({ command: z.string() })) }),
  oauth_config: z.looseObject({
    scopes: z.looseObject({ bot: z.array(z.string()), bot_optional: z.array(z.string()) }),
  }),
  settings: z.looseObject({
    event_subscriptions: z.looseObject({ bot_events: z.array(z.string()) }),
    interactivity: z.looseObject({}),
  }),
});

/** `manifest.json`: the Slack app as it is for one workspace, over a socket. */
export function readSlackManifest(): z.infer<typeof manifest> {
  return manifest.parse(JSON.parse(readFileSync(MANIFEST, 'utf8')));
}

/** What the app asks for, the optional scopes included. */
export function slackScopes(): readonly string[] {
  const { bot, bot_optional } = readSlackManifest().oauth_config.scopes;
  return [...bot, ...bot_optional];
}
