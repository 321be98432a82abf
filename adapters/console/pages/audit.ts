import type { Response } from 'express';
import { type AuditEntry, type AuditSubject, GONE_WORDS } from '../../../core/audit/entry.ts';
import { TRAIL_FORMATS, takeTrail } from '../../../core/audit/export.ts';
import { type EntryFilter, listEntries } from '../../../core/console/entries.ts';
import { recordReading } from '../../../core/console/trail.ts';
import type { Member } from '../../../core/customers/customers.ts';
import { parseOperationId } from '../../../core/ids.ts';
import { type Html, html } from '../../../core/markup.ts';
import { form, heading, link, nothingYet, older, option } from '../layout.ts';
import type { Answer, Call, ConsoleRoute } from '../routes.ts';
import { stream } from '../stream.ts';
import { chip, time } from '../words.ts';
import { readerOf } from './operation.ts';

const SHOWN = 50;
/** What entries are about, in people's words; each is the beginning of several kinds. */
const SUBJECTS: { readonly [Subject in AuditSubject]: string } = {
  operation: 'Operations',
  plan: 'Plans',
  step: 'Steps',
  intent: 'Keys about to be made',
  result: 'Results rated',
  question: 'Questions to people',
  guide: 'Steps by hand',
  consent: 'Approvals',
  repair: 'Repairs given up',
  pause: 'Pauses by the operator',
  connection: 'Health of keys',
  credentials: 'What was entered',
  credential: 'Stored keys',
  key: 'Encryption keys',
  proposal: 'Elements found anew',
  rules: 'Settings',
  member: 'People erased',
  customer: 'The customer erased',
  erasure: 'Erasures',
  retention: 'Retention',
  hold: 'Legal holds',
  checkpoints: 'Checkpoints',
  trail: 'Trails read',
  access: 'Refusals',
  console: 'The console',
  token: 'API tokens',
  webhook: 'Webhooks',
  workspace: 'Workspaces',
};

export const auditRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/audit',
    role: 'admin',
    async answer(call) {
      const { deps, customerId, query } = call;
      const filter = filterIn(query);
      const isWrong = saysNoFilter(query, filter);
      const { page, members } = await call.read(async (tx) => {
        const known = await deps.customers.members(tx, customerId);
        if (isWrong) return { page: { items: [] }, members: known };
        const found = await listEntries(tx, deps.audit, customerId, filter, { after: query.after, limit: SHOWN });
        await recordReading(tx, deps.audit, customerId, readerOf(call), filter.operationId);
        return { page: found, members: known };
      });
      const asked = {
        operation: filter.operationId,
        person: filter.actor,
        kind: filter.kind,
        from: query.from,
        to: query.to,
      };
      const list =
        page.items.length === 0
          ? nothingYet('Nothing fits', html`No entry is like that. <a href="/console/audit">Show all of them</a>`)
          : html`${table(page.items, members)}${older('/console/audit', { ...asked, after: query.after }, page.next)}`;
      const sub = 'Everything that was done, asked, decided and read, newest first. Reading is on record, too.';
      const body = html`${heading('Audit', sub)}${search(filter, members, query)}${!isWrong && exportForm(call, filter)}${list}`;
      return { kind: 'page', title: 'Audit', nav: 'audit', body };
    },
  },
  { method: 'post', path: '/audit/export', role: 'admin', answer: download },
];

function filterIn(given: Readonly<Record<string, string>>): EntryFilter {
  const { operation = '', person = '', kind = '', from = '', to = '' } = given;
  return {
    operationId: parseOperationId(operation),
    actor: /^[0-9a-f-]{36}$/.test(person) ? person : undefined,
    kind: /^[a-z_.]{1,40}$/.test(kind) ? kind : undefined,
    from: dayIn(from, '00:00:00.000'),
    to: dayIn(to, '23:59:59.999'),
  };
}

/** Whether something was asked for that nothing can be: no entry fits it, and leaving it out would show, or export, everything. */
function saysNoFilter(given: Readonly<Record<string, string>>, filter: EntryFilter): boolean {
  const { operation = '', person = '', kind = '', from = '', to = '' } = given;
  return (
    (operation.trim() !== '' && filter.operationId === undefined) ||
    (person !== '' && filter.actor === undefined) ||
    (kind !== '' && filter.kind === undefined) ||
    (from !== '' && filter.from === undefined) ||
    (to !== '' && filter.to === undefined)
  );
}

