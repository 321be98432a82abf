import type { Member } from '../core/customers/customers.ts';
import { type CustomerId, parseOperationId } from '../core/ids.ts';
import { hasEntered, storeEntered } from '../core/operations/entered.ts';
import { takeEvent } from '../core/operations/events.ts';
import { lock } from '../core/operations/lease.ts';
import type { Operation } from '../core/operations/operation.ts';
import { Stopped } from '../core/operations/stopped.ts';
import type { ChatEvent, EventRef } from '../core/ports/chat.ts';
import type { Link } from '../core/vault/links.ts';
import { linkCard, linkSlot } from './cards/link-card.ts';
import { type Context, connectUrl } from './context.ts';
import { eventRef, whisperWords } from './speak.ts';

/**
 * Sends whoever asked a link of their own to the one-time page.
 * @param once the event that asks for it; or that none is sent where there was one already
 */
export async function sendSignInLink(
  context: Context,
  operation: Operation,
  once: { readonly event?: EventRef; readonly unlessSent?: boolean } = {},
): Promise<void> {
  const { customerId, id: operationId, requester } = operation;
  const issued = await context.database.withCustomer(customerId, async (tx) => {
    if (!(await takeEvent(tx, customerId, once.event))) return undefined;
    await lock(tx, customerId, operationId); // who issues the first link, and who looks for one, take turns
    const where = { customerId, operationId, purpose: 'credentials' };
    if (once.unlessSent && (await tx.connectLink.count({ where })) > 0) return undefined;
    const thread = await context.threads.get(tx, customerId, operation.threadId);
    const link = await context.links.issue(tx, customerId, {
      purpose: 'credentials',
      operationId,
      memberId: requester.id,
    });
    await context.audit.append(tx, customerId, {
      kind: 'credentials.asked',
      operationId,
      payload: { from: requester.id },
    });
    return { thread, link };
  });
  if (!issued?.thread) return;
  const card = linkCard(operation, connectUrl(context, issued.link.token));
  const { ref } = issued.thread;
  await context.chat(ref.platform).ephemeral(ref, requester.person, card, { key: linkSlot(issued.link.id) });
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
  if (operation.requester.id !== member.id)
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
    ({ id, state, requester }) =>
      state === 'awaiting_credentials' && requester.id === member.id && (words.trim() === '' || id === named),
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

export type SignInOutcome =
  | { readonly kind: 'entered'; readonly operation: Operation }
  /** Messages at the fields; the link is not spent. */
  | { readonly kind: 'invalid'; readonly errors: Readonly<Record<string, string>> }
  /** Unknown, spent, expired, or the operation no longer waits or is no longer countersigned: they look alike. */
  | { readonly kind: 'gone' };

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

/** Takes what was entered: spent link, vault, audit entry, move to the queue and its job are one transaction. */
export async function submitSignIn(
  context: Context,
  token: string,
  fields: Readonly<Record<string, string>>,
): Promise<SignInOutcome> {
  const form = await signInForm(context, token);
  if (!form) return { kind: 'gone' };
  const { link, operation } = form;
  const entered = enteredFields(operation, fields);
  const errors = invalidFields(operation, entered);
  if (Object.keys(errors).length > 0) return { kind: 'invalid', errors };
  const { customerId, id: operationId } = operation;
  const isEntered = await context.database
    .withCustomer(customerId, async (tx) => {
      // The operation's row before its link's, as whoever ends the operation takes them.
      await lock(tx, customerId, operationId);
      if (!(await context.consents.verify(tx, customerId, operationId)).hasConsent) return false;
      if (!(await context.links.spend(tx, link))) return false;
      await storeEntered(tx, context.vault, operation, entered);
      if (!(await hasEntered(tx, context.vault, operation))) return false;
      const jobId = await context.queue.sendOperation(tx, { customerId, operationId });
      const entry = {
        kind: 'credentials.entered',
        actor: link.memberId,
        payload: { fields: operation.way.fields.map(({ name }) => name) },
      } as const;
      const fence = await context.mover.move(tx, customerId, {
        operationId,
        from: ['awaiting_credentials'],
        to: 'queued',
        fence: operation.fence,
        set: { jobId },
        entry,
      });
      if (fence === undefined) throw new Stopped('moved', 'the operation moved while its sign-in was entered'); // rolls everything back
      return true;
    })
    .catch((error: unknown) => {
      if (error instanceof Stopped) return false;
      throw error;
    });
  return isEntered ? { kind: 'entered', operation } : { kind: 'gone' };
}

/** A key is copied with what stands around it; a password may begin with a space. */
function enteredFields({ way }: Operation, fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const textOf = (text = '') => (way.kind !== 'browser' ? text.trim() : text);
  return Object.fromEntries(way.fields.map(({ name }) => [name, textOf(fields[name])]));
}

function invalidFields(operation: Operation, fields: Readonly<Record<string, string>>): Record<string, string> {
  const errors: Record<string, string> = {};
  for (const field of operation.way.fields) {
    const problem = field.validate(fields[field.name] ?? '', operation.plan.values);
    if (problem) errors[field.name] = problem;
  }
  return errors;
}
