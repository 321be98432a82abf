import type { Member } from '../core/customers/customers.ts';
import { databaseNow } from '../core/database.ts';
import type { CustomerId } from '../core/ids.ts';
import { choiceOf, choose, hasWebhook, type NoticeChoice, PLACES, USUAL_CHOICE } from '../core/notices/choices.ts';
import { isTimeZone, minuteOfDay } from '../core/notices/clock.ts';
import { takeEvent } from '../core/operations/events.ts';
import type { ChatEvent, FormField } from '../core/ports/chat.ts';
import type { Context } from './context.ts';
import { eventRef, whisperWords } from './speak.ts';

export const NOTIFY_FORM = 'notify';

type Opener = Extract<ChatEvent, { kind: 'action' | 'command' }>;
type Submitted = Extract<ChatEvent, { kind: 'form' }>;
type Errors = Readonly<Record<string, string>> | undefined;

/** `/countersign notify`: how one person wants to be told, decided by them alone. */
export async function openNotify(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Opener,
): Promise<void> {
  const chat = context.chat(event.thread.platform);
  const { chosen, usual, canWebhook } = await context.database.withCustomer(customerId, async (tx) => ({
    chosen: await choiceOf(tx, customerId, member.id),
    usual: (await context.customers.rules(tx, customerId)).timeZone,
    canWebhook: await hasWebhook(tx, customerId),
  }));
  // The form's trigger is good for seconds: a platform that can't say at once how somebody's clock is set is not waited for.
  const own = chosen ? undefined : await chat.timeZone?.(member.person).catch(() => undefined);
  const zone = chosen?.timeZone ?? [own, usual].find((name) => name != null && isTimeZone(name)) ?? 'UTC';
  await chat.openForm(event.trigger, {
    form: NOTIFY_FORM,
    value: '',
    title: 'How you are told',
    submit: 'Save',
    intro: 'For you alone, and about what is meant for you: what threads show stays as it is.',
    fields: fieldsOf(chosen ?? USUAL_CHOICE, zone, canWebhook),
  });
}

function fieldsOf({ place, quiet }: NoticeChoice, zone: string, canWebhook: boolean): readonly FormField[] {
  const isShown = canWebhook || place === 'webhook';
  return [
    {
      ...{ kind: 'choice', name: 'place', label: 'Tell me', isRequired: true, initial: place },
      help: `Directly, I also write to you when what you asked for is over or waits for you.${isShown ? ' A webhook hears of consents that end soon; the rest comes to you directly.' : ''}`,
      options: [
        { value: 'thread', label: 'In the thread that it is about' },
        { value: 'direct', label: 'Directly, in a message to me' },
        ...(isShown ? [{ value: 'webhook', label: 'By your organisation’s webhook' }] : []),
      ],
    },
    {
      ...{ kind: 'text', name: 'from', label: 'Quiet from', isRequired: false },
      help: 'Such as 22:00 or 10 pm. Until the end of these hours I keep what can wait, and then send it as one message. What a running operation needs from you comes at once. Empty: never.',
      initial: quiet ? clockWords(quiet.from) : '',
    },
    {
      ...{ kind: 'text', name: 'to', label: 'Quiet until', isRequired: false },
      help: 'Such as 07:30.',
      initial: quiet ? clockWords(quiet.to) : '',
    },
    {
      ...{ kind: 'text', name: 'zone', label: 'Time zone', isRequired: true },
      help: 'As Europe/Berlin or America/New_York.',
      initial: zone,
    },
  ];
}

/** @returns messages at the form's fields when it can't be saved. */
export async function submitNotify(
  context: Context,
  customerId: CustomerId,
  member: Member,
  event: Submitted,
): Promise<Errors> {
  const read = readChoice(event.fields);
  if ('errors' in read) return read.errors;
  const { choice } = read;
  const savedAt = await context.database.withCustomer(customerId, async (tx) => {
    if (choice.place === 'webhook' && !(await hasWebhook(tx, customerId))) return undefined;
    if (await takeEvent(tx, customerId, eventRef(event))) await choose(tx, customerId, member.id, choice);
    return databaseNow(tx);
  });
  if (!savedAt) return { place: 'There is no webhook for operations: an operator adds one. Choose another way.' };
  await whisperWords(context, event, `Saved. ${choiceWords(choice, savedAt)}`);
  return undefined;
}

function readChoice(
  fields: Submitted['fields'],
): { readonly choice: NoticeChoice } | { readonly errors: Record<string, string> } {
  const word = (name: string) => fields[name]?.[0]?.trim() ?? '';
  const place = PLACES.find((each) => each === word('place'));
  const [from, to] = [minutesIn(word('from')), minutesIn(word('to'))];
  const timeZone = word('zone');
  const errors = {
    ...(place ? {} : { place: 'Choose one.' }),
    ...(from === undefined ? { from: A_TIME } : {}),
    ...(to === undefined ? { to: A_TIME } : {}),
    ...((from === null) === (to === null) ? {} : { to: 'Write both times, or neither.' }),
    ...(typeof from === 'number' && from === to ? { to: 'The quiet hours would never end. Write another time.' } : {}),
    ...(isTimeZone(timeZone) ? {} : { zone: 'I know no such time zone. Write it as Europe/Berlin.' }),
  };
  if (!place || Object.keys(errors).length > 0) return { errors };
  const quiet = typeof from === 'number' && typeof to === 'number' ? { from, to, timeZone } : undefined;
  return { choice: { place, timeZone, quiet } };
}

const A_TIME = 'Write a time as 22:00 or 10 pm, or nothing.';

/** Minutes after midnight; `null`: nothing was written; `undefined`: no time of day. */
function minutesIn(words: string): number | null | undefined {
  if (words === '') return null;
  const [, digits, minutes = '00', half] = /^(\d{1,2})(?:[:.]?(\d{2}))?\s*([ap]m)?$/i.exec(words) ?? [];
  const hours = Number(digits);
  const isHour = half === undefined ? hours <= 23 : hours >= 1 && hours <= 12;
  if (digits === undefined || !isHour || Number(minutes) > 59) return undefined;
  const past = half === undefined ? hours : (hours % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
  return past * 60 + Number(minutes);
}

function clockWords(minutes: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** @param at whose time there is said: it shows whoever has taken another zone that they have. */
function choiceWords({ place, quiet, timeZone }: NoticeChoice, at: Date): string {
  const where = {
    thread: 'I tell you in the thread that it is about, and directly where there is none.',
    direct: 'I tell you directly.',
    webhook: 'Your organisation’s webhook is told of consents that end soon; the rest I tell you directly.',
  }[place];
  if (!quiet) return where;
  const there = clockWords(minuteOfDay(at, timeZone));
  return `${where} From ${clockWords(quiet.from)} to ${clockWords(quiet.to)} (${timeZone}, where it is ${there} now) I keep what can wait.`;
}
