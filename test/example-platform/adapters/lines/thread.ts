import type { MessageRef, ThreadRef } from '../../core/ports/chat.ts';
import { WORKSPACE } from './config.ts';
import { unknownReference } from './errors.ts';

export function threadRef(ref: string): ThreadRef {
  return { platform: 'lines', workspaceId: WORKSPACE, ref };
}

export function messageRef(thread: string, ref: string): MessageRef {
  return { thread: threadRef(thread), ref };
}

/** @throws CountersignError `chat_unavailable` for another platform's or workspace's. */
export function threadIdOf({ platform, workspaceId, ref }: ThreadRef): string {
  if (platform !== 'lines' || workspaceId !== WORKSPACE) throw unknownReference('thread');
  return ref;
}
