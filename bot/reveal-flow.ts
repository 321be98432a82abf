import { recordRefusal } from '../core/audit/refusal.ts';
import type { Member } from '../core/customers/customers.ts';
import type { Transaction } from '../core/database.ts';
import { type CustomerId, parseOperationId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { ConnectOutcome } from '../core/ports/connect.ts';
import { LINK_MINUTES, type Link } from '../core/vault/links.ts';
import { place, text } from './cards/text.ts';
import type { Context } from './context.ts';
import { issueLink, showLink } from './link-flow.ts';
import { isAdminNow, refuse } from './refusal.ts';
import { eventRef, whisperWords } from './speak.ts';

/** Reveal on a result: a one-time page for the admin who pressed it, and nobody else. */
export async function sendRevealLink(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'action' }>,
): Promise<void> {
  if (!(await isAdminNow(context, member))) {
    const about = parseOperationId(event.value);
    const words = 'Only an admin can have a stored key shown. Nothing was shown.';
    return refuse(context, customerId, member, event, { asked: 'reveal', words, ...(about ? { about } : {}) });
  }
  const issued = await context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, event.value);
    if (!operation || !(await context.vault.within(tx).resultOf(customerId, operation.id))) return undefined;
    const link = { purpose: 'reveal', operation, to: member } as const;
    return (await issueLink(context, tx, link, { event: eventRef(event) })) ?? 'sent';
  });
  if (issued === 'sent') return;
  if (!issued) return whisperWords(context, event, 'That key is not in the vault any more. Nothing was shown.');
  await showLink(context, issued, revealCard(issued.operation, issued.url));
}

function revealCard(operation: Operation, url: string) {
  const words = `Your one-time page shows the ${operation.service.name} key for ${place(operation.plan.base)}.`;
  const button = {
    label: 'Open the one-time page',
    style: 'primary',
    action: 'open',
    value: operation.id,
    url,
  } as const;
  const small = `For you alone, once, for ${LINK_MINUTES} minutes. That it was shown, and to whom, goes on record.`;
  return {
    summary: words,
    blocks: [
      { kind: 'text', text: [text(words)] },
      { kind: 'actions', buttons: [button] },
      { kind: 'text', tone: 'quiet', text: [text(small)] },
    ],
  } as const;
}

/** The name of what the link would show; `undefined` when it is gone, or its person is no admin any more. */
export function revealable(context: Context, link: Link): Promise<string | undefined> {
  return context.database.withCustomer(link.customerId, async (tx) => {
    const found = await stillMay(context, tx, link);
    return typeof found === 'object' ? found.label : undefined;
  });
}

/** Spends the link and opens the key for this one answer; the entry says to whom. */
export async function reveal(context: Context, link: Link): Promise<ConnectOutcome> {
  const { customerId, operationId, memberId } = link;
  const allowed = await context.database.withCustomer(customerId, async (tx) => {
    const found = await stillMay(context, tx, link);
    if (found === 'no_admin')
      await recordRefusal(tx, context.audit, customerId, { by: memberId, asked: 'reveal', about: operationId });
    return typeof found === 'object' && (await context.links.spend(tx, link)) ? found : undefined;
  });
  if (!allowed) return { kind: 'gone' };
  const { stored } = allowed;
  const inUse = await context.vault.open(
    {
      ...{ customerId, service: stored.service, type: stored.credentialType, target: stored.target },
      ...{ forOperation: operationId, actor: memberId, why: 'reveal', kind: 'credential.revealed' },
    },
    // Another operation's key may have taken its place since: that one is not what was asked for.
    (opened, found) =>
      found.metadata.operationId === operationId ? context.tokens.inUse(found, opened, 'reveal') : undefined,
  );
  if (!inUse) return { kind: 'gone' };
  return {
    kind: 'revealed',
    operationId,
    fields: Object.entries(inUse.fields).map(([name, secret]) => ({ label: labelOf(name), secret })),
  };
}

async function stillMay(context: Context, tx: Transaction, { customerId, operationId, memberId }: Link) {
  const member = await context.customers.memberById(tx, customerId, memberId);
  const operation = await context.operations.get(tx, customerId, operationId);
  const stored = operation && (await context.vault.within(tx).resultOf(customerId, operation.id));
  if (!isAdmin(member)) return 'no_admin';
  if (!operation || !stored) return undefined;
  return { stored, label: stored.metadata.label ?? operation.plan.label };
}

function isAdmin({ roles }: Member): boolean {
  return roles.includes('admin');
}

/** `consumer_key` → `Consumer key` */
function labelOf(name: string): string {
  const words = name.replaceAll('_', ' ');
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}
