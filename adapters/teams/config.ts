import type { ChatCapabilities } from '../../core/ports/chat.ts';
import type { Secret } from '../../core/secret.ts';

/** The Azure Bot, as the environment names it. */
export interface TeamsBot {
  readonly appId: string;
  /** Absent with a managed identity. */
  readonly appPassword?: Secret;
  /** The only organisation that is served, unless the bot is a multi-tenant one. */
  readonly tenantId?: string;
  readonly type: 'MultiTenant' | 'SingleTenant' | 'UserAssignedMSI';
}

/** Where Microsoft's side is; other addresses are for a stand-in on this computer. */
export interface MicrosoftAddresses {
  /** Keys of whoever calls us: an OpenID document. */
  readonly openId: string;
  /** Who gives us tokens, without the tenant. */
  readonly login: string;
}

export const MICROSOFT: MicrosoftAddresses = {
  openId: 'https://login.botframework.com/v1/.well-known/openidconfiguration',
  login: 'https://login.microsoftonline.com',
};

/** `local`: a client on this computer that shows no credentials, for `npm run demo -- --teams`; anybody who reaches it is believed. */
export type TeamsOptions =
  | { readonly kind: 'azure'; readonly bot: TeamsBot; readonly microsoft?: MicrosoftAddresses }
  | { readonly kind: 'local' };

/** The messaging endpoint of the Azure Bot. */
export const MESSAGES_PATH = '/api/messages';
/** The only channel of the Bot Framework that is taken. */
export const CHANNEL = 'msteams';

/** Offered while somebody types; the app package lists them, and `readCommand` understands them. */
export const COMMANDS = [
  { title: 'set up', description: 'Set up an integration, such as: set up WooCommerce for shop.example.com' },
  { title: 'operations', description: 'The latest requests, and where they stand' },
  { title: 'consents', description: 'What is countersigned right now' },
  { title: 'credentials', description: 'Which keys are stored, never what they are' },
  { title: 'link', description: 'Another link to the one-time page of your request' },
  { title: 'stop', description: 'Stop a request: stop op-…, or stop all (admins)' },
  { title: 'audit', description: 'What was done, by whom, and whether the record is intact: audit op-… (admins)' },
  { title: 'console', description: 'Your link to the console: operations, approvals and their records' },
  { title: 'notify', description: 'How I tell you, and your quiet hours' },
  { title: 'settings', description: 'Who may approve, and what I may do (admins)' },
  { title: 'accounts', description: 'Which accounts are one person’s (admins)' },
  { title: 'help', description: 'What I can do' },
] as const;

export const capabilities: ChatCapabilities = {
  ephemeral: false,
  ephemeralInPlace: false,
  directMessage: true,
  updateInPlace: true,
  form: true,
  upload: false,
  mention: true,
  groups: false,
  picturesInCards: true,
};
