import { isSamePerson } from '../core/customers/customers.ts';
import { effectsOf, hadEffect } from '../core/operations/events.ts';
import type { Operation } from '../core/operations/operation.ts';
import { isEnd } from '../core/operations/states.ts';
import type { Block, Card, ChatEvent } from '../core/ports/chat.ts';
import { withdraw } from './cards/consent-parts.ts';
import { stopButton } from './cards/progress-card.ts';
import { code, place, text } from './cards/text.ts';
import type { Context, Scene } from './context.ts';
import { type Intent, understand } from './intent.ts';
import type { Wish } from './intent-several.ts';
import { requestSetUp } from './request-flow.ts';
import { whisper } from './speak.ts';
import { requestSetUpTogether } from './together-request-flow.ts';

type Edit = Extract<ChatEvent, { kind: 'edit' }>;
type Request = Extract<Intent, { kind: 'set_up' | 'set_up_together' }>;

/**
 * A request whose words were changed before anybody approved it is withdrawn, and the new words are a request of their own:
 * an approver approves what stands there. Once approved, or when the words are gone, withdrawing is offered; once begun, stopping.
 */
export async function followEdit(context: Context, { customerId, member, thread }: Scene, event: Edit): Promise<void> {
  const after = event.after === undefined ? undefined : await understand(event.after, context.services, undefined);
  const again = after && isRequest(after) ? after : undefined;
  const withdrawal = { platform: event.thread.platform, id: `${event.id}/withdrawn` };
  // An edit that comes again may have come no further than that.
  if (!(await context.database.withCustomer(customerId, (tx) => hadEffect(tx, customerId, withdrawal)))) {
    const { wishes, operations } = await requestedBy(context, { customerId, member, thread }, event);
    if (operations.length === 0) return;
    if (again && isSame(context, wishes, wishesOf(again))) return;
    if (!again) return whisper(context, event, offer(operations, event));
    const ids = operations.map(({ id }) => id);
    const outcome = await context.control.withdraw(customerId, ids, { by: member, event: withdrawal });
    if (outcome.kind === 'decided') return whisper(context, event, offer(outcome.operations, event));
  }
  if (!again) return;
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

interface Requested {
  readonly wishes: readonly Wish[];
  /** Those that are open. */
  readonly operations: readonly Operation[];
}

/** What stood there asked for, by its words or, where the platform doesn't say them, by what is on record of them. */
async function requestedBy(context: Context, { customerId, member, thread }: Scene, event: Edit): Promise<Requested> {
  const { before, of } = event;
  const said = before === undefined ? undefined : await understand(before, context.services, undefined);
  const nothing: Requested = { wishes: [], operations: [] };
  if (said && !isRequest(said)) return nothing;
  return context.database.withCustomer(customerId, async (tx) => {
    const operations = (await context.operations.ofThread(tx, customerId, thread.id)).filter(
      ({ state, requester }) => !isEnd(state) && isSamePerson(requester, member),
    );
    if (said) return { wishes: wishesOf(said), operations: behind(context, operations, wishesOf(said)) };
    const { platform } = event.thread;
    const times = of === undefined ? [] : await effectsOf(tx, customerId, { platform, id: of });
    const begun = operations.filter(({ createdAt }) =>
      times.some((at) => createdAt >= at && createdAt.getTime() < at.getTime() + MOST_APART_MS),
    );
    return { wishes: begun.map(wishBehind), operations: begun };
  });
}

/** Of what one message asked for: it is made in one transaction, which has one time, a millisecond apart from each other. */
const MOST_APART_MS = 20;

function wishBehind({ service, plan, type }: Operation): Wish {
  const chosen = type.permissions.filter(({ id, isRequired }) => !isRequired && plan.permissions.includes(id));
  return {
    ...{ service: service.id, target: plan.base },
    wantsWrite: chosen.some(({ isDefault, risk }) => !isDefault && risk === 'changes'),
  };
}

/** The operations that those words began. */
function behind(context: Context, operations: readonly Operation[], wishes: readonly Wish[]): readonly Operation[] {
  return wishes.flatMap((wish) => {
    const found = operations.findLast(
      ({ service, plan }) =>
        service.id === wish.service && (wish.target === undefined || baseOf(context, wish) === plan.base),
    );
    return found ? [found] : [];
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
  const each = operations.map((operation) => {
    const { id, service, plan } = operation;
    const { stands, ends, button } = wayOut(operation);
    const words = `${what} to set up ${service.name} for ${place(plan.base)}, and it ${stands}: `;
    const blocks: readonly Block[] = [
      { kind: 'text', text: [text(words), code(id), text(`. Shall it be ${ends}?`)] },
      { kind: 'actions', buttons: [button] },
    ];
    return { summary: `${words}${id}`, blocks };
  });
  return { summary: each.map(({ summary }) => summary).join(' '), blocks: each.flatMap(({ blocks }) => blocks) };
}

/** Where it stands, and what can still be done about it. */
function wayOut(operation: Operation) {
  const withdrawing = { ends: 'withdrawn', button: { ...withdraw(operation), label: 'Withdraw it' } };
  if (operation.state === 'awaiting_consent') return { stands: 'still waits for approval', ...withdrawing };
  if (operation.state === 'awaiting_credentials') return { stands: 'is countersigned as it was', ...withdrawing };
  return { stands: 'is countersigned and goes on as it was', ends: 'stopped', button: stopButton(operation) };
}
