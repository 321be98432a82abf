import type { ChatCapabilities } from '../../core/ports/chat.ts';
import type { Secret } from '../../core/secret.ts';
import type { Self } from './events.ts';

/** What many workspaces need. `scopes`: those of manifest.json, the optional ones included. */
export interface OAuthOptions {
  readonly apiUrl?: string;
  readonly signingSecret: Secret;
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly stateSecret: Secret;
  readonly scopes: readonly string[];
  /** Where people's browsers reach us, without a slash at the end. */
  readonly publicUrl: string;
}

/** One of many: whoever takes its events hands them on. */
export interface InstalledOptions {
  readonly kind: 'installed';
  readonly apiUrl?: string;
  readonly self: Self;
  /** The token of this moment. @throws CountersignError `chat_unavailable`. */
  token(): Promise<Secret>;
}

/** One workspace by its bot token. Events come over HTTP, signed, or over a socket that we open. */
export type SlackOptions = { readonly apiUrl?: string; readonly botToken: Secret } & (
  | { readonly kind: 'http'; readonly signingSecret: Secret }
  | { readonly kind: 'socket'; readonly appToken: Secret }
);

/** Where Slack sends events, commands, clicks and forms: the request URL of manifest.json. */
export const EVENTS_PATH = '/slack/events';
/** Where an installation begins, and where Slack sends people back to: the redirect URL of the manifest. */
export const INSTALL_PATH = '/slack/install';
export const REDIRECT_PATH = '/slack/oauth_redirect';

/** What the program uses of Slack; test/manifest.test.ts holds manifest.json to it. */
export const BOT_EVENTS = [
  'agent_session_stopped',
  'app_home_opened',
  'app_mention',
  'message.channels',
  'message.groups',
  'message.im',
] as const;
/** Beside them, where people install us by OAuth. */
export const INSTALLATION_EVENTS = ['app_uninstalled', 'tokens_revoked'] as const;
export const COMMANDS = ['audit', 'countersign'] as const;
/** What somebody is offered who opens the conversation for the first time; at most four (docs.slack.dev, assistant.threads). */
export const PROMPTS = [
  { title: 'Set up WooCommerce', message: 'set up WooCommerce for shop.example.com' },
  { title: 'What can you do?', message: 'what can you do?' },
] as const;
/** The shortcut of a message: `Set this up`. */
export const SET_UP_SHORTCUT = 'set_this_up';

export const capabilities: ChatCapabilities = {
  ephemeral: true,
  ephemeralInPlace: false,
  directMessage: true,
  updateInPlace: true,
  form: true,
  upload: true,
  mention: true,
  groups: true,
  picturesInCards: false,
};
