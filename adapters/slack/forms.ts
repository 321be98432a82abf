import type { InputBlock, KnownBlock, ModalView, PlainTextInput, StaticSelect } from '@slack/types';
import { z } from 'zod';
import { clip, withoutTricks } from '../../core/plain-text.ts';
import type { Form, FormField } from '../../core/ports/chat.ts';
import { plainText } from './cards.ts';
import { LIMITS } from './limits.ts';
import { plain, richText, section } from './text.ts';
import type { Place } from './thread.ts';

export type Fields = Readonly<Record<string, readonly string[]>>;

/** What a modal carries with it: readable by whoever has it open, so nothing secret. */
const carried = z.object({
  channel: z.string(),
  ts: z.string().optional(),
  value: z.string(),
  /** By field, in order; with the boxes that can't be unticked. */
  fields: z.array(z.object({ name: z.string(), locked: z.array(z.string()) })),
});
export type Carried = z.infer<typeof carried>;

const ELEMENT = 'value';
/** Between a field's name and the number of its part: Slack takes ten boxes at once. */
const PART = '#';

/** A form as a modal. @throws RangeError when the form's own value does not fit into what a modal may carry. */
export function renderForm(given: Form, { channel, ts }: Place): ModalView {
  const form = withoutTricks(given);
  const metadata: Carried = {
    channel,
    ...(ts === undefined ? {} : { ts }),
    value: given.value,
    fields: form.fields.map((field) => ({ name: field.name, locked: lockedOf(field).map(({ value }) => value) })),
  };
  const private_metadata = JSON.stringify(metadata);
  if (private_metadata.length > LIMITS.privateMetadata) throw new RangeError('the form carries more than a modal can');
  const isLong = form.title.length > LIMITS.viewTitle;
  const blocks: KnownBlock[] = [
    ...(isLong ? [{ type: 'header', text: plainText(form.title, LIMITS.header) } as const] : []),
    ...(form.intro === undefined ? [] : [words(form.intro)]),
    ...form.fields.flatMap(renderField),
  ];
  return {
    type: 'modal',
    callback_id: clip(form.form, LIMITS.callbackId),
    private_metadata,
    title: plainText(form.title, LIMITS.viewTitle),
    submit: plainText(form.submit, LIMITS.viewButton),
    close: plainText('Cancel', LIMITS.viewButton),
    blocks: blocks.slice(0, LIMITS.blocksInView),
  };
}

function words(text: string): KnownBlock {
  return richText([section(plain(text))]);
}

function renderField(field: FormField): KnownBlock[] {
  const block = {
    type: 'input',
    block_id: field.name,
    label: plainText(field.label, LIMITS.inputLabel),
    ...(field.help === undefined ? {} : { hint: plainText(field.help, LIMITS.inputLabel) }),
  } as const;
  switch (field.kind) {
    case 'text':
      return [
        {
          ...block,
          optional: !field.isRequired,
          element: {
            type: 'plain_text_input',
            action_id: ELEMENT,
            multiline: field.isMultiline ?? false,
            max_length: LIMITS.inputText,
            ...(field.initial ? { initial_value: clip(field.initial, LIMITS.inputText) } : {}),
          },
        },
      ];
    case 'people':
      return [
        {
          ...block,
          optional: !field.isRequired,
          element: {
            type: 'multi_users_select',
            action_id: ELEMENT,
            ...(field.initial.length > 0 ? { initial_users: [...field.initial] } : {}),
          },
        },
      ];
    case 'channels':
      return [
        {
          ...block,
          optional: !field.isRequired,
          element: {
            type: 'multi_conversations_select',
            action_id: ELEMENT,
            filter: { include: ['public', 'private'], exclude_bot_users: true },
            ...(field.initial.length > 0 ? { initial_conversations: [...field.initial] } : {}),
          },
        },
      ];
    case 'choice':
      return [{ ...block, optional: !field.isRequired, element: renderChoice(field) }];
    case 'checkboxes':
      return renderBoxes(field, block);
    default:
      return field satisfies never;
  }
}

type Choice = Extract<FormField, { kind: 'choice' }>;

/** As many as Slack takes, and the one that holds among them. An option whose value doesn't fit would be another one. */
function renderChoice({ options, initial }: Choice): StaticSelect | PlainTextInput {
  const fitting = options.filter(({ value }) => value !== '' && value.length <= LIMITS.optionValue);
  const first = fitting.filter(({ value }) => value === initial);
  const drawn = [...first, ...fitting.filter(({ value }) => value !== initial)]
    .slice(0, LIMITS.selectOptions)
    .map(({ value, label }) => ({ text: plainText(label, LIMITS.optionText), value }));
  const [chosen] = first.length > 0 ? drawn : [];
  // Slack takes no empty menu.
  if (drawn.length === 0) return { type: 'plain_text_input', action_id: ELEMENT, max_length: LIMITS.inputText };
  return {
    type: 'static_select',
    action_id: ELEMENT,
    options: drawn,
    ...(chosen ? { initial_option: chosen } : {}),
  };
}

