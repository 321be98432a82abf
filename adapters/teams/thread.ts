import type { MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
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
