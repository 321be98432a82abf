import { z } from 'zod';

/**
 * What Slack refuses in blocks and views, written down from its documentation a second time, so that a mistake in the
 * adapter's own table is found. Whatever it does not know it refuses.
 */
type Json = Record<string, unknown>;
const object = z.record(z.string(), z.unknown());
const list = z.array(object);

const words = (most: number) =>
  z.strictObject({ type: z.literal('plain_text'), text: z.string().min(1).max(most), emoji: z.boolean().optional() });
const markup = (most: number) =>
  z.strictObject({ type: z.literal('mrkdwn'), text: z.string().min(1).max(most), verbatim: z.boolean().optional() });
const style = z
  .strictObject({ bold: z.boolean().optional(), code: z.boolean().optional(), italic: z.boolean().optional() })
  .optional();
const web = z
  .string()
  .max(3000)
  .regex(/^https?:\/\//);
const piece = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: z.string().min(1).max(3000), style }),
  z.strictObject({ type: z.literal('user'), user_id: z.string().regex(/^[UW][A-Z0-9]+$/) }),
  z.strictObject({ type: z.literal('link'), url: web, text: z.string().min(1), style }),
  z.strictObject({ type: z.literal('emoji'), name: z.string() }),
  z.strictObject({
    ...{ type: z.literal('date'), timestamp: z.number().int(), format: z.string().regex(/\{\w+\}/) },
    ...{ fallback: z.string().min(1), style },
  }),
]);
const section = z.strictObject({ type: z.literal('rich_text_section'), elements: z.array(piece).min(1) });
const richText = z.strictObject({
  type: z.literal('rich_text'),
  elements: z
    .array(
      z.discriminatedUnion('type', [
        section,
        z.strictObject({ type: z.literal('rich_text_quote'), elements: z.array(piece).min(1) }),
        z.strictObject({
          ...{ type: z.literal('rich_text_list'), style: z.enum(['bullet', 'ordered']) },
          elements: z.array(section).min(1),
        }),
      ]),
    )
    .min(1),
});
const id = z.string().min(1).max(255);
const button = z.strictObject({
  ...{ type: z.literal('button'), text: words(75), action_id: id },
  value: z.string().min(1).max(2000).optional(),
  style: z.enum(['primary', 'danger']).optional(),
  url: web.optional(),
  confirm: z
    .strictObject({
      ...{ title: words(100), text: words(300), confirm: words(30), deny: words(30) },
      style: z.enum(['primary', 'danger']).optional(),
    })
    .optional(),
});
const actions = z.strictObject({
  ...{ type: z.literal('actions'), block_id: id },
  elements: z.array(button).min(1).max(25),
});
const thumb = z.strictObject({ text: words(75), value: z.string().min(1).max(2000) });
const contextActions = z.strictObject({
  ...{ type: z.literal('context_actions'), block_id: id },
  elements: z
    .array(
      z.strictObject({
        ...{ type: z.literal('feedback_buttons'), action_id: id, positive_button: thumb, negative_button: thumb },
      }),
    )
    .min(1)
    .max(5),
});
const context = z.strictObject({
  type: z.literal('context'),
  elements: z
    .array(z.union([words(3000), markup(3000)]))
    .min(1)
    .max(10),
});
const header = z.strictObject({ type: z.literal('header'), text: words(150) });
const table = z.strictObject({
  type: z.literal('table'),
  column_settings: z
    .array(z.strictObject({ align: z.enum(['left', 'center', 'right']), is_wrapped: z.boolean() }))
    .max(20),
  rows: z.array(z.array(richText).min(1).max(20)).min(1).max(100),
});
const taskCard = z.strictObject({
  ...{ type: z.literal('task_card'), task_id: id, title: z.string().min(1).max(256) },
  status: z.enum(['pending', 'in_progress', 'complete', 'error']),
});
const plan = z.strictObject({ type: z.literal('plan'), title: z.string().min(1), tasks: z.array(taskCard).max(50) });
const container = z.strictObject({
  ...{ type: z.literal('container'), title: words(150), is_collapsible: z.boolean(), default_collapsed: z.boolean() },
  child_blocks: z
    .array(z.discriminatedUnion('type', [richText, context, header, actions]))
    .min(1)
    .max(10),
});
const messageBlock = z.discriminatedUnion('type', [
  richText,
  actions,
  contextActions,
  context,
  header,
  table,
  plan,
  container,
]);

