import type { CustomerId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import { mayRevoke } from '../core/operations/revocation.ts';
import type { Card, ChatEvent } from '../core/ports/chat.ts';
import { withoutWww } from '../core/services/answers.ts';
import type { OperationTypeDefinition, Service, Way } from '../core/services/service.ts';
import { withoutEnd } from '../core/services/site-target.ts';
import { permissionsIn, waysAt } from '../core/services/ways.ts';
import { capital, note, place, sideOf, text } from './cards/text.ts';
import { storedResults } from './commands/credentials.ts';
import type { Context } from './context.ts';
import type { Intent, KeyChange } from './intent.ts';
import { refuse } from './refusal.ts';
import { type Asking, isAllowedChannel, submit } from './request-flow.ts';
import { reply, whisperWords } from './speak.ts';

type OfKey = Extract<Intent, { kind: 'key' }>;
type Action = Extract<ChatEvent, { kind: 'action' }>;

const VERBS: Readonly<Record<KeyChange, string>> = { credential_rotation: 'rotate', credential_revocation: 'revoke' };

/** "rotate the WooCommerce key for shop.example.com" → an operation about the key that is stored, with its consent card. */
export async function requestForKey(context: Context, asking: Asking, intent: OfKey): Promise<void> {
  if (!(await isAllowedChannel(context, asking))) return;
  const service = context.services.find(({ id }) => id === intent.service);
  if (!service) return;
  const say = (card: Card) => reply(context, asking.event, card);
  const again = `“${VERBS[intent.type]} the ${service.name} key for ${service.targetExample ?? 'shop.example.com'}”`;
  if (intent.unclear) {
    await say(
      note(
        `I do that for one key at a time. Nothing was done: write it with one address, such as ${again}.`,
        'warning',
      ),
    );
    return;
  }
  const stored = await makersOfStored(context, asking.customerId, service);
  const named = basesOf(service, intent.target);
  if (intent.target !== undefined && named.length === 0) {
    await say(note(`I can't use “${intent.target}” as an address. Nothing was done.`, 'warning'));
    return;
  }
  const at = (base: string) => stored.filter(({ plan }) => isSameSite(plan.base, base));
  const meant = named.length === 0 ? stored : (named.map(at).find(({ length }) => length > 0) ?? []);
  const [operation, other] = meant;
  if (!operation) {
    const base = named.at(-1);
    const where = base === undefined ? '' : ` for ${place(base)}`;
    const words = `No ${service.name} key that I made is stored${where}, so there is none to ${VERBS[intent.type]}. Nothing was done. To make one: “set up ${service.name}${where || ` for ${service.targetExample ?? 'shop.example.com'}`}”.`;
    await say(note(words, 'warning'));
    return;
  }
  if (other) {
    await say(
      note(`Several ${service.name} keys are stored. Nothing was done: say which one, such as ${again}.`, 'warning'),
    );
    return;
  }
  await begin(context, asking, operation, intent.type);
}

/** Rotate on a result, or "End it in WooCommerce for me" once its key was deleted here. */
export async function changeKeyOf(context: Context, asking: Asking, event: Action, type: KeyChange): Promise<void> {
  const { customerId, member } = asking;
  const operation = await context.database.withCustomer(customerId, (tx) =>
    context.operations.get(tx, customerId, event.value),
  );
  if (!operation) return whisperWords(context, event, 'I know no such operation. Nothing was changed.');
  if (!mayRevoke(operation, member))
    return refuse(context, customerId, member, event, {
      asked: 'revoke',
      words: `Only whoever asked, an approver or an admin can have it ${type === 'credential_rotation' ? 'rotated' : 'ended'}. Nothing was changed.`,
      about: operation.id,
    });
  if (!(await isAllowedChannel(context, asking))) return;
  await begin(context, asking, operation, type);
}

async function begin(context: Context, asking: Asking, maker: Operation, wanted: KeyChange): Promise<void> {
  const { service, plan } = maker;
  const type = service.operationTypes[wanted];
  const way = type && (waysAt(type, context.publicUrl())[0] ?? type.ways[0]);
  if (!type || !way) {
    await reply(context, asking.event, byHand(maker, wanted));
    return;
  }
  const { origin, base } = plan;
  if (!(await context.egress.check(origin)).isAllowed) {
    const words = `I can't open ${place(base)} from here. Nothing was done. Look whether it opens in a browser, and ask again once it does.`;
    await reply(context, asking.event, note(words, 'warning'));
    return;
  }
  const permissions = permissionsOf(maker, type, way);
  await submit(context, asking, { service, type, way, origin, base, permissions, keyOf: maker.id });
}

/** What it can't do without; and of a new key, the power that the old one had. */
function permissionsOf({ plan }: Operation, type: OperationTypeDefinition, way: Way): readonly string[] {
  return permissionsIn(type, way)
    .filter(({ id, isRequired }) => isRequired || plan.permissions.includes(id))
    .map(({ id }) => id);
}

/** Where no API and no page that I know does it: the steps for a person. */
function byHand({ service, type, plan, result }: Operation, wanted: KeyChange): Card {
  const label = result?.data.label ?? plan.label;
  const words =
    wanted === 'credential_rotation'
      ? `I can't rotate a ${service.name} key. Nothing was done. “set up ${service.name}” makes a new one, which takes the old one's place here; ${sideOf(service)} goes on knowing the old one until somebody ends it:`
      : `I can't end a ${service.name} key there. Nothing was done. Revoke on its result deletes it here; ${sideOf(service)} goes on knowing it until somebody ends it:`;
  return {
    summary: words,
    blocks: [
      { kind: 'text', tone: 'warning', text: [text(capital(words))] },
      {
        kind: 'list',
        isNumbered: true,
        items: type.revokeGuide(plan.base, label).map((step) => ({ text: [text(step)] })),
      },
    ],
  };
}

/** The operations that made the stored keys of a service, newest first. */
async function makersOfStored(
  context: Context,
  customerId: CustomerId,
  service: Service,
): Promise<readonly Operation[]> {
  const makers: Operation[] = [];
  for (const { metadata } of await storedResults(context, customerId, service.id)) {
    const { operationId } = metadata;
    const maker =
      operationId === undefined
        ? undefined
        : await context.database.withCustomer(customerId, (tx) => context.operations.get(tx, customerId, operationId));
    if (maker) makers.push(maker);
  }
  return makers;
}

/** Where the key may have been made for that address, the likeliest first. */
function basesOf(service: Service, target = service.home): readonly string[] {
  const parsed = target === undefined ? undefined : service.parseTarget(target);
  if (parsed?.kind !== 'target') return [];
  return [...(parsed.folder === undefined ? [] : [parsed.folder]), parsed.base];
}

/** As people write addresses: with or without `www.`, `http:` or `https:`. */
function isSameSite(one: string, other: string): boolean {
  const [a, b] = [new URL(one), new URL(other)];
  const bare = ({ host, pathname }: URL) => withoutWww(host) + withoutEnd(pathname, '/');
  return bare(a) === bare(b);
}
