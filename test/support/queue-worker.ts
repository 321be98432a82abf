/**
 * A worker process that does nothing with its jobs but hold them: writes a line when it is ready, and one for each job that it
 * begins, `customer id and operation id`. Reads `{ url, concurrency, ofCustomer, holdMs }` from its first argument; ends with
 * whoever started it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createQueue } from '../../core/queue/queue.ts';
import { silentLog } from './silent-log.ts';

// Written by the test that starts it.
const { url, concurrency, ofCustomer, holdMs } = JSON.parse(process.argv[2] ?? '') as {
  url: string;
  concurrency: number;
  ofCustomer: number;
  holdMs: number;
};
const queue = createQueue({ url, log: silentLog });
process.stdin.resume().once('end', () => process.exit());
await queue.start();
const hold = async ({ customerId, operationId }: { customerId: string; operationId: string }) => {
  process.stdout.write(`${customerId} ${operationId}\n`);
  await pause(holdMs);
};
await queue.workOperations(concurrency, hold, ofCustomer);
process.stdout.write('ready\n');
