import { listOperations, type OperationFilter, type OperationLine } from '../../../core/console/listing.ts';
import { type Html, html } from '../../../core/markup.ts';
import { type OperationState, STATES } from '../../../core/operations/states.ts';
import { heading, link, livePart, liveView, nothingYet, older, option } from '../layout.ts';
import { type Call, type ConsoleRoute, hasRole } from '../routes.ts';
import { badge, chip, duration, place, stateWords, time, titleOf } from '../words.ts';

const SHOWN = 50;

export const operationListRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/operations',
    role: 'merchant',
    async answer(call) {
      const filter = filterIn(call);
      const sub = hasRole(call.member, 'approver')
        ? 'Everything that was asked for here, newest first.'
        : 'What you asked for, newest first.';
      const source = link('/console/operations/live', { ...shown(filter), after: call.query.after });
      const list = livePart(source, await listed(call, filter));
      return {
        kind: 'page',
        title: 'Operations',
        nav: 'operations',
        body: html`${heading('Operations', sub)}${search(call, filter)}${list}`,
      };
    },
  },
  {
    method: 'get',
    path: '/operations/live',
    role: 'merchant',
    isByItself: true,
    answer: async (call) => ({ kind: 'part', body: await listed(call, filterIn(call)) }),
  },
];

async function listed(call: Call, filter: OperationFilter): Promise<Html> {
  const { query, deps, customerId, member } = call;
  const page = await call.read((tx) =>
    listOperations(tx, customerId, member, filter, { after: query.after, limit: SHOWN }),
  );
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  const list =
    page.items.length > 0
      ? html`${table(call, page.items)}${older('/console/operations', { ...shown(filter), after: query.after }, page.next)}`
      : isFiltered
        ? nothingYet(
            'Nothing fits',
            html`No operation is like that. <a href="/console/operations">Show all of them</a>`,
          )
        : nothingYet(
            'Nothing was asked for yet',
            html`Write <code>set up ${deps.services[0]?.name ?? 'WooCommerce'} for shop.example.com</code> to Countersign in chat. What it would do is shown there first, and nothing runs until it is countersigned.`,
          );
  return liveView(list);
}

function filterIn({ query, deps }: Call): OperationFilter {
  const { state, service, text } = query;
  return {
    state: state === 'open' ? 'open' : STATES.find((known) => known === state),
    service: deps.services.find(({ id }) => id === service)?.id,
    text: text?.trim() === '' ? undefined : text?.slice(0, 100),
  };
}

function shown({ state, service, text }: OperationFilter) {
  return { state, service, text };
}

function search({ deps }: Call, { state, service, text }: OperationFilter): Html {
  const states: readonly OperationState[] = STATES.filter((each) => each !== 'pending');
  return html`<form class="filters" method="get" action="/console/operations" role="search">
<label><span>State</span><select name="state">${option('', 'Any', state)}${option('open', 'Not over', state)}${states.map((each) => option(each, stateWords(each), state))}</select></label>
<label><span>Service</span><select name="service">${option('', 'Any', service)}${deps.services.map(({ id, name }) => option(id, name, service))}</select></label>
<label class="wide"><span>Id, service, address or person</span><input type="search" name="text" value="${text ?? ''}" maxlength="100"></label>
<button class="button">Filter</button></form>`;
}

function table({ deps }: Call, items: readonly OperationLine[]): Html {
  const rows = items.map(
    (each) =>
      html`<tr><td class="what"><a href="/console/operations/${each.id}" data-key="${each.id}">${titleOf(deps.services, each.service, each.type)}<span class="unseen"> for ${place(each.target)}</span></a><span class="quiet" aria-hidden="true">${place(each.target)}</span></td><td data-label="State">${badge(each.state)}</td><td data-label="Asked by">${each.requester}</td><td data-label="When">${time(each.createdAt, 'ago')}</td><td data-label="Steps" class="right">${each.done} of ${each.steps}</td><td data-label="Took" class="right">${each.durationMs === undefined ? '–' : duration(each.durationMs)}</td><td data-label="Id" class="chips">${chip(each.id)}</td></tr>`,
  );
  return html`<div class="panel list-panel"><table class="stacked"><caption class="unseen">Operations, newest first</caption><thead><tr><th scope="col">Operation</th><th scope="col">State</th><th scope="col">Asked by</th><th scope="col">When</th><th scope="col" class="right">Steps</th><th scope="col" class="right">Took</th><th scope="col" class="chips">Id</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}
