import { z } from 'zod';
import { recordRefusal } from '../core/audit/refusal.ts';
import { peopleAmong, type Rules } from '../core/consent/policy.ts';
import type { Member } from '../core/customers/customers.ts';
import { setDigest, setWork } from '../core/customers/settings.ts';
import type { Transaction } from '../core/database.ts';
import type { CustomerId } from '../core/ids.ts';
import { hadEffect, takeEvent } from '../core/operations/events.ts';
import {
  type Card,
  type Chat,
  type ChatEvent,
  type FormField,
  type MessageRef,
  type Person,
  PLATFORMS,
} from '../core/ports/chat.ts';
import { note, text } from './cards/text.ts';
import type { Context } from './context.ts';
import { isAdminNow, refuse } from './refusal.ts';
import {
  approverFields,
  approverWords,
  type Changed,
  type Errors,
  readApprovers,
  readSettings,
  type Settings,
  settingsWords,
  versionOf,
  workFields,
} from './settings-form.ts';
import { eventRef, whisper } from './speak.ts';

/** The first thing that an admin is asked; and everything. They are saved alike. */
export const APPROVERS_FORM = 'approvers';
export const SETTINGS_FORM = 'settings';

type Action = Extract<ChatEvent, { kind: 'action' }>;
type Command = Extract<ChatEvent, { kind: 'command' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;

/** What a form carries: the settings that it was filled in from, and the message whose button opened it, where that is done then. */
const carried = z.object({
  version: z.string(),
  message: z
    .object({
      ref: z.string(),
      thread: z.object({ platform: z.enum(PLATFORMS), workspaceId: z.string(), ref: z.string() }),
    })
    .optional(),
});

/** Opens the form at once, since the platform gives a click, and a command, few seconds for that; admins only. */
export async function openSettings(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action | Command,
  form: typeof APPROVERS_FORM | typeof SETTINGS_FORM,
): Promise<void> {
  const chat = context.chat(event.thread.platform);
  const isAdmin = member.roles.includes('admin');
  const settings = await context.database.withCustomer(customerId, (tx) => currentSettings(tx, context, customerId));
  const [isAdminStill, group] = await Promise.all([
    isAdminNow(context, member),
    isAdmin ? groupField(chat, event.thread.workspaceId, settings.approverGroup) : [],
  ]);
  if (!isAdminStill)
    return refuse(context, customerId, member, event, {
      asked: 'settings',
      words: `Only an admin can ${form === APPROVERS_FORM ? 'choose who approves' : 'change the settings'}. Nothing was changed.`,
    });
  const value: z.infer<typeof carried> = {
    version: versionOf(settings),
    // The card of the first day asks this alone; a request's card has more to say, and changes by itself.
    ...(event.kind === 'action' && event.message && event.value === '' ? { message: event.message } : {}),
  };
  await chat.openForm(event.trigger, {
    form,
    value: JSON.stringify(value),
    submit: 'Save',
    ...(form === APPROVERS_FORM
      ? {
          title: 'Who may approve?',
          intro:
            'An approver countersigns requests of others. Nobody can approve their own request unless you allow it.',
          fields: approverFields(settings, group),
        }
      : {
          title: 'Settings',
          intro: 'From now on. What was asked for already goes on; “stop all” ends it.',
          fields: [
            ...approverFields(settings, group),
            ...workFields(settings, context.retentionDays, chat.channelOf !== undefined),
          ],
        }),
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

async function currentSettings(tx: Transaction, context: Context, customerId: CustomerId): Promise<Settings> {
  const approvers = await context.customers.members(tx, customerId, 'approver');
  const row = await context.customers.rules(tx, customerId);
  const { mayWorkAlone, approvalsRequired, adminsApprove, approverGroup } = row;
  const { isGuideOnly, allowedTargets, allowedChannels, operationsPerHour, retentionDays, allowsModel } = row;
  const { hasDigest, timeZone } = row;
  return {
    approvers: approvers.map(({ person }) => person.userId),
    ...{ mayWorkAlone, approvalsRequired, adminsApprove, approverGroup },
    ...{ isGuideOnly, allowedTargets, allowedChannels, operationsPerHour, retentionDays, allowsModel },
    ...{ hasDigest, timeZone },
  };
}

/** @returns messages at the form's fields when it can't be saved. */
export async function submitSettings(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors | undefined> {
  if (!(await isAdminNow(context, member))) {
    await context.database.withCustomer(customerId, (tx) =>
      recordRefusal(tx, context.audit, customerId, { by: member.id, asked: 'settings' }),
    );
    return { approvers: 'Only an admin can change the settings. Nothing was changed.' };
  }
  const isAll = event.form === SETTINGS_FORM;
  const changed = isAll ? readSettings(event.fields, context.retentionDays) : readApprovers(event.fields);
  if ('errors' in changed) return changed.errors;
  const { version, message } = readCarried(event.value);
  const saved = await save(context, customerId, member, event, { changed, version });
  if ('errors' in saved) return saved.errors;
  const names = saved.people.map(({ name }) => name);
  const words = isAll ? settingsWords(saved.settings, names, context.retentionDays) : approverWords(changed, names);
  const card = isAll ? savedCard(words) : note(`Saved. ${words}`);
  await answerSaved(context, event, card, message);
  return undefined;
}

/** A form of another version of ours carries none: it is then filled in from nobody knows what. */
function readCarried(value: string): z.infer<typeof carried> {
  try {
    return carried.parse(JSON.parse(value));
  } catch {
    return { version: '' };
  }
}

function savedCard(words: string): Card {
  return {
    summary: `Saved. ${words}`,
    blocks: [
      { kind: 'text', text: [text(`Saved. ${words}`)] },
      {
        kind: 'actions',
        buttons: [{ label: 'Link accounts', style: 'plain', action: 'link_accounts', value: '' }],
      },
    ],
  };
}

/** In place of the card whose button opened the form, which asked for just this; else beside it. */
export async function answerSaved(
  context: Context,
  event: ChatEvent,
  card: Card,
  message: MessageRef | undefined,
): Promise<void> {
  const isReplaced =
    message !== undefined &&
    (await context
      .chat(event.thread.platform)
      .update(message, card)
      .then(
        () => true,
        () => false, // it is gone, or the platform is: then it is said anew
      ));
  if (!isReplaced) await whisper(context, event, card);
}

interface Saved {
  readonly settings: Settings;
  readonly people: readonly Person[];
}

/**
 * Everything in one transaction, or nothing. Without `version` it is saved whatever was there, unless `obstacle` finds a reason
 * not to, in the words for who asked.
 * @returns messages at the form's fields when it can't be saved; what holds now.
 */
export async function save(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: ChatEvent,
  {
    changed,
    version,
    obstacle,
  }: {
    readonly changed: Changed;
    readonly version?: string;
    readonly obstacle?: (tx: Transaction) => Promise<string | undefined>;
  },
): Promise<Saved | { readonly errors: Errors }> {
  const people = await peopleOf(context, event, changed.approvers);
  const outcome = await context.database.withCustomer(customerId, async (tx) => {
    // Of two admins at once the second waits here, and then sees what the first one saved.
    await tx.$executeRaw`SELECT 1 FROM customers WHERE customer_id = ${customerId}::uuid FOR NO KEY UPDATE`;
    const before = await currentSettings(tx, context, customerId);
    const settings = { ...before, ...changed };
    if (version !== undefined && version !== versionOf(before)) {
      if (await hadEffect(tx, customerId, eventRef(event))) return { settings: before, threads: [] };
      return { errors: { approvers: await changedWords(tx, context, customerId) } };
    }
    const why = await obstacle?.(tx);
    if (why !== undefined && !(await hadEffect(tx, customerId, eventRef(event)))) return { errors: { approvers: why } };
    const able = await distinctPeople(tx, context, customerId, people, changed);
    if (changed.approverGroup === null && able < changed.approvalsRequired)
      return { errors: { required: tooFewWords(able) } };
    if (!(await takeEvent(tx, customerId, eventRef(event)))) return { settings: before, threads: [] };
    await write(tx, context, customerId, { settings, people, by: member });
    return { settings, threads: await asking(tx, customerId) };
  });
  if ('errors' in outcome) return { errors: outcome.errors };
  for (const threadId of outcome.threads) await context.progress.refresh(customerId, threadId);
  return { settings: outcome.settings, people };
}

/** Another admin's change is not undone by who has not seen it. */
async function changedWords(tx: Transaction, context: Context, customerId: CustomerId): Promise<string> {
  const latest = await tx.auditEntry.findFirst({
    where: { customerId, kind: 'rules.changed' },
    ...{ select: { header: true }, orderBy: { seq: 'desc' } },
  });
  const { actor } = z.looseObject({ actor: z.string().optional() }).parse(JSON.parse(latest?.header ?? '{}'));
  const by = actor === undefined ? undefined : await context.customers.find(tx, customerId, actor);
  const who = by?.person.name ?? 'Somebody';
  return `${who} has changed the settings since you opened this form, so nothing of yours was saved. Close it, and open it again to see theirs.`;
}

function tooFewWords(able: number): string {
  return `Only ${able} ${able === 1 ? 'person' : 'people'} could approve: choose more, or a smaller number.`;
}

async function write(
  tx: Transaction,
  context: Context,
  customerId: CustomerId,
  { settings, people, by }: Saved & { readonly by: Member },
): Promise<void> {
  await context.customers.setApprovers(tx, customerId, people, settings.mayWorkAlone);
  await context.customers.setRules(tx, customerId, settings);
  await setWork(tx, customerId, settings);
  await setDigest(tx, customerId, settings);
  await context.customers.setRetention(tx, customerId, settings.retentionDays);
  const isModelChanged = await context.customers.setModel(tx, customerId, settings.allowsModel);
  if (isModelChanged) await context.operations.replan(tx, customerId, by);
  await context.audit.append(tx, customerId, {
    kind: 'rules.changed',
    actor: by.id,
    payload: { ...settings },
  });
}

/** The form names user ids; the platform knows their names. */
export async function peopleOf(
  context: Context,
  event: ChatEvent,
  userIds: readonly string[],
): Promise<readonly Person[]> {
  const chat = context.chat(event.thread.platform);
  return Promise.all(userIds.map((userId) => chat.person(event.thread.workspaceId, userId)));
}

/** How many different people could approve by these rules, groups apart. */
async function distinctPeople(
  tx: Transaction,
  context: Context,
  customerId: CustomerId,
  people: readonly Person[],
  { adminsApprove }: Pick<Rules, 'adminsApprove'>,
): Promise<number> {
  const members: Member[] = [];
  for (const person of people) members.push(await context.customers.member(tx, customerId, person));
  if (adminsApprove) members.push(...(await context.customers.members(tx, customerId, 'admin')));
  return peopleAmong(members);
}

/** The threads whose card asks: it says who may approve. */
export async function asking(tx: Transaction, customerId: CustomerId): Promise<readonly string[]> {
  const where = { customerId, status: 'awaiting_consent' };
  const rows = await tx.operation.findMany({ where, select: { threadId: true }, distinct: ['threadId'] });
  return rows.map(({ threadId }) => threadId);
}
