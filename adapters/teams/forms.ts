import { z } from 'zod';
import { clip, withoutTricks } from '../../core/plain-text.ts';
import type { Form, FormField, Person, ThreadRef } from '../../core/ports/chat.ts';
import { cardOf } from './cards.ts';
import {
  type AdaptiveCard,
  type ChoiceInput,
  type Element,
  type Execute,
  type RichTextBlock,
  sizeOf,
  type TextRun,
} from './elements.ts';
import { LIMITS } from './limits.ts';
import { runsOf } from './text.ts';

export type Fields = Readonly<Record<string, readonly string[]>>;
export type FieldErrors = Readonly<Record<string, string>>;

/** A form's card is answered with these, which no flow of ours is called. */
export const SUBMIT_VERB = 'countersign.submit';
export const CLOSE_VERB = 'countersign.close';

export interface Channel {
  readonly id: string;
  readonly name: string;
}

/** How a form is drawn: with whom to choose from, what was filled in so far, and what is wrong with it. */
export interface FormView {
  readonly people: readonly Person[];
  /** More people than are listed: the others are found by typing. */
  readonly hasMorePeople: boolean;
  /** Of the organisation's teams, as far as we are in them. */
  readonly channels: readonly Channel[];
  /** The thread that it belongs to, where the card stands in another one. */
  readonly thread?: ThreadRef;
  /** How that thread is named in what the form brings back, see `nameOfThread`. */
  readonly written?: (thread: ThreadRef) => string;
  readonly fields?: Fields;
  readonly errors?: FieldErrors;
}

/** Before the number of each field, so that no field's name meets one of ours. */
const FIELD = 'field-';

/** What a form brings back beside what was filled in: readable by whoever has it open, so nothing secret. */
const carried = z.object({
  /** Of this form, as it was opened for one person. */
  id: z.string(),
  form: z.string(),
  value: z.string(),
  fields: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['text', 'checkboxes', 'choice', 'people', 'channels']),
      /** Of options, in order. */
      values: z.array(z.string()).default([]),
      locked: z.array(z.string()).default([]),
    }),
  ),
  thread: z.string().optional(),
});
export type Carried = z.infer<typeof carried>;

/** A form as a card. @throws RangeError when it is more than a card may hold. */
export function renderForm(id: string, given: Form, view: FormView): AdaptiveCard {
  const form = withoutTricks(given);
  const thread = view.thread && (view.written?.(view.thread) ?? view.thread.ref);
  const data: z.input<typeof carried> = {
    id,
    form: given.form,
    value: given.value,
    fields: given.fields.map((field) => ({
      ...{ name: field.name, kind: field.kind, locked: lockedOf(field).map(({ value }) => value) },
      values: optionsOf(field).map(({ value }) => value),
    })),
    ...(thread === undefined ? {} : { thread }),
  };
  const stray = Object.entries(view.errors ?? {}).filter(([name]) => !form.fields.some((field) => field.name === name));
  const body: readonly Element[] = [
    line(form.title, { size: 'Medium', weight: 'Bolder' }),
    ...(form.intro === undefined ? [] : [line(form.intro)]),
    ...stray.map(([, words]) => line(words, WRONG)),
    ...form.fields.flatMap((field, index) => renderField(field, index, view)),
    { type: 'ActionSet', actions: [submit(form.submit, data), close(thread)] },
  ];
  const card = cardOf(body, [], form.title);
  if (sizeOf(card) > LIMITS.cardBytes) throw new RangeError('the form is more than a card may hold');
  return card;
}

function submit(title: string, data: object): Execute {
  const { action, verb, style } = { action: SUBMIT_VERB, verb: SUBMIT_VERB, style: 'positive' } as const;
  return { type: 'Action.Execute', title: clip(title, LIMITS.button), verb, style, data: { action, ...data } };
}

/** What is missing in the form keeps nobody from leaving it. */
function close(thread: string | undefined): Execute {
  const data = { action: CLOSE_VERB, ...(thread === undefined ? {} : { thread }) };
  return { type: 'Action.Execute', title: 'Cancel', verb: CLOSE_VERB, data, associatedInputs: 'none' };
}

type Style = Pick<TextRun, 'size' | 'weight' | 'color' | 'isSubtle'>;
const HELP: Style = { size: 'Small', isSubtle: true };
const WRONG: Style = { color: 'Attention', weight: 'Bolder' };

function line(words: string, style: Style = {}, id?: string): RichTextBlock {
  const inlines = runsOf([{ kind: 'text', text: words }], LIMITS.inputText, style);
  return { type: 'RichTextBlock', inlines, ...(id === undefined ? {} : { id }) };
}

