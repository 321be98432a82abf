import { recordRefusal } from '../core/audit/refusal.ts';
import { lackOfApprovers, peopleAmong, possibleApprovers, type Rules } from '../core/consent/policy.ts';
import type { Member } from '../core/customers/customers.ts';
import type { WorkSettings } from '../core/customers/settings.ts';
import type { Transaction } from '../core/database.ts';
import type { CustomerId } from '../core/ids.ts';
import { takeEvent } from '../core/operations/events.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { Card, Chat, ChatEvent, FormField, Person } from '../core/ports/chat.ts';
import { names, note, oneOf, text } from './cards/text.ts';
import type { Context } from './context.ts';
import { isAdminNow, refuse } from './refusal.ts';
import { eventRef, whisper, whisperWords } from './speak.ts';
import { workWords } from './work-flow.ts';

export const APPROVERS_FORM = 'approvers';
export const LINK_FORM = 'link_accounts';

/** The first time, nobody is an approver yet: the admins are asked, each alone. */
export async function askForApprovers(context: Context, operation: Operation): Promise<void> {
  const { customerId, id } = operation;
  const { lack, admins, thread } = await context.database.withCustomer(customerId, async (tx) => ({
    lack: lackOfApprovers(
      await context.customers.members(tx, customerId),
      operation,
      await context.customers.rules(tx, customerId),
    ),
    admins: await context.customers.members(tx, customerId, 'admin'),
    thread: await context.threads.get(tx, customerId, operation.threadId),
  }));
  if (lack !== 'nobody' || !thread) return;
  const chat = context.chat(thread.ref.platform);
  for (const admin of admins) await chat.ephemeral(thread.ref, admin.person, firstCard(id));
}

/** Whoever has just installed us is asked at once, directly, unless somebody may approve already. */
export async function welcomeInstaller(context: Context, customerId: CustomerId, { id }: Member): Promise<void> {
  const { members, rules, installer } = await context.database.withCustomer(customerId, async (tx) => ({
    members: await context.customers.members(tx, customerId),
    rules: await context.customers.rules(tx, customerId),
    installer: await context.customers.memberById(tx, customerId, id),
  }));
  const mayApprove =
    members.some(({ roles }) => roles.includes('approver')) || rules.adminsApprove || rules.approverGroup;
  if (mayApprove || !installer.roles.includes('admin')) return;
  await context.chat(installer.person.platform).directMessage(installer.person, firstCard(''));
}

function firstCard(operationId: string): Card {
  const words = 'Welcome. Before anything can run, somebody has to be allowed to approve it. Who shall that be?';
  return {
    summary: words,
    blocks: [
      { kind: 'text', text: [text(words)] },
      {
        kind: 'actions',
        buttons: [
          { label: 'Choose approvers', style: 'primary', action: 'choose_approvers', value: operationId },
          { label: 'I work alone', style: 'plain', action: 'work_alone', value: operationId },
        ],
      },
      {
        kind: 'text',
        tone: 'quiet',
        text: [
          text(
            '“I work alone” lets you approve your own requests. It is on record, and you can change it with /countersign settings.',
          ),
        ],
      },
    ],
  };
}

type Action = Extract<ChatEvent, { kind: 'action' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;
type Errors = Readonly<Record<string, string>> | undefined;

/** Shows the rules, or opens the form for changing them; admins only. */
export async function openApproversForm(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action | Extract<ChatEvent, { kind: 'command' }>,
): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return refuse(context, customerId, member, event, {
      asked: 'settings',
      words: 'Only an admin can choose who approves. Nothing was changed.',
    });
  const { members, rules } = await context.database.withCustomer(customerId, async (tx) => ({
    members: await context.customers.members(tx, customerId),
    rules: await context.customers.rules(tx, customerId),
  }));
  if (event.kind === 'command') return whisper(context, event, settingsCard(members, rules));
  const chat = context.chat(event.thread.platform);
  const approvers = members.filter(({ roles }) => roles.includes('approver'));
  const group = await groupField(chat, event.thread.workspaceId, rules.approverGroup);
  await chat.openForm(event.trigger, {
    form: APPROVERS_FORM,
    value: event.value,
    title: 'Who may approve?',
    submit: 'Save',
    intro: 'An approver countersigns requests of others. Nobody can approve their own request unless you allow it.',
    fields: [
      {
        kind: 'people',
        name: 'approvers',
        label: 'Approvers',
        isRequired: false,
        initial: approvers.map((a) => a.person.userId),
      },
      ...group,
      {
        kind: 'text',
        name: 'required',
        label: 'How many of them have to approve',
        help: 'Different people; two accounts of one person count once. One of them is enough to deny.',
        isRequired: true,
        initial: String(rules.approvalsRequired),
      },
      {
        kind: 'checkboxes',
        name: 'rules',
        label: 'Rules',
        options: [
          {
            value: 'admins',
            label: 'Every admin may approve, too',
            isChecked: rules.adminsApprove,
          },
          {
            value: 'own',
            label: 'Approvers may approve their own requests',
            help: 'For people who work alone. It is on record.',
            isChecked: rules.mayWorkAlone,
          },
        ],
      },
      {
        kind: 'checkboxes',
        name: 'model',
        label: 'Model',
        options: [
          {
            value: 'on',
            label: 'Anthropic’s model may help',
            help: 'With pictures of a shop’s page that has changed, secrets blackened, and with sentences that I don’t understand. Each plan says so.',
            isChecked: rules.allowsModel,
          },
        ],
      },
    ],
  });
}

