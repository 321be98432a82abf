import { type ConnectionView, connectionsOf } from '../../core/connections/records.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Block, ChatEvent } from '../../core/ports/chat.ts';
import type { StoredCredential } from '../../core/vault/vault.ts';
import { bold, code, place, text } from '../cards/text.ts';
import type { Context } from '../context.ts';
import { isAdminNow, refuse } from '../refusal.ts';
import { whisper, whisperWords } from '../speak.ts';

const SHOWN = 10;

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
  const stored = await storedResults(context, customerId);
  if (stored.length === 0) return whisperWords(context, event, 'No key is stored.');
  const health = await context.database.withCustomer(customerId, (tx) => connectionsOf(tx, customerId));
  const healthOf = ({ id }: StoredCredential) => health.find(({ credential }) => credential.id === id);
  const rest = stored.length - SHOWN;
  const services = [...new Set(stored.map(({ service }) => service))];
  await whisper(context, event, {
    summary: stored.length === 1 ? '1 stored key' : `${stored.length} stored keys`,
    blocks: [
      { kind: 'text', text: [bold('Stored keys')] },
      { kind: 'list', items: stored.slice(0, SHOWN).map((each) => line(context, each, healthOf(each))) },
      ...(rest > 0 ? [{ kind: 'text', tone: 'quiet', text: [text(`And ${rest} more.`)] } satisfies Block] : []),
      {
        kind: 'text',
        tone: 'quiet',
        text: [text('To see whether they still work, write '), code(`/countersign test ${services[0]}`), text('.')],
      },
    ],
  });
}

function line(
  context: Context,
  { service, target, createdAt, lastRotatedAt, metadata, operationId, rotationRequired }: StoredCredential,
  health: ConnectionView | undefined,
) {
  const details = [...(rotationRequired ? ['to be rotated'] : []), ...healthWords(health)];
  const of = metadata.operationId ?? operationId;
  return {
    text: [
      text(`${nameOf(context, service)}${target === '' ? '' : ` for ${place(target)}`} · `),
      ...(metadata.label ? [text(`“${metadata.label}” · `)] : []),
      ...(of ? [code(of), text(' · ')] : []),
      { kind: 'time', at: lastRotatedAt ?? createdAt, form: 'datetime' } as const,
    ],
    ...(details.length > 0 ? { detail: details.join('; ') } : {}),
  };
}

/** What is well, and what nobody looked at yet, needs no word. */
function healthWords(health: ConnectionView | undefined): readonly string[] {
  if (!health || health.checkedAt === null || health.state === 'healthy') return [];
  return [`${health.state}: ${health.reason}`];
}

function nameOf({ services }: Context, id: string): string {
  return services.find((service) => service.id === id)?.name ?? id;
}

/** Newest first; sign-in secrets, which go with their operation, aside. */
export async function storedResults(
  { vault }: Context,
  customerId: CustomerId,
  service?: string,
): Promise<readonly StoredCredential[]> {
  const stored = await vault.list(customerId, service);
  return stored
    .filter(({ operationId }) => operationId === null)
    .toSorted((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
}
