import type { CustomerId } from '../../core/ids.ts';
import type { ChatEvent } from '../../core/ports/chat.ts';
import { stateWords } from '../cards/audit-card.ts';
import { bold, clock, code, place, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { whisper, whisperWords } from '../speak.ts';

const LATEST = 10;

/** `/countersign operations`: the latest ones of this workspace. */
export async function listOperations(context: Context, customerId: CustomerId, event: ChatEvent): Promise<void> {
  const operations = await context.database.withCustomer(customerId, (tx) =>
    context.operations.latest(tx, customerId, LATEST),
  );
  if (operations.length === 0)
    return whisperWords(
      context,
      event,
      'There is no operation yet. Write “set up WooCommerce for shop.example.com” to begin one.',
    );
  await whisper(context, event, {
    summary: `${operations.length} latest operations`,
    blocks: [
      { kind: 'text', text: [bold('Latest operations')] },
      {
        kind: 'list',
        items: operations.map((operation) => ({
          text: [
            code(operation.id),
            text(` ${operation.service.name} for ${place(operation.plan.base)} · `),
            clock(operation.createdAt),
          ],
          detail: stateWords(operation.state),
        })),
      },
    ],
  });
}
