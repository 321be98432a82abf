import { type Html, html } from '../../../core/markup.ts';
import { listJobs, queueStats, type Redriven, redrive } from '../../../core/operations/dead-letters.ts';
import { DEADLINES_QUEUE, OPERATIONS_QUEUE } from '../../../core/queue/queues.ts';
import { form, heading, livePart, liveView, nothingYet, tiles } from '../layout.ts';
import type { Call, ConsoleRoute } from '../routes.ts';
import { chip, duration, number, stateWords, time } from '../words.ts';

const QUEUE_WORDS: Readonly<Record<string, string>> = {
  [OPERATIONS_QUEUE]: 'operations: work for a machine',
  [DEADLINES_QUEUE]: 'deadlines: what expires when nobody clicks, each at its time',
};

export const queueRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/queue',
    role: 'admin',
    async answer(call) {
      const sub = 'Work of yours that waits for a machine, and what no machine could finish.';
      const body = html`${heading('Queue', sub)}${livePart('/console/queue/live', await jobs(call))}`;
      return { kind: 'page', title: 'Queue', nav: 'queue', body };
    },
  },
  {
    method: 'get',
    path: '/queue/live',
    role: 'admin',
    isByItself: true,
    answer: async (call) => ({ kind: 'part', body: await jobs(call) }),
  },
  {
    method: 'post',
    path: '/queue/redrive',
    role: 'admin',
    async answer({ deps, customerId, member, fields }) {
      const redriven = await redrive(deps, fields.job ?? '', { customerId, memberId: member.id });
      if (redriven.kind === 'sent') return { kind: 'go', to: `/console/operations/${redriven.operationId}` };
      const body = html`${heading('Nothing was sent')}<div class="panel" role="status" tabindex="-1" autofocus><p>${wordsOf(redriven)}</p></div><p class="actions"><a class="button" href="/console/queue">Back</a></p>`;
      return { kind: 'page', title: 'Nothing was sent', nav: 'queue', body };
    },
  },
];

async function jobs(call: Call): Promise<Html> {
  const { deps, customerId } = call;
  const stats = await queueStats(deps.database, customerId);
  const dead = await listJobs(deps.database, { isDead: true, of: customerId });
  const work = stats.find(({ queue }) => queue === OPERATIONS_QUEUE);
  const oldest = Math.max(-1, ...stats.map(({ oldestSeconds }) => oldestSeconds ?? -1));
  const queues = stats
    .filter(({ waiting, again, running, dead: given }) => waiting + again + running + given > 0)
    .map(
      (row) =>
        html`<tr><td class="what"><b>${QUEUE_WORDS[row.queue] ?? row.queue.replaceAll('_', ' ')}</b></td><td data-label="Waiting" class="right">${number(row.waiting)}</td><td data-label="Again" class="right">${number(row.again)}</td><td data-label="Running" class="right">${number(row.running)}</td><td data-label="Dead" class="right">${number(row.dead)}</td></tr>`,
    );
  const rows = dead.map(
    (job) =>
      html`<tr><td class="what"><a href="/console/operations/${job.operationId}">${chip(job.operationId)}</a></td><td data-label="Queue">${QUEUE_WORDS[job.queue] ?? job.queue.replaceAll('_', ' ')}</td><td data-label="Sent">${time(job.sentAt, 'ago')}</td><td data-label="Tries" class="right">${job.retries + 1}</td><td>${form(call, '/console/queue/redrive', html`<button class="button small">Do it after all<span class="unseen">: ${job.operationId}</span></button>`, { job: job.id })}</td></tr>`,
  );
  return liveView(html`${tiles([
    { label: 'Waiting', value: number((work?.waiting ?? 0) + (work?.again ?? 0)) },
    { label: 'Running', value: number(work?.running ?? 0) },
    { label: 'Without a retry left', value: number(dead.length), ...(dead.length > 0 ? { tone: 'bad' } : {}) },
    { label: 'Longest due', value: oldest < 0 ? '–' : duration(oldest * 1000) },
  ])}
${queues.length > 0 && html`<div class="panel list-panel"><table class="stacked"><caption class="unseen">Queues</caption><thead><tr><th scope="col">Queue</th><th scope="col" class="right">Waiting</th><th scope="col" class="right">Again</th><th scope="col" class="right">Running</th><th scope="col" class="right">Dead</th></tr></thead><tbody>${queues}</tbody></table></div>`}
${rows.length === 0 ? nothingYet('No dead letter', 'Every job was done, or will be tried again by itself.') : html`<div class="panel list-panel"><h2>Dead letters</h2><table class="stacked"><thead><tr><th scope="col">Operation</th><th scope="col">Queue</th><th scope="col">Sent</th><th scope="col" class="right">Tries</th><th scope="col"><span class="unseen">Redrive</span></th></tr></thead><tbody>${rows}</tbody></table></div>`}`);
}

function wordsOf(redriven: Exclude<Redriven, { kind: 'sent' }>): string {
  switch (redriven.kind) {
    case 'unknown':
      return 'There is no such dead job here.';
    case 'ended':
      return `${redriven.operationId} is over (${stateWords(redriven.state)}), and that is on record. What is still wanted has to be asked for anew, in its thread.`;
    case 'in_hand':
      return `${redriven.operationId} is open (${stateWords(redriven.state)}), and this is not what it waits for.`;
    default:
      return redriven satisfies never;
  }
}
