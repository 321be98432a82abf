import type { MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
import { unknownReference } from './errors.ts';

/** Where a message goes: a channel, and in it the thread under the message `ts`; without one, the channel itself. */
export interface Place {
  readonly workspaceId: string;
  readonly channel: string;
  readonly ts?: string;
}

const REF = /^([A-Z0-9]{2,32}):(\d{1,16}\.\d{1,8})?$/;
const CHANNEL = /^[A-Z0-9]{2,32}$/;
const TS = /^\d{1,16}\.\d{1,8}$/;

/** `C123:1700000000.000100`; `C123:` is the channel without a thread. */
export function threadRef({ workspaceId, channel, ts = '' }: Place): ThreadRef {
  return { platform: 'slack', workspaceId, ref: `${channel}:${ts}` };
}

/** @throws CountersignError when the reference is another platform's, or none that was given out here. */
export function placeOf({ platform, workspaceId, ref }: ThreadRef): Place {
  const [, channel, ts] = REF.exec(ref) ?? [];
  if (platform !== 'slack' || channel === undefined) throw unknownReference('thread');
  return { workspaceId, channel, ...(ts === undefined ? {} : { ts }) };
}

/** A channel, to begin something in; `undefined`: this is no name that Slack gives one. */
export function channelNamed(workspaceId: string, channel: string | undefined): ThreadRef | undefined {
  return channel !== undefined && CHANNEL.test(channel) ? threadRef({ workspaceId, channel }) : undefined;
}

export function messageRef(thread: ThreadRef, ts: string): MessageRef {
  return { thread, ref: ts };
}

/** @throws CountersignError when the reference names no message. */
export function messageOf({ thread, ref }: MessageRef): { readonly place: Place; readonly ts: string } {
  if (!TS.test(ref)) throw unknownReference('message');
  return { place: placeOf(thread), ts: ref };
}

/** @throws CountersignError when the person is another platform's. */
export function slackPerson(person: Person): Person {
  if (person.platform !== 'slack') throw unknownReference('person');
  return person;
}

/** What `openForm` needs of a click: Slack's trigger and where the click was. */
export function triggerOf(place: Place, triggerId: string): string {
  return [place.workspaceId, threadRef(place).ref, triggerId].join(' ');
}

/** @throws CountersignError for what `triggerOf` did not write. */
export function readTrigger(trigger: string): { readonly place: Place; readonly triggerId: string } {
  const [workspaceId = '', ref = '', triggerId, ...rest] = trigger.split(' ');
  if (!triggerId || rest.length > 0) throw unknownReference('trigger');
  return { place: placeOf({ platform: 'slack', workspaceId, ref }), triggerId };
}
