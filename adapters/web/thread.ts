import { randomBytes } from 'node:crypto';
import type { MessageRef, Person, ThreadRef } from '../../core/ports/chat.ts';
import { unknownReference } from './errors.ts';

/** The thread that has no message yet. */
export const NEW_THREAD = 'new';

const DIRECT = 'dm-';

/** 64 bits: ids are not secret here, they only must not repeat. */
export function newId(prefix: 't' | 'm' | 'f'): string {
  return `${prefix}-${randomBytes(8).toString('hex')}`;
}

/** The thread between Countersign and one person; what is posted there, that person alone sees. */
export function directThreadId(userId: string): string {
  return `${DIRECT}${userId}`;
}

/** Whose direct thread it is, or `undefined` for a thread of the channel. */
export function directTo(threadId: string): string | undefined {
  return threadId.startsWith(DIRECT) ? threadId.slice(DIRECT.length) : undefined;
}

export function threadRef(workspaceId: string, threadId: string): ThreadRef {
  return { platform: 'web', workspaceId, ref: threadId };
}

export function messageRef(workspaceId: string, threadId: string, messageId: string): MessageRef {
  return { thread: threadRef(workspaceId, threadId), ref: messageId };
}

/** @throws CountersignError when the reference is another platform's or another workspace's. */
export function threadIdOf(thread: ThreadRef, workspaceId: string): string {
  if (thread.platform !== 'web' || thread.workspaceId !== workspaceId) throw unknownReference('thread');
  return thread.ref;
}

/** @throws CountersignError when the person is another platform's or another workspace's. */
export function userIdOf(person: Person, workspaceId: string, people: readonly Person[]): string {
  const isKnown = people.some(({ userId }) => userId === person.userId);
  if (person.platform !== 'web' || person.workspaceId !== workspaceId || !isKnown) throw unknownReference('person');
  return person.userId;
}
