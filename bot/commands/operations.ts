import type { CustomerId } from '../../core/ids.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import { stateWords } from '../cards/audit-card.ts';
import { bold, code, place, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { whisper, whisperWords } from '../speak.ts';

const LATEST = 10;

/** `/countersign operations`: the latest ones of this workspace. */
export async function listOperations(context: Context, customerId: CustomerId, event: ChatEvent): Promise<void> {
  const operations = await context.database.withCustomer(customerId, (tx) =>
    context.operations.latest(tx, customerId, LATEST),
  );
  if (operations.length === 0) return whisperWords(context, event, NO_OPERATION);
  await whisper(context, event, {
    summary: `${operations.length} latest operations`,
    blocks: [{ kind: 'text', text: [bold('Latest operations')] }, operationList(operations)],
  });
}

export const NO_OPERATION = 'There is no operation yet. Write “set up WooCommerce for shop.example.com” to begin one.';

export function operationList(operations: readonly Operation[]): Block {
  return {
    kind: 'list',
    items: operations.map(({ id, service, plan, createdAt, state }) => ({
      text: [
        code(id),
        text(` ${service.name} for ${place(plan.base)} · `),
        { kind: 'time', at: createdAt, form: 'datetime' },
      ],
      detail: stateWords(state),
    })),
  };
}
