import { createHash } from 'node:crypto';
import { listWaiting, type Waiting } from '../../../core/console/waiting.ts';
import { type Html, html } from '../../../core/markup.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import type { Card } from '../../../core/ports/chat.ts';
import type { Decider } from '../../../core/ports/console.ts';
import { drawCard } from '../cards.ts';
import { form, heading, link, livePart, nothingYet } from '../layout.ts';
import type { Call, ConsoleRoute } from '../routes.ts';
import { chip, counted, place } from '../words.ts';
import { press } from './operation.ts';

/** What waits longest comes first; nobody reads more of them at once. */
const SHOWN = 10;

export const approvalRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/approvals',
    role: 'approver',
    async answer(call) {
      const { deps, customerId } = call;
      const waiting = await waitingNow(call);
      const operations = await call.read(async (tx) => {
        const found: { readonly operation: Operation; readonly isRepair: boolean }[] = [];
        for (const [list, isRepair] of [
          [waiting.plans, false],
          [waiting.repairs, true],
        ] as const)
          for (const { operationId } of list) {
            const operation = await deps.operations.get(tx, customerId, operationId); // one transaction is one connection
            if (operation) found.push({ operation, isRepair });
          }
        return found;
      });
      const asked: Html[] = [];
      for (const { operation, isRepair } of operations)
        asked.push(...(isRepair ? await repairsQuestion(call, operation) : [await question(call, operation)]));
      const body =
        asked.length === 0
          ? waiting.count > 0
            ? html`${nothingYet('Nothing newer waits', 'What has waited longer stands before it.')}${pages(waiting)}`
            : nothingYet(
                'Nothing waits for you',
                'When somebody asks for something, the whole plan stands here and in its thread, for you to approve or to deny.',
              )
          : html`<div class="questions">${asked}${pages(waiting)}</div>`;
      // What somebody reads before they press Approve does not move or change beneath their pointer.
      const source = link('/console/approvals/live', { after: call.query.after });
      const live = livePart(source, html`${marked(waiting)}${body}`, {
        tells: 'What waits here has changed since this page was opened.',
      });
      const sub =
        'What waits for a countersignature, the oldest first. Read the plan, then decide: the rules are those of the chat.';
      return { kind: 'page', title: 'Approvals', nav: 'approvals', body: html`${heading('Approvals', sub)}${live}` };
    },
  },
  {
    method: 'get',
    path: '/approvals/live',
    role: 'approver',
    isByItself: true,
    answer: async (call) => ({ kind: 'part', body: marked(await waitingNow(call)) }),
  },
  {
    method: 'post',
    path: '/approvals/:id/approve',
    role: 'approver',
    answer: (call) => press(call, { kind: 'approve', planHash: call.fields.plan ?? '' }, 'approvals'),
  },
  {
    method: 'post',
    path: '/approvals/:id/deny',
    role: 'approver',
    answer: (call) =>
      press(
        call,
        { kind: 'deny', planHash: call.fields.plan ?? '', reason: (call.fields.reason ?? '').slice(0, 2000) },
        'approvals',
      ),
  },
  {
    method: 'post',
    path: '/approvals/:id/approve-repairs',
    role: 'approver',
    answer: (call) => press(call, { kind: 'approve_standing', planHash: call.fields.plan ?? '' }, 'approvals'),
  },
  {
    method: 'post',
    path: '/approvals/:id/deny-repairs',
    role: 'approver',
    answer: (call) =>
      press(
        call,
        { kind: 'deny_standing', planHash: call.fields.plan ?? '', reason: (call.fields.reason ?? '').slice(0, 2000) },
        'approvals',
      ),
  },
];

/** What the page shows, from the place that its address says. */
interface Shown {
  readonly from: number;
  readonly plans: readonly Waiting[];
  readonly repairs: readonly Waiting[];
  readonly count: number;
}

async function waitingNow({ customerId, read, query }: Call): Promise<Shown> {
  const from = /^\d{1,6}$/.test(query.after ?? '') ? Number(query.after) : 0;
  return { from, ...(await read((tx) => listWaiting(tx, customerId, { from, most: SHOWN }))) };
}

/** Which plans wait; another one, or one more, is another mark. */
function marked({ plans, repairs, count }: Shown): Html {
  const hash = createHash('sha256').update(JSON.stringify([count, plans, repairs]));
  return html`<span data-state="open" data-mark="${hash.digest('hex').slice(0, 16)}" hidden></span>`;
}

/** On from here, and how much more there is. */
function pages({ from, plans, repairs, count }: Shown): Html {
  const next = from + plans.length + repairs.length;
  const rest = count - next;
  if (from === 0 && rest <= 0) return html``;
  return html`<nav class="pages" aria-label="Pages">${from > 0 && html`<a class="button" href="/console/approvals">Oldest</a>`}${rest > 0 && html`<a class="button" href="${link('/console/approvals', { after: String(next) })}">${counted(rest, 'newer one', 'newer ones')}</a>`}</nav>`;
}

/** The whole card first, and the buttons beneath it. */
async function question(call: Call, operation: Operation): Promise<Html> {
  const { desk } = call.deps;
  const card = await desk.question(operation);
  const decider = await desk.mayDecide(call.member, operation);
  return panel(call, operation, { card, planHash: operation.planHash, ...decider }, PLAN);
}

/** The same of repairs to come. */
async function repairsQuestion(call: Call, operation: Operation): Promise<readonly Html[]> {
  const asked = await call.deps.desk.repairsQuestion(call.member, operation);
  return asked ? [panel(call, operation, asked, REPAIRS)] : [];
}

const PLAN = { approve: 'approve', deny: 'deny', names: 'plan', denied: 'Nothing will be done.' } as const;
const REPAIRS = {
  ...{ approve: 'approve-repairs', deny: 'deny-repairs', names: 'terms' },
  denied: 'The key stays as it is, and each repair is asked for.',
} as const;

function panel(
  call: Call,
  { id, type, plan }: Operation,
  asked: { readonly card: Card; readonly planHash: string } & Decider,
  { approve, deny, names, denied }: typeof PLAN | typeof REPAIRS,
): Html {
  const { card, planHash } = asked;
  const [path, field] = [`/console/approvals/${id}`, `${deny}-${id}`];
  // For whoever hears one button after the other, without the card above it.
  const what = html`<span class="unseen">: ${names === 'plan' ? '' : 'repairs, '}${type.title} for ${place(plan.base)}</span>`;
  const decide = asked.may
    ? html`<div class="decide">${form(call, `${path}/${approve}`, html`<button class="button primary">Approve${what}</button>`, { plan: planHash })}<details><summary class="button danger">Deny…${what}</summary>${form(
        call,
        `${path}/${deny}`,
        html`<label for="reason-${field}">Reason</label><textarea id="reason-${field}" name="reason" rows="2" maxlength="500" required aria-describedby="help-${field}"></textarea><p class="quiet" id="help-${field}">It goes into the thread and on record. ${denied}</p><button class="button danger">Deny${what}</button>`,
        { plan: planHash },
      )}</details></div>`
    : html`<p class="signature neutral">${asked.why}</p>`;
  return html`<article class="panel question" id="${names === 'plan' ? id : field}">${drawCard(card)}${decide}<p class="quiet provenance"><a href="/console/operations/${id}">The operation${what}</a> · ${names} <code class="whole">${planHash}</code> ${chip(id)}</p></article>`;
}
