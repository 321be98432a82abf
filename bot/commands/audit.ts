import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import { parseOperationId } from '../../core/ids.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { auditCard } from '../cards/audit-card.ts';
import { text } from '../cards/text.ts';
import { type Context, connectUrl } from '../context.ts';
import { isAdminNow, refuse } from '../refusal.ts';
import { reply, whisper, whisperWords } from '../speak.ts';
import { NO_OPERATION, operationList } from './operations.ts';

const NEWEST = 5;

/**
 * `/audit op-…`, or `/audit` alone for the operation of the thread it is written in. Admins only; an unknown id and
 * somebody else's get the same answer.
 */
export async function showAudit(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return refuse(context, customerId, member, event, {
      asked: 'audit',
      words: 'Only an admin can read audit trails. Ask one of your admins.',
    });
  // A page's button says which one.
  const [, name = '', page = '1'] = /^(.*?)(?: page (\d{1,4}))?$/s.exec(words.trim()) ?? [];
  const id = name === '' ? await idOfThread(context, customerId, event) : parseOperationId(name);
  const trail = id && (await readTrail(context, customerId, member, id));
  if (trail) return whisper(context, event, auditCard({ ...trail, page: Number(page) }));
  if (words.trim() === '') return askWhich(context, customerId, event);
  await whisperWords(
    context,
    event,
    `There is no operation “${words.trim().slice(0, 40)}” here. An id looks like op-7k3f9q2m.`,
  );
}

/** The trail for everybody in the thread to see, without the links that are the reader's own; admins only. */
export async function shareAudit(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return refuse(context, customerId, member, event, {
      asked: 'audit',
      words: 'Only an admin can share audit trails. Nothing was shared.',
    });
  const id = parseOperationId(event.value);
  const trail = id && (await readTrail(context, customerId, member, id));
  if (!trail) return whisperWords(context, event, 'There is no such operation here. Nothing was shared.');
  const { exportUrls: _, ...shown } = trail;
  await reply(context, event, auditCard(shown), 'shared');
}

/** The latest one of the thread. */
async function idOfThread(context: Context, customerId: CustomerId, event: ChatEvent) {
  const operations = await context.database.withCustomer(customerId, async (tx) => {
    const thread = await context.threads.open(tx, customerId, event.thread);
    return context.operations.ofThread(tx, customerId, thread.id);
  });
  return operations.at(-1)?.id;
}

async function askWhich(context: Context, customerId: CustomerId, event: ChatEvent): Promise<void> {
  const operations = await context.database.withCustomer(customerId, (tx) =>
    context.operations.latest(tx, customerId, NEWEST),
  );
  const [newest] = operations;
  if (!newest) return whisperWords(context, event, NO_OPERATION);
  const words = `There is no operation in this thread. Name one, such as /audit ${newest.id}; the newest are:`;
  await whisper(context, event, {
    summary: words,
    blocks: [{ kind: 'text', text: [text(words)] }, operationList(operations)],
  });
}

/** Reading is itself on record. */
async function readTrail(context: Context, customerId: CustomerId, member: Member, id: string) {
  const { checkpoints, problems } = await context.checkpoints.held(customerId);
  const verdict = await context.audit.verify(customerId, checkpoints);
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
      jsonl: connectUrl(context, (await issue()).token, 'jsonl'),
    };
    await context.audit.append(tx, customerId, { kind: 'trail.read', operationId: operation.id, actor: member.id });
    return {
      operation,
      entries,
      verdict,
      checkpoint: checkpoints.at(-1),
      problems,
      exportUrls,
      nameOf: (memberId: string) => members.get(memberId) ?? 'somebody',
    };
  });
}
