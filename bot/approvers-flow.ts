import { lackOfApprovers, type Rules } from '../core/consent/policy.ts';
import type { Member } from '../core/customers/customers.ts';
import type { CustomerId } from '../core/ids.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { Card, ChatEvent } from '../core/ports/chat.ts';
import { capital, note, text } from './cards/text.ts';
import type { Context } from './context.ts';
import { isAdminNow, refuse } from './refusal.ts';
import { answerSaved, save } from './settings-flow.ts';
import { approverWords } from './settings-form.ts';
import { whisperWords } from './speak.ts';

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
  if (mayAnybodyApprove(members, rules) || !installer.roles.includes('admin')) return;
  await context.chat(installer.person.platform).directMessage(installer.person, firstCard(''));
}

/** Whether somebody was chosen, by name, by being an admin or by a group. */
function mayAnybodyApprove(members: readonly Member[], { adminsApprove, approverGroup }: Rules): boolean {
  return members.some(({ roles }) => roles.includes('approver')) || adminsApprove || approverGroup !== null;
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
  const rules = { mayWorkAlone: true, approvalsRequired: 1, adminsApprove: false, approverGroup: null };
  const changed = { approvers: [member.person.userId], ...rules };
  const saved = await save(context, customerId, member, event, {
    changed,
    // The card may be an old one: what another admin has chosen since is not undone.
    obstacle: async (tx) => {
      const approvers = await context.customers.members(tx, customerId, 'approver');
      const chosen = await context.customers.rules(tx, customerId);
      if (!mayAnybodyApprove(approvers, chosen)) return undefined;
      const names = approvers.map(({ person }) => person.name);
      return `That was chosen already. ${capital(approverWords(chosen, names))} Nothing was changed; /countersign settings changes it.`;
    },
  });
  if ('errors' in saved) return whisperWords(context, event, Object.values(saved.errors).join(' '));
  const words = approverWords(changed, [member.person.name]);
  await answerSaved(context, event, note(`Saved. ${words}`), event.message);
}
