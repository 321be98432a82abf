import type { CustomerId } from '../core/ids.ts';
import { look, take } from '../core/limits.ts';
import type { Closed, NewOperation, TooSoon } from '../core/operations/operations.ts';
import type { Card, ChatEvent, ThreadRef } from '../core/ports/chat.ts';
import { type Resolved, resolveTarget } from '../core/services/resolve-target.ts';
import type { OperationTypeDefinition, Service } from '../core/services/service.ts';
import { permissionsIn, waysAt } from '../core/services/ways.ts';
import { askForApprovers } from './approvers-flow.ts';
import { guideOnlyCard } from './cards/guide-card.ts';
import { helpCard } from './cards/help-card.ts';
import { clock, note, place, text } from './cards/text.ts';
import type { Context, Scene } from './context.ts';
import type { Intent } from './intent.ts';
import type { Wish } from './intent-several.ts';
import type { Unclear } from './intent-text.ts';
import { eventRef, reply, whisperWords } from './speak.ts';

/** Each was a request to an address that somebody wrote: nobody's doors are tried without end through us. */
const CLOSED = { name: 'closed targets', quota: 60, windowSeconds: 3600 } as const;

type SetUp = Extract<Intent, { kind: 'set_up' }>;

export interface Asking extends Scene {
  readonly event: ChatEvent;
}

/** "set up WooCommerce for shop.example.com" → an operation with its consent card, or one question for what is missing. */
export async function requestSetUp(context: Context, asking: Asking, intent: SetUp): Promise<void> {
  if (!(await isAllowedChannel(context, asking))) return;
  const service = context.services.find((known) => known.id === intent.service);
  if (!service) return sayUnknown(context, asking, intent);
  const type = service.operationTypes.api_key_generation;
  if (!type) return sayUnknown(context, asking, { ...intent, unknownService: service.name });
  if (intent.unclear) return askWhichTarget(context, asking, service, intent.wantsWrite, intent.unclear);
  const named = intent.target ?? service.home;
  if (!named) return askForTarget(context, asking, service, intent.wantsWrite);
  const target = await found(context, asking, service, named);
  if (!target) return;
  if (target.kind === 'invalid') return refuseTarget(context, asking, service, intent.wantsWrite, target.reason);
  await begin(context, asking, { service, type, target, wantsWrite: intent.wantsWrite });
}

/** What can be asked for: everything about it is known. */
export interface Requested {
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  readonly target: Extract<Resolved, { kind: 'target' }>;
  readonly wantsWrite: boolean;
}

/** The written address as the one that it answers at; `undefined`: too many could not be opened, which has been said. */
export async function found(
  context: Context,
  { customerId, event }: Asking,
  service: Service,
  written: string,
): Promise<Resolved | undefined> {
  const resolved = await resolveWithin(context, customerId, service, written);
  if (resolved.kind !== 'too_many') return resolved;
  await reply(context, event, note(resolved.words, 'warning'));
  return undefined;
}

/** The same for whoever says by themselves what came of it. */
export async function resolveWithin(
  context: Pick<Context, 'database' | 'egress' | 'http'>,
  customerId: CustomerId,
  service: Service,
  written: string,
): Promise<Resolved | { readonly kind: 'too_many'; readonly words: string; readonly seconds: number }> {
  const target = service.parseTarget(written);
  if (target.kind === 'invalid') return target;
  const inLimit = (ask: typeof look) => context.database.withCustomer(customerId, (tx) => ask(tx, customerId, CLOSED));
  const { isAllowed, retrySeconds: seconds } = await inLimit(look);
  if (isAllowed) {
    const resolved = await resolveTarget(context, service, target);
    if (resolved.kind === 'invalid') await inLimit(take);
    return resolved;
  }
  const often = `I was asked for ${CLOSED.quota} addresses within an hour that can't be opened, which is the limit.`;
  const words = `${often} Nothing was done. Ask again in ${Math.ceil(seconds / 60)} minutes.`;
  return { kind: 'too_many', words, seconds };
}

/** Where an admin has chosen channels, nothing is asked for elsewhere; whoever tries hears which ones. */
export async function isAllowedChannel(
  context: Context,
  { customerId, event }: Pick<Asking, 'customerId' | 'event'>,
): Promise<boolean> {
  if (await isInAllowedChannel(context, customerId, event.thread)) return true;
  await whisperWords(
    context,
    event,
    'An admin has chosen the channels that I work in, and this is none. Nothing was done.',
  );
  return false;
}

export async function isInAllowedChannel(
  context: Context,
  customerId: CustomerId,
  thread: ThreadRef,
): Promise<boolean> {
  const { allowedChannels } = await context.database.withCustomer(customerId, (tx) =>
    context.customers.rules(tx, customerId),
  );
  const channel = context.chat(thread.platform).channelOf?.(thread);
  return channel === undefined || allowedChannels.length === 0 || allowedChannels.includes(channel);
}

/** As the core is asked for it: in the vendor's own way, with what is usual there. */
export function toAskFor(
  context: Context,
  { member, thread, event }: Asking,
  { service, type, target, wantsWrite }: Requested,
): NewOperation {
  const way = waysAt(type, context.publicUrl())[0] ?? type.ways[0];
  const permissions = permissionsIn(type, way)
    .filter((p) => p.isRequired || p.isDefault || (wantsWrite && p.risk === 'changes'))
    .map((p) => p.id);
  const { origin, base } = target;
  const what = { service, type, way, origin, base, permissions };
  return { ...what, threadId: thread.id, requester: member, event: eventRef(event) };
}

export function begin(context: Context, asking: Asking, requested: Requested): Promise<void> {
  return submit(context, asking, toAskFor(context, asking, requested));
}

