import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import { mayControl } from '../core/operations/control.ts';
import { takeEvent } from '../core/operations/events.ts';
import type { ChatEvent } from '../core/ports/chat.ts';
import type { Context } from './context.ts';
import { whisperWords } from './speak.ts';

type Action = Extract<ChatEvent, { kind: 'action' }>;

/** Whether a result helped: on record with the operation, where whoever looks after the installation reads it. */
export async function rateResult(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  const [rating = '', id = ''] = event.value.split(' ');
  const isKnown = rating === 'good' || rating === 'bad';
  const isKept = await context.database.withCustomer(customerId, async (tx) => {
    const operation = isKnown ? await context.operations.get(tx, customerId, id) : undefined;
    if (!operation || !mayControl(operation, member)) return false;
    // Each opinion of each person once: whoever presses on adds nothing to the trail.
    const opinion = { platform: event.thread.platform, id: `rated/${operation.id}/${member.id}/${rating}` };
    if (await takeEvent(tx, customerId, opinion))
      await context.audit.append(tx, customerId, {
        ...{ kind: 'result.rated', operationId: operation.id, actor: member.id, payload: { rating } },
      });
    return true;
  });
  if (!isKept)
    return whisperWords(context, event, 'Whoever asked, an approver or an admin can rate this. Nothing was kept.');
  const more = rating === 'bad' ? ' Write here what went wrong, so that whoever looks after this can see it.' : '';
  await whisperWords(context, event, `Thank you, that is on record.${more}`);
}
