import type { Member } from '../../../core/customers/customers.ts';
import { type Html, html } from '../../../core/markup.ts';
import {
  decideProposal,
  type FoundAnew,
  type FoundAnewList,
  type ProposalDecision,
} from '../../../core/workflow/found-anew.ts';
import { form } from '../layout.ts';
import { withDecided } from '../notice.ts';
import { type Answer, type Call, type ConsoleRoute, NOTHING } from '../routes.ts';
import { counted, number, place, time } from '../words.ts';
import { elementWords, isNameless, partWords, whatWords } from './found-words.ts';
import { drawPicture, intentWords } from './workflow-view.ts';

export const foundAnewRoutes: readonly ConsoleRoute[] = (['discard', 'restore', 'mark', 'unmark'] as const).map(
  (decision) => ({
    method: 'post',
    path: `/workflows/${decision}`,
    role: 'admin',
    answer: (call) => decide(call, decision),
  }),
);

async function decide(call: Call, decision: ProposalDecision): Promise<Answer> {
  const { deps, customerId, member, fields } = call;
  const of = { id: fields.proposal ?? '', decision, by: member.id };
  const decided = await call.read((tx) => decideProposal(tx, deps.audit, customerId, of));
  if (decided === 'unknown') return NOTHING;
  return { kind: 'go', to: withDecided(call, '/console/workflows', of, decided) };
}

/** What runs found anew on pages that had changed, each with what was looked for before; nothing where nothing was. */
export function drawFoundAnew(call: Call, list: FoundAnewList, members: readonly Member[]): Html {
  const { items, more, discarded, moreDiscarded, outdated } = list;
  if (items.length === 0 && discarded.length === 0) return html``;
  const rest = [
    ...(more > 0 ? [`${counted(more, 'older one is', 'older ones are')} not shown here.`] : []),
    ...(outdated > 0 ? [`${counted(outdated, 'more is', 'more are')} of earlier versions, which run no more.`] : []),
  ];
  return html`<section class="panel"><h2>Found anew on changed pages</h2><p class="quiet">Where a site has changed, a step recognises what it needs by what is known of it, and tries that there from then on. Discard what is wrong: no run takes it any more. Mark what is right: whoever operates Countersign sees for how many customers it is marked, never whose, and can take it into the workflow.</p>${drawSteps(call, items, members)}${rest.length > 0 && html`<p class="quiet">${rest.join(' ')}</p>`}${discarded.length > 0 && html`<details><summary>${counted(discarded.length + moreDiscarded, 'was', 'were')} discarded</summary>${drawSteps(call, discarded, members)}${moreDiscarded > 0 && html`<p class="quiet">${counted(moreDiscarded, 'older one is', 'older ones are')} not shown here.</p>`}</details>`}</section>`;
}

/** What one step found anew at once has the same pictures, which stand there once. */
function drawSteps(call: Call, items: readonly FoundAnew[], members: readonly Member[]): readonly Html[] {
  const key = ({ workflow, step, target, oldPicture, newPicture }: FoundAnew) =>
    [workflow.id, step.order, target, oldPicture?.id, newPicture?.id].join(' ');
  return [...Map.groupBy(items, key).values()].map((group) => drawStep(call, group, members));
}

function drawStep(call: Call, items: readonly FoundAnew[], members: readonly Member[]): Html {
  const [first] = items;
  if (!first) return html``;
  const { workflow, step, oldPicture, newPicture } = first;
  // Its picture is taken once the result is kept: what was clicked may be gone from it.
  const [before, anew] =
    step.kind === 'extract'
      ? ['After the click, as it was before', 'After the click, when it was found anew']
      : ['As it was before', 'When it was found anew'];
  const pictures =
    oldPicture || newPicture
      ? html`<div class="beside">${drawPicture(oldPicture, before)}${drawPicture(newPicture, anew)}</div>`
      : html`<p class="quiet">There is no picture, of then or of now: none is kept any more, or none was taken.</p>`;
  return html`<article><h3>${workflow.name}, step ${step.order}: ${intentWords(step.intent)}</h3>${pictures}${items.map((item) => drawItem(call, item, members))}</article>`;
}

function drawItem(call: Call, item: FoundAnew, members: readonly Member[]): Html {
  const { id, held, lastHeldAt } = item;
  const often =
    held === 1
      ? 'The step went well with that once so far.'
      : html`The step went well with that ${number(held)} times, last ${time(lastHeldAt)}.`;
  return html`<div class="anew" id="${id}"><p>${changeWords(item)} ${often}</p>${decisions(call, item, members)}</div>`;
}

function changeWords({ target, recorded, found, field, since, discarded }: FoundAnew): Html {
  const [before, now] = [elementWords(recorded, true), elementWords(found)];
  const [looked, finds, hadFound] =
    field === undefined
      ? ['looked for', 'finds', 'had found']
      : [`took the ${partWords(field)} from`, 'takes it from', 'had taken it from'];
  const site = html`At ${place(target)} Countersign ${looked} ${before}`;
  return before === now || isNameless(found)
    ? html`${site}. Since ${time(since)} the page is made differently there, and it ${discarded ? 'had found' : 'finds'} it in another way.`
    : html`${site}; since ${time(since)} it ${discarded ? hadFound : finds} ${now} instead.`;
}

function decisions(call: Call, item: FoundAnew, members: readonly Member[]): Html {
  const { id, marked, discarded, step, field } = item;
  // For whoever hears one button after the other, without the words above it.
  const what = html`<span class="unseen">: ${whatWords(item)}</span>`;
  const decided = discarded ?? marked;
  const by = members.find((member) => member.id === decided?.by)?.person.name ?? 'somebody';
  const press = (decision: ProposalDecision, content: Html) =>
    form(call, `/console/workflows/${decision}`, content, { proposal: id });
  if (discarded)
    return html`<div class="decide"><span class="badge bad">discarded</span><span class="quiet">by ${by}, ${time(discarded.at)}</span>${press('restore', html`<button class="button small">Try it again${what}</button>`)}</div>`;
  const mark = marked
    ? html`<span class="badge good">marked for the operator</span><span class="quiet">by ${by}, ${time(marked.at)}</span>${press('unmark', html`<button class="button small">Take the mark back${what}</button>`)}`
    : press('mark', html`<button class="button small">Mark for the operator${what}</button>`);
  const comesOf =
    field === undefined
      ? 'No run takes it for what the step needs any more, however alike it is. Where nothing else on the page fits, the step asks a person.'
      : `No run takes the ${partWords(field)} from there any more.${step.isMutating ? ' It is read only once it is made: where it stands nowhere else, the run ends, and nobody holds what it made on the site.' : ''}`;
  const discard = press(
    'discard',
    html`<p class="quiet">${comesOf}</p><button class="button small danger">Discard${what}</button>`,
  );
  return html`<div class="decide">${mark}<details><summary class="button small danger">Discard…${what}</summary>${discard}</details></div>`;
}
