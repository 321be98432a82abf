import type { Member } from '../core/customers/customers.ts';
import { databaseNow, type Transaction } from '../core/database.ts';
import { takeEvent } from '../core/operations/events.ts';
import { lock } from '../core/operations/locked.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ThreadState } from '../core/operations/threads.ts';
import type { Card, EventRef } from '../core/ports/chat.ts';
import type { LinkPurpose } from '../core/vault/links.ts';
import { linkSlot } from './cards/link-card.ts';
import { type Context, connectUrl } from './context.ts';

/**
 * A link that nobody is known to have been shown is on its way for so long; after that its process died with it. More than a
 * platform takes to answer, and less than what is left of an event's lease when it is tried for the last time.
 */
const ON_ITS_WAY_MS = 30_000;

interface LinkWish {
  readonly purpose: Exclude<LinkPurpose, 'export'>;
  readonly operation: Operation;
  /** Whose one-time page it leads to. */
  readonly to: Member;
}

interface IssuedLink extends LinkWish {
  readonly id: string;
  readonly url: string;
  /** The operation's own: there the feed finds the message again once the link is closed. */
  readonly thread: ThreadState;
}

/** What asks for a link: an event, or what happened before, which counts as long as their newest link did not reach them. */
export interface LinkOnce {
  readonly event?: EventRef;
  readonly unlessSent?: boolean;
}

/**
 * Issues a one-time link inside `tx`, to be shown by `showLink` once that is committed.
 * @returns `undefined`: the event comes again, or nobody has asked, and their newest link was shown to them or is on its way.
 */
export async function issueLink(
  context: Context,
  tx: Transaction,
  wish: LinkWish,
  { event, unlessSent = false }: LinkOnce = {},
): Promise<IssuedLink | undefined> {
  const { purpose, operation, to } = wish;
  const { customerId, id: operationId, threadId } = operation;
  const isFirst = await takeEvent(tx, customerId, event);
  await lock(tx, customerId, operationId); // who issues a link, and who looks for one, take turns
  if ((!isFirst || unlessSent) && (await isSent(tx, wish))) return undefined;
  const thread = await context.threads.get(tx, customerId, threadId);
  if (!thread) return undefined; // by foreign key there is one
  const link = await context.links.issue(tx, customerId, { purpose, operationId, memberId: to.id });
  return { ...wish, id: link.id, url: connectUrl(context, link.token), thread };
}

async function isSent(tx: Transaction, { purpose, operation, to }: LinkWish): Promise<boolean> {
  const { customerId, id: operationId } = operation;
  const newest = await tx.connectLink.findFirst({
    where: { customerId, operationId, purpose, memberId: to.id },
    orderBy: { createdAt: 'desc' },
  });
  if (!newest) return false;
  if ((await shownLinks(tx, operation, [newest])).length > 0) return true;
  const now = await databaseNow(tx);
  return newest.spentAt === null && now.getTime() - newest.createdAt.getTime() < ON_ITS_WAY_MS;
}

/**
 * Shows it to its person, and keeps that it was shown. When that fails it is closed, whether or not it arrived: what asked for
 * it comes again, and then they get another one.
 */
export async function showLink(context: Context, { id, operation, to, thread }: IssuedLink, card: Card): Promise<void> {
  const { customerId } = operation;
  const { ref } = thread;
  const slot = linkSlot(id);
  try {
    await context.chat(ref.platform).ephemeral(ref, to.person, card, { key: slot });
  } catch (error) {
    await context.database.withCustomer(customerId, (tx) => context.links.spend(tx, { customerId, id }));
    throw error;
  }
  // A message to one person has no reference, and no hash is kept of a card with a token in it.
  await context.database.withCustomer(customerId, (tx) =>
    context.threads.keepMessage(tx, customerId, thread, slot, { thread: ref, ref: '' }, ''),
  );
}

/** Those of an operation's links that their person was shown. */
export async function shownLinks<L extends { readonly id: string }>(
  tx: Transaction,
  { customerId, threadId }: Operation,
  links: readonly L[],
): Promise<readonly L[]> {
  if (links.length === 0) return [];
  const slot = { in: links.map(({ id }) => linkSlot(id)) };
  const kept = await tx.threadMessage.findMany({ where: { customerId, threadId, slot }, select: { slot: true } });
  const shown = new Set(kept.map((message) => message.slot));
  return links.filter(({ id }) => shown.has(linkSlot(id)));
}
