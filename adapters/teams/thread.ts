import type { MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
import type { Seals } from '../../core/vault/seals.ts';
import { unknownReference } from './errors.ts';

const SCOPES = ['personal', 'group', 'channel'] as const;
/** A chat with the bot alone, one with several people, or a thread of a team's channel. */
export type Scope = (typeof SCOPES)[number];

/** A conversation as the Connector names it; that of a channel's thread ends in `;messageid=` and its first message. */
export interface Place {
  readonly workspaceId: string;
  readonly scope: Scope;
  readonly conversationId: string;
}

const REF = /^(personal|group|channel):([\x21-\x7e]{1,500})$/;
const MESSAGE = /^[\x21-\x7e]{1,200}$/;
const THREAD_OF = /;messageid=.*$/;

/** `channel:19:abc@thread.tacv2;messageid=1700000000000`; without `;messageid=` it is the channel itself. */
export function threadRef({ workspaceId, scope, conversationId }: Place): ThreadRef {
  return { platform: 'teams', workspaceId, ref: `${scope}:${conversationId}` };
}

/** @throws CountersignError when the reference is another platform's, or none that was given out here. */
export function placeOf({ platform, workspaceId, ref }: ThreadRef): Place {
  const [, scope, conversationId] = REF.exec(ref) ?? [];
  const known = SCOPES.find((each) => each === scope);
  if (platform !== 'teams' || !known || conversationId === undefined) throw unknownReference('thread');
  return { workspaceId, scope: known, conversationId };
}

/** The conversation that has the members: a thread has those of its channel. */
export function withoutThread(conversationId: string): string {
  return conversationId.replace(THREAD_OF, '');
}

/** A message posted to a channel begins a thread under it; elsewhere there are none. */
export function threadUnder(place: Place, messageId: string): Place {
  const isChannelItself = place.scope === 'channel' && !THREAD_OF.test(place.conversationId);
  return isChannelItself ? { ...place, conversationId: `${place.conversationId};messageid=${messageId}` } : place;
}

/** As Teams names a channel (`@thread.skype` in older teams), and a chat with several people. */
const CHANNEL_ID = /^19:[\x21-\x7e]{1,400}@thread\.(?:tacv2|skype)$/;
const GROUP_ID = /^19:[\x21-\x7e]{1,400}@thread\.v2$/;

/** Where something can be said that nobody there asked for; `undefined`: this is no channel's name, nor that of such a chat. */
export function placeNamed(workspaceId: string, conversationId: string): Place | undefined {
  if (conversationId.includes(';')) return undefined;
  if (CHANNEL_ID.test(conversationId)) return { workspaceId, scope: 'channel', conversationId };
  return GROUP_ID.test(conversationId) ? { workspaceId, scope: 'group', conversationId } : undefined;
}

/**
 * What a card in a person's own chat says of the thread that it is about: its `ref` and our seal, of that organisation. A client
 * may send whatever it likes, and names no thread that no card of ours has named.
 */
export function nameOfThread({ workspaceId, ref }: ThreadRef, seals: Seals): string {
  return `${ref} ${seals.of(`${workspaceId} ${ref}`)}`;
}

/** `undefined` for what `nameOfThread` did not write for this organisation. */
export function threadNamed(workspaceId: string, written: string, seals: Seals): ThreadRef | undefined {
  const [ref = '', seal = '', ...rest] = written.split(' ');
  if (rest.length > 0 || !seals.fits(`${workspaceId} ${ref}`, seal)) return undefined;
  return { platform: 'teams', workspaceId, ref };
}

export function messageRef(thread: ThreadRef, activityId: string): MessageRef {
  return { thread, ref: activityId };
}

/** @throws CountersignError when the reference names no message. */
export function messageOf({ thread, ref }: MessageRef): { readonly place: Place; readonly activityId: string } {
  if (!MESSAGE.test(ref)) throw unknownReference('message');
  return { place: placeOf(thread), activityId: ref };
}

/** @throws CountersignError when the person is another platform's. */
export function teamsPerson(person: Person): Person {
  if (person.platform !== 'teams') throw unknownReference('person');
  return person;
}

/** What `openForm` needs of a click or a command: where it was, whose it was, and which one. */
export interface Trigger {
  readonly thread: ThreadRef;
  readonly userId: string;
  readonly id: string;
}

export function triggerOf({ thread, userId, id }: Trigger): string {
  return [thread.workspaceId, thread.ref, userId, id].join(' ');
}

/** @throws CountersignError for what `triggerOf` did not write. */
export function readTrigger(trigger: string): Trigger {
  const [workspaceId = '', ref = '', userId = '', id = '', ...rest] = trigger.split(' ');
  if (userId === '' || id === '' || rest.length > 0) throw unknownReference('trigger');
  const thread: ThreadRef = { platform: 'teams', workspaceId, ref };
  try {
    placeOf(thread);
  } catch {
    throw unknownReference('trigger');
  }
  return { thread, userId, id };
}
