import { type Asked, recordRefusal } from '../core/audit/refusal.ts';
import type { Member } from '../core/customers/customers.ts';
import type { CustomerId, OperationId } from '../core/ids.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { Context } from './context.ts';
import { whisperWords } from './speak.ts';

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
