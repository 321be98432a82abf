import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { ThreadState } from '../core/operations/threads.ts';
import type { Card, ChatEvent } from '../core/ports/chat.ts';
import { code, place, text } from './cards/text.ts';
import { stopOperation } from './commands/stop.ts';
import type { Context } from './context.ts';
import { type Intent, understand } from './intent.ts';
import { requestSetUp } from './request-flow.ts';
import { whisper } from './speak.ts';

type Edit = Extract<ChatEvent, { kind: 'edit' }>;
type SetUp = Extract<Intent, { kind: 'set_up' }>;

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
  if (before.kind !== 'set_up') return;
  const operation = await requestBehind(context, customerId, member, thread, before);
  if (!operation) return;
  const after = event.after === undefined ? undefined : await understand(event.after, context.services, undefined);
  if (after?.kind === 'set_up' && isSame(context, before, after)) return;
  if (after?.kind !== 'set_up' || operation.state !== 'awaiting_consent')
    return whisper(context, event, offer(operation, event));
  const withdrawal = { ...event, id: `${event.id}/withdrawn` };
  await stopOperation(context, customerId, member, withdrawal, operation.id);
  const { id, from, after: words = '' } = event;
  const asked: ChatEvent = { kind: 'message', id, from, thread: event.thread, text: words };
  await requestSetUp(context, { customerId, member, thread, event: asked }, after);
}

/** The open operation that those words began, if they began one. */
async function requestBehind(
  context: Context,
  customerId: CustomerId,
  member: Member,
  thread: ThreadState,
  before: SetUp,
): Promise<Operation | undefined> {
  const operations = await context.database.withCustomer(customerId, (tx) =>
    context.operations.ofThread(tx, customerId, thread.id),
  );
  return operations.findLast(
    ({ state, requester, service, plan }) =>
      (state === 'awaiting_consent' || state === 'awaiting_credentials') &&
      requester.id === member.id &&
      service.id === before.service &&
      (before.target === undefined || baseOf(context, before) === plan.base),
  );
}

function baseOf(context: Context, { service, target }: SetUp): string | undefined {
  const parsed = target && context.services.find(({ id }) => id === service)?.parseTarget(target);
  return parsed && parsed.kind !== 'invalid' ? parsed.base : target;
}

function isSame(context: Context, before: SetUp, after: SetUp): boolean {
  return (
    before.service === after.service &&
    before.wantsWrite === after.wantsWrite &&
    baseOf(context, before) === baseOf(context, after)
  );
}

function offer(operation: Operation, { after }: Edit): Card {
  const { id, service, plan, state } = operation;
  const what = after === undefined ? 'You deleted your request' : 'You changed your request';
  const stands = state === 'awaiting_consent' ? 'still waits for approval' : 'is countersigned as it was';
  const words = ` to set up ${service.name} for ${place(plan.base)}, and it ${stands}: `;
  const confirm = {
    title: 'Withdraw this request?',
    text: 'Nothing was done yet, and nothing will be.',
    yes: 'Withdraw it',
    isSafe: true,
  };
  return {
    summary: `${what}${words}${id}`,
    blocks: [
      { kind: 'text', text: [text(`${what}${words}`), code(id), text('. Shall it be withdrawn?')] },
      {
        kind: 'actions',
        buttons: [{ label: 'Withdraw it', style: 'danger', action: 'stop', value: id, confirm }],
      },
    ],
  };
}
