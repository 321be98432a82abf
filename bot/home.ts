import { type ConnectionView, connectionsOf } from '../core/connections/records.ts';
import { possibleApprovers, type Rules } from '../core/consent/policy.ts';
import { listWaiting } from '../core/console/waiting.ts';
import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import { mayControl } from '../core/operations/control.ts';
import type { Operation } from '../core/operations/operation.ts';
import { isUnread } from '../core/operations/threads.ts';
import type { Block, Button, ChatEvent, RichText, ThreadRef } from '../core/ports/chat.ts';
import type { StoredCredential } from '../core/vault/vault.ts';
import { decisionButtons } from './cards/consent-card.ts';
import { stopButton } from './cards/progress-card.ts';
import { bold, clock, code, place, text } from './cards/text.ts';
import { operationList } from './commands/operations.ts';
import type { Context } from './context.ts';
import { standingQuestion } from './standing-question.ts';

/** Of each list: a page, not an archive. */
const SHOWN = 10;
const TRAILS = 5;

/** What the page is drawn from. */
interface Seen {
  /** Plans that wait for approval, those that wait longest first. */
  readonly waiting: readonly Operation[];
  /** Plans and repairs that wait beside those that are shown. */
  readonly moreWaiting: number;
  /** Approved and not over, the newest first. */
  readonly running: readonly Operation[];
  readonly latest: readonly Operation[];
  readonly threads: ReadonlyMap<string, ThreadRef>;
  readonly members: readonly Member[];
  readonly rules: Rules;
  /** Open questions for repairs to come, the oldest first. */
  readonly repairs: readonly Asked[];
  /** Stored keys, the newest first. */
  readonly connected: readonly ConnectionView[];
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
    const { plans, repairs: questions, count } = await listWaiting(tx, customerId, { from: 0, most: SHOWN });
    const open = await context.operations.open(tx, customerId);
    const waiting = plans.flatMap(({ operationId }) => open.filter(({ id }) => id === operationId));
    const running = open.filter(({ state }) => state !== 'awaiting_consent');
    const latest = await context.operations.latest(tx, customerId, TRAILS);
    const threads = new Map<string, ThreadRef>();
    const repairs: Asked[] = [];
    for (const { operationId } of questions) {
      const operation = await context.operations.get(tx, customerId, operationId);
      const asked = operation && (await standingQuestion(tx, context, operation));
      if (asked?.state.request.decision === null) repairs.push(asked);
    }
    const shown = [...waiting, ...running.slice(0, SHOWN), ...latest, ...repairs.map(({ operation }) => operation)];
    for (const id of new Set(shown.map(({ threadId }) => threadId))) {
      const thread = await context.threads.get(tx, customerId, id);
      if (thread && !isUnread(thread.ref)) threads.set(id, thread.ref);
    }
    const members = await context.customers.members(tx, customerId);
    const rules = await context.customers.rules(tx, customerId);
    const connected = await connectionsOf(tx, customerId);
    const moreWaiting = count - plans.length - questions.length;
    return { waiting, moreWaiting, running, latest, threads, members, rules, repairs, connected };
  });
  await chat.showHome(event.from, { summary: 'Countersign', blocks: homeBlocks(context, seen, member) });
}

function homeBlocks(context: Context, seen: Seen, member: Member): readonly Block[] {
  const { waiting, running, connected } = seen;
  const troubled = connected
    .filter(({ state, checkedAt }) => state !== 'healthy' && checkedAt !== null)
    .toSorted((one, other) => other.since.getTime() - one.since.getTime());
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
        ...more(seen.moreWaiting),
      ],
      'Nothing waits.',
    ),
    ...part(
      'Under way',
      [
        ...each(running, (operation) => (mayControl(operation, member) ? [stopButton(operation)] : [])),
        ...more(running.length - SHOWN),
      ],
      'Nothing is under way.',
    ),
    ...(troubled.length > 0
      ? part('Needs a look', [troubles(context, troubled), ...more(troubled.length - SHOWN)], '')
      : []),
    ...part(
      'Connected',
      connected.length === 0 ? [] : [keys(context, connected), ...more(connected.length - SHOWN)],
      'Nothing is connected yet.',
    ),
    ...(isAdmin ? part('Latest, each with its trail', trails(seen), 'There is no trail yet.') : []),
    ...(isAdmin ? [settingsWords()] : []),
  ];
}

/** Seen here also where the thread of a key can't be written to any more. */
function troubles(context: Context, troubled: readonly ConnectionView[]): Block {
  return {
    kind: 'list',
    items: troubled.slice(0, SHOWN).map(({ credential, state, reason, since }) => ({
      text: [
        text(`${placeOf(context, credential)} · `),
        bold(state),
        text(' since '),
        { kind: 'time', at: since, form: 'datetime' } as const,
      ],
      detail: reason,
    })),
  };
}

function keys(context: Context, connected: readonly ConnectionView[]): Block {
  return {
    kind: 'list',
    items: connected.slice(0, SHOWN).map(({ credential }) => ({
      text: [
        ...(credential.metadata.operationId ? [code(credential.metadata.operationId), text(' ')] : []),
        text(`${placeOf(context, credential)} · `),
        { kind: 'time', at: credential.lastRotatedAt ?? credential.createdAt, form: 'datetime' } as const,
      ],
    })),
  };
}

function placeOf({ services }: Context, { service, target }: StoredCredential): string {
  return `${services.find(({ id }) => id === service)?.name ?? service}${target === '' ? '' : ` for ${place(target)}`}`;
}

function more(rest: number): readonly Block[] {
  return rest > 0 ? [{ kind: 'text', tone: 'quiet', text: [text(`And ${rest} more.`)] }] : [];
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
  const buttons = latest.flatMap(({ id, threadId }): Block[] => {
    const thread = threads.get(threadId);
    const button: Button = { label: `Trail of ${id}`, style: 'plain', action: 'audit', value: id };
    return thread ? [{ kind: 'actions', buttons: [button], thread }] : [];
  });
  return latest.length === 0 ? [] : [operationList(latest), ...buttons];
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
