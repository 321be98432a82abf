import type { ConsentRecord } from '../../core/consent/records.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Transaction } from '../../core/database.ts';
import type { CustomerId } from '../../core/ids.ts';
import { takeEvent } from '../../core/operations/events.ts';
import { mayRevoke } from '../../core/operations/revocation.ts';
import { isEnd, type OperationState, parseState } from '../../core/operations/states.ts';
import { isUnread } from '../../core/operations/threads.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import { stateWords } from '../cards/audit-card.ts';
import { bold, code, note, place, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { eventRef, whisper, whisperWords } from '../speak.ts';

const SHOWN = 10;

interface Live {
  readonly consent: ConsentRecord;
  readonly title: string;
  readonly state: OperationState;
  readonly isRevocable: boolean;
}

/** `/countersign consents`: what may run right now by whose word, and until when; who may take it back can do so here. */
export async function listConsents(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
): Promise<void> {
  const { live, nameOf } = await context.database.withCustomer(customerId, async (tx) => {
    const members = await context.customers.members(tx, customerId);
    return {
      live: await liveConsents(context, tx, customerId, { member, members }),
      nameOf: (id: string) => members.find((known) => known.id === id)?.person.name ?? 'somebody',
    };
  });
  if (live.length === 0)
    return whisperWords(context, event, 'Nothing is countersigned at the moment, so nothing can run.');
  const rest = live.length - SHOWN;
  await whisper(context, event, {
    summary: live.length === 1 ? '1 live countersignature' : `${live.length} live countersignatures`,
    blocks: [
      { kind: 'text', text: [bold('Countersigned right now')] },
      ...live.slice(0, SHOWN).flatMap((each) => shown(each, nameOf(each.consent.userId))),
      ...(rest > 0 ? note(`And ${rest} more, older ones.`, 'quiet').blocks : []),
    ],
  });
}

/** Newest first, one an operation: under what ended nothing runs any more, unless it is a standing grant for repairs. */
async function liveConsents(
  context: Context,
  tx: Transaction,
  customerId: CustomerId,
  { member, members }: { readonly member: Member; readonly members: readonly Member[] },
): Promise<readonly Live[]> {
  const consents = await context.consents.list(tx, customerId, { activeOnly: true });
  const operations = await tx.operation.findMany({
    where: { customerId, id: { in: consents.map(({ operationId }) => operationId) } },
    select: { id: true, status: true, userId: true },
  });
  const byId = new Map(operations.map((operation) => [operation.id, operation]));
  const seen = new Set<string>();
  return consents.flatMap((consent): readonly Live[] => {
    const operation = byId.get(consent.operationId);
    const key = `${consent.operationId} ${consent.standing !== null}`; // one that was prolonged has several
    if (!operation || seen.has(key)) return [];
    seen.add(key);
    const state = parseState(operation.status);
    if (isEnd(state) && !consent.standing) return [];
    const service = context.services.find(({ id }) => id === consent.service);
    const title =
      Object.values(service?.operationTypes ?? {}).find(({ type }) => type === consent.operation)?.title ??
      consent.service;
    const requester = members.find(({ id }) => id === operation.userId);
    return [{ consent, title, state, isRevocable: mayRevoke(requester && { requester }, member) }];
  });
}

function shown({ consent, title, state, isRevocable }: Live, approver: string): readonly Block[] {
  const { id, operationId, target, standing, expiresAt } = consent;
  const what: Block = {
    kind: 'text',
    text: [
      code(operationId),
      text(` ${title} for ${place(target)} · ${standing ? comingWords(standing.keeps) : stateWords(state)}`),
      text(` · countersigned by ${approver}`),
      ...(expiresAt ? [text(', until '), { kind: 'time', at: expiresAt, form: 'datetime' } as const] : []),
    ],
  };
  const confirm = {
    title: `Take back ${operationId}?`,
    text: standing
      ? 'No repair runs under it any more, and the sign-in that it keeps is deleted.'
      : 'What still runs under it stops, and its thread says who took it back.',
    yes: 'Revoke it',
    isSafe: true,
  };
  const button = { label: 'Revoke', style: 'danger', action: 'revoke_consent', value: id, confirm } as const;
  return isRevocable ? [what, { kind: 'actions', buttons: [button] }] : [what];
}

function comingWords(keeps: readonly string[]): string {
  return `for repairs to come, keeps ${keeps.length > 0 ? 'the sign-in for them' : 'no sign-in'}`;
}

/** Takes one back: whoever asked, an approver or an admin. Its own thread says so, wherever the button was pressed. */
export async function revokeConsent(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    const consent = await context.consents.getById(tx, customerId, event.value);
    const operation = consent && (await context.operations.get(tx, customerId, consent.operationId));
    const thread = operation && (await context.threads.get(tx, customerId, operation.threadId));
    if (!operation || !thread) return 'gone';
    if (!mayRevoke(operation, member)) return 'not_allowed';
    const isRepeated = !(await takeEvent(tx, customerId, eventRef(event)));
    const isRevoked = isRepeated
      ? consent.revokedAt !== null
      : await context.consents.revokeById(tx, customerId, event.value, member);
    const isStanding = consent.standing !== null;
    return isRevoked ? { operation, thread, isRepeated, isStanding } : isRepeated ? 'repeated' : 'gone';
  });
  if (outcome === 'repeated') return;
  if (outcome === 'gone')
    return whisperWords(context, event, 'That is not countersigned any more. Nothing was changed.');
  if (outcome === 'not_allowed')
    return whisperWords(
      context,
      event,
      'Only whoever asked, an approver or an admin can revoke it. Nothing was changed.',
    );
  const { operation, thread, isRepeated, isStanding } = outcome;
  const effect = isStanding ? 'Its key is not repaired by itself any more' : 'What ran under it stops';
  const what = isStanding ? 'the consent to repairs' : 'the countersignature';
  const words = `${member.person.name} took back ${what} of ${operation.id}. ${effect}.`;
  if (!isUnread(thread.ref))
    await context.chat(thread.ref.platform).post(thread.ref, note(words), { key: `consent-revoked:${event.id}` });
  await context.progress.refresh(customerId, operation.threadId);
  if (!isRepeated)
    await whisperWords(context, event, `Taken back: ${operation.id}. ${effect}, and its own thread says so.`);
}
