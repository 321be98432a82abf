import { createHash } from 'node:crypto';
import type { Transaction } from '../../../core/database.ts';
import type { CustomerId } from '../../../core/ids.ts';
import { type Html, html } from '../../../core/markup.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import type { Card } from '../../../core/ports/chat.ts';
import type { Decider } from '../../../core/ports/console.ts';
import { drawCard } from '../cards.ts';
import { form, heading, livePart, nothingYet } from '../layout.ts';
import type { Call, ConsoleRoute } from '../routes.ts';
import { chip, counted } from '../words.ts';
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
      const mark = await markNow(call);
      const { waiting, keeping, count } = await call.read(async (tx) => {
        const where = { customerId, status: 'awaiting_consent' };
        const rows = await tx.operation.findMany({
          where,
          select: { id: true },
          orderBy: { createdAt: 'asc' },
          take: SHOWN,
        });
        const found: Operation[] = [];
        for (const { id } of rows) {
          const operation = await deps.operations.get(tx, customerId, id); // one transaction is one connection
          if (operation) found.push(operation);
        }
        const keeping: Operation[] = [];
        for (const { operationId } of await openRepairs(tx, customerId)) {
          const operation = await deps.operations.get(tx, customerId, operationId);
          if (operation) keeping.push(operation);
        }
        return { waiting: found, keeping, count: await tx.operation.count({ where }) };
      });
      const asked: Html[] = [];
      for (const operation of waiting) asked.push(await question(call, operation));
      for (const operation of keeping) asked.push(...(await repairsQuestion(call, operation)));
      const rest = count - waiting.length;
      const body =
        asked.length === 0
          ? nothingYet(
              'Nothing waits for you',
              'When somebody asks for something, the whole plan stands here and in its thread, for you to approve or to deny.',
            )
          : html`<div class="questions">${asked}</div>${rest > 0 && html`<p class="quiet">And ${counted(rest, 'newer one', 'newer ones')}.</p>`}`;
      // What somebody reads before they press Approve does not move or change beneath their pointer.
      const live = livePart('/console/approvals/live', html`${marked(mark)}${body}`, {
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
    answer: async (call) => ({ kind: 'part', body: marked(await markNow(call)) }),
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

/** Operations of which repairs to come are asked for, the oldest question first. */
async function openRepairs(tx: Transaction, customerId: CustomerId) {
  return tx.consentRequest.findMany({
    where: { customerId, terms: { not: null }, decision: null },
    select: { operationId: true, planHash: true },
    orderBy: { askedAt: 'asc' },
    take: SHOWN,
  });
}

/** Which plans wait; another one, or one more, is another mark. */
async function markNow({ customerId, read }: Call): Promise<string> {
  const where = { customerId, status: 'awaiting_consent' };
  const order = { orderBy: { createdAt: 'asc' }, take: SHOWN } as const;
  const [rows, count, repairs] = await read(async (tx) => [
    await tx.operation.findMany({ where, select: { id: true, planHash: true }, ...order }),
    await tx.operation.count({ where }),
    await openRepairs(tx, customerId),
  ]);
  const hash = createHash('sha256').update(JSON.stringify([count, rows, repairs]));
  return hash.digest('hex').slice(0, 16);
}

function marked(mark: string): Html {
  return html`<span data-state="open" data-mark="${mark}" hidden></span>`;
}

/** The whole card first, and the buttons beneath it. */
async function question(call: Call, operation: Operation): Promise<Html> {
  const { desk } = call.deps;
  const card = await desk.question(operation);
  const decider = await desk.mayDecide(call.member, operation);
  return panel(call, operation.id, { card, planHash: operation.planHash, ...decider }, PLAN);
}

/** The same of repairs to come. */
async function repairsQuestion(call: Call, operation: Operation): Promise<readonly Html[]> {
  const asked = await call.deps.desk.repairsQuestion(call.member, operation);
  return asked ? [panel(call, operation.id, asked, REPAIRS)] : [];
}

const PLAN = { approve: 'approve', deny: 'deny', names: 'plan', denied: 'Nothing will be done.' } as const;
const REPAIRS = {
  ...{ approve: 'approve-repairs', deny: 'deny-repairs', names: 'terms' },
  denied: 'The key stays as it is, and each repair is asked for.',
} as const;

function panel(
  call: Call,
  id: string,
  asked: { readonly card: Card; readonly planHash: string } & Decider,
  { approve, deny, names, denied }: typeof PLAN | typeof REPAIRS,
): Html {
  const { card, planHash } = asked;
  const [path, field] = [`/console/approvals/${id}`, `${deny}-${id}`];
  const decide = asked.may
    ? html`<div class="decide">${form(call, `${path}/${approve}`, html`<button class="button primary">Approve</button>`, { plan: planHash })}<details><summary class="button danger">Deny…</summary>${form(
        call,
        `${path}/${deny}`,
        html`<label for="reason-${field}">Reason</label><textarea id="reason-${field}" name="reason" rows="2" maxlength="500" required aria-describedby="help-${field}"></textarea><p class="quiet" id="help-${field}">It goes into the thread and on record. ${denied}</p><button class="button danger">Deny</button>`,
        { plan: planHash },
      )}</details></div>`
    : html`<p class="signature neutral">${asked.why}</p>`;
  return html`<article class="panel question" id="${names === 'plan' ? id : field}">${drawCard(card)}${decide}<p class="quiet provenance"><a href="/console/operations/${id}">The operation</a> · ${names} <code class="whole">${planHash}</code> ${chip(id)}</p></article>`;
}
