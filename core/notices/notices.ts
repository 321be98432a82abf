import { databaseNow, type Transaction } from '../database.ts';
import { type CustomerId, newUuid } from '../ids.ts';
import { choiceOf, type NoticeChoice, USUAL_CHOICE } from './choices.ts';
import { quietUntil } from './clock.ts';

export type NoticeKind =
  /** An operation is over, and one waits: for whoever asked and wants to be told directly. `about`: its id. */
  | 'result'
  | 'waiting'
  /** A consent is about to lapse, for whoever countersigned; and one whose countersigner may no longer, for admins. Its id. */
  | 'lapsing'
  | 'unsupported'
  /** A step fails more often, for admins; and its card is closed. The id of the episode. */
  | 'failing'
  | 'over'
  /** A week's summary, for admins. When the week ends, in ISO 8601. */
  | 'digest';

/** Whoever runs into one of these has to press something before work goes on: no hour is too quiet for it. */
const URGENT: readonly NoticeKind[] = ['waiting'];

export interface Notice {
  readonly id: string;
  readonly memberId: string;
  readonly kind: NoticeKind;
  readonly about: string;
}

/** What goes to one person in one message. */
export interface Batch {
  /** The id of its first notice: what the message is known by, however often it is sent. */
  readonly id: string;
  readonly memberId: string;
  readonly choice: NoticeChoice;
  readonly notices: readonly Notice[];
}

/** Tells each of them once: another time under the same key changes nothing. */
export async function tell(
  tx: Transaction,
  customerId: CustomerId,
  memberIds: readonly string[],
  what: { readonly kind: NoticeKind; readonly about: string; readonly key: string; readonly dueAt?: Date },
): Promise<void> {
  const { dueAt = await databaseNow(tx), ...rest } = what;
  const data = memberIds.map((memberId) => ({ customerId, id: newUuid(), memberId, ...rest, dueAt }));
  if (data.length > 0) await tx.notice.createMany({ data, skipDuplicates: true });
}

/**
 * Messages that are to be sent now, each put together once and for all: what was put together and not sent, because its
 * process died, comes again as it was. In somebody's quiet hours all that can wait is moved to their end.
 * @param apart whether a notice has a place of its own, so that it is no part of another message
 */
export async function takeDue(
  tx: Transaction,
  customerId: CustomerId,
  apart: (notice: Notice, choice: NoticeChoice) => boolean,
): Promise<readonly Batch[]> {
  const now = await databaseNow(tx);
  const rows = await tx.notice.findMany({
    where: { customerId, sentAt: null, dueAt: { lte: now } },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  const choices = new Map<string, NoticeChoice>();
  for (const memberId of new Set(rows.map((row) => row.memberId)))
    choices.set(memberId, (await choiceOf(tx, customerId, memberId)) ?? USUAL_CHOICE);
  const batches = new Map<string, Batch & { readonly notices: Notice[] }>();
  /** By member: the batch that whatever can go together goes in. */
  const together = new Map<string, string>();
  for (const { batch, ...row } of rows) {
    const { id, memberId, about } = row;
    const notice: Notice = { id, memberId, kind: row.kind as NoticeKind, about }; // CHECK notices_kind_check
    const choice = choices.get(memberId) ?? USUAL_CHOICE;
    const isUrgent = URGENT.includes(notice.kind);
    const until = batch === null && !isUrgent && choice.quiet ? quietUntil(now, choice.quiet) : undefined;
    if (until) {
      await update(tx, customerId, [id], { dueAt: until, heldAt: now });
      continue;
    }
    const isAlone = isUrgent || apart(notice, choice);
    const name = batch ?? (isAlone ? id : (together.get(memberId) ?? id));
    if (batch === null && !isAlone) together.set(memberId, name);
    const known = batches.get(name);
    if (known) known.notices.push(notice);
    else batches.set(name, { id: name, memberId, choice, notices: [notice] });
    if (batch === null) await update(tx, customerId, [id], { batch: name });
  }
  return [...batches.values()];
}

/** They are told, or had nothing to tell any more. */
export async function settle(
  tx: Transaction,
  customerId: CustomerId,
  notices: readonly Notice[],
  at?: { readonly threadRef: string; readonly ref: string },
): Promise<void> {
  const ids = notices.map(({ id }) => id);
  await update(tx, customerId, ids, { sentAt: await databaseNow(tx), ...at });
}

async function update(
  tx: Transaction,
  customerId: CustomerId,
  ids: readonly string[],
  data: { dueAt?: Date; heldAt?: Date; batch?: string; sentAt?: Date; threadRef?: string; ref?: string },
): Promise<void> {
  await tx.notice.updateMany({ where: { customerId, id: { in: [...ids] }, sentAt: null }, data });
}

/** Where a message about this stands that was sent to somebody, with all that it says. */
export async function sentAbout(
  tx: Transaction,
  customerId: CustomerId,
  { memberId, kind, about }: Pick<Notice, 'memberId' | 'kind' | 'about'>,
): Promise<{ readonly threadRef: string; readonly ref: string; readonly notices: readonly Notice[] } | undefined> {
  const row = await tx.notice.findFirst({ where: { customerId, memberId, kind, about, ref: { not: null } } });
  if (!row?.batch || row.threadRef === null || row.ref === null) return undefined;
  const all = await tx.notice.findMany({
    where: { customerId, batch: row.batch },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  const notices = all.map((one) => ({ ...one, kind: one.kind as NoticeKind })); // CHECK notices_kind_check
  return { threadRef: row.threadRef, ref: row.ref, notices };
}

/** Each person once, by the account that they had first. */
export function onePerPerson<M extends { readonly personId: string }>(members: readonly M[]): readonly M[] {
  return [...new Map(members.toReversed().map((member) => [member.personId, member])).values()].toReversed();
}
