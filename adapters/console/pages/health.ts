import { type ConnectionView, connectionsOf } from '../../../core/connections/records.ts';
import { CONNECTION_STATES } from '../../../core/connections/verdict.ts';
import { dailyFigures } from '../../../core/console/figures.ts';
import { type Html, html } from '../../../core/markup.ts';
import { queueDepths, queueStats } from '../../../core/operations/dead-letters.ts';
import { pauseOf } from '../../../core/operations/hold.ts';
import { OPERATIONS_QUEUE } from '../../../core/queue/queues.ts';
import { heading, livePart, liveView, tiles } from '../layout.ts';
import { plots } from '../plots.ts';
import type { Call, ConsoleRoute } from '../routes.ts';
import { counted, number, time } from '../words.ts';

const DAYS = 30;
/** Checkpoints are read and checked each time. */
const LOOK_SECONDS = 15;

export const healthRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/health',
    role: 'admin',
    async answer(call) {
      const { deps, customerId, read } = call;
      const sub = `Whether everything that your operations need is there, and how they went in the last ${DAYS} days.`;
      const now = livePart('/console/health/live', await standing(call), { apartSeconds: LOOK_SECONDS });
      const later = async () =>
        plots(await read((tx) => dailyFigures(tx, customerId, DAYS)), await queueDepths(deps.database, customerId));
      return { kind: 'page', title: 'Health', nav: 'health', body: html`${heading('Health', sub)}${now}`, later };
    },
  },
  {
    method: 'get',
    path: '/health/live',
    role: 'admin',
    isByItself: true,
    answer: async (call) => ({ kind: 'part', body: await standing(call) }),
  },
];

/** `2 healthy, 1 broken`: as the clock's last looks found them. */
function connectionWords(connections: readonly ConnectionView[]): string {
  if (connections.length === 0) return 'no key is stored';
  const looked = connections.filter(({ checkedAt }) => checkedAt !== null);
  const parts = CONNECTION_STATES.flatMap((state) => {
    const count = looked.filter((each) => each.state === state).length;
    return count === 0 ? [] : [`${number(count)} ${state}`];
  });
  const rest = connections.length - looked.length;
  return [...parts, ...(rest > 0 ? [`${number(rest)} not looked at yet`] : [])].join(', ');
}

async function standing({ deps, customerId, read }: Call): Promise<Html> {
  const processes = await deps.database.processes();
  const { checkpoints, problems } = await deps.checkpoints.held(customerId);
  const { pause, head, connections } = await read(async (tx) => ({
    pause: await pauseOf(tx, customerId),
    head: await tx.auditHead.findUnique({ where: { customerId } }),
    connections: await connectionsOf(tx, customerId),
  }));
  const work = (await queueStats(deps.database, customerId)).find(({ queue }) => queue === OPERATIONS_QUEUE);
  const depth = (work?.waiting ?? 0) + (work?.again ?? 0) + (work?.running ?? 0);
  const works = processes.some((name) => name === 'all' || name === 'worker');
  const looked = connections.filter(({ checkedAt }) => checkedAt !== null);
  const unwell = looked.filter(({ state }) => state !== 'healthy').length;
  const newest = checkpoints.at(-1);
  const behind = head ? head.seq - (newest?.seq ?? 0n) : 0n;
  const rows = [
    [
      'Work',
      pause
        ? html`held back by the operator since ${time(pause.since)}${pause.reason !== '' && html`: ${pause.reason}`}`
        : works
          ? 'a worker is connected'
          : 'no worker is connected: nothing runs until one is',
    ],
    ['Database', 'answers'],
    ['Processes', processes.length === 0 ? 'none has given its name' : processes.join(', ')],
    [
      'Record',
      head ? html`${counted(Number(head.seq), 'entry', 'entries')}, the newest ${time(head.at, 'ago')}` : 'empty',
    ],
    [
      'Signed',
      newest
        ? html`up to #${String(newest.seq)}, ${time(newest.at, 'ago')}${behind > 0n && html`; ${number(Number(behind))} since`}`
        : 'not yet',
    ],
    ...problems.map((words) => ['Signed', words] as const),
    ['Connections', html`<a href="/console/connections">${connectionWords(connections)}</a>`],
  ] as const;
  return liveView(html`${tiles([
    {
      label: 'Work',
      value: pause ? 'held back' : works ? 'goes on' : 'stands still',
      tone: pause || !works ? 'bad' : 'good',
    },
    { label: 'Queue', value: number(depth) },
    {
      label: 'Connections',
      value: looked.length === 0 ? '–' : unwell === 0 ? 'all work' : `${number(unwell)} not well`,
      tone: unwell === 0 ? 'good' : 'bad',
    },
    {
      label: 'Checkpoints',
      value: problems.length === 0 ? 'in order' : counted(problems.length, 'problem'),
      tone: problems.length === 0 ? 'good' : 'bad',
    },
  ])}
<div class="panel"><h2>Now</h2><dl class="facts">${rows.map(([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`)}</dl></div>`);
}