/** The platform's groups to choose from; where they can't be seen, nobody could be found in one either. */
async function groupField(chat: Chat, workspaceId: string, known: string | null): Promise<readonly FormField[]> {
  if (!chat.groups) return [];
  const field = { name: 'group', label: 'And everybody in this group', isRequired: false } as const;
  const help = 'Whether somebody is in it is asked when they decide.';
  const groups = await chat.groups(workspaceId).catch(() => undefined);
  if (!groups) return [{ ...field, kind: 'text', help: `Its id. ${help}`, initial: known ?? '' }];
  if (groups.length === 0 && known === null) return [];
  const isListed = known === null || groups.some(({ id }) => id === known);
  const options = [...(isListed ? [] : [{ id: known, name: `${known}, which can’t be seen` }]), ...groups];
  return [
    {
      ...{ ...field, kind: 'choice', help, options: options.map(({ id, name }) => ({ value: id, label: name })) },
      ...(known === null ? {} : { initial: known }),
    },
  ];
}

function settingsCard(
  members: readonly Member[],
  rules: Rules & WorkSettings & { readonly allowsModel: boolean },
): Card {
  const approvers = members.filter(({ roles }) => roles.includes('approver'));
  const all = [
    ...approvers.map(({ person }) => person.name),
    ...(rules.adminsApprove ? ['any admin'] : []),
    ...(rules.approverGroup === null ? [] : [`anybody in the group ${rules.approverGroup}`]),
  ];
  const who = all.length === 0 ? 'Nobody may approve yet' : `${oneOf(all)} may approve`;
  const linked = Map.groupBy(members, ({ personId }) => personId);
  const same = [...linked.values()].filter((accounts) => accounts.length > 1);
  return {
    summary: who,
    blocks: [
      { kind: 'text', text: [text(`${who}.`)] },
      {
        kind: 'facts',
        rows: [
          { label: 'Approvals needed', value: [text(String(rules.approvalsRequired))] },
          {
            label: 'Own requests',
            value: [text(rules.mayWorkAlone ? 'may be approved' : 'nobody approves their own')],
          },
          {
            label: 'Accounts of one person',
            value: [text(same.length === 0 ? 'none' : same.map(accountWords).join('; '))],
          },
          { label: 'Work', value: [text(workWords(rules))] },
          { label: 'Model', value: [text(rules.allowsModel ? 'may help, where there is one' : 'switched off')] },
        ],
      },
      {
        kind: 'actions',
        buttons: [
          { label: 'Choose approvers', style: 'primary', action: 'choose_approvers', value: '' },
          { label: 'What may I do?', style: 'plain', action: 'choose_work', value: '' },
          { label: 'Link accounts', style: 'plain', action: 'link_accounts', value: '' },
        ],
      },
    ],
  };
}

/** `Abel and Abby` */
function accountWords(accounts: readonly Member[]): string {
  return accounts.map(({ person }) => person.name).join(' and ');
}

/** Several accounts, one person: they can't approve for each other, and count once. */
export async function openLinkForm(context: Context, member: Member, event: Action): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return whisperWords(context, event, 'Only an admin can link accounts. Nothing was changed.');
  await context.chat(event.thread.platform).openForm(event.trigger, {
    form: LINK_FORM,
    value: '',
    title: 'Link accounts',
    submit: 'Link them',
    intro:
      'Which accounts belong to one person? They then count once, and none of them approves what another one asked for. One account alone is unlinked.',
    fields: [{ kind: 'people', name: 'accounts', label: 'Accounts', isRequired: true, initial: [] }],
  });
}

