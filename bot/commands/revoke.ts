import type { Member } from '../../core/customers/customers.ts';
import { CountersignError } from '../../core/errors.ts';
import { type CustomerId, parseOperationId } from '../../core/ids.ts';
import { takeEvent } from '../../core/operations/events.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { deleteKeyOf, type Ended, endOnRecord, mayRevoke } from '../../core/operations/revocation.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import { asSecrets } from '../../core/vault/vault.ts';
import { bold, capital, sideOf, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { refuse } from '../refusal.ts';
import { eventRef, reply, whisperWords } from '../speak.ts';

/**
 * Revoke on a result: the key is ended at the vendor where an API can, leaves the vault for good, and the countersignature is
 * taken back. Where no API can, or it failed, people are told how.
 */
export async function revokeResult(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  const now = await endThere(context, customerId, member, event.value);
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, event.value);
    if (!operation) return 'unknown';
    if (!(await takeEvent(tx, customerId, eventRef(event))))
      return operation.result?.data.revokedAt
        ? { operation, ended: await endOnRecord(tx, context.audit, operation) }
        : 'repeated';
    if (!mayRevoke(operation, member)) return 'not_allowed';
    return (await deleteKeyOf(tx, context, operation, member, now)) ? { operation, ended: now } : 'gone';
  });
  if (outcome === 'repeated') return;
  if (outcome === 'unknown' || outcome === 'gone')
    return whisperWords(context, event, 'That key is not in the vault any more. Nothing was changed.');
  if (outcome === 'not_allowed') {
    const about = parseOperationId(event.value);
    return refuse(context, customerId, member, event, {
      asked: 'revoke',
      words: 'Only whoever asked, an approver or an admin can revoke it. Nothing was changed.',
      ...(about ? { about } : {}),
    });
  }
  const { operation, ended } = outcome;
  const label = operation.result?.data.label ?? operation.plan.label;
  const side = capital(sideOf(operation.service));
  const isEnded = ended?.kind === 'revoked';
  const there = isEnded ? ` ${side} no longer takes it.` : '';
  const words = `${member.person.name} revoked the key of ${operation.id}. It is deleted from the vault.${there}`;
  const failed = ended?.kind === 'fails' ? `${ended.reason} ` : '';
  await reply(
    context,
    event,
    {
      summary: words,
      blocks: [
        { kind: 'text', text: [text(words)] },
        ...(isEnded ? [] : byHand(operation, label, `${failed}${side} still knows it. `)),
      ],
    },
    'revoked',
  );
  await context.progress.refresh(customerId, operation.threadId);
}

/** What is left for a person to do, or to have done. */
function byHand({ id, service, type, plan }: Operation, label: string, lead: string): readonly Block[] {
  const items = type.revokeGuide(plan.base, label).map((step) => ({ text: [text(step)] }));
  const canDoIt = service.operationTypes.credential_revocation?.ways.some(({ kind }) => kind === 'browser');
  const button = {
    label: `End it in ${service.name} for me`,
    style: 'primary',
    action: 'revoke_there',
    value: id,
  } as const;
  return [
    { kind: 'text', tone: 'warning', text: [bold(lead), text('To end it there, too:')] },
    { kind: 'list', isNumbered: true, items },
    ...(canDoIt ? [{ kind: 'actions', buttons: [button] } satisfies Block] : []),
  ];
}

/**
 * Ends the key at the vendor, while there still is one to end it with: the vault is left after that, whatever came of it.
 * `undefined`: no API can, this member may not, or the operation's key is not in the vault.
 */
async function endThere(
  context: Context,
  customerId: CustomerId,
  member: Member,
  operationId: string,
): Promise<Ended | undefined> {
  const operation = await context.database.withCustomer(customerId, (tx) =>
    context.operations.get(tx, customerId, operationId),
  );
  if (!operation?.type.revoke || !mayRevoke(operation, member)) return undefined;
  const stored = await context.vault.resultOf(customerId, operation.id);
  if (!stored) return undefined;
  const { service, credentialType, target } = stored;
  const ref = { customerId, service, type: credentialType, target, actor: member.id, why: 'revoke' };
  const credential = await context.vault.open(ref, (opened, { metadata }) =>
    metadata.operationId === operation.id ? asSecrets(opened) : undefined,
  );
  if (!credential) return undefined;
  const { base, origin, permissions } = operation.plan;
  try {
    return await operation.type.revoke({ base, origin, credential, permissions, http: context.http });
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    const reason = `${capital(sideOf(operation.service))} could not be reached to end it there.`;
    return { kind: 'fails', reason };
  }
}
