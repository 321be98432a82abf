import type { ChatCapabilities } from '../../core/ports/chat.ts';
import type { Secret } from '../../core/secret.ts';

/** One workspace by its bot token. Events come over HTTP, signed, or over a socket that we open. */
export type SlackOptions = { readonly apiUrl?: string; readonly botToken: Secret } & (
  | { readonly kind: 'http'; readonly signingSecret: Secret }
  | { readonly kind: 'socket'; readonly appToken: Secret }
);

/** Where Slack sends events, commands, clicks and forms: the request URL of manifest.json. */
export const EVENTS_PATH = '/slack/events';

/** What the program uses of Slack; test/manifest.test.ts holds manifest.json to it. */
export const BOT_EVENTS = [
  'agent_session_stopped',
  'app_home_opened',
  'app_mention',
  'message.channels',
  'message.groups',
  'message.im',
] as const;
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
  directMessage: true,
  updateInPlace: true,
  form: true,
  upload: true,
  mention: true,
  groups: true,
  picturesInCards: false,
};
