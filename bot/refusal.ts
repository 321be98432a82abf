import { type Asked, recordRefusal } from '../core/audit/refusal.ts';
import type { Member, Role } from '../core/customers/customers.ts';
import type { CustomerId, OperationId } from '../core/ids.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { Context } from './context.ts';
import { whisperWords } from './speak.ts';

/**
 * An admin by our record, whom the platform calls a full member at this moment: who was made a guest, or has left, neither
 * changes the rules nor reads what admins read. Stopping is not asked about: it works while the platform is away.
 */
export function isAdminNow(context: Context, member: Member): Promise<boolean> {
  return isNow(context, member, ['admin']);
}

/** The same for either of these roles. */
export async function isNow(context: Context, { roles, person }: Member, wanted: readonly Role[]): Promise<boolean> {
  if (!wanted.some((role) => roles.includes(role))) return false;
  return (await context.chat(person.platform).standing(person)).kind === 'member';
}

/** Tells whoever lacks the role so, alone, and puts it on record. */
export async function refuse(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  refused: { readonly asked: Asked; readonly words: string; readonly about?: OperationId },
): Promise<void> {
  const { asked, words, about } = refused;
  await context.database.withCustomer(customerId, (tx) =>
    recordRefusal(tx, context.audit, customerId, { by: member.id, asked, ...(about ? { about } : {}) }),
  );
  await whisperWords(context, event, words);
}
