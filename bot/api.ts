import type { Decision } from '../core/consent/consent.ts';
import type { Member } from '../core/customers/customers.ts';
import { CountersignError } from '../core/errors.ts';
import { isRetryable } from '../core/operations/control.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { NewOperation } from '../core/operations/operations.ts';
import { isUnread, type ThreadState, unreadThread } from '../core/operations/threads.ts';
import type { ApiDesk, ApiWish, Begun, DecisionWish, WantedOperation } from '../core/ports/api.ts';
import type { Card, Chat, RichText, ThreadRef } from '../core/ports/chat.ts';
import { defaultPermissions, permissionProblem, waysAt } from '../core/services/ways.ts';
import { askForApprovers } from './approvers-flow.ts';
import { person, place, text } from './cards/text.ts';
import { asReason, NO_REASON, OUTDATED, REFUSALS, renewed, staleWords } from './consent-flow.ts';
import type { Context } from './context.ts';
import { sendSignInLink } from './credential-flow.ts';
import { closedCard, isInAllowedChannel, resolveWithin, tooSoonCard } from './request-flow.ts';

/** What the HTTP API may ask of the conversation: people see in their channel what a program asks for. */
export function createApiDesk(context: Context, pictureUrl: ApiDesk['pictureUrl']): ApiDesk {
  return {
    pictureUrl,
    begin: (wish, wanted) => begin(context, wish, wanted),
    decide: (wish, decision) => decide(context, wish, decision),
    async retry(wish, operationId) {
      const { customerId, by, event } = wish;
      const thread = await threadOfRetry(context, wish, operationId);
      const outcome = await context.control.retry(customerId, { threadId: thread?.id ?? '', operationId, by, event });
      if (outcome.kind === 'requested') await showAsked(context, outcome.operation);
      if (outcome.kind !== 'too_soon') return outcome;
      const { kind, limit, operation } = outcome;
      return { kind, limit, why: tooSoonCard(limit, operation.plan.base).summary };
    },
    show: (operation) => show(context, operation),
  };
}

async function begin(context: Context, wish: ApiWish, wanted: WantedOperation): Promise<Begun> {
  const { customerId, by, tokenId, event } = wish;
  const channel = await channelOf(context, wish);
  const input = await read(context, wish, wanted, channel !== undefined);
  if ('kind' in input) return input;
  const obstacle = await context.operations.obstacle(customerId, input);
  if (obstacle) return refusal(input, obstacle);
  const thread = await openPlace(context, wish, channel, `${input.type.title} for ${place(input.base)}`);
  const operation = await context.operations.request(customerId, { ...input, threadId: thread.id, tokenId, event });
  if (!operation) return { kind: 'repeated' };
  if ('closed' in operation || 'tooSoon' in operation) {
    const refused = refusal(input, operation);
    if (!isUnread(thread.ref))
      await context
        .chat(by.person.platform)
        .post(thread.ref, cardOf(input, operation), { key: `api-refused:${event.id}` });
    return refused;
  }
  await showAsked(context, operation);
  return { kind: 'asked', operation, asksIn: isUnread(thread.ref) ? 'api' : 'chat' };
}

type Input = Omit<NewOperation, 'threadId' | 'event'>;
type Obstacle = Exclude<Awaited<ReturnType<Context['operations']['obstacle']>>, undefined>;

/** As the core is asked for it. What a person has to do on a vendor's page takes a chat in which they are sent there. */
async function read(
  context: Context,
  { customerId, by }: ApiWish,
  wanted: WantedOperation,
  hasChat: boolean,
): Promise<Input | Exclude<Begun, { kind: 'asked' | 'repeated' }>> {
  const invalid = (at: string, why: string) => ({ kind: 'invalid', at, why }) as const;
  const service = context.services.find(({ id }) => id === wanted.service);
  if (!service) return invalid('service', `Service not yet supported: ${wanted.service}`);
  const type = Object.values(service.operationTypes).find((known) => known.type === wanted.operation);
  if (!type) return invalid('operation', `${service.name} has no operation “${wanted.operation}”.`);
  const written = wanted.target ?? service.home;
  if (written === undefined) return invalid('storeUrl', 'Store URL is required for e-commerce operations');
  const target = await resolveWithin(context, customerId, service, written);
  if (target.kind === 'too_many') return { kind: 'too_many_tries', seconds: target.seconds, why: target.words };
  if (target.kind === 'invalid') return invalid('storeUrl', target.reason);
  const ways = waysAt(type, context.publicUrl()).filter(({ grant }) => hasChat || !grant);
  const way = wanted.way === undefined ? (ways[0] ?? type.ways[0]) : ways.find(({ id }) => id === wanted.way);
  if (!way) return invalid('way', `The ways that are open here: ${ways.map(({ id }) => id).join(', ')}.`);
  const permissions = wanted.permissions ?? defaultPermissions(type, way);
  const problem = permissionProblem(type, way, permissions);
  if (problem !== undefined) return invalid('permissions', problem);
  const { origin, base } = target;
  return { service, type, way, origin, base, permissions, requester: by };
}

function refusal(input: Input, obstacle: Obstacle): Exclude<Begun, { kind: 'asked' | 'repeated' | 'invalid' }> {
  const why = cardOf(input, obstacle).summary;
  return 'closed' in obstacle ? { kind: 'closed', why } : { kind: 'too_soon', limit: obstacle, why };
}

