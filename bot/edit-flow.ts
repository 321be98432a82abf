import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ThreadState } from '../core/operations/threads.ts';
import type { Block, Card, ChatEvent } from '../core/ports/chat.ts';
import { code, place, text } from './cards/text.ts';
import { stopOperation } from './commands/stop.ts';
import type { Context } from './context.ts';
import { type Intent, understand } from './intent.ts';
import type { Wish } from './intent-several.ts';
import { requestSetUp } from './request-flow.ts';
import { whisper } from './speak.ts';
import { requestSetUpTogether } from './together-request-flow.ts';

type Edit = Extract<ChatEvent, { kind: 'edit' }>;
type Request = Extract<Intent, { kind: 'set_up' | 'set_up_together' }>;

/**
 * A request whose words were changed before anybody approved it is withdrawn, and the new words are a request of their own:
 * an approver approves what stands there. Once approved, or when the words are gone, withdrawing is offered.
 */
export async function followEdit(
  context: Context,
  { customerId, member, thread }: { customerId: CustomerId; member: Member; thread: ThreadState },
  event: Edit,
): Promise<void> {
  const before = await understand(event.before, context.services, undefined);
  if (!isRequest(before)) return;
  const operations = await requestsBehind(context, customerId, member, thread, wishesOf(before));
  if (operations.length === 0) return;
  const after = event.after === undefined ? undefined : await understand(event.after, context.services, undefined);
  const again = after && isRequest(after) ? after : undefined;
  if (again && isSame(context, wishesOf(before), wishesOf(again))) return;
  if (!again || operations.some(({ state }) => state !== 'awaiting_consent'))
    return whisper(context, event, offer(operations, event));
  for (const { id } of operations)
    await stopOperation(context, customerId, member, { ...event, id: `${event.id}/withdrawn/${id}` }, id);
  const { id, from, after: words = '' } = event;
  const asked: ChatEvent = { kind: 'message', id, from, thread: event.thread, text: words };
  const asking = { customerId, member, thread, event: asked };
  await (again.kind === 'set_up' ? requestSetUp(context, asking, again) : requestSetUpTogether(context, asking, again));
}

function isRequest(intent: Intent): intent is Request {
  return intent.kind === 'set_up' || intent.kind === 'set_up_together';
}

function wishesOf(request: Request): readonly Wish[] {
  if (request.kind === 'set_up_together') return request.wishes;
  const { service, target, wantsWrite } = request;
  return service === undefined ? [] : [{ service, wantsWrite, ...(target !== undefined && { target }) }];
}

/** The open operations that those words began. */
async function requestsBehind(
  context: Context,
  customerId: CustomerId,
  member: Member,
  thread: ThreadState,
  wishes: readonly Wish[],
): Promise<readonly Operation[]> {
  const operations = await context.database.withCustomer(customerId, (tx) =>
    context.operations.ofThread(tx, customerId, thread.id),
  );
  return wishes.flatMap((wish) => {
    const behind = operations.findLast(
      ({ state, requester, service, plan }) =>
        (state === 'awaiting_consent' || state === 'awaiting_credentials') &&
        requester.id === member.id &&
        service.id === wish.service &&
        (wish.target === undefined || baseOf(context, wish) === plan.base),
    );
    return behind ? [behind] : [];
  });
}

function baseOf(context: Context, { service, target }: Wish): string | undefined {
  const parsed = target && context.services.find(({ id }) => id === service)?.parseTarget(target);
  return parsed && parsed.kind !== 'invalid' ? parsed.base : target;
}

function isSame(context: Context, before: readonly Wish[], after: readonly Wish[]): boolean {
  const isAsBefore = (wish: Wish) =>
    before.some(
      (earlier) =>
        earlier.service === wish.service &&
        earlier.wantsWrite === wish.wantsWrite &&
        baseOf(context, earlier) === baseOf(context, wish),
    );
  return before.length === after.length && after.every(isAsBefore);
}

function offer(operations: readonly Operation[], { after }: Edit): Card {
  const what = after === undefined ? 'You deleted your request' : 'You changed your request';
  const confirm = {
    title: 'Withdraw this request?',
    text: 'Nothing was done yet, and nothing will be.',
    yes: 'Withdraw it',
    isSafe: true,
  };
  const each = operations.map(({ id, service, plan, state }) => {
    const stands = state === 'awaiting_consent' ? 'still waits for approval' : 'is countersigned as it was';
    const words = `${what} to set up ${service.name} for ${place(plan.base)}, and it ${stands}: `;
    const blocks: readonly Block[] = [
      { kind: 'text', text: [text(words), code(id), text('. Shall it be withdrawn?')] },
      {
        kind: 'actions',
        buttons: [{ label: 'Withdraw it', style: 'danger', action: 'stop', value: id, confirm }],
      },
    ];
    return { summary: `${words}${id}`, blocks };
  });
  return { summary: each.map(({ summary }) => summary).join(' '), blocks: each.flatMap(({ blocks }) => blocks) };
}