type Boxes = Extract<FormField, { kind: 'checkboxes' }>;

/**
 * Slack can't lock a box, so what is certain is said; ten boxes a block; words that do not fit beside one stand, whole and
 * once, above it, or below the only one.
 */
function renderBoxes(field: Boxes, block: Pick<InputBlock, 'type' | 'label' | 'hint'>): KnownBlock[] {
  const locked = lockedOf(field);
  const open = field.options.filter(({ isLocked }) => !isLocked);
  const isLong = ({ label, help = '' }: Boxes['options'][number]) =>
    Math.max(label.length, help.length) > LIMITS.optionText;
  const [only] = open;
  const hint =
    open.length === 1 && only?.help && isLong(only) && only.label.length <= LIMITS.optionText
      ? { hint: plainText([only.help, field.help ?? ''].join(' ').trim(), LIMITS.inputLabel) }
      : {};
  const long = 'hint' in hint ? [] : open.filter(isLong);
  const parts = Array.from({ length: Math.ceil(open.length / LIMITS.checkboxes) }, (_, part) =>
    open.slice(part * LIMITS.checkboxes, (part + 1) * LIMITS.checkboxes),
  );
  return [
    ...(locked.length > 0
      ? [words(`${field.label}, in any case: ${locked.map(({ label }) => label).join('; ')}.`)]
      : []),
    ...long.map(({ label, help }) => words(help === undefined ? label : `${label}: ${help}`)),
    ...parts.map((options, part): InputBlock => {
      const drawn = options.map((option) => ({
        text: plainText(option.label, LIMITS.optionText),
        value: clip(option.value, LIMITS.optionValue),
        ...(option.help && !isLong(option) ? { description: plainText(option.help, LIMITS.optionText) } : {}),
      }));
      const ticked = drawn.filter((_, index) => options[index]?.isChecked);
      return {
        ...{ ...block, ...hint },
        block_id: part === 0 ? field.name : `${field.name}${PART}${part}`,
        optional: true,
        element: {
          type: 'checkboxes',
          action_id: ELEMENT,
          options: drawn,
          ...(ticked.length > 0 ? { initial_options: ticked } : {}),
        },
      };
    }),
  ];
}

function lockedOf(field: FormField): readonly { readonly value: string; readonly label: string }[] {
  return field.kind === 'checkboxes' ? field.options.filter(({ isLocked, isChecked }) => isLocked && isChecked) : [];
}

const element = z.looseObject({
  value: z.string().nullish(),
  selected_option: z.looseObject({ value: z.string() }).nullish(),
  selected_conversations: z.array(z.string()).nullish(),
  selected_users: z.array(z.string()).nullish(),
  selected_options: z.array(z.looseObject({ value: z.string() })).nullish(),
});
/** `state.values` of a submitted view: by block, then by element. */
export const viewState = z.record(z.string(), z.record(z.string(), element));

/** What the modal carried; `undefined` when it is none of ours. */
export function readCarried(metadata: string): Carried | undefined {
  try {
    return carried.safeParse(JSON.parse(metadata)).data;
  } catch {
    return undefined;
  }
}

/** What was filled in, by field: locked boxes as they were shown. */
export function readFields({ fields }: Carried, state: z.infer<typeof viewState>): Fields {
  return Object.fromEntries(
    fields.map(({ name, locked }) => {
      const blocks = Object.entries(state).filter(([id]) => id === name || id.startsWith(`${name}${PART}`));
      const given = blocks.flatMap(([, elements]) => {
        const { value, selected_option, selected_conversations, selected_users, selected_options } =
          elements[ELEMENT] ?? {};
        return [
          ...(value ? [value] : []),
          ...(selected_option ? [selected_option.value] : []),
          ...(selected_conversations ?? []),
          ...(selected_users ?? []),
          ...(selected_options ?? []).map((option) => option.value),
        ];
      });
      return [name, [...locked, ...given]];
    }),
  );
}

/** Words at the fields: each at its block, and what belongs to none of them at the first, so that nothing goes unsaid. */
export function errorsAt(
  errors: Readonly<Record<string, string>>,
  state: z.infer<typeof viewState>,
): Record<string, string> {
  const blocks = Object.keys(state);
  return Object.fromEntries(
    Object.entries(errors).flatMap(([field, message]) => {
      const block = blocks.includes(field) ? field : blocks[0];
      return block === undefined ? [] : [[block, clip(message, LIMITS.altText)]];
    }),
  );
}
