import { z } from 'zod';
import type { AuditEntry } from '../../core/audit/entry.ts';
import { EXPIRY_WARNING_DAYS } from '../../core/connections/place.ts';
import { askedRepair } from '../../core/connections/repair-plan.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Button, Card, CardStatus, RichText } from '../../core/ports/chat.ts';
import { bold, capital, code, place, sideOf, text } from './text.ts';

/** What an entry `connection.…` says, as long as its words are on record. */
const words = z.object({
  reason: z.string().default(''),
  days: z.int().optional(),
  expiresAt: z.iso.datetime().optional(),
});

/** A change of a stored key's health, as its entry of the trail says it. */
export interface ConnectionChange {
  /** That made the key. */
  readonly operation: Operation;
  readonly entry: Pick<AuditEntry, 'kind' | 'payload'>;
  /** Nothing else was told of this key since. */
  readonly isNewest: boolean;
}

/** One message a change: an edit would tell nobody. What came after it takes its buttons, and says so. */
export function connectionCard({ operation, entry, isNewest }: ConnectionChange): Card {
  const { reason, days, expiresAt } = words.parse(entry.payload ?? {});
  const kind = entry.kind.slice('connection.'.length);
  const name = `The ${operation.service.name} key for ${place(operation.plan.base)}`;
  const title = `${name} ${STATE_WORDS[kind] ?? 'has changed'}${days === undefined ? '' : ` ${inDays(days)}`}.`;
  const ends: RichText =
    expiresAt === undefined
      ? []
      : [text('It ends on '), { kind: 'time', at: new Date(expiresAt), form: 'datetime' }, text('. ')];
  const isGood = kind === 'healthy';
  return {
    summary: title,
    status: statusOf(kind),
    blocks: [
      { kind: 'text', ...(isGood || !isNewest ? {} : { tone: 'warning' as const }), text: [bold(title)] },
      ...(ends.length > 0 || reason !== '' ? [{ kind: 'text', text: [...ends, text(reason)] } satisfies Block] : []),
      ...(isNewest || isGood ? next(operation, kind, days) : [quiet([text('Something newer is known: see below.')])]),
    ],
  };
}

const STATE_WORDS: Readonly<Record<string, string>> = {
  healthy: 'works again',
  degraded: 'could not be checked for more than an hour',
  broken: 'does not work any more',
  expired: 'has expired',
  unknown: 'can’t be checked any more',
  expiring: 'expires',
};
/** What a state means to somebody: “its key …”. */
export function connectionWords(state: string): string {
  return STATE_WORDS[state] ?? state;
}

const STATUS_WORDS: Readonly<Record<string, string>> = {
  degraded: 'Away',
  broken: 'Broken',
  expired: 'Expired',
  unknown: 'Not checked',
  expiring: 'Expires soon',
};

function statusOf(kind: string): CardStatus {
  if (kind === 'healthy') return { tone: 'done', words: 'Works again' };
  return { tone: kind === 'expiring' ? 'waiting' : 'failed', words: STATUS_WORDS[kind] ?? 'Key' };
}

function inDays(days: number): string {
  return days === 1 ? 'within a day' : `in ${days} days`;
}

/** What was not done, and what to do. */
function next(operation: Operation, kind: string, days: number | undefined): readonly Block[] {
  const { service } = operation;
  const side = sideOf(service);
  switch (kind) {
    case 'healthy':
      return [];
    case 'degraded':
      return [
        quiet([
          text(
            `Nothing was changed. ${capital(side)} is asked again, ever more seldom; you hear of it when it answers.`,
          ),
        ]),
      ];
    case 'unknown':
      return [quiet([text('Nothing was changed, and the key stays where it is.')])];
    default:
      if (operation.result?.data.replacedBy !== undefined) return [replaced(operation.result.data.replacedBy)];
      return isAskedFor(operation, kind, days)
        ? [quiet([text(kind === 'broken' ? ASKED_LATER : ASKED)])]
        : renewal(operation);
  }
}

const KEPT = 'Programs that use it go on with the stored key until there is a new one. Nothing was changed.';
const ASKED = `${KEPT} Below it is asked for, or made where that is granted.`;
/** A service that refuses everybody for a while is not given new keys: REPAIR_AFTER_MS. */
const ASKED_LATER = `${KEPT} If it is still refused in an hour, a new one is asked for below, or made where that is granted.`;

/** With the first word of it the program sees to a new key by itself: core/connections/repair.ts. What comes later is a reminder. */
function isAskedFor({ service, isKeyStored }: Operation, kind: string, days: number | undefined): boolean {
  const isFirst = kind !== 'expiring' || days === EXPIRY_WARNING_DAYS[0];
  return isFirst && isKeyStored && askedRepair(service) !== undefined;
}

function renewal({ id, service, plan, isKeyStored }: Operation): readonly Block[] {
  if (isKeyStored && service.operationTypes.credential_rotation)
    return [quiet([text(KEPT)]), { kind: 'actions', buttons: [renew(id)] }];
  const where = service.home === plan.base ? '' : ` for ${place(plan.base)}`;
  const words = `write “set up ${service.name}${where}” for a new key. Nothing was changed. About `;
  return [{ kind: 'text', text: [bold('Next: '), text(words), code(id), text('.')] }];
}

/** What was amiss with a key is nobody's trouble any more once another one lies in its place. */
function replaced(by: string): Block {
  return quiet([text('Nothing has to be done: a new key has taken its place, by '), code(by), text('.')]);
}

function renew(id: string): Button {
  return { label: 'Renew', style: 'primary', action: 'rotate', value: id };
}

function quiet(line: RichText): Block {
  return { kind: 'text', tone: 'quiet', text: line };
}
