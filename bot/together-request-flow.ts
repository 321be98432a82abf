import type { NewOperation, TooSoon } from '../core/operations/operations.ts';
import type { Block } from '../core/ports/chat.ts';
import type { OperationTypeDefinition, Service } from '../core/services/service.ts';
import { askForApprovers } from './approvers-flow.ts';
import { MOST_TOGETHER } from './cards/consent-values.ts';
import { allOf, note, text } from './cards/text.ts';
import type { Context } from './context.ts';
import type { SetUpTogether, Wish } from './intent-several.ts';
import {
  type Asking,
  begin,
  closedCard,
  exampleOf,
  found,
  isAllowedChannel,
  laterWords,
  quoted,
  type Requested,
  remember,
  toAskFor,
  tooSoonCard,
} from './request-flow.ts';
import { reply } from './speak.ts';

/** A wish for something that can be set up. */
interface Known {
  readonly wish: Wish;
  readonly service: Service;
  readonly type: OperationTypeDefinition;
}

/**
 * "set up WooCommerce and Stripe" → one operation each, on one consent card, or one question for what is missing. What can't
 * be worked at is left out and said, and the others are asked for.
 */
export async function requestSetUpTogether(context: Context, asking: Asking, intent: SetUpTogether): Promise<void> {
  if (!(await isAllowedChannel(context, asking))) return;
  const { wishes, unclear, unknownServices = [] } = intent;
  if (wishes.length > MOST_TOGETHER) {
    const words = `You named ${wishes.length} services, and I ask for ${MOST_TOGETHER} at a time at most. Nothing was done: name up to ${MOST_TOGETHER} of them.`;
    return void (await reply(context, asking.event, note(words, 'warning')));
  }
  const known = wishes.flatMap((wish) => knownIn(context, wish));
  const unable = wishes.filter((wish) => !known.some((each) => each.wish === wish)).map(({ service }) => service);
  const unknown = [...unknownServices, ...unable].map((name) => `I can't set up ${name} yet.`);
  if (unclear) {
    await remember(context, asking, wishes);
    const words = [...unknown, whoseWords(known, unclear)].join(' ');
    return void (await reply(context, asking.event, note(words, 'warning')));
  }
  const missing = known.filter(({ wish, service }) => (wish.target ?? service.home) === undefined);
  if (missing.length > 0) {
    await remember(context, asking, wishes);
    return void (await reply(context, asking.event, note([...unknown, missingWords(missing, known)].join(' '))));
  }
  const requested: Requested[] = [];
  const problems: { readonly known: Known; readonly reason: string }[] = [];
  for (const each of known) {
    const { service, wish } = each;
    const target = await found(context, asking, service, wish.target ?? service.home ?? '');
    if (!target) return; // too many could not be opened, which has been said
    if (target.kind === 'invalid') problems.push({ known: each, reason: target.reason });
    else requested.push({ service, type: each.type, target, wantsWrite: wish.wantsWrite });
  }
  const elsewhere = problems.filter(({ known: { service } }) => service.home === undefined);
  await ask(context, asking, requested, {
    unknown,
    closed: problems.map(({ known: { service }, reason }) => {
      const later = service.home === undefined ? '' : ` ${laterWords(service)}`;
      return `${service.name}: ${reason}${later}`;
    }),
    isAddressWanted: elsewhere.length > 0,
  });
  await remember(
    context,
    asking,
    elsewhere.map(({ known: { wish } }) => ({ service: wish.service, wantsWrite: wish.wantsWrite })),
  );
}

/** Sentences about what is not asked for. */
interface LeftOut {
  readonly unknown: readonly string[];
  /** Of addresses that can't be worked at. */
  readonly closed: readonly string[];
  /** For one of these another address may be written. */
  readonly isAddressWanted: boolean;
}

function knownIn({ services }: Context, wish: Wish): readonly Known[] {
  const service = services.find(({ id }) => id === wish.service);
  const type = service?.operationTypes.api_key_generation;
  return service && type ? [{ wish, service, type }] : [];
}

