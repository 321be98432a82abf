import type { ConsentRecord } from '../../core/consent/records.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import { bold, code, place, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { reply, whisper, whisperWords } from '../speak.ts';

const SHOWN = 10;

/** `/countersign consents`: what is countersigned right now, and until when; whoever may take it back can do so here. */
export async function listConsents(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
): Promise<void> {
  const { consents, nameOf } = await context.database.withCustomer(customerId, async (tx) => {
    const members = await context.customers.members(tx, customerId);
    return {
      consents: await context.consents.list(tx, customerId, { activeOnly: true }),
      nameOf: (id: string) => members.find((known) => known.id === id)?.person.name ?? 'somebody',
    };
  });
  if (consents.length === 0)
    return whisperWords(context, event, 'Nothing is countersigned at the moment, so nothing can run.');
  const isTrusted = member.roles.some((role) => role === 'approver' || role === 'admin');
  await whisper(context, event, {
    summary: `${consents.length} live countersignatures`,
    blocks: [
      { kind: 'text', text: [bold('Countersigned right now')] },
      ...consents.slice(0, SHOWN).flatMap((consent) => shown(consent, nameOf(consent.userId), isTrusted)),
    ],
  });
}

function shown(consent: ConsentRecord, approver: string, mayRevoke: boolean): readonly Block[] {
  const { id, operationId, target, standing, expiresAt } = consent;
  const what: Block = {
    kind: 'text',
    text: [
      code(operationId),
      text(` ${standing ? 'Repairs for ' : ''}${place(target)}, countersigned by ${approver}`),
      ...(expiresAt ? [text(', until '), { kind: 'time', at: expiresAt, form: 'datetime' } as const] : []),
    ],
  };
  const confirm = { title: 'Take it back?', text: 'What still runs under it stops.', yes: 'Revoke it' };
  const button = { label: 'Revoke', style: 'danger', action: 'revoke_consent', value: id, confirm } as const;
  return mayRevoke ? [what, { kind: 'actions', buttons: [button] }] : [what];
}

/** Takes one back: whoever asked, an approver or an admin. */
export async function revokeConsent(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    const consent = await context.consents.getById(tx, customerId, event.value);
    const operation = consent && (await context.operations.get(tx, customerId, consent.operationId));
    if (!operation) return 'gone';
    if (operation.requester.id !== member.id && !member.roles.some((role) => role === 'approver' || role === 'admin'))
      return 'not_allowed';
    return (await context.consents.revokeById(tx, customerId, event.value, member)) ? operation : 'gone';
  });
  if (outcome === 'gone')
    return whisperWords(context, event, 'That is not countersigned any more. Nothing was changed.');
  if (outcome === 'not_allowed')
    return whisperWords(
      context,
      event,
      'Only whoever asked, an approver or an admin can revoke it. Nothing was changed.',
    );
  const words = `${member.person.name} took back the countersignature of ${outcome.id}. What ran under it stops.`;
  await reply(context, event, { summary: words, blocks: [{ kind: 'text', text: [text(words)] }] }, 'consent-revoked');
  await context.progress.refresh(customerId, outcome.threadId);
}
