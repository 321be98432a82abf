import { type ConnectionView, connectionsOf } from '../core/connections/records.ts';
import { possibleApprovers, type Rules } from '../core/consent/policy.ts';
import { listRepairQuestions } from '../core/console/waiting.ts';
import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import { mayControl } from '../core/operations/control.ts';
import type { Operation } from '../core/operations/operation.ts';
import { isEnd } from '../core/operations/states.ts';
import { isUnread } from '../core/operations/threads.ts';
import type { Block, Button, ChatEvent, RichText, ThreadRef } from '../core/ports/chat.ts';
import { decisionButtons } from './cards/consent-card.ts';
import { stopButton } from './cards/progress-card.ts';
import { bold, clock, code, place, text } from './cards/text.ts';
import { operationList } from './commands/operations.ts';
import type { Context } from './context.ts';
import { standingQuestion } from './standing-question.ts';

/** So many of the newest operations are looked at: a page, not an archive. */
const LATEST = 50;
const SHOWN = 10;
const TRAILS = 5;

/** What the page is drawn from. */
interface Seen {
  readonly latest: readonly Operation[];
  readonly threads: ReadonlyMap<string, ThreadRef>;
  readonly members: readonly Member[];
  readonly rules: Rules;
  /** Open questions for repairs to come, the oldest first. */
  readonly repairs: readonly Asked[];
  /** Stored keys that are not well, the newest trouble first. */
  readonly troubled: readonly ConnectionView[];
}

type Asked = NonNullable<Awaited<ReturnType<typeof standingQuestion>>>;

/** A person's own page: what waits for them, what runs, what is connected, and where the record of it is. */
export async function showHome(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'home' | 'action' }>,
): Promise<void> {
  const chat = context.chat(event.thread.platform);
  if (!chat.showHome) return;
  const seen = await context.database.withCustomer(customerId, async (tx): Promise<Seen> => {
    const latest = await context.operations.latest(tx, customerId, LATEST);
    const threads = new Map<string, ThreadRef>();
    for (const id of new Set(latest.map(({ threadId }) => threadId))) {
      const thread = await context.threads.get(tx, customerId, id);
      if (thread && !isUnread(thread.ref)) threads.set(id, thread.ref);
    }
    const repairs: Asked[] = [];
    for (const { operationId } of await listRepairQuestions(tx, customerId, { most: SHOWN })) {
      const operation = await context.operations.get(tx, customerId, operationId);
      const asked = operation && (await standingQuestion(tx, context, operation));
      const thread = operation && (await context.threads.get(tx, customerId, operation.threadId));
      if (asked?.state.request.decision === null) repairs.push(asked);
      if (thread && !isUnread(thread.ref)) threads.set(thread.id, thread.ref);
    }
    const members = await context.customers.members(tx, customerId);
    const troubled = (await connectionsOf(tx, customerId))
      .filter(({ state, checkedAt }) => state !== 'healthy' && checkedAt !== null)
      .toSorted((one, other) => other.since.getTime() - one.since.getTime());
    return { latest, threads, members, rules: await context.customers.rules(tx, customerId), repairs, troubled };
  });
  await chat.showHome(event.from, { summary: 'Countersign', blocks: homeBlocks(context, seen, member) });
}

function homeBlocks(context: Context, seen: Seen, member: Member): readonly Block[] {
  const { latest } = seen;
  const waiting = latest.filter(({ state }) => state === 'awaiting_consent');
  const running = latest.filter(({ state }) => !isEnd(state) && state !== 'awaiting_consent');
  const connected = latest.filter(({ isKeyStored }) => isKeyStored);
  const isAdmin = member.roles.includes('admin');
  const example = `set up ${context.services[0]?.name ?? 'WooCommerce'} for shop.example.com`;
  const each = (operations: readonly Operation[], buttons: (operation: Operation) => readonly Button[]) =>
    operations.slice(0, SHOWN).flatMap((operation) => entry(context, seen, operation, buttons(operation)));
  return [
    { kind: 'heading', text: [text('Countersign')] },
    {
      kind: 'text',
      text: [text(`Write “${example}” to me, or in a channel that I am in. Nothing runs that nobody countersigned.`)],
    },
    ...part(
      'Waiting for approval',
      [
        ...each(waiting, (operation) => (mayPressApprove(seen, operation, member) ? decisionButtons(operation) : [])),
        ...seen.repairs.flatMap((asked) => repairEntry(context, seen, asked, member)),
      ],
      'Nothing waits.',
    ),
    ...part(
      'Under way',
      each(running, (operation) => (mayControl(operation, member) ? [stopButton(operation)] : [])),
      'Nothing is under way.',
    ),
    ...(seen.troubled.length > 0 ? part('Needs a look', [troubles(context, seen)], '') : []),
    ...part(
      'Connected',
      connected.length === 0 ? [] : [operationList(connected.slice(0, SHOWN))],
      'Nothing is connected yet.',
    ),
    ...(isAdmin ? part('Latest, each with its trail', trails(seen), 'There is no trail yet.') : []),
    ...(isAdmin ? [settingsWords()] : []),
  ];
}

