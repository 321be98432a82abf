import type { Member } from '../core/customers/customers.ts';
import { type CustomerId, parseOperationId } from '../core/ids.ts';
import { type Entering, enterFor } from '../core/operations/entering.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { Link } from '../core/vault/links.ts';
import { linkCard } from './cards/link-card.ts';
import type { Context } from './context.ts';
import { issueLink, type LinkOnce, showLink } from './link-flow.ts';
import { eventRef, whisperWords } from './speak.ts';

/** Sends whoever asked a link of their own to the one-time page. */
export async function sendSignInLink(context: Context, operation: Operation, once: LinkOnce): Promise<void> {
  const { customerId, id: operationId, requester } = operation;
  const issued = await context.database.withCustomer(customerId, async (tx) => {
    const link = await issueLink(context, tx, { purpose: 'credentials', operation, to: requester }, once);
    if (!link) return undefined;
    await context.audit.append(tx, customerId, {
      kind: 'credentials.asked',
      operationId,
      payload: { from: requester.id },
    });
    return link;
  });
  if (issued) await showLink(context, issued, linkCard(operation, issued.url));
}

/**
 * Whether the link is theirs: of the account that asked, not of each that the same person has. It is shown to that account alone, in
 * the thread where it asked, which another platform's can't be; and there the account is told once it is closed. By the API,
 * where nobody is shown a link, any account of the person enters the sign-in.
 */
export function isLinkOf({ requester }: Pick<Operation, 'requester'>, { id }: Member): boolean {
  return requester.id === id;
}

/** "Enter the sign-in": a fresh link, for whoever asked and nobody else. */
export async function enterSignIn(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const operation = await context.database.withCustomer(customerId, (tx) =>
    context.operations.get(tx, customerId, event.value),
  );
  if (operation?.state !== 'awaiting_credentials')
    return whisperWords(context, event, 'This request does not wait for a sign-in any more.');
  if (!isLinkOf(operation, member))
    return whisperWords(
      context,
      event,
      `Only ${operation.requester.person.name}, who asked, gets the link. Nothing was changed.`,
    );
  await sendSignInLink(context, operation, { event: eventRef(event) });
}

/** `/countersign link`: the same for the request that is named, or for the only one of theirs that waits for what they enter. */
export async function linkAgain(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  const waiting = await context.database.withCustomer(customerId, (tx) => context.operations.open(tx, customerId));
  const named = words.trim() === '' ? undefined : parseOperationId(words);
  const theirs = waiting.filter(
    (one) => one.state === 'awaiting_credentials' && isLinkOf(one, member) && (words.trim() === '' || one.id === named),
  );
  const [operation, ...others] = theirs;
  if (!operation)
    return whisperWords(context, event, 'No request of yours waits for a sign-in here. Nothing was sent.');
  if (others.length > 0)
    return whisperWords(
      context,
      event,
      `Say for which one: ${theirs
        .map(({ id }) => `/countersign link ${id}`)
        .slice(0, 5)
        .join(', ')}.`,
    );
  await sendSignInLink(context, operation, { event: eventRef(event) });
}

/** What the one-time page shows: what for, where, for whom. Showing it spends nothing. */
export interface SignInForm {
  readonly link: Link;
  readonly operation: Operation;
}

export async function signInForm(context: Context, token: string): Promise<SignInForm | undefined> {
  const link = await context.links.look(token);
  if (link?.purpose !== 'credentials') return undefined;
  const { customerId, operationId } = link;
  return context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, operationId);
    if (operation?.state !== 'awaiting_credentials') return undefined;
    const { hasConsent } = await context.consents.verify(tx, customerId, operationId);
    return hasConsent ? { link, operation } : undefined;
  });
}

/** Takes what was entered, and spends the link with it; where a field can't be right, it is not spent. */
export async function submitSignIn(
  context: Context,
  token: string,
  fields: Readonly<Record<string, string>>,
): Promise<Entering> {
  const form = await signInForm(context, token);
  if (!form) return { kind: 'gone' };
  const { link, operation } = form;
  return enterFor(context, operation, link.memberId, fields, (tx) => context.links.spend(tx, link));
}
