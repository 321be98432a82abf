import type { Database } from '../core/database.ts';
import { isHopeless } from '../core/errors.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Operations } from '../core/operations/operations.ts';
import type { ThreadState } from '../core/operations/threads.ts';
import type { Chat, PictureLink, Platform } from '../core/ports/chat.ts';
import type { Log } from '../core/ports/log.ts';
import { note } from './cards/text.ts';

/**
 * A picture that the platform will never take is left out: the words of its step and all that follows are shown nevertheless.
 * @returns what the platform calls it, or `''`.
 */
export async function uploadOrLeaveOut(
  chat: Chat,
  thread: ThreadState,
  picture: PictureLink,
  { log, ...options }: { readonly key: string; readonly hasPlace?: true; readonly log: Log },
): Promise<string> {
  try {
    return (await chat.upload(thread.ref, picture, options)).ref;
  } catch (error) {
    if (!isHopeless(error)) throw error;
    log.warn({ code: error.code, cause: error.message }, 'a picture could not be put into its thread and is left out');
    return '';
  }
}

/**
 * Whoever asked hears directly that their thread stays silent, and why; what was decided goes on all the same. When they can't
 * be told either, as where the platform is not connected any more, the log has it.
 */
export async function tellWhoAsked(
  deps: {
    readonly database: Database;
    readonly operations: Operations;
    readonly log: Log;
    chat(platform: Platform): Chat;
  },
  customerId: CustomerId,
  thread: ThreadState,
  error: unknown,
): Promise<void> {
  if (!isHopeless(error)) return;
  try {
    const operations = await deps.database.withCustomer(customerId, (tx) =>
      deps.operations.ofThread(tx, customerId, thread.id),
    );
    const latest = operations.at(-1);
    if (!latest) return;
    const words = `I can't write in the thread of ${latest.id}. ${error.message} What was decided goes on; /countersign operations says where it stands.`;
    await deps.chat(thread.ref.platform).directMessage(latest.requester.person, note(words, 'warning'));
  } catch (err) {
    deps.log.warn({ err }, 'nobody could be told that a thread stays silent');
  }
}
