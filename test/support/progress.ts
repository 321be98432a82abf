import { createProgress, type Progress } from '../../bot/progress.ts';
import type { Database } from '../../core/database.ts';
import { CountersignError } from '../../core/errors.ts';
import type { Chat, Platform } from '../../core/ports/chat.ts';
import type { Core } from './core.ts';
import { silentLog } from './silent-log.ts';

/** The feed of one process, whose only platform is this one. */
export function progressOf(core: Core | undefined, chat: Chat, database?: Database): Progress {
  if (!core) throw new Error('the database is not open');
  const pictureUrl = (_: string, id: string) => `/pictures/${id}`;
  const only = (platform: Platform) => {
    if (platform === 'web') return chat;
    throw new CountersignError('chat_unavailable', `${platform} is not connected to this installation.`);
  };
  return createProgress({ ...core, database: database ?? core.database, log: silentLog, chat: only, pictureUrl });
}