async function ask(context: Context, asking: Asking, requested: readonly Requested[], leftOut: LeftOut): Promise<void> {
  const [only, second] = requested;
  if (!only) return sayLeftOut(context, asking, leftOut, []);
  if (!second) {
    await sayLeftOut(context, asking, leftOut, [only.service.name]);
    return begin(context, asking, only);
  }
  const { customerId, thread } = asking;
  const inputs = requested.map((each) => toAskFor(context, asking, each));
  const outcome = await context.operations.requestTogether(customerId, inputs);
  if (outcome && 'tooSoon' in outcome) return sayTooSoon(context, asking, outcome, inputs);
  const { asked, left } = outcome ?? { asked: [], left: [] };
  if (outcome)
    await sayLeftOut(
      context,
      asking,
      leftOut,
      asked.map(({ service }) => service.name),
    );
  for (const { input, because } of left) {
    const card = 'closed' in because ? closedCard(input, because) : tooSoonCard(because, input.base);
    await reply(context, asking.event, card, `left/${input.service.id}`);
  }
  await context.database.withCustomer(customerId, (tx) =>
    context.threads.setAwaiting(tx, customerId, thread.id, undefined),
  );
  await context.progress.refresh(customerId, thread.id);
  const [first] = asked;
  if (first) await askForApprovers(context, first);
}

/** None is asked for where all of them are too many. */
async function sayTooSoon(
  context: Context,
  asking: Asking,
  outcome: TooSoon,
  inputs: readonly NewOperation[],
): Promise<void> {
  const { most } = outcome;
  const words = `You asked for ${inputs.length} set-ups at once, and ${most} within an hour ${most === 1 ? 'is' : 'are'} the limit. Nothing was done: ask for fewer.`;
  const card = most < inputs.length ? note(words, 'warning') : tooSoonCard(outcome, inputs[0]?.base ?? '');
  await reply(context, asking.event, card);
}

/** Said to everybody in the thread, before the card about the others comes. */
async function sayLeftOut(
  context: Context,
  asking: Asking,
  { unknown, closed, isAddressWanted }: LeftOut,
  names: readonly string[],
): Promise<void> {
  const lines = [...unknown, ...closed];
  if (lines.length === 0) return;
  const which = lines.length === 1 ? 'it' : 'them';
  const rest = names.length === 0 ? 'Nothing was done.' : `I ask for ${allOf(names)} without ${which}.`;
  const further = !isAddressWanted ? '' : ' Write the right address here, and I ask for that one on its own.';
  const blocks = [...lines, `${rest}${further}`].map(
    (words): Block => ({ kind: 'text', tone: 'warning', text: [text(words)] }),
  );
  await reply(context, asking.event, { summary: `${lines.join(' ')} ${rest}`, blocks }, 'left');
}

/** One question for everything that is missing, and what is understood so far. */
function missingWords(missing: readonly Known[], known: readonly Known[]): string {
  const rest = known.filter((each) => !missing.includes(each));
  const understood =
    rest.length > 0
      ? ` ${allOf(rest.map(({ service, wish }) => (wish.target === undefined ? service.name : `${service.name} at ${wish.target}`)))} ${rest.length === 1 ? 'is' : 'are'} noted; I ask for approval once I know this, too.`
      : '';
  const [only, second] = missing;
  if (only && !second)
    return `Gladly. For ${only.service.name}, what is ${only.service.targetWords}? Write it here, such as “${exampleOf(only.service)}”.${understood}`;
  const names = allOf(missing.map(({ service }) => service.name));
  return `Gladly. Which addresses are ${names} at? If it is one for all, write it here, alone; otherwise like this: “${example(missing)}”.${understood}`;
}

/** Several addresses, and it can't be told whose they are. */
function whoseWords(known: readonly Known[], { addresses, unusable }: NonNullable<SetUpTogether['unclear']>): string {
  const takers = known.filter(({ service }) => service.home === undefined);
  const words = [
    ...(unusable.length > 0 ? [`I can't use ${quoted(unusable, 'or')} as an address.`] : []),
    ...(addresses.length > 1 ? [`You named ${quoted(addresses, 'and')}, and I can't tell which is whose.`] : []),
  ];
  return `${words.join(' ')} Nothing was done yet. Write it like this: “${example(takers)}”.`;
}

/** `WooCommerce at shop.example.com and Shopify at my-shop.myshopify.com` */
function example(known: readonly Known[]): string {
  return allOf(known.map(({ service }) => `${service.name} at ${exampleOf(service)}`));
}
