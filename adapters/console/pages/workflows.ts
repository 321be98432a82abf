import { type StepSuccess, stepSuccess } from '../../../core/console/figures.ts';
import { type Html, html } from '../../../core/markup.ts';
import { listFoundAnew } from '../../../core/workflow/found-anew.ts';
import { type Episode, episodes, LOOKED_AT, type Rate, rateOf } from '../../../core/workflow/watch.ts';
import type { Workflow } from '../../../core/workflow/workflow.ts';
import { heading } from '../layout.ts';
import type { ConsoleRoute } from '../routes.ts';
import { chip, counted, duration, number, time } from '../words.ts';
import { drawFoundAnew, foundAnewRoutes } from './found-anew.ts';
import { drawPicture, intentWords } from './workflow-view.ts';

export const workflowRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/workflows',
    role: 'admin',
    async answer(call) {
      const { deps, customerId, read } = call;
      const { found, failing, anew, members } = await read(async (tx) => ({
        found: await stepSuccess(tx, customerId),
        failing: await episodes(tx, customerId),
        anew: await listFoundAnew(tx, customerId, deps.workflows.list()),
        members: await deps.customers.members(tx, customerId),
      }));
      const panels = deps.services.map(({ id, name }) => {
        const all = deps.workflows.list().filter(({ service }) => service === id);
        const parts = all.map((workflow) =>
          drawWorkflow(
            workflow,
            name,
            found.filter(({ workflowId }) => workflowId === workflow.id),
          ),
        );
        return html`<section class="panel rows"><h2>${name}</h2>${parts}</section>`;
      });
      const sub = `What Countersign knows how to do, and how well each step goes for you: over your newest ${number(LOOKED_AT)} operations.`;
      return {
        kind: 'page',
        title: 'Workflows',
        nav: 'workflows',
        body: html`${heading('Workflows', sub)}${drawFailing(failing, deps.workflows.list())}${drawFoundAnew(call, anew, members)}${panels}`,
      };
    },
  },
  ...foundAnewRoutes,
];

/** Steps that fail more often than they used to, each with the page as it was and as it is. */
function drawFailing(failing: readonly Episode[], workflows: readonly Workflow[]): Html {
  if (failing.length === 0) return html``;
  const parts = failing.map((episode) => {
    const { workflowId, step, recent, before, openedAt, oldPicture, newPicture } = episode;
    const known = workflows.find(({ id, version }) => id === workflowId && version === episode.workflowVersion);
    const intent = known?.steps.find(({ order }) => order === step)?.intent;
    const words = intent === undefined ? '' : `: ${intentWords(intent)}`;
    const rates = `${percent(recent)} of ${number(recent.all)} tries in 7 days, ${percent(before)} of ${number(before.all)} in the 30 days before.`;
    return html`<article><h3>${known?.name ?? workflowId}, step ${step}${words}</h3><p>Went well in ${rates} Seen ${time(openedAt)}.</p><div class="beside">${drawPicture(oldPicture, 'When it last went well')}${drawPicture(newPicture, 'When it last failed')}</div></article>`;
  });
  return html`<section class="panel"><h2>Fails more often</h2>${parts}</section>`;
}

function percent(rate: Rate): string {
  return `${Math.round(100 * rateOf(rate))} %`;
}

function drawWorkflow(workflow: Workflow, service: string, seen: readonly StepSuccess[]): Html {
  const { id, version, steps } = workflow;
  const name = wordsOf(workflow.name.replace(`${service}: `, ''));
  const done = seen.reduce((sum, each) => sum + each.done, 0);
  const all = done + seen.reduce((sum, each) => sum + each.failed, 0);
  const rows = steps.map((step) => {
    const of = seen.find((each) => each.step === step.order);
    const share = of ? `${number(of.done)} of ${number(of.done + of.failed)}` : '–';
    return html`<tr><td class="right">${step.order}</td><td>${intentWords(step.intent)}</td><td>${step.permission}</td><td class="right">${share}</td><td class="right">${of?.medianMs ? duration(of.medianMs) : '–'}</td></tr>`;
  });
  const use = all === 0 ? 'not used yet' : `${Math.round((100 * done) / all)} % of steps done`;
  return html`<details><summary><b>${name}</b> ${chip(id)} version ${version} · ${counted(steps.length, 'step')} · ${use}</summary><div class="scroll flow" role="region" aria-label="Steps of ${name}" tabindex="0"><table><thead><tr><th scope="col" class="right">#</th><th scope="col">Step</th><th scope="col">Permission</th><th scope="col" class="right">Done</th><th scope="col" class="right">Median</th></tr></thead><tbody>${rows}</tbody></table></div></details>`;
}

/** Under the service's own heading a name needs no more than what it is about. */
function wordsOf(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
