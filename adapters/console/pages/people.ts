import type { Audit } from '../../../core/audit/audit.ts';
import { heldOperations, holdOf } from '../../../core/audit/rows.ts';
import { isSamePerson } from '../../../core/customers/customers.ts';
import type { Transaction } from '../../../core/database.ts';
import type { CustomerId } from '../../../core/ids.ts';
import { type Html, html } from '../../../core/markup.ts';
import { heading } from '../layout.ts';
import type { ConsoleRoute } from '../routes.ts';
import { counted, time } from '../words.ts';

const ROLE_WORDS = { merchant: 'asks', approver: 'approves', admin: 'sets the rules' } as const;
const PLATFORMS = { slack: 'Slack', teams: 'Teams', web: 'Web chat' } as const;

export const peopleRoutes: readonly ConsoleRoute[] = [
  {
    method: 'get',
    path: '/people',
    role: 'admin',
    async answer({ deps, customerId, read }) {
      const { members, rules, since, hold, held } = await read(async (tx) => ({
        members: await deps.customers.members(tx, customerId),
        rules: await deps.customers.rules(tx, customerId),
        since: new Map(
          (await tx.member.findMany({ where: { customerId }, select: { id: true, createdAt: true } })).map((row) => [
            row.id,
            row.createdAt,
          ]),
        ),
        ...(await holds(deps.audit, tx, customerId)),
      }));
      const rows = members.map((member) => {
        const { id, person, roles } = member;
        const others = members.filter((other) => isSamePerson(other, member) && other.id !== id);
        const known = since.get(id);
        return html`<tr><td class="what"><b>${person.name}</b>${others.length > 0 && html`<span class="quiet">the same person as ${others.map((other) => other.person.name).join(', ')} on ${PLATFORMS[others[0]?.person.platform ?? 'web']}</span>`}</td><td data-label="Roles">${roles.map((role) => html`<span class="badge ${role === 'merchant' ? 'still' : 'good'}" title="${ROLE_WORDS[role]}">${role}</span> `)}</td><td data-label="From">${PLATFORMS[person.platform]}</td><td data-label="Known since">${known && time(known, 'ago')}</td></tr>`;
      });
      const approvers = members.filter(({ roles }) => roles.includes('approver')).map(({ person }) => person.name);
      const body = html`${heading('People and policy', 'Who is who here, and who decides. An admin changes it in chat, with /countersign settings.')}
<div class="panel"><h2>Policy</h2><dl class="facts">${policy(rules, approvers)}${holdRow(hold, held)}</dl></div>
<div class="panel list-panel"><table class="stacked"><caption class="unseen">People</caption><thead><tr><th scope="col">Name</th><th scope="col">Roles</th><th scope="col">From</th><th scope="col">Known since</th></tr></thead><tbody>${rows}</tbody></table></div>`;
      return { kind: 'page', title: 'People and policy', nav: 'people', body };
    },
  },
];

interface Hold {
  readonly since: Date;
  readonly why: string;
}

/** What a legal hold keeps: all of the customer, or single operations. */
async function holds(audit: Audit, tx: Transaction, customerId: CustomerId) {
  const entry = await holdOf(tx, customerId);
  const read = entry && (await audit.read(tx, customerId, entry));
  const why = read?.payload?.why;
  const hold: Hold | undefined = read && { since: read.at, why: typeof why === 'string' ? why : '' };
  return { hold, held: await heldOperations(tx, customerId) };
}

/** Nothing where nothing is held: most never hear of it. */
function holdRow(hold: Hold | undefined, held: readonly string[]): Html | false {
  if (!hold && held.length === 0) return false;
  const words = hold
    ? html`all records are kept since ${time(hold.since)}${hold.why !== '' && html`: ${hold.why}`}`
    : html`kept as they are: ${held.join(', ')}`;
  return html`<div><dt>Legal hold</dt><dd>${words}</dd></div>`;
}

type Rules = Awaited<ReturnType<Parameters<ConsoleRoute['answer']>[0]['deps']['customers']['rules']>>;

function policy(rules: Rules, approvers: readonly string[]): readonly Html[] {
  const who = [
    ...approvers,
    ...(rules.adminsApprove ? ['every admin'] : []),
    ...(rules.approverGroup ? [`whoever is in the group ${rules.approverGroup}`] : []),
  ];
  const all = (values: readonly string[], otherwise: string) => (values.length === 0 ? otherwise : values.join(', '));
  const rows: readonly (readonly [string, string])[] = [
    ['May approve', all(who, 'nobody yet: nothing can run')],
    ['It takes', counted(rules.approvalsRequired, 'approval')],
    ['Own requests', rules.mayWorkAlone ? 'whoever asks may approve it' : 'somebody else approves'],
    ['Sites', all(rules.allowedTargets, 'every public site')],
    ['Channels', all(rules.allowedChannels, 'every channel that Countersign is in')],
    [
      'Requests',
      rules.operationsPerHour === null
        ? 'as many an hour as the installation allows'
        : `${rules.operationsPerHour} an hour`,
    ],
    [
      'Records',
      rules.retentionDays === null ? 'kept as long as the installation says' : `kept for ${rules.retentionDays} days`,
    ],
    ['Model', rules.allowsModel ? 'may help where a page has changed' : 'is never asked'],
    ['Work', rules.isGuideOnly ? 'it only says how something is done by hand' : 'it does what was countersigned'],
  ];
  return rows.map(([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`);
}
