import { lackOfApprovers, peopleAmong, possibleApprovers } from '../core/consent/policy.ts';
import type { Member } from '../core/customers/customers.ts';
import type { Transaction } from '../core/database.ts';
import type { CustomerId } from '../core/ids.ts';
import { takeEvent } from '../core/operations/events.ts';
import type { Card, ChatEvent } from '../core/ports/chat.ts';
import { note, text } from './cards/text.ts';
import type { Context } from './context.ts';
import { isAdminNow, refuse } from './refusal.ts';
import { asking, peopleOf } from './settings-flow.ts';
import type { Errors } from './settings-form.ts';
import { eventRef, whisper } from './speak.ts';

export const LINK_FORM = 'link_accounts';

type Opening = Extract<ChatEvent, { kind: 'action' | 'command' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;

/** `Abel and Abby` */
function accountWords(accounts: readonly Member[]): string {
  return accounts.map(({ person }) => person.name).join(' and ');
}

/** Several accounts, one person: they can't approve for each other, and count once. */
export async function openLinkForm(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Opening,
): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return refuse(context, customerId, member, event, {
      asked: 'settings',
      words: 'Only an admin can link accounts. Nothing was changed.',
    });
  const members = await context.database.withCustomer(customerId, (tx) => context.customers.members(tx, customerId));
  const linked = [...Map.groupBy(members, ({ personId }) => personId).values()].filter(({ length }) => length > 1);
  const now = linked.length === 0 ? '' : ` Linked so far: ${linked.map(accountWords).join('; ')}.`;
  await context.chat(event.thread.platform).openForm(event.trigger, {
    form: LINK_FORM,
    value: '',
    title: 'Link accounts',
    submit: 'Link them',
    intro: `Which accounts belong to one person? They then count once, and none of them approves what another one asked for. One account alone is unlinked.${now}`,
    fields: [{ kind: 'people', name: 'accounts', label: 'Accounts', isRequired: true, initial: [] }],
  });
}

/** @returns messages at the form's fields when it can't be saved. */
export async function submitLink(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors | undefined> {
  if (!(await isAdminNow(context, member))) return { accounts: 'Only an admin can link accounts.' };
  const chosen = event.fields.accounts ?? [];
  if (chosen.length === 0) return { accounts: 'Choose the accounts of one person.' };
  const people = await peopleOf(context, event, chosen);
  const { threads, warning } = await context.database.withCustomer(customerId, async (tx) => {
    const accounts: Member[] = [];
    for (const person of people) accounts.push(await context.customers.member(tx, customerId, person));
    if (await takeEvent(tx, customerId, eventRef(event))) {
      await context.customers.link(tx, customerId, accounts);
      const linked = accounts.map(({ id }) => id);
      await context.audit.append(tx, customerId, { kind: 'rules.changed', actor: member.id, payload: { linked } });
    }
    return {
      threads: await asking(tx, customerId),
      warning: await warningFor(tx, context, customerId, accounts),
    };
  });
  const who = people.map(({ name }) => name).join(' and ');
  const words = people.length === 1 ? `${who} is nobody else’s account now.` : `${who} are one person now.`;
  await whisper(context, event, warning === undefined ? note(`Saved. ${words}`) : linkedCard(words, warning));
  for (const threadId of threads) await context.progress.refresh(customerId, threadId);
  return undefined;
}

/**
 * Whose requests nobody can approve any more. The accounts are linked all the same: as long as they are not, one person
 * approves what the same person asked for.
 */
async function warningFor(
  tx: Transaction,
  context: Context,
  customerId: CustomerId,
  linked: readonly Member[],
): Promise<string | undefined> {
  const rules = await context.customers.rules(tx, customerId);
  const members = await context.customers.members(tx, customerId);
  const [first] = linked;
  const requester = members.find(({ id }) => id === first?.id);
  if (!requester) return undefined;
  const question = { requester, workspace: requester.person, widened: [] };
  const lack = lackOfApprovers(members, question, rules);
  if (lack === undefined || lack === 'nobody') return undefined;
  const able = peopleAmong(possibleApprovers(members, question, { ...rules, mayWorkAlone: true }));
  const needed = rules.approvalsRequired;
  if (able >= needed)
    return `Nobody can approve what this person asks for now: ${needed === 1 ? 'nobody else may approve' : `it takes ${needed} others, and there are fewer`}.`;
  return `Nothing can be approved now: it takes ${needed} different people, and only ${able} may approve.`;
}

function linkedCard(words: string, warning: string): Card {
  return {
    summary: `Saved. ${words} ${warning}`,
    blocks: [
      { kind: 'text', text: [text(`Saved. ${words}`)] },
      {
        kind: 'text',
        tone: 'warning',
        text: [text(`${warning} Choose another approver, or fewer approvals. Requests that wait for one say so.`)],
      },
      {
        kind: 'actions',
        buttons: [{ label: 'Choose approvers', style: 'primary', action: 'choose_approvers', value: '' }],
      },
    ],
  };
}