/** A day as a field of a form says it, in UTC; PostgreSQL knows no year 0. */
function dayIn(text: string, clock: string): Date | undefined {
  const at = /^[1-9]\d{3}-\d\d-\d\d$/.test(text) ? new Date(`${text}T${clock}Z`) : undefined;
  return at === undefined || Number.isNaN(at.getTime()) ? undefined : at;
}

function search({ actor, kind }: EntryFilter, members: readonly Member[], query: Call['query']): Html {
  return html`<form class="filters" method="get" action="/console/audit" role="search">
<label><span>Operation</span><input name="operation" value="${query.operation ?? ''}" placeholder="op-…" maxlength="20" autocapitalize="none" spellcheck="false"></label>
<label><span>Person</span><select name="person">${option('', 'Anybody', actor)}${members.map(({ id, person }) => option(id, person.name, actor))}</select></label>
<label><span>What</span><select name="kind">${option('', 'Anything', kind)}${Object.entries(SUBJECTS).map(([subject, words]) => option(subject, words, kind))}</select></label>
<label><span>From (UTC)</span><input type="date" name="from" value="${query.from ?? ''}"></label>
<label><span>To (UTC)</span><input type="date" name="to" value="${query.to ?? ''}"></label>
<button class="button">Search</button></form>`;
}

/** A person or a kind chooses what is shown, not what proves itself: an export is of an operation, or of a time. */
function exportForm(call: Call, { operationId }: EntryFilter): Html {
  const { from, to } = call.query;
  const what = operationId ? html`of ${chip(operationId)}` : from || to ? 'of these days' : 'of everything';
  const buttons = (['json', 'csv', 'jsonl'] as const).map(
    (format) => html`<button class="button small" name="format" value="${format}">${format.toUpperCase()}</button>`,
  );
  return form(
    call,
    '/console/audit/export',
    html`<p class="export"><span class="quiet">Export the trail ${what}, to check it offline:</span> ${buttons}</p>`,
    { operation: operationId ?? '', from: from ?? '', to: to ?? '' },
  );
}

function table(entries: readonly AuditEntry[], members: readonly Member[]): Html {
  const names = new Map(members.map(({ id, person }) => [id as string, person.name]));
  const rows = entries.map(
    (entry) =>
      html`<tr><td class="what"><b>${entry.kind}${entry.stepNumber !== undefined && html` ${entry.stepNumber}`}</b><span class="quiet">${wordsOf(entry)}</span></td><td data-label="Operation"${!entry.operationId && html` class="aside"`}>${entry.operationId ? html`<a href="/console/operations/${entry.operationId}">${chip(entry.operationId)}</a>` : '–'}</td><td data-label="Who">${entry.actor ? (names.get(entry.actor) ?? 'somebody') : 'Countersign'}</td><td data-label="When">${time(entry.at)}</td><td data-label="Entry" class="right">#${String(entry.seq)}</td><td data-label="Hash" class="chips aside">${chip(entry.hash.slice(0, 8))}</td></tr>`,
  );
  return html`<div class="panel list-panel"><table class="stacked"><caption class="unseen">Entries, newest first</caption><thead><tr><th scope="col">What</th><th scope="col">Operation</th><th scope="col">Who</th><th scope="col">When</th><th scope="col" class="right">Entry</th><th scope="col" class="chips">Hash</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

const TOLD = ['intent', 'reason', 'why', 'error', 'words', 'how', 'method'] as const;

/** A few of the entry's own words, if it has any that people understand. */
function wordsOf({ payload, gone, why }: AuditEntry): string {
  if (gone) return GONE_WORDS[gone];
  for (const name of TOLD) {
    const value = payload?.[name];
    if (typeof value === 'string' && value !== '') return value.length > 160 ? `${value.slice(0, 159)}…` : value;
  }
  return why ?? '';
}

async function download(call: Call, response: Response): Promise<Answer> {
  const { deps, customerId, member, fields } = call;
  const filter = filterIn(fields);
  const { operationId, from, to } = filter;
  const asked = { operation: fields.operation, from: fields.from, to: fields.to };
  if (saysNoFilter(fields, filter)) return { kind: 'go', to: link('/console/audit', asked) };
  const format = fields.format === 'csv' ? 'csv' : fields.format === 'jsonl' ? 'jsonl' : 'json';
  const scope = { ...(operationId ? { operationId } : {}), ...(from ? { from } : {}), ...(to ? { to } : {}) };
  const reader = { actor: member.id, how: { how: 'export' } };
  const take = await call.read((tx) => takeTrail(tx, deps, customerId, scope, reader));
  const name = `countersign-${operationId ?? 'trail'}.${format}`;
  return stream(response, TRAIL_FORMATS[format], await take(format), name);
}
