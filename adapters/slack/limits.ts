import type { Limit } from '../../core/limits.ts';

/**
 * What Slack refuses beyond these figures, in characters unless the name says otherwise. Source: docs.slack.dev, reference of
 * Block Kit blocks, elements and composition objects, of views, and of the methods that the comments name (November 2026).
 */
export const LIMITS = {
  blocksInMessage: 50,
  blocksInView: 100,
  header: 150,
  section: 3000,
  contextElements: 10,
  actionsElements: 25,
  buttonText: 75,
  buttonValue: 2000,
  url: 3000,
  confirmTitle: 100,
  confirmText: 300,
  confirmButton: 30,
  actionId: 255,
  blockId: 255,
  /** `table` block, one a message. */
  tableRows: 100,
  tableColumns: 20,
  tableText: 10_000,
  containerTitle: 150,
  containerBlocks: 10,
  viewTitle: 24,
  viewButton: 24,
  callbackId: 255,
  privateMetadata: 3000,
  inputText: 3000,
  inputLabel: 2000,
  checkboxes: 10,
  selectOptions: 100,
  optionText: 75,
  optionValue: 150,
  altText: 2000,
  /** `chat.update` answers `msg_too_long` beyond it, so that nothing longer is posted either. */
  messageText: 4000,
  /** No figure is documented for rich text, plan and task cards: these are ours, below what is known to be taken. */
  richText: 3000,
  richTextInMessage: 12_000,
  taskTitle: 250,
  tasks: 20,
} as const;

/**
 * How often Slack takes a method: of any 60 s together less than its tier, which a bucket that fills up evenly keeps when what
 * it holds and what flows in make less. Tiers: docs.slack.dev, rate limits; tier 3 is 50 a minute and tier 4 is 100 a minute,
 * for each method and workspace; messages are one a second for each channel.
 */
const TIER_3 = { quota: 8, windowSeconds: 12 };
const TIER_4 = { quota: 16, windowSeconds: 12 };
const RATES: Readonly<Record<string, { readonly quota: number; readonly windowSeconds: number }>> = {
  'chat.postMessage': { quota: 1, windowSeconds: 1 },
  'chat.update': TIER_3,
  'chat.postEphemeral': TIER_4,
  'conversations.open': TIER_3,
  'files.completeUploadExternal': TIER_4,
  'agents.sessions.setStatus': TIER_3,
  'views.publish': TIER_4,
};

/** Messages are counted by channel, everything else by workspace. `undefined`: not counted here. */
export function rateOf(method: string, workspaceId: string, channel: string): Limit | undefined {
  const rate = RATES[method];
  const scope = method === 'chat.postMessage' ? ` ${channel}` : '';
  return rate && { name: `slack ${workspaceId} ${method}${scope}`, ...rate };
}
