import { recordRefusal } from '../core/audit/refusal.ts';
import type { Member } from '../core/customers/customers.ts';
import {
  MOST_ALLOWED,
  MOST_PER_HOUR,
  parseAllowedTarget,
  setWork,
  type WorkSettings,
} from '../core/customers/settings.ts';
import type { CustomerId } from '../core/ids.ts';
import { takeEvent } from '../core/operations/events.ts';
import type { ChatEvent, FormField } from '../core/ports/chat.ts';
import { note } from './cards/text.ts';
import type { Context } from './context.ts';
import { isAdminNow } from './refusal.ts';
import { eventRef, whisper, whisperWords } from './speak.ts';

export const WORK_FORM = 'work';

type Action = Extract<ChatEvent, { kind: 'action' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;
type Errors = Readonly<Record<string, string>> | undefined;

/** What the bot may do at all, where, and how often; admins only. */
export async function openWorkForm(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Action,
): Promise<void> {
  if (!(await isAdminNow(context, member)))
    return whisperWords(context, event, 'Only an admin can change this. Nothing was changed.');
  const settings = await context.database.withCustomer(customerId, (tx) => context.customers.rules(tx, customerId));
  const chat = context.chat(event.thread.platform);
  await chat.openForm(event.trigger, {
    form: WORK_FORM,
    value: '',
    title: 'What may I do?',
    submit: 'Save',
    intro: 'From now on. What was asked for already goes on; “stop all” ends it.',
    fields: [
      ...modeFields(settings),
      ...(chat.channelOf
        ? [
            {
              ...({ kind: 'channels', name: 'channels', label: 'Only in these channels', isRequired: false } as const),
              help: 'None: everywhere that I am, direct messages included.',
              initial: settings.allowedChannels,
            },
          ]
        : []),
    ],
  });
}

function modeFields({ isGuideOnly, allowedTargets, operationsPerHour }: WorkSettings): readonly FormField[] {
  return [
    {
      kind: 'checkboxes',
      name: 'mode',
      label: 'Way of working',
      options: [
        {
          value: 'guide_only',
          label: 'Only say how it is done by hand',
          help: 'I then open no site, ask for no sign-in and make no key.',
          isChecked: isGuideOnly,
        },
      ],
    },
    {
      ...{ kind: 'text', name: 'targets', label: 'Only these sites', isRequired: false, isMultiline: true },
      help: 'One a line, such as shop.example.com or *.example.com. None: every public site.',
      initial: allowedTargets.join('\n'),
    },
    {
      ...{ kind: 'text', name: 'hourly', label: 'Set-ups an hour, at most', isRequired: false },
      help: 'None: as many as this installation allows.',
      initial: operationsPerHour === null ? '' : String(operationsPerHour),
    },
  ];
}

/** @returns messages at the form's fields when it can't be saved. */
export async function submitWork(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors> {
  if (!(await isAdminNow(context, member))) {
    await context.database.withCustomer(customerId, (tx) =>
      recordRefusal(tx, context.audit, customerId, { by: member.id, asked: 'settings' }),
    );
    return { mode: 'Only an admin can change this.' };
  }
  const settings = readSettings(event.fields);
  if ('errors' in settings) return settings.errors;
  await context.database.withCustomer(customerId, async (tx) => {
    if (!(await takeEvent(tx, customerId, eventRef(event)))) return;
    await setWork(tx, customerId, settings);
    await context.audit.append(tx, customerId, {
      kind: 'rules.changed',
      actor: member.id,
      payload: {
        ...{ isGuideOnly: settings.isGuideOnly, operationsPerHour: settings.operationsPerHour },
        ...{ allowedTargets: [...settings.allowedTargets], allowedChannels: [...settings.allowedChannels] },
      },
    });
  });
  await whisper(context, event, note(`Saved. ${workWords(settings)}`));
  return undefined;
}

function readSettings(fields: Submitted['fields']): WorkSettings | { readonly errors: NonNullable<Errors> } {
  const lines = (fields.targets?.[0] ?? '').split(/[\n,;]/).filter((line) => line.trim() !== '');
  const allowedTargets: string[] = [];
  for (const line of lines) {
    const target = parseAllowedTarget(line);
    if (target === undefined)
      return { errors: { targets: `“${line.trim().slice(0, 60)}” is no site. Write it like shop.example.com.` } };
    if (!allowedTargets.includes(target)) allowedTargets.push(target);
  }
  if (allowedTargets.length > MOST_ALLOWED) return { errors: { targets: `At most ${MOST_ALLOWED} sites.` } };
  const allowedChannels = fields.channels ?? [];
  if (allowedChannels.length > MOST_ALLOWED) return { errors: { channels: `At most ${MOST_ALLOWED} channels.` } };
  const hourly = fields.hourly?.[0]?.trim() ?? '';
  const operationsPerHour = hourly === '' ? null : Number(hourly);
  const isNumber =
    operationsPerHour === null ||
    (Number.isInteger(operationsPerHour) && operationsPerHour >= 1 && operationsPerHour <= MOST_PER_HOUR);
  if (!isNumber) return { errors: { hourly: `Write a number from 1 to ${MOST_PER_HOUR}, or nothing.` } };
  return {
    isGuideOnly: fields.mode?.includes('guide_only') ?? false,
    ...{ allowedTargets, allowedChannels, operationsPerHour },
  };
}

/** In a sentence, for the answer and for the card of all settings. */
export function workWords(settings: WorkSettings): string {
  const { isGuideOnly, allowedTargets, allowedChannels, operationsPerHour } = settings;
  const sites =
    allowedTargets.length === 0
      ? 'at every public site'
      : `at ${allowedTargets.slice(0, 5).join(', ')}${allowedTargets.length > 5 ? ' and others' : ''}`;
  const channels =
    allowedChannels.length === 0
      ? ''
      : `, asked for in ${allowedChannels.length === 1 ? 'one channel' : `${allowedChannels.length} channels`} alone`;
  const often = operationsPerHour === null ? '' : `, at most ${operationsPerHour} set-ups an hour`;
  return `${isGuideOnly ? 'I only say how it is done by hand' : 'I set things up'} ${sites}${channels}${often}.`;
}