/** @returns messages at the form's fields when it can't be saved. */
export async function submitLink(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors> {
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

/** "I work alone": the admin becomes the approver, also of own requests; only while nobody else was chosen. */
export async function workAlone(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return refuse(context, customerId, member, event, {
      asked: 'settings',
      words: 'Only an admin can change this. Nothing was changed.',
    });
  const approvers = await context.database.withCustomer(customerId, (tx) =>
    context.customers.members(tx, customerId, 'approver'),
  );
  if (approvers.length > 0)
    return whisperWords(
      context,
      event,
      `${names(approvers)} may approve already. Nothing was changed; /countersign settings changes it.`,
    );
  const rules = { mayWorkAlone: true, approvalsRequired: 1, adminsApprove: false, approverGroup: null };
  await saveApprovers(context, customerId, member, event, { people: [member.person], rules });
}

/** @returns messages at the form's fields when it can't be saved. */
export async function submitApprovers(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors> {
  if (!(await isAdminNow(context, member))) {
    await context.database.withCustomer(customerId, (tx) =>
      recordRefusal(tx, context.audit, customerId, { by: member.id, asked: 'settings' }),
    );
    return { approvers: 'Only an admin can choose who approves.' };
  }
  const chosen = event.fields.approvers ?? [];
  const boxes = event.fields.rules ?? [];
  const rules: Rules = {
    mayWorkAlone: boxes.includes('own'),
    adminsApprove: boxes.includes('admins'),
    approverGroup: event.fields.group?.[0]?.trim() || null,
    approvalsRequired: Number(event.fields.required?.[0] ?? '1'),
  };
  if (chosen.length === 0 && !rules.adminsApprove && rules.approverGroup === null)
    return { approvers: 'Choose at least one.' };
  if (!Number.isInteger(rules.approvalsRequired) || rules.approvalsRequired < 1 || rules.approvalsRequired > 9)
    return { required: 'Write a number from 1 to 9.' };
  return saveApprovers(context, customerId, member, event, {
    people: await peopleOf(context, event, chosen),
    rules,
    allowsModel: event.fields.model?.includes('on') ?? false,
  });
}

/** The form names user ids; the platform knows their names. */
async function peopleOf(context: Context, event: ChatEvent, userIds: readonly string[]): Promise<readonly Person[]> {
  const chat = context.chat(event.thread.platform);
  return Promise.all(userIds.map((userId) => chat.person(event.thread.workspaceId, userId)));
}

interface Saved {
  readonly people: readonly Person[];
  readonly rules: Rules;
  /** Absent: as it is. */
  readonly allowsModel?: boolean;
}

async function saveApprovers(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  { people, rules, allowsModel }: Saved,
): Promise<Errors> {
  const { mayWorkAlone, ...others } = rules;
  const saved = await context.database.withCustomer(customerId, async (tx) => {
    const able = await distinctPeople(tx, context, customerId, people, rules);
    if (rules.approverGroup === null && able < rules.approvalsRequired) return able;
    if (!(await takeEvent(tx, customerId, eventRef(event)))) return [];
    await context.customers.setApprovers(tx, customerId, people, mayWorkAlone);
    await context.customers.setRules(tx, customerId, others);
    const isChanged = allowsModel !== undefined && (await context.customers.setModel(tx, customerId, allowsModel));
    if (isChanged) await context.operations.replan(tx, customerId, member);
    await context.audit.append(tx, customerId, {
      kind: 'rules.changed',
      actor: member.id,
      payload: { approvers: people.map((p) => p.userId), ...rules, ...(isChanged ? { allowsModel } : {}) },
    });
    return asking(tx, customerId);
  });
  if (typeof saved === 'number')
    return {
      required: `Only ${saved} ${saved === 1 ? 'person' : 'people'} could approve: choose more, or a smaller number.`,
    };
  const who = [...people.map((p) => p.name), ...(rules.adminsApprove ? ['every admin'] : [])].join(', ');
  const group = rules.approverGroup === null ? '' : ` Also everybody in the group ${rules.approverGroup}.`;
  const several = rules.approvalsRequired > 1 ? ` It takes ${rules.approvalsRequired} of them.` : '';
  const words = who === '' ? '' : ` ${who} may approve${mayWorkAlone ? ', own requests, too' : ''}.`;
  await whisper(context, event, note(`Saved.${words}${group}${several}`));
  for (const threadId of saved) await context.progress.refresh(customerId, threadId);
  return undefined;
}

/** How many different people could approve by these rules, groups apart. */
async function distinctPeople(
  tx: Transaction,
  context: Context,
  customerId: CustomerId,
  people: readonly Person[],
  { adminsApprove }: Rules,
): Promise<number> {
  const members: Member[] = [];
  for (const person of people) members.push(await context.customers.member(tx, customerId, person));
  if (adminsApprove) members.push(...(await context.customers.members(tx, customerId, 'admin')));
  return peopleAmong(members);
}

/** The threads whose card asks: it says who may approve. */
async function asking(tx: Transaction, customerId: CustomerId): Promise<readonly string[]> {
  const where = { customerId, status: 'awaiting_consent' };
  const rows = await tx.operation.findMany({ where, select: { threadId: true }, distinct: ['threadId'] });
  return rows.map(({ threadId }) => threadId);
}
