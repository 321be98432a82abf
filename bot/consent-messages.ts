import { lackOfApprovers, possibleApprovers } from '../core/consent/policy.ts';
import type { Customers } from '../core/customers/customers.ts';
import type { Transaction } from '../core/database.ts';
import { pauseOf } from '../core/operations/hold.ts';
import { inOrder, type Operation } from '../core/operations/operation.ts';
import type { Operations } from '../core/operations/operations.ts';
import { isEnd } from '../core/operations/states.ts';
import { askedTogether, consentSlot, type Together } from '../core/operations/together.ts';
import { consentCard } from './cards/consent-card.ts';
import type { Deciders } from './cards/consent-parts.ts';
import { lackCard, reminderCard } from './cards/reminder-card.ts';
import { togetherCard } from './cards/together-card.ts';
import type { Wanted } from './showing.ts';

export interface ConsentMessagesDeps {
  readonly customers: Customers;
  readonly operations: Operations;
  /** As in Context; absent: a way that needs it is not offered. */
  publicUrl?(): string;
}

/** What the messages about a thread's questions show: by operation, what is to be posted where its turn is. */
export type ConsentMessages = (operation: Operation) => Promise<readonly Wanted[]>;

/**
 * The questions of a thread: each operation's own card, or the one card about several that were asked for in one go. That
 * one stands where the first of them has its turn, and shows also those of them that nothing new is known of.
 */
export async function consentMessagesOf(
  tx: Transaction,
  deps: ConsentMessagesDeps,
  operations: readonly Operation[],
): Promise<ConsentMessages> {
  const [any] = operations;
  const groups = any ? await askedTogether(tx, any.customerId, any.threadId) : [];
  const shown = new Set<Together>();
  return async (operation) => {
    const { id, request } = operation;
    if (!request) return [];
    const people = await decidersOf(tx, deps, operation);
    const group = groups.find(({ ids }) => ids.includes(id));
    const wanted: Wanted[] = [];
    if (group && !shown.has(group)) {
      shown.add(group);
      const members = await inOrder(
        group.ids,
        async (each) =>
          operations.find((known) => known.id === each) ?? deps.operations.get(tx, operation.customerId, each),
      );
      const all = await inOrder(
        members.filter((member) => member !== undefined),
        async (member) => ({ operation: member, people: await decidersOf(tx, deps, member) }),
      );
      wanted.push({ slot: consentSlot(group.ids), card: togetherCard(all, group.isSplit) });
      const reminded = all.filter(({ operation: { remindedAt } }) => remindedAt !== null);
      if (!group.isSplit && reminded.length > 0)
        wanted.push({ slot: `reminder:${group.ids.join('+')}`, card: reminderCard(all) });
    }
    const isAlone = !group || group.isSplit;
    if (isAlone) wanted.push({ slot: consentSlot([id]), card: consentCard(operation, people) });
    if (isAlone && operation.remindedAt)
      wanted.push({ slot: `reminder:${request.id}`, card: reminderCard([{ operation, people }]) });
    // Where nobody was ever chosen, the card itself and the admins' first one ask for that.
    const isInVain = operation.state === 'awaiting_consent' && (people.lack === 'own' || people.lack === 'too_few');
    wanted.push({ slot: `lack:${id}`, card: lackCard(operation, people), isChangeOnly: !isInVain });
    return wanted;
  };
}

export async function decidersOf(tx: Transaction, deps: ConsentMessagesDeps, operation: Operation): Promise<Deciders> {
  const { customers } = deps;
  const { customerId, state } = operation;
  const rules = await customers.rules(tx, customerId);
  const members = await customers.members(tx, customerId);
  return {
    approvers: possibleApprovers(members, operation, rules),
    admins: await customers.members(tx, customerId, 'admin'),
    rules,
    lack: lackOfApprovers(members, operation, rules),
    pause: isEnd(state) ? undefined : await pauseOf(tx, customerId),
    publicUrl: deps.publicUrl?.(),
  };
}