const option = z.strictObject({
  ...{ text: words(75), value: z.string().min(1).max(150) },
  description: words(75).optional(),
});
const input = z.strictObject({
  ...{ type: z.literal('input'), block_id: id, label: words(2000), hint: words(2000).optional() },
  optional: z.boolean(),
  element: z.discriminatedUnion('type', [
    z.strictObject({
      ...{ type: z.literal('plain_text_input'), action_id: id, multiline: z.boolean().optional() },
      ...{ max_length: z.number().max(3000), initial_value: z.string().max(3000).optional() },
    }),
    z.strictObject({
      ...{ type: z.literal('static_select'), action_id: id, options: z.array(option).min(1).max(100) },
      initial_option: option.optional(),
    }),
    z.strictObject({
      ...{ type: z.literal('multi_users_select'), action_id: id },
      initial_users: z.array(z.string().regex(/^[UW]/)).min(1).optional(),
    }),
    z.strictObject({
      ...{ type: z.literal('multi_conversations_select'), action_id: id },
      filter: z.strictObject({ include: z.array(z.enum(['public', 'private'])), exclude_bot_users: z.boolean() }),
      initial_conversations: z.array(z.string().regex(/^[CG]/)).min(1).optional(),
    }),
    z.strictObject({
      ...{ type: z.literal('checkboxes'), action_id: id, options: z.array(option).min(1).max(10) },
      initial_options: z.array(option).min(1).optional(),
    }),
  ]),
});
const viewBlock = z.discriminatedUnion('type', [richText, actions, context, header, input]);
const modal = z.strictObject({
  ...{ type: z.literal('modal'), callback_id: id, private_metadata: z.string().max(3000) },
  ...{ title: words(24), submit: words(24), close: words(24), blocks: z.array(viewBlock).min(1).max(100) },
});
const home = z.strictObject({ type: z.literal('home'), blocks: z.array(viewBlock).max(100) });

/** What is wrong with a message's blocks, in words, or nothing. */
export function problemsOfBlocks(blocks: unknown, refused: ReadonlySet<string> = new Set()): string[] {
  const given = list.max(50).safeParse(blocks);
  if (!given.success) return [given.error.message];
  return [
    ...given.data.flatMap((block) => problemsOf(messageBlock, block)),
    ...given.data.flatMap(({ type }) => (refused.has(String(type)) ? [`unsupported type: ${type}`] : [])),
    ...(given.data.filter(({ type }) => type === 'table').length > 1 ? ['only_one_table_allowed'] : []),
    ...repeated(given.data),
  ];
}

export function problemsOfView(view: unknown): string[] {
  const kind = object.safeParse(view).data?.type;
  return problemsOf(kind === 'home' ? home : modal, view);
}

function problemsOf(schema: z.ZodType, value: unknown): string[] {
  const read = schema.safeParse(value);
  return read.success ? [] : read.error.issues.map(({ path, message }) => `${path.join('/')}: ${message}`);
}

/** Ids of blocks once a message, ids of buttons once a block. */
function repeated(blocks: readonly Json[]): string[] {
  const ids = blocks.flatMap(({ block_id }) => (block_id === undefined ? [] : [block_id]));
  const twice = blocks.flatMap((block) => {
    const actions = list.safeParse(block.elements).data?.flatMap((each) => each.action_id ?? []) ?? [];
    return new Set(actions).size === actions.length ? [] : ['an action_id stands twice'];
  });
  return [...(new Set(ids).size === ids.length ? [] : ['a block_id stands twice']), ...twice];
}
