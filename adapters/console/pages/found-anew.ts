import type { Member } from '../../../core/customers/customers.ts';
import { type Html, html } from '../../../core/markup.ts';
import { quoted, withoutTricks } from '../../../core/plain-text.ts';
import {
  type Described,
  decideProposal,
  type FoundAnew,
  type FoundAnewList,
  type ProposalDecision,
} from '../../../core/workflow/found-anew.ts';
import { form } from '../layout.ts';
import { withDecided } from '../notice.ts';
import { type Answer, type Call, type ConsoleRoute, NOTHING } from '../routes.ts';
import { counted, number, place, time } from '../words.ts';
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
  return { kind: 'go', to: withDecided(call, '/console/workflows', decision, decided) };
}

/** What runs found anew on pages that had changed, each with what was looked for before; nothing where nothing was. */
export function drawFoundAnew(call: Call, list: FoundAnewList, members: readonly Member[]): Html {
  const { items, more, discarded, moreDiscarded, outdated } = list;
  if (items.length === 0 && discarded.length === 0) return html``;
  const rest = [
    ...(more > 0 ? [`${counted(more, 'older one is', 'older ones are')} not shown here.`] : []),
    ...(outdated > 0 ? [`${counted(outdated, 'more is', 'more are')} of earlier versions, which run no more.`] : []),
  ];
  return html`<section class="panel"><h2>Found anew on changed pages</h2><p class="quiet">Where a site has changed, a step recognises what it needs by what is known of it, and tries that there from then on. Discard what is wrong: no run takes it any more. Mark what is right: whoever operates Countersign sees for how many customers it is marked, never whose, and can take it into the workflow.</p>${items.map((item) => drawItem(call, item, members))}${rest.length > 0 && html`<p class="quiet">${rest.join(' ')}</p>`}${discarded.length > 0 && html`<details><summary>${counted(discarded.length + moreDiscarded, 'was', 'were')} discarded</summary>${moreDiscarded > 0 && html`<p class="quiet">The newest are shown; the others stay discarded, too.</p>`}${discarded.map((item) => drawItem(call, item, members))}</details>`}</section>`;
}

function drawItem(call: Call, item: FoundAnew, members: readonly Member[]): Html {
  const { workflow, step, held, lastHeldAt, oldPicture, newPicture } = item;
  const often =
    held === 1
      ? 'The step went well with that once so far.'
      : html`The step went well with that ${number(held)} times, last ${time(lastHeldAt)}.`;
  const pictures =
    oldPicture || newPicture
      ? html`<div class="beside">${drawPicture(oldPicture, 'As it was before')}${drawPicture(newPicture, 'When it was found anew')}</div>`
      : html`<p class="quiet">There is no picture, of then or of now: none is kept any more, or none was taken.</p>`;
  return html`<article><h3>${workflow.name}, step ${step.order}: ${intentWords(step.intent)}</h3><p>${changeWords(item)} ${often}</p>${pictures}${decisions(call, item, members)}</article>`;
}

function changeWords({ target, recorded, found, field, since, discarded }: FoundAnew): Html {
  const [before, now] = [recordedWords(recorded), sightWords(found)];
  const [looked, finds, hadFound] =
    field === undefined
      ? ['looked for', 'finds', 'had found']
      : [`took the ${field.replaceAll('_', ' ')} from`, 'takes it from', 'had taken it from'];
  const site = html`At ${place(target)} Countersign ${looked} ${before}`;
  return before === now
    ? html`${site}. Since ${time(since)} the page is made differently there, and it finds it in another way.`
    : html`${site}; since ${time(since)} it ${discarded ? hadFound : finds} ${now} instead.`;
}

function decisions(call: Call, item: FoundAnew, members: readonly Member[]): Html {
  const { id, marked, discarded, workflow, step, found } = item;
  // For whoever hears one button after the other, without the words above it.
  const what = html`<span class="unseen">: ${sightWords(found)}, step ${step.order} of ${workflow.name}</span>`;
  const decided = discarded ?? marked;
  const by = members.find((member) => member.id === decided?.by)?.person.name ?? 'somebody';
  const press = (decision: ProposalDecision, content: Html) =>
    form(call, `/console/workflows/${decision}`, content, { proposal: id });
  if (discarded)
    return html`<div class="decide"><span class="badge bad">discarded</span><span class="quiet">by ${by}, ${time(discarded.at)}</span>${press('restore', html`<button class="button small">Try it again${what}</button>`)}</div>`;
  const mark = marked
    ? html`<span class="badge good">marked for the operator</span><span class="quiet">by ${by}, ${time(marked.at)}</span>${press('unmark', html`<button class="button small">Take the mark back${what}</button>`)}`
    : press('mark', html`<button class="button small">Mark for the operator${what}</button>`);
  const discard = press(
    'discard',
    html`<p class="quiet">No run takes it for what the step needs any more, however alike it is. Where nothing else on the page fits, the step asks a person.</p><button class="button small danger">Discard${what}</button>`,
  );
  return html`<div class="decide">${mark}<details><summary class="button small danger">Discard…${what}</summary>${discard}</details></div>`;
}

/** What people call it, by its role; else by its tag, as a browser would. */
const CALLED: Readonly<Record<string, string>> = {
  ...{
    button: 'button',
    submit: 'button',
    reset: 'button',
    link: 'link',
    a: 'link',
    tab: 'tab',
    menuitem: 'menu entry',
  },
  ...{ textbox: 'field', searchbox: 'field', spinbutton: 'field', input: 'field', textarea: 'field' },
  ...{ combobox: 'list', listbox: 'list', select: 'list', option: 'choice', radio: 'choice' },
  ...{ checkbox: 'box to tick', switch: 'switch', heading: 'heading', cell: 'cell', img: 'picture' },
};

const MOST_LETTERS = 120;

/** The same; of what a plan fills in, in words of ours. */
function recordedWords(recorded: Described): string {
  const name = nameOf(recorded);
  return name?.includes('{') ? `the ${calledOf(recorded)} for ${intentWords(name)}` : sightWords(recorded);
}

/** `the button “Add key”`: the name is the page's own, whatever it says. */
function sightWords(described: Described): string {
  const name = nameOf(described);
  if (!name) return `a ${calledOf(described)} without a name`;
  const short = name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS - 1)}…` : name;
  return `the ${calledOf(described)} ${quoted(withoutTricks(short))}`;
}

function calledOf({ identity, fingerprint }: Described): string {
  const { role, type, tag } = { ...fingerprint, ...identity };
  return [role, type, tag].flatMap((name) => CALLED[name ?? ''] ?? [])[0] ?? 'place';
}

function nameOf({ identity, fingerprint }: Described): string | undefined {
  const others = [fingerprint?.name, fingerprint?.text, fingerprint?.placeholder, fingerprint?.title];
  return identity?.name ?? others.find(Boolean);
}
