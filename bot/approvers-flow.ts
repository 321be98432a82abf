import { recordRefusal } from '../core/audit/refusal.ts';
import { possibleApprovers } from '../core/consent/policy.ts';
import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { Card, ChatEvent, Person } from '../core/ports/chat.ts';
import { names, note, text } from './cards/text.ts';
import type { Context } from './context.ts';
import { refuse } from './refusal.ts';
import { whisper, whisperWords } from './speak.ts';

export const APPROVERS_FORM = 'approvers';

/** The first time, nobody is an approver yet: the admins are asked, each alone. */
export async function askForApprovers(context: Context, operation: Operation): Promise<void> {
  const { customerId, id, requester } = operation;
  const { approvers, admins, thread } = await context.database.withCustomer(customerId, async (tx) => ({
    approvers: possibleApprovers(
      await context.customers.members(tx, customerId, 'approver'),
      requester,
      await context.customers.rules(tx, customerId),
    ),
    admins: await context.customers.members(tx, customerId, 'admin'),
    thread: await context.threads.get(tx, customerId, operation.threadId),
  }));
  if (approvers.length > 0 || !thread) return;
  const chat = context.chat(thread.ref.platform);
  for (const admin of admins) await chat.ephemeral(thread.ref, admin.person, firstCard(id));
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

/** Opens the form for choosing approvers; admins only. */
export async function openApproversForm(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action | Extract<ChatEvent, { kind: 'command' }>,
): Promise<void> {
  if (!member.roles.includes('admin'))
    return refuse(context, customerId, member, event, {
      asked: 'settings',
      words: 'Only an admin can choose who approves. Nothing was changed.',
    });
  const { approvers, rules } = await context.database.withCustomer(customerId, async (tx) => ({
    approvers: await context.customers.members(tx, customerId, 'approver'),
    rules: await context.customers.rules(tx, customerId),
  }));
  if (event.kind === 'command') return whisper(context, event, settingsCard(approvers, rules.mayWorkAlone));
  await context.chat(event.thread.platform).openForm(event.trigger, {
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
        isRequired: true,
        initial: approvers.map((a) => a.person.userId),
      },
      {
        kind: 'checkboxes',
        name: 'rules',
        label: 'Rules',
        options: [
          {
            value: 'own',
            label: 'Approvers may approve their own requests',
            help: 'For people who work alone. It is on record.',
            isChecked: rules.mayWorkAlone,
          },
        ],
      },
    ],
  });
}

function settingsCard(approvers: readonly Member[], mayWorkAlone: boolean): Card {
  const who = approvers.length === 0 ? 'Nobody may approve yet' : `${names(approvers)} may approve`;
  return {
    summary: who,
    blocks: [
      {
        kind: 'text',
        text: [text(`${who}. ${mayWorkAlone ? 'Own requests, too.' : 'Nobody approves their own request.'}`)],
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
  if (!member.roles.includes('admin'))
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
  return saveApprovers(context, customerId, member, event, [member.person], true);
}

/** @returns messages at the form's fields when it can't be saved. */
export async function submitApprovers(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Extract<ChatEvent, { kind: 'form' }>,
): Promise<Readonly<Record<string, string>> | undefined> {
  if (!member.roles.includes('admin')) {
    await context.database.withCustomer(customerId, (tx) =>
      recordRefusal(tx, context.audit, customerId, { by: member.id, asked: 'settings' }),
    );
    return { approvers: 'Only an admin can choose who approves.' };
  }
  const chosen = event.fields.approvers ?? [];
  if (chosen.length === 0) return { approvers: 'Choose at least one person.' };
  const people = await peopleOf(context, event, chosen);
  await saveApprovers(context, customerId, member, event, people, (event.fields.rules ?? []).includes('own'));
  return undefined;
}

/** The form names user ids; the platform knows their names. */
async function peopleOf(context: Context, event: ChatEvent, userIds: readonly string[]): Promise<readonly Person[]> {
  const chat = context.chat(event.thread.platform);
  return Promise.all(userIds.map((userId) => chat.person(event.thread.workspaceId, userId)));
}

async function saveApprovers(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  people: readonly Person[],
  mayWorkAlone: boolean,
): Promise<void> {
  const threads = await context.database.withCustomer(customerId, async (tx) => {
    await context.customers.setApprovers(tx, customerId, people, mayWorkAlone);
    await context.audit.append(tx, customerId, {
      kind: 'rules.changed',
      actor: member.id,
      payload: { approvers: people.map((p) => p.userId), mayWorkAlone },
    });
    // Every card that asks says who may approve.
    const asking = { customerId, status: 'awaiting_consent' };
    return tx.operation.findMany({ where: asking, select: { threadId: true }, distinct: ['threadId'] });
  });
  const who = people.map((p) => p.name).join(', ');
  await whisper(context, event, note(`Saved. ${who} may approve${mayWorkAlone ? ', own requests, too' : ''}.`));
  for (const { threadId } of threads) await context.progress.refresh(customerId, threadId);
}