/** What is asked for, whole. */
export type Wanted = Pick<NewOperation, 'service' | 'type' | 'way' | 'origin' | 'base' | 'permissions' | 'keyOf'>;

/** Makes the operation, with its consent card in the thread; or says there why there is none. */
export async function submit(context: Context, asking: Asking, wanted: Wanted): Promise<void> {
  const { customerId, member, thread } = asking;
  const input = { ...wanted, threadId: thread.id, requester: member, event: eventRef(asking.event) };
  const operation = await context.operations.request(customerId, input);
  if (operation && 'closed' in operation) {
    await reply(context, asking.event, closedCard(input, operation));
    return;
  }
  if (operation && 'tooSoon' in operation) {
    await reply(context, asking.event, tooSoonCard(operation, input.base));
    return;
  }
  await context.database.withCustomer(customerId, (tx) =>
    context.threads.setAwaiting(tx, customerId, thread.id, undefined),
  );
  await context.progress.refresh(customerId, thread.id);
  if (operation) await askForApprovers(context, operation);
}

/** An admin's settings leave it to people, or to nobody. */
export function closedCard({ type, base, permissions }: Omit<NewOperation, 'threadId'>, { closed }: Closed): Card {
  return closed === 'guide_only'
    ? guideOnlyCard(type, base, permissions)
    : closed === 'no_key'
      ? note(`That key of ${place(base)} is not stored here any more. Nothing was done.`, 'warning')
      : note(`An admin does not let me work at ${place(base)}. Nothing was done.`, 'warning');
}

/** When to come back, in the reader's own time. */
export function tooSoonCard({ tooSoon, most, at }: TooSoon, base: string): Card {
  const summary =
    tooSoon === 'operations'
      ? `${counted(most, 'request')} came from here within an hour, which is the limit. Nothing was done.`
      : `${counted(most, 'sign-in')} at ${place(base)} failed within an hour. So that the shop does not lock the account, I try no more for now. Nothing was done. Make sure of the password.`;
  return {
    summary,
    blocks: [{ kind: 'text', text: [text(`${summary} Ask again at `), clock(at), text('.')], tone: 'warning' }],
  };
}

function counted(count: number, one: string): string {
  return `${count} ${count === 1 ? one : `${one}s`}`;
}

async function askForTarget(context: Context, asking: Asking, service: Service, wantsWrite: boolean): Promise<void> {
  await remember(context, asking, [{ service: service.id, wantsWrite }]);
  await reply(
    context,
    asking.event,
    note(`Gladly. What is ${service.targetWords}? Write it here, such as “${exampleOf(service)}”.`),
  );
}

/** Two addresses, or something that is none: better to ask which one than to take the wrong one. */
async function askWhichTarget(
  context: Context,
  asking: Asking,
  service: Service,
  wantsWrite: boolean,
  { addresses, unusable }: Unclear,
): Promise<void> {
  await remember(context, asking, [{ service: service.id, wantsWrite }]);
  const words = [
    ...(unusable.length > 0 ? [`I can't use ${quoted(unusable, 'or')} as an address.`] : []),
    addresses.length > 1
      ? `You named ${quoted(addresses, 'and')}, and I set up one at a time. Nothing was done yet: which one first? Write its address here, alone.`
      : addresses.length === 1
        ? `Nothing was done yet: if ${quoted(addresses, 'and')} is the one, write it here, alone.`
        : `Nothing was done yet: what is ${service.targetWords}? Write it here, such as “${exampleOf(service)}”.`,
  ];
  await reply(context, asking.event, note(words.join(' '), 'warning'));
}

/** Of a service that has one address: there is no other to write. */
export function laterWords({ name }: Service): string {
  return `Ask again later: “set up ${name}”.`;
}

export function exampleOf({ targetExample }: Service): string {
  return targetExample ?? 'shop.example.com';
}

export function quoted(all: readonly string[], last: 'and' | 'or'): string {
  const each = all.slice(0, 5).map((address) => `“${address.length > 80 ? `${address.slice(0, 79)}…` : address}”`);
  return each.length < 2 ? each.join('') : `${each.slice(0, -1).join(', ')} ${last} ${each.at(-1)}`;
}

/** What was asked stays asked: the next address that this person writes in the thread completes it. */
async function refuseTarget(
  context: Context,
  asking: Asking,
  service: Service,
  wantsWrite: boolean,
  reason: string,
): Promise<void> {
  if (service.home !== undefined) {
    await reply(context, asking.event, note(`${reason} Nothing was done. ${laterWords(service)}`, 'warning'));
    return;
  }
  await remember(context, asking, [{ service: service.id, wantsWrite }]);
  await reply(
    context,
    asking.event,
    note(`${reason} Nothing was done. Write the right address here, and I go on.`, 'warning'),
  );
}

/** What was asked stays asked until whoever asked writes what is missing. */
export function remember(context: Context, asking: Asking, wishes: readonly Wish[]): Promise<void> {
  const [first, second] = wishes;
  if (!first) return Promise.resolve();
  const awaiting = {
    ...{ memberId: asking.member.id, service: first.service, wantsWrite: first.wantsWrite },
    ...{ askedAt: new Date().toISOString(), ...(second && { together: [...wishes] }) },
  };
  return context.database.withCustomer(asking.customerId, (tx) =>
    context.threads.setAwaiting(tx, asking.customerId, asking.thread.id, awaiting),
  );
}

async function sayUnknown(context: Context, asking: Asking, intent: SetUp): Promise<void> {
  const lead = intent.unknownService
    ? `I can't set up ${intent.unknownService} yet. Nothing was done.`
    : 'Which service shall I set up?';
  await reply(context, asking.event, helpCard(context.services, lead));
}
