import { settleRestored } from '../../core/operations/restored.ts';
import { type Command, counted } from './command.ts';

/** `restored`: once, after a dump was restored and before anything is started on it. */
export const restored: Command = {
  usage: 'restored',
  summary: 'After a restore, before anything is started: ends what was under way, and has threads say so.',
  async run(call) {
    const foundation = await call.open();
    const ids = await foundation.directory.customers();
    let operations = 0;
    let threads = 0;
    for (const id of ids) {
      const settled = await settleRestored(foundation, id);
      operations += settled.ended;
      threads += settled.threads;
    }
    call.say(
      `${counted(ids.length, 'customer')}: ${counted(operations, 'operation was', 'operations were')} under way and ended; ${counted(threads, 'thread is', 'threads are')} shown anew once a bot runs.`,
    );
    return 0;
  },
};
