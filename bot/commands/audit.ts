import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import { parseOperationId } from '../../core/ids.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { auditCard } from '../cards/audit-card.ts';
import { type Context, connectUrl } from '../context.ts';
import { refuse } from '../refusal.ts';
import { whisper, whisperWords } from '../speak.ts';

/** `/audit op-…`: admins only; an unknown id and somebody else's get the same answer. */
export async function showAudit(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  if (!member.roles.includes('admin'))
    return refuse(context, customerId, member, event, {
      asked: 'audit',
      words: 'Only an admin can read audit trails. Ask one of your admins.',
    });
  const id = words.trim() === '' ? await latestId(context, customerId) : parseOperationId(words);
  const trail = id && (await readTrail(context, customerId, member, id));
  if (!trail)
    return whisperWords(
      context,
      event,
      words.trim() === ''
        ? 'There is no operation yet.'
        : `There is no operation “${words.trim().slice(0, 40)}” here. An id looks like op-7k3f9q2m.`,
    );
  await whisper(context, event, auditCard(trail));
}

async function latestId(context: Context, customerId: CustomerId) {
  const [latest] = await context.database.withCustomer(customerId, (tx) =>
    context.operations.latest(tx, customerId, 1),
  );
  return latest?.id;
}

/** Reading is itself on record. */
async function readTrail(context: Context, customerId: CustomerId, member: Member, id: string) {
  const verdict = await context.audit.verify(customerId);
  return context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, id);
    if (!operation) return undefined;
    const entries = await context.audit.entriesOf(tx, customerId, operation.id);
    const members = new Map(
      (await context.customers.members(tx, customerId)).map((m) => [m.id as string, m.person.name]),
    );
    const issue = () =>
      context.links.issue(tx, customerId, { purpose: 'export', operationId: operation.id, memberId: member.id });
    const exportUrls = {
      json: connectUrl(context, (await issue()).token, 'json'),
      csv: connectUrl(context, (await issue()).token, 'csv'),
    };
    await context.audit.append(tx, customerId, { kind: 'trail.read', operationId: operation.id, actor: member.id });
    return {
      operation,
      entries,
      verdict,
      exportUrls,
      nameOf: (memberId: string) => members.get(memberId) ?? 'somebody',
    };
  });
}
