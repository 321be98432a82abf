import { CountersignError } from '../../core/errors.ts';
import { readSlackManifest } from '../slack-manifest.ts';
import type { Command } from './command.ts';

/** Where the program takes what Slack sends (adapters/slack/config.ts; test/manifest.test.ts holds both together). */
const EVENTS_PATH = '/slack/events';

/** Where people are sent back to who install it, and what Slack tells when they remove it (as above). */
const REDIRECT_PATH = '/slack/oauth_redirect';
const INSTALLATION_EVENTS = ['app_uninstalled', 'tokens_revoked'];

/** `slack manifest`: what to paste when Slack asks for an app's manifest. */
export const slackManifest: Command = {
  usage: 'slack manifest',
  summary:
    'Prints the manifest of the Slack app: for Socket Mode, with --url for HTTP, with --oauth for many workspaces.',
  options: {
    url: { type: 'string', help: 'Where Slack reaches this installation, such as https://countersign.example.com' },
    oauth: { type: 'boolean', help: 'For many workspaces, which people install it in by OAuth; needs --url' },
  },
  async run({ values, say, complain }) {
    const url = typeof values.url === 'string' ? values.url : undefined;
    if (values.oauth === true && url === undefined) {
      complain('Say where people’s browsers reach this installation (--url https://countersign.example.com).');
      return 2;
    }
    say(JSON.stringify(manifestFor(url, values.oauth === true), null, 2));
    return 0;
  },
};

/** `slack disconnect`: what an uninstall in Slack does, at the operator's wish. */
export const slackDisconnect: Command = {
  usage: 'slack disconnect WORKSPACE',
  summary:
    'Revokes the token of a workspace that installed the app by OAuth, ends its operations and deletes its credentials; the trail stays.',
  async run({ args: [workspaceId = ''], open, revokeSlackToken, say, complain }) {
    const { installations } = await open();
    const installation = await installations.open(workspaceId);
    if (!installation) {
      complain('There is no such installation. Its id is the workspace’s (T…), or the organisation’s (E…).');
      return 1;
    }
    await revokeSlackToken(installation.access);
    await installations.remove(workspaceId, 'disconnected by the operator');
    await installations.finishRemovals();
    say(`${workspaceId} is disconnected. Whoever wants Countersign there again installs it again.`);
    return 0;
  },
};

/** @throws CountersignError `config_invalid` for an address that Slack does not send to. */
function manifestFor(url: string | undefined, isOAuth: boolean): object {
  const given = readSlackManifest();
  if (url === undefined) return given;
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw new CountersignError(
      'config_invalid',
      'Slack sends to an https address only, such as https://countersign.example.com.',
    );
  const request_url = new URL(EVENTS_PATH, url).href;
  const { features, settings, oauth_config } = given;
  const { bot_events } = settings.event_subscriptions;
  const subscribed = isOAuth ? [...bot_events, ...INSTALLATION_EVENTS].sort() : bot_events;
  return {
    ...given,
    ...(isOAuth && { oauth_config: { redirect_urls: [new URL(REDIRECT_PATH, url).href], ...oauth_config } }),
    features: {
      ...features,
      slash_commands: features.slash_commands.map((command) => ({ ...command, url: request_url })),
    },
    settings: {
      ...settings,
      event_subscriptions: { request_url, ...settings.event_subscriptions, bot_events: subscribed },
      interactivity: { ...settings.interactivity, request_url },
      socket_mode_enabled: false,
      ...(isOAuth && { org_deploy_enabled: true, token_rotation_enabled: true }),
    },
  };
}
