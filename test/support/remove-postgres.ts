/** `node remove-postgres.ts DIR`: removes the server of a test run that was interrupted, once that run has ended. */
import { setTimeout as wait } from 'node:timers/promises';
import { CountersignError } from '../../core/errors.ts';
import { removeAbandonedServer } from './run-postgres.ts';

const dir = process.argv[2] ?? '';
for (let attempt = 0; attempt < 100; attempt++) {
  try {
    await removeAbandonedServer(dir);
    break;
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'already_running') throw error;
    await wait(100);
  }
}
