import { lookSoon } from '../../core/connections/records.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import { take } from '../../core/limits.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import { examineTarget } from '../../core/services/examine.ts';
import type { Service } from '../../core/services/service.ts';
import { tryStored } from '../../core/services/try-stored.ts';
import { asSecrets, type StoredCredential } from '../../core/vault/vault.ts';
import { bold, place, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { isNow, refuse } from '../refusal.ts';
import { whisper, whisperWords } from '../speak.ts';
import { storedResults } from './credentials.ts';

/** Keys that one `test` tries: each is a call to somebody's shop. */
const TRIED = 5;
/** How often a service is tried, whoever asks: it puts entries on record, and shops answer it. */
const TESTS = { quota: 10, windowSeconds: 3600 };

/** What is tried: a service's stored keys, or what an address shows without any. */
export interface Tested {
  readonly service: string;
  readonly target?: string | undefined;
}

/** `woocommerce`, `WooCommerce for shop.example.com`: what follows `/countersign test`. */
export function testedIn(words: string): Tested {
  const [service = '', ...rest] = words.trim().split(/\s+/);
  return { service, target: rest.filter((word) => !/^(?:for|at|on)$/i.test(word)).join(' ') || undefined };
}

/** `/countersign test woocommerce [for shop.example.com]`: approvers and admins; whoever else asks learns nothing of any address. */
export async function testService(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  { service: wanted, target }: Tested,
): Promise<void> {
  if (!(await isNow(context, member, ['approver', 'admin'])))
    return refuse(context, customerId, member, event, {
      asked: 'test',
      words: 'Only an approver or an admin can have keys and addresses tried. Nothing was tried.',
    });
  const service = context.services.find(({ id, name }) => [id, name.toLowerCase()].includes(wanted.toLowerCase()));
  if (!service)
    return whisperWords(
      context,
      event,
      `Say which service, such as /countersign test ${context.services[0]?.id ?? 'woocommerce'}. Nothing was tried.`,
    );
  const stored = target === undefined ? await storedResults(context, customerId, service.id) : [];
  if (target === undefined && stored.length === 0)
    return whisperWords(
      context,
      event,
      `No key for ${service.name} is stored. To have an address looked at: /countersign test ${service.id} for shop.example.com`,
    );
  const { isAllowed, retrySeconds } = await context.database.withCustomer(customerId, (tx) =>
    take(tx, customerId, { ...TESTS, name: `test ${service.id}` }),
  );
  if (!isAllowed) {
    const often = `${service.name} was tried ${TESTS.quota} times within an hour.`;
    return whisperWords(
      context,
      event,
      `${often} Ask again in ${Math.ceil(retrySeconds / 60)} minutes. Nothing was tried.`,
    );
  }
  await (target === undefined
    ? tellOfKeys(context, customerId, member, event, service, stored)
    : tellOfTarget(context, event, service, target));
}

async function tellOfTarget(context: Context, event: ChatEvent, service: Service, target: string): Promise<void> {
  const findings = await examineTarget(context, service, target);
  const wrong = findings.filter(({ isGood }) => !isGood).length;
  const summary =
    wrong === 0 ? `${service.name} can be set up there` : `${wrong} of ${findings.length} things are wrong there`;
  await whisper(context, event, {
    summary,
    blocks: [
      { kind: 'text', text: [bold(summary)] },
      {
        kind: 'steps',
        items: findings.map(({ isGood, words }) => ({ state: isGood ? 'done' : 'failed', text: words })),
      },
      { kind: 'text', tone: 'quiet', text: [text('Looked at from here, without any key. Nothing was changed.')] },
    ],
  });
}

function workingWords(name: string, good: number, all: number): string {
  if (all === 1) return `The ${name} key ${good === 1 ? 'works' : 'does not work'}`;
  return good === all
    ? `All ${all} ${name} keys work`
    : `${good} of ${all} ${name} keys ${good === 1 ? 'works' : 'work'}`;
}

/** The calls by which each stored key was proven. */
async function tellOfKeys(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  service: Service,
  stored: readonly StoredCredential[],
): Promise<void> {
  const tried: { readonly target: string; readonly words: string; readonly isGood: boolean }[] = [];
  for (const each of stored.slice(0, TRIED))
    tried.push({ target: each.target, ...(await tryOne(context, customerId, member, each)) });
  const good = tried.filter(({ isGood }) => isGood).length;
  const rest = stored.length - tried.length;
  const summary = workingWords(service.name, good, tried.length);
  await whisper(context, event, {
    summary,
    blocks: [
      { kind: 'text', text: [bold(summary)] },
      {
        kind: 'steps',
        items: tried.map(({ target, words: told, isGood }) => ({
          ...({ state: isGood ? 'done' : 'failed', text: place(target), detail: told } as const),
        })),
      },
      ...(rest > 0
        ? [{ kind: 'text', tone: 'quiet', text: [text(`${rest} older ones were not tried.`)] } satisfies Block]
        : []),
    ],
  });
}

/** That it was opened, by whom and why, is on record before the shop is asked. */
async function tryOne(
  context: Context,
  customerId: CustomerId,
  member: Member,
  { service: serviceId, target, credentialType: type, metadata }: StoredCredential,
): Promise<{ readonly words: string; readonly isGood: boolean }> {
  const operation = await context.database.withCustomer(customerId, async (tx) =>
    metadata.operationId === undefined ? undefined : context.operations.get(tx, customerId, metadata.operationId),
  );
  if (!operation) return { words: 'nothing is known of how it was made', isGood: false };
  const ref = { customerId, service: serviceId, type, target, actor: member.id, why: 'test' } as const;
  const credential = await context.vault.open(ref, (opened) => asSecrets(opened));
  if (!credential) return { words: 'it is not in the vault any more', isGood: false };
  const { base, origin, permissions } = operation.plan;
  const input = { base, origin, credential, permissions, http: context.http };
  const verdict = await tryStored(operation.service, operation.type.verify, input);
  // What a person was told now and the connection's health are one story: the clock looks for itself at once.
  await context.database.withCustomer(customerId, (tx) =>
    lookSoon(tx, { customerId, service: serviceId, target, credentialType: type }, verdict.kind === 'works'),
  );
  return verdict.kind === 'works' ? { words: verdict.checked, isGood: true } : { words: verdict.reason, isGood: false };
}