function cardOf(input: Input, obstacle: Obstacle): Card {
  return 'closed' in obstacle ? closedCard(input, obstacle) : tooSoonCard(obstacle, input.base);
}

/** Where people hear of it: the first of the channels that an admin chose on that platform. `undefined`: none is, or there is no chat. */
async function channelOf(context: Context, { customerId, by }: ApiWish): Promise<ThreadRef | undefined> {
  const { allowedChannels } = await context.database.withCustomer(customerId, (tx) =>
    context.customers.rules(tx, customerId),
  );
  const chat = connected(context, by);
  const places = (allowedChannels.length === 0 ? [undefined] : allowedChannels).map((channel) =>
    chat?.begin?.(by.person.workspaceId, channel),
  );
  return places.find((place) => place !== undefined);
}

/** A thread in the channel, which begins with who asks for what; without one, a thread that nobody reads. */
async function openPlace(
  context: Context,
  { customerId, by, event }: ApiWish,
  channel: ThreadRef | undefined,
  what: string,
): Promise<ThreadState> {
  const key = `api:${event.id}`;
  const posted = channel && (await context.chat(channel.platform).post(channel, askedCard(by, what), { key }));
  const ref = posted?.thread ?? unreadThread(by.person, event.id);
  return context.database.withCustomer(customerId, (tx) => context.threads.open(tx, customerId, ref));
}

function askedCard({ person: who }: Member, what: string): Card {
  const words: RichText = [person(who), text(` asks by the API: ${what}`)];
  return { summary: `${who.name} asks by the API: ${what}`, blocks: [{ kind: 'text', text: words }] };
}

/** `undefined`: the platform of this member is not connected here. */
function connected(context: Context, { person: { platform } }: Member): Chat | undefined {
  try {
    return context.chat(platform);
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'chat_unavailable') return undefined;
    throw error;
  }
}

/** Where the first one was asked for, if requests may still be there. `undefined`: nothing can be tried again. */
async function threadOfRetry(context: Context, wish: ApiWish, operationId: string): Promise<ThreadState | undefined> {
  const { customerId } = wish;
  const seen = await context.database.withCustomer(customerId, async (tx) => {
    const operation = await context.operations.get(tx, customerId, operationId);
    const thread = operation && (await context.threads.get(tx, customerId, operation.threadId));
    return operation && thread && { operation, thread };
  });
  if (!seen) return undefined;
  const { operation, thread } = seen;
  const isPlace = isUnread(thread.ref) || (await isInAllowedChannel(context, customerId, thread.ref));
  if (isPlace || !isRetryable(operation)) return thread;
  const what = `${operation.type.title} for ${place(operation.plan.base)}, once more`;
  return openPlace(context, wish, await channelOf(context, wish), what);
}

async function decide(context: Context, wish: ApiWish, wanted: DecisionWish): ReturnType<ApiDesk['decide']> {
  const { customerId, by, tokenId, event } = wish;
  const click = { operationId: wanted.operationId, by, method: 'api', tokenId, event } as const;
  const decision =
    wanted.action === 'grant'
      ? await context.consents.grant(customerId, { ...click, planHash: wanted.planHash })
      : await context.consents.deny(customerId, click, asReason(wanted.reason) || NO_REASON);
  const isOpen = decision.kind === 'stale' || decision.kind === 'repeated';
  if (wanted.action === 'grant' && isOpen && (await renewed(context, customerId, by, decision.operation)))
    return { decision: { kind: 'renewed' }, why: OUTDATED };
  if (decision.kind !== 'refused' && decision.operation) {
    await show(context, decision.operation);
    if (decision.kind === 'granted' && decision.next === 'awaiting_credentials')
      await quietly(context, async () => {
        if (await isRead(context, decision.operation))
          await sendSignInLink(context, decision.operation, { unlessSent: true });
      });
  }
  return { decision, why: wordsOf(decision) };
}

function wordsOf(decision: Decision): string {
  switch (decision.kind) {
    case 'granted':
      return decision.next === 'queued'
        ? 'Countersigned. A worker begins now.'
        : 'Countersigned. It now waits for what has to be entered.';
    case 'approved':
      return `Approved, by ${decision.approvals} of ${decision.required} who have to.`;
    case 'already_approved':
      return 'This person has approved it. It now takes the approval of somebody else.';
    case 'denied':
      return 'Denied. Nothing will be done.';
    case 'refused':
      return `${REFUSALS[decision.why]} Nothing was changed.`;
    case 'repeated':
    case 'stale':
      return staleWords(decision.operation);
    default:
      return decision satisfies never;
  }
}

/** The consent card; and where nobody may approve yet, the question who shall. */
async function showAsked(context: Context, operation: Operation): Promise<void> {
  await show(context, operation);
  await quietly(context, async () => {
    if (await isRead(context, operation)) await askForApprovers(context, operation);
  });
}

/** What can't be shown now is shown later, by the feed: whoever asked by the API is not kept waiting, and told nothing of it. */
function show(context: Context, { customerId, threadId }: Pick<Operation, 'customerId' | 'threadId'>): Promise<void> {
  return quietly(context, () => context.progress.refresh(customerId, threadId));
}

async function isRead(context: Context, { customerId, threadId }: Operation): Promise<boolean> {
  const thread = await context.database.withCustomer(customerId, (tx) => context.threads.get(tx, customerId, threadId));
  return thread !== undefined && !isUnread(thread.ref);
}

async function quietly(context: Context, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (err) {
    context.log.warn({ err }, 'what came by the API could not be shown in the chat yet');
  }
}