/** Seen here also where the thread of a key can't be written to any more. */
function troubles({ services }: Context, { troubled }: Seen): Block {
  return {
    kind: 'list',
    items: troubled.slice(0, SHOWN).map(({ credential: { service, target }, state, reason, since }) => ({
      text: [
        text(
          `${services.find(({ id }) => id === service)?.name ?? service}${target === '' ? '' : ` for ${place(target)}`} · `,
        ),
        bold(state),
        text(' since '),
        { kind: 'time', at: since, form: 'datetime' } as const,
      ],
      detail: reason,
    })),
  };
}

/** Who may is judged when they press; here, whether it would be of any use. */
function mayPressApprove({ members, rules }: Seen, operation: Operation, member: Member): boolean {
  return (
    rules.approverGroup !== null || possibleApprovers(members, operation, rules).some(({ id }) => id === member.id)
  );
}

function entry(
  context: Context,
  { threads }: Seen,
  operation: Operation,
  buttons: readonly Button[],
): readonly Block[] {
  const thread = threads.get(operation.threadId);
  const url = thread && context.chat(thread.platform).linkTo?.(thread);
  const { id, type, plan, requester, request, state } = operation;
  const until: RichText = state === 'awaiting_consent' && request ? [text(' · until '), clock(request.expiresAt)] : [];
  const what: RichText = [
    code(id),
    text(` ${type.title} for ${place(plan.base)} · asked by ${requester.person.name}`),
    ...until,
    ...(url === undefined ? [] : [text(' · '), { kind: 'link', text: 'its thread', url } as const]),
  ];
  return [
    { kind: 'text', text: what },
    ...(thread && buttons.length > 0 ? [{ kind: 'actions', buttons, thread } satisfies Block] : []),
  ];
}

/** A question for repairs to come, with the buttons of its card. */
function repairEntry(context: Context, seen: Seen, { operation, card }: Asked, member: Member): readonly Block[] {
  const buttons = mayPressApprove(seen, operation, member)
    ? card.blocks.flatMap((block) => (block.kind === 'actions' ? block.buttons : []))
    : [];
  const title = `Keep ${operation.service.name} working`;
  return entry(context, seen, { ...operation, type: { ...operation.type, title }, state: 'awaiting_consent' }, buttons);
}

/** The trail itself comes to whoever pressed, in the operation's thread, and to nobody else. */
function trails({ latest, threads }: Seen): readonly Block[] {
  const shown = latest.slice(0, TRAILS);
  const buttons = shown.flatMap(({ id, threadId }): Block[] => {
    const thread = threads.get(threadId);
    const button: Button = { label: `Trail of ${id}`, style: 'plain', action: 'audit', value: id };
    return thread ? [{ kind: 'actions', buttons: [button], thread }] : [];
  });
  return shown.length === 0 ? [] : [operationList(shown), ...buttons];
}

function settingsWords(): Block {
  return {
    kind: 'text',
    tone: 'quiet',
    text: [code('/countersign settings'), text(' says who may approve, and what I may do.')],
  };
}

function part(title: string, blocks: readonly Block[], otherwise: string): readonly Block[] {
  const heading: Block = { kind: 'heading', text: [text(title)] };
  return [
    heading,
    ...(blocks.length === 0 ? [{ kind: 'text', tone: 'quiet', text: [text(otherwise)] } as const] : blocks),
  ];
}
