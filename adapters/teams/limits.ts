import type { Limit } from '../../core/limits.ts';

/**
 * What Teams refuses, or shows badly, beyond these figures: characters unless the name says otherwise. Source: learn.microsoft.com,
 * "Rate limiting for bots", "Format your bot messages" and "Designing Adaptive Cards for your Teams app" (November 2026).
 */
export const LIMITS = {
  /** Of a card as JSON. Teams takes about 100 KB a message; older pages say 28 KB, which holds everywhere. */
  cardBytes: 28_000,
  summary: 500,
  button: 60,
  /** One that was cut would be another one. */
  value: 1_000,
  url: 2_048,
  /** A row shows six at most; the others would be hidden. */
  buttonsInRow: 5,
  buttons: 20,
  inputText: 3_000,
  /** Of somebody, as it is kept and shown; Microsoft's directory takes 256. */
  name: 200,
  /** People to choose from; whoever isn't among them is found by typing a name. */
  people: 40,
  /** Channels to choose from. */
  channels: 60,
  /** People who may have a view of their own of one card (learn.microsoft.com, up to date cards: 60). */
  views: 60,
} as const;

/** How much of each part of a card is shown, tried in this order until the card is small enough. */
export const LEVELS: readonly Level[] = [
  { text: 6_000, items: 60 },
  { text: 1_500, items: 40 },
  { text: 500, items: 25 },
  { text: 160, items: 15 },
  { text: 60, items: 8 },
];
export interface Level {
  readonly text: number;
  readonly items: number;
}

/**
 * Teams takes from a bot, in one thread, 7 calls in 1 s, 8 in 2 s, 60 in 30 s and 1800 in an hour. A bucket of 4 that fills with 4
 * in 8.2 s gives at most 4, 5, 19 and 1761 of them.
 */
const THREAD = { quota: 4, windowSeconds: 8.2 };
/** A message that is edited more often than every 2 s flickers; it shows what is newest then. */
const EDITS = { quota: 1, windowSeconds: 2 };

/** What a call has to stand in line for. */
export function linesFor(workspaceId: string, conversationId: string, isEdit: boolean): readonly Limit[] {
  const scope = `${workspaceId} ${conversationId}`;
  return [{ name: `teams ${scope}`, ...THREAD }, ...(isEdit ? [{ name: `teams edits ${scope}`, ...EDITS }] : [])];
}
