import { LOOKED_AT, stepSuccess } from '../../../core/console/figures.ts';
import { html } from '../../../core/markup.ts';
import { heading } from '../layout.ts';
import type { ConsoleRoute } from '../routes.ts';
import { chip, counted, duration, number } from '../words.ts';

export const workflowRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/workflows',
    role: 'admin',
    async answer({ deps, customerId, read }) {
      const found = await read((tx) => stepSuccess(tx, customerId));
      const offered = new Set(deps.services.map(({ id }) => id));
      const panels = deps.workflows
        .list()
        .filter(({ service }) => offered.has(service))
        .map((workflow) => {
          const service = deps.services.find(({ id }) => id === workflow.service)?.name ?? workflow.service;
          const theirs = found.filter(({ workflowId }) => workflowId === workflow.id);
          const done = theirs.reduce((sum, each) => sum + each.done, 0);
          const all = done + theirs.reduce((sum, each) => sum + each.failed, 0);
          const rows = workflow.steps.map((step) => {
            const seen = theirs.find((each) => each.step === step.order);
            return html`<tr><td class="right">${step.order}</td><td>${step.intent.replaceAll(/\{\{?(\w+)\}?\}/g, '$1')}</td><td>${step.permission}</td><td class="right">${seen ? `${number(seen.done)} of ${number(seen.done + seen.failed)}` : '–'}</td><td class="right">${seen?.medianMs ? duration(seen.medianMs) : '–'}</td></tr>`;
          });
          return html`<details class="panel"><summary><b>${workflow.name}</b> <span class="quiet">${service} · ${chip(workflow.id)} · version ${workflow.version} · ${counted(workflow.steps.length, 'step')} · ${all === 0 ? 'not used yet' : `${Math.round((100 * done) / all)} % of steps done`}</span></summary><div class="scroll" role="region" aria-label="Steps of ${workflow.name}" tabindex="0"><table><thead><tr><th scope="col" class="right">#</th><th scope="col">Step</th><th scope="col">Permission</th><th scope="col" class="right">Done</th><th scope="col" class="right">Median</th></tr></thead><tbody>${rows}</tbody></table></div></details>`;
        });
      const sub = `What Countersign knows how to do, and how well each step goes for you: over your newest ${number(LOOKED_AT)} operations.`;
      return { kind: 'page', title: 'Workflows', nav: 'workflows', body: html`${heading('Workflows', sub)}${panels}` };
    },
  },
];
