import type { Button, Card } from '../../core/ports/chat.ts';
import type { AdaptiveCard } from './elements.ts';
import { LIMITS } from './limits.ts';

/** What a client asks with for the card as its person should see it; nothing is pressed, and no flow of ours hears of it. */
export const VIEW_VERB = 'countersign.view';

/**
 * The card as everybody sees it keeps all of its buttons: a client that never asks, or somebody whom the list leaves out, lacks
 * nothing, and who may is found out at the click. (learn.microsoft.com, up to date cards.)
 */
export function refreshedFor(userIds: readonly string[]): Pick<AdaptiveCard, 'refresh'> {
  if (userIds.length === 0) return {};
  const action = { type: 'Action.Execute', title: 'See it as it is now', verb: VIEW_VERB, data: {} } as const;
  return { refresh: { action, userIds: userIds.slice(0, LIMITS.views) } };
}

/** Whose own view of the card differs from everybody's, by their ids in the directory. */
export function audienceOf({ blocks }: Pick<Card, 'blocks'>, workspaceId: string): readonly string[] {
  const people = blocks.flatMap((block): readonly string[] => {
    if (block.kind === 'details') return audienceOf(block, workspaceId);
    if (block.kind !== 'actions') return [];
    const named = block.buttons.flatMap((button) => button.for ?? []);
    return named.flatMap((person) =>
      person.platform === 'teams' && person.workspaceId === workspaceId ? [person.userId] : [],
    );
  });
  return [...new Set(people)];
}

/** Whether that person is shown the button; everybody's card has each. */
export function isFor(viewer: string | undefined, { for: people }: Button): boolean {
  if (viewer === undefined || people === undefined) return true;
  return people.some(({ platform, userId }) => platform === 'teams' && userId === viewer);
}