function renderField(field: FormField, index: number, view: FormView): Element[] {
  const id = `${FIELD}${index}`;
  const error = view.errors?.[field.name];
  const filled = view.fields?.[field.name];
  const around = (...inputs: readonly Element[]) => [
    ...inputs,
    ...(field.help === undefined ? [] : [line(field.help, HELP)]),
    ...(error === undefined ? [] : [line(error, WRONG, `${id}-error`)]),
  ];
  // A form that is not filled in is not even sent, so the client has to say why.
  const required = {
    isRequired: true,
    errorMessage: field.kind === 'people' ? 'Choose at least one.' : 'Please fill this in.',
  };
  const base = { id, label: field.label };
  switch (field.kind) {
    case 'text': {
      const value = filled?.[0] ?? field.initial;
      return around({
        ...{ ...base, type: 'Input.Text', isMultiline: field.isMultiline ?? false, maxLength: LIMITS.inputText },
        ...(field.isRequired ? required : {}),
        ...(value ? { value: clip(value, LIMITS.inputText) } : {}),
      });
    }
    case 'choice': {
      const value = filled?.[0] ?? field.initial;
      const chosen = field.options.findIndex((option) => option.value === value);
      return around({
        ...{ ...base, ...choices(field.options), style: 'compact' },
        ...(field.isRequired ? required : {}),
        ...(chosen < 0 ? {} : { value: String(chosen) }),
      });
    }
    case 'checkboxes': {
      const locked = lockedOf(field).map(({ label }) => label);
      const open = optionsOf(field);
      const ticked = open.flatMap((option, at) =>
        (filled?.includes(option.value) ?? option.isChecked) ? [String(at)] : [],
      );
      return around(
        ...(locked.length > 0 ? [line(`${field.label}, in any case: ${locked.join('; ')}.`)] : []),
        ...(open.length === 0
          ? []
          : [{ ...base, ...choices(open), style: 'expanded' as const, isMultiSelect: true, value: ticked.join(',') }]),
      );
    }
    case 'people': {
      const listed = view.people.filter(({ userId }) => !userId.includes(','));
      const chosen = filled ?? field.initial;
      return around({
        ...base,
        ...{
          type: 'Input.ChoiceSet',
          isMultiSelect: true,
          style: view.hasMorePeople ? 'compact' : 'expanded',
          wrap: true,
        },
        choices: listed.map(({ userId, name }) => ({ title: name, value: userId })),
        ...(chosen.length > 0 ? { value: chosen.join(',') } : {}),
        ...(view.hasMorePeople ? { 'choices.data': EVERYBODY } : {}),
        ...(field.isRequired ? required : {}),
      });
    }
    case 'channels': {
      const chosen = filled ?? field.initial;
      const unseen = chosen.filter((channel) => view.channels.every(({ id: known }) => known !== channel));
      const all = [
        ...view.channels,
        ...unseen.map((channel) => ({ id: channel, name: `Unseen: …${channel.slice(-24)}` })),
      ];
      if (all.length === 0) return around(line(`${field.label}: none yet. I see the channels of teams that I am in.`));
      return around({
        ...base,
        ...{ type: 'Input.ChoiceSet', isMultiSelect: true, style: 'compact', wrap: true },
        choices: all.map(({ id: value, name: title }) => ({ title, value })),
        ...(chosen.length > 0 ? { value: chosen.join(',') } : {}),
        ...(field.isRequired ? required : {}),
      });
    }
    default:
      return field satisfies never;
  }
}

/** Of the conversation that the card stands in (learn.microsoft.com, people picker in Adaptive Cards). */
const EVERYBODY = { type: 'Data.Query', dataset: 'graph.microsoft.com/users?scope=currentContext' } as const;

/** By their number: Teams joins what was ticked by commas, which a value may hold. */
function choices(options: readonly { readonly label: string; readonly help?: string }[]) {
  return {
    type: 'Input.ChoiceSet',
    wrap: true,
    choices: options.map(({ label, help }, index) => ({
      title: help === undefined ? label : `${label}: ${help}`,
      value: String(index),
    })),
  } as const satisfies Partial<ChoiceInput>;
}

type Option = { readonly value: string; readonly label: string; readonly help?: string; readonly isChecked?: boolean };

/** Those that somebody chooses among. */
function optionsOf(field: FormField): readonly Option[] {
  if (field.kind === 'choice') return field.options;
  return field.kind === 'checkboxes' ? field.options.filter(({ isLocked }) => !isLocked) : [];
}

function lockedOf(field: FormField): readonly Option[] {
  return field.kind === 'checkboxes' ? field.options.filter(({ isLocked, isChecked }) => isLocked && isChecked) : [];
}

/** What a form brought back; `undefined` when it is none of ours. */
export function readCarried(data: unknown): Carried | undefined {
  return carried.safeParse(data).data;
}

/** What was filled in, by field: nothing that was not offered, and locked boxes as they were shown. */
export function readFields({ fields }: Carried, data: Readonly<Record<string, unknown>>): Fields {
  return Object.fromEntries(
    fields.map(({ name, kind, values, locked }, index) => {
      const given = data[`${FIELD}${index}`];
      const text = typeof given === 'string' ? given : '';
      const parts = text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '');
      switch (kind) {
        case 'text':
          return [name, text === '' ? [] : [text]];
        case 'choice':
        case 'checkboxes':
          return [name, [...locked, ...values.filter((_, at) => parts.includes(String(at)))]];
        case 'people':
        case 'channels':
          return [name, parts];
        default:
          return kind satisfies never;
      }
    }),
  );
}
