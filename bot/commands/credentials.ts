import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import { take } from '../../core/limits.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import { asSecrets, type StoredCredential } from '../../core/vault/vault.ts';
import { bold, code, place, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { isAdminNow, isNow, refuse } from '../refusal.ts';
import { whisper, whisperWords } from '../speak.ts';

const SHOWN = 10;
/** Keys that one `test` tries: each is a call to somebody's shop. */
const TRIED = 5;
/** How often the keys of a service are tried, whoever asks: it puts entries on record, and shops answer it. */
const TESTS = { quota: 10, windowSeconds: 3600 };

/** `/countersign credentials`: what lies in the vault, and never what it says; admins only. */
export async function listCredentials(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return refuse(context, customerId, member, event, {
      asked: 'credentials',
      words: 'Only an admin can see which keys are stored. Ask one of your admins.',
    });
  const stored = await results(context, customerId);
  if (stored.length === 0) return whisperWords(context, event, 'No key is stored.');
  const rest = stored.length - SHOWN;
  const services = [...new Set(stored.map(({ service }) => service))];
  await whisper(context, event, {
    summary: stored.length === 1 ? '1 stored key' : `${stored.length} stored keys`,
    blocks: [
      { kind: 'text', text: [bold('Stored keys')] },
      { kind: 'list', items: stored.slice(0, SHOWN).map((each) => line(context, each)) },
      ...(rest > 0 ? [{ kind: 'text', tone: 'quiet', text: [text(`And ${rest} more.`)] } satisfies Block] : []),
      {
        kind: 'text',
        tone: 'quiet',
        text: [text('Whether they still work says '), code(`/countersign test ${services[0]}`), text('.')],
      },
    ],
  });
}

function line(
  context: Context,
  { service, target, createdAt, metadata, operationId, rotationRequired }: StoredCredential,
) {
  const of = metadata.operationId ?? operationId;
  return {
    text: [
      text(`${nameOf(context, service)}${target === '' ? '' : ` for ${place(target)}`} · `),
      ...(metadata.label ? [text(`“${metadata.label}” · `)] : []),
      ...(of ? [code(of), text(' · ')] : []),
      { kind: 'time', at: createdAt, form: 'datetime' } as const,
    ],
    ...(rotationRequired ? { detail: 'to be rotated' } : {}),
  };
}

function nameOf({ services }: Context, id: string): string {
  return services.find((service) => service.id === id)?.name ?? id;
}

/** Newest first; sign-in secrets, which go with their operation, aside. */
async function results(
  { vault }: Context,
  customerId: CustomerId,
  service?: string,
): Promise<readonly StoredCredential[]> {
  const stored = await vault.list(customerId, service);
  return stored
    .filter(({ operationId }) => operationId === null)
    .toSorted((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
}

/** `/countersign test woocommerce`: one reading call with each stored key of that service; approvers and admins. */
export async function testCredentials(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  words: string,
): Promise<void> {
  if (!(await isNow(context, member, ['approver', 'admin'])))
    return refuse(context, customerId, member, event, {
      asked: 'test',
      words: 'Only an approver or an admin can have stored keys tried. Nothing was tried.',
    });
  const wanted = words.trim().toLowerCase();
  const service = context.services.find(({ id, name }) => id === wanted || name.toLowerCase() === wanted);
  if (!service)
    return whisperWords(
      context,
      event,
      `Say which service, such as /countersign test ${context.services[0]?.id ?? 'woocommerce'}. Nothing was tried.`,
    );
  const stored = await results(context, customerId, service.id);
  if (stored.length === 0) return whisperWords(context, event, `No key for ${service.name} is stored.`);
  const { isAllowed, retrySeconds } = await context.database.withCustomer(customerId, (tx) =>
    take(tx, customerId, { ...TESTS, name: `test ${service.id}` }),
  );
  if (!isAllowed) {
    const minutes = Math.ceil(retrySeconds / 60);
    const often = `The keys of ${service.name} were tried ${TESTS.quota} times within an hour.`;
    return whisperWords(context, event, `${often} Ask again in ${minutes} minutes. Nothing was tried.`);
  }
  const tried: { readonly target: string; readonly words: string; readonly isGood: boolean }[] = [];
  for (const each of stored.slice(0, TRIED))
    tried.push({ target: each.target, ...(await tryOne(context, customerId, member, each)) });
  const good = tried.filter(({ isGood }) => isGood).length;
  const rest = stored.length - tried.length;
  await whisper(context, event, {
    summary: `${good} of ${tried.length} ${service.name} keys work`,
    blocks: [
      {
        kind: 'text',
        text: [bold(`${good} of ${tried.length} ${service.name} ${tried.length === 1 ? 'key works' : 'keys work'}`)],
      },
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
  const verdict = await operation.type.verify({ base, origin, credential, permissions, http: context.http });
  return verdict.kind === 'works' ? { words: verdict.checked, isGood: true } : { words: verdict.reason, isGood: false };
}
