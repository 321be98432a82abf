import { parseOperationId } from '../../core/ids.ts';
import { type JobOnRecord, listJobs, queueStats, type Redriven, redrive } from '../../core/operations/dead-letters.ts';
import { stateWords } from '../cards/audit-card.ts';
import { type Call, type Command, counted } from './command.ts';

const JSON_OPTION = { type: 'boolean', help: 'as JSON' } as const;
const STOP_MS = 1_000;

export const queueList: Command = {
  usage: 'queue list',
  summary:
    'Jobs of operations and deadlines that are not done, the longest due first; ids alone, for there is nothing else.',
  options: { failed: { type: 'boolean', help: 'only those without a retry left' }, json: JSON_OPTION },
  async run(call) {
    const { database } = await call.open();
    const isDead = call.values.failed === true;
    const jobs = await listJobs(database, { isDead });
    if (call.values.json === true) call.say(JSON.stringify(jobs, null, 2));
    else for (const job of jobs) call.say(jobLine(job));
    if (jobs.length === 0 && call.values.json !== true) call.say(isDead ? 'No job is dead.' : 'No job waits.');
    return 0;
  },
};

export const queueStatsCommand: Command = {
  usage: 'queue stats',
  summary: 'How many jobs wait, are done again, run or are dead in each queue, and how long the oldest has been due.',
  options: { json: JSON_OPTION },
  async run(call) {
    const { database } = await call.open();
    const all = await queueStats(database);
    if (call.values.json === true) call.say(JSON.stringify(all, null, 2));
    else
      for (const { queue, waiting, again, running, dead, oldestSeconds } of all)
        call.say(
          [
            queue.padEnd(20),
            ...[`${waiting} waiting`, `${again} again`, `${running} running`, `${dead} dead`],
            ...(oldestSeconds === null ? [] : [`oldest due for ${oldestSeconds} s`]),
          ].join('  '),
        );
    return 0;
  },
};

export const queueRedrive: Command = {
  usage: 'queue redrive ID',
  summary:
    'Does a dead job after all, where its operation is still open. The id is the job’s or the operation’s (op-…).',
  options: { json: JSON_OPTION },
  async run(call) {
    const [id = ''] = call.args;
    if (!parseOperationId(id) && !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
      call.complain('Name a job by its id, as `queue list --failed` prints it, or an operation (op-…).');
      return 2;
    }
    const foundation = await call.open();
    await foundation.queue.start();
    try {
      return report(call, id, await redrive(foundation, id));
    } finally {
      await foundation.queue.stop(STOP_MS);
    }
  },
};

function report(call: Call, id: string, redriven: Redriven): number {
  const isSent = redriven.kind === 'sent';
  if (call.values.json === true) call.say(JSON.stringify(redriven));
  else if (isSent) call.say(wordsOf(id, redriven));
  else call.complain(wordsOf(id, redriven));
  return isSent ? 0 : 1;
}

function wordsOf(id: string, redriven: Redriven): string {
  switch (redriven.kind) {
    case 'sent':
      return `${redriven.operationId}: a new job is in the queue ${redriven.queue}.`;
    case 'unknown':
      return `No dead job is ${id}, or is for it. \`queue list --failed\` prints those that are dead.`;
    case 'ended':
      return `${redriven.operationId} is over (${stateWords(redriven.state)}), and that is on record: nothing was sent. What is still wanted has to be asked for anew, in the thread.`;
    case 'in_hand':
      return `${redriven.operationId} is open (${stateWords(redriven.state)}), and this is not what it waits for: nothing was sent.`;
    default:
      return redriven satisfies never;
  }
}

function jobLine({ id, queue, state, customerId, operationId, priority, retries, sentAt }: JobOnRecord): string {
  return [
    ...[id, queue, state, operationId, `customer ${customerId}`, `priority ${priority}`],
    ...[counted(retries, 'retry', 'retries'), `sent ${sentAt.toISOString()}`],
  ].join('  ');
}
