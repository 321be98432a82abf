import { canonical, type Json, sha256Hex } from '../core/canonical.ts';
import type { Database } from '../core/database.ts';
import type { CustomerId } from '../core/ids.ts';
import type { KeptMessage, ThreadState, Threads } from '../core/operations/threads.ts';
import { RESERVED } from '../core/operations/together.ts';
import type { Activity, Card, Chat, Person, PictureLink, Platform } from '../core/ports/chat.ts';
import type { Log } from '../core/ports/log.ts';
import type { Places } from './places.ts';
import { uploadOrLeaveOut } from './unshown.ts';

/** What showing a message needs. */
export interface ShowDeps {
  readonly database: Database;
  readonly threads: Threads;
  readonly places: Places;
  readonly log: Log;
  chat(platform: Platform): Chat;
}

/** A message as a thread should show it. */
export interface Wanted {
  readonly slot: string;
  readonly card: Card;
  /** It is shown as this picture, by itself. */
  readonly picture?: PictureLink;
  /** Whom alone it is shown to. */
  readonly to?: Person;
  /** What it would say is no reason to begin a message: it only changes one that is there. */
  readonly isChangeOnly?: boolean;
  /** Once it is there it stays as it is. */
  readonly isOnce?: boolean;
}

/** Stands for a message that was about to be posted: whoever finds it after a crash can't know what the thread shows. */
const NOT_POSTED = '';

function hashOf(card: Card): string {
  return sha256Hex(canonical(JSON.parse(JSON.stringify(card)) as Json)); // JSON.parse gives nothing but Json
}

/** What a thread has of the messages that it should show, as read in the transaction that says what it should; kept up by what shows. */
export type Known = Map<string, KeptMessage>;

/** Where a thread's messages are shown. Whoever shows holds the thread's lock, so that nobody else changes them meanwhile. */
export interface Place {
  readonly customerId: CustomerId;
  readonly thread: ThreadState;
  readonly known: Known;
}

/** What is read of `Known` for these: nothing where nothing is new. */
export function slotsOf(wanted: readonly Wanted[]): readonly string[] {
  return wanted.length === 0 ? [] : [...wanted.map(({ slot }) => slot), ACTIVITY_SLOT];
}

async function keep(
  { database, threads }: ShowDeps,
  { customerId, thread, known }: Place,
  slot: string,
  ref: string,
  shown: string,
): Promise<void> {
  const message = { thread: thread.ref, ref };
  await database.withCustomer(customerId, (tx) => threads.keepMessage(tx, customerId, thread, slot, message, shown));
  known.set(slot, { ref: message, shown });
}

/** A message to one person has no reference: its key finds it again where the platform can. */
export async function showTo(deps: ShowDeps, place: Place, { slot, card }: Wanted, to: Person): Promise<void> {
  const { thread, known } = place;
  const shown = hashOf(card);
  if (known.get(slot)?.shown === shown) return;
  await deps.chat(thread.ref.platform).ephemeral(thread.ref, to, card, { key: slot });
  await keep(deps, place, slot, NOT_POSTED, shown);
}

/** @returns 0, or the milliseconds until the platform takes it. */
export async function show(deps: ShowDeps, place: Place, message: Wanted): Promise<number> {
  const { thread } = place;
  const { slot, card, picture } = message;
  const chat = deps.chat(thread.ref.platform);
  if (picture && (chat.capabilities.picturesInCards || !chat.capabilities.upload)) return 0;
  const shown = hashOf(card);
  const known = place.known.get(slot);
  const isThere = known?.shown === shown || (known !== undefined && message.isOnce);
  if (isThere || (!known && message.isChangeOnly)) return 0;
  const isEdit = known !== undefined && known.ref.ref !== NOT_POSTED;
  const waitMs = await deps.places.wait(chat, thread.ref, slot, picture ? 'picture' : isEdit ? 'edit' : 'post');
  if (waitMs > 0) return waitMs;
  const hasPlace = true;
  if (picture) {
    const ref = await uploadOrLeaveOut(chat, thread, picture, { key: slot, hasPlace, log: deps.log });
    await keep(deps, place, slot, ref, shown);
  } else if (isEdit) {
    await chat.update(known.ref, card, { hasPlace });
    await keep(deps, place, slot, known.ref.ref, shown);
  } else {
    const isUntried = !known || known.shown === RESERVED;
    if (isUntried) await keep(deps, place, slot, NOT_POSTED, '');
    const posted = await chat.post(thread.ref, card, { key: slot, hasPlace });
    if (!isUntried) await chat.update(posted, card); // the crash may have come after an earlier post of this key
    await keep(deps, place, slot, posted.ref, shown);
  }
  return 0;
}

const ACTIVITY_SLOT = 'activity';

/** Said once for each change. What ended before it was ever begun needs no word. @returns as `show` does. */
export async function showActivity(deps: ShowDeps, place: Place, activity: Activity): Promise<number> {
  const { thread } = place;
  const chat = deps.chat(thread.ref.platform);
  if (!chat.showActivity) return 0;
  const known = place.known.get(ACTIVITY_SLOT);
  if (known?.shown === activity || (!known && activity === 'over')) return 0;
  const waitMs = await deps.places.wait(chat, thread.ref, ACTIVITY_SLOT, 'activity');
  if (waitMs > 0) return waitMs;
  await chat.showActivity(thread.ref, activity, { hasPlace: true });
  await keep(deps, place, ACTIVITY_SLOT, NOT_POSTED, activity);
  return 0;
}
