import { z } from 'zod';

/** The requests that the program sends, by shape alone; a new kind of block, tool or parameter is first allowed here. */

const CACHE = z.strictObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).optional() }).nullish();
const TEXT = z.strictObject({ type: z.literal('text'), text: z.string().min(1), cache_control: CACHE });
const IMAGE = z.strictObject({
  type: z.literal('image'),
  source: z.strictObject({
    type: z.literal('base64'),
    media_type: z.enum(['image/jpeg', 'image/png', 'image/gif', 'image/webp']),
    data: z.base64().min(1),
  }),
  cache_control: CACHE,
});
/** What the model said goes back as it came; null is how a reply says "none". */
const SAID_TEXT = z.strictObject({ ...TEXT.shape, citations: z.null().optional() });
const TOOL_USE = z.strictObject({
  type: z.literal('tool_use'),
  id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
  name: z.string().min(1),
  toolset_name: z.string().nullish(),
  input: z.unknown(),
  caller: z.strictObject({ type: z.literal('direct') }).optional(),
  cache_control: CACHE,
});
const THINKING = z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() });

const TOOL_RESULT = z.strictObject({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  toolset_name: z.string().nullish(),
  is_error: z.boolean().optional(),
  // What may stand in it depends on the tool, and is a rule of its own.
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).optional(),
  cache_control: CACHE,
});

const USER = z.strictObject({
  role: z.literal('user'),
  content: z.union([z.string().min(1), z.array(z.union([TEXT, IMAGE, TOOL_RESULT])).min(1)]),
});
const ASSISTANT = z.strictObject({
  role: z.literal('assistant'),
  content: z.union([z.string().min(1), z.array(z.union([SAID_TEXT, TOOL_USE, THINKING]))]),
});

/** A tool's own rules depend on its type, see tools.ts. */
const TOOL = z.looseObject({ type: z.string().optional(), name: z.string().optional() });

export const BODY = z.strictObject({
  model: z.string().min(1),
  max_tokens: z.int().positive(),
  system: z.union([z.string().min(1), z.array(TEXT).min(1)]).optional(),
  messages: z.array(z.discriminatedUnion('role', [USER, ASSISTANT])).min(1),
  tools: z.array(TOOL).optional(),
  tool_choice: z
    .strictObject({
      type: z.enum(['auto', 'any', 'tool', 'none']),
      name: z.string().optional(),
      disable_parallel_tool_use: z.boolean().optional(),
    })
    .optional(),
  thinking: z
    .strictObject({ type: z.enum(['enabled', 'disabled', 'adaptive']), budget_tokens: z.int().optional() })
    .optional(),
});
export type MessagesBody = z.infer<typeof BODY>;
export type Message = MessagesBody['messages'][number];
export type ToolUse = z.infer<typeof TOOL_USE>;
export type ToolResult = z.infer<typeof TOOL_RESULT>;
export type Image = z.infer<typeof IMAGE>;

export function toolUsesOf({ role, content }: Message): readonly ToolUse[] {
  if (role !== 'assistant' || typeof content === 'string') return [];
  return content.filter((block) => block.type === 'tool_use');
}

export function toolResultsOf({ role, content }: Message): readonly ToolResult[] {
  if (role !== 'user' || typeof content === 'string') return [];
  return content.filter((block) => block.type === 'tool_result');
}

/** Every picture with where it stands, those in results included. */
export function imagesOf({ messages }: MessagesBody): readonly { readonly path: string; readonly image: Image }[] {
  const found: { path: string; image: Image }[] = [];
  const collect = (path: string, block: unknown) => {
    const image = IMAGE.safeParse(block);
    if (image.success) found.push({ path, image: image.data });
  };
  for (const [m, message] of messages.entries()) {
    if (typeof message.content === 'string') continue;
    for (const [b, block] of message.content.entries()) {
      const path = `messages.${m}.content.${b}`;
      collect(path, block);
      if (block.type !== 'tool_result' || !Array.isArray(block.content)) continue;
      for (const [i, inner] of block.content.entries()) collect(`${path}.content.${i}`, inner);
    }
  }
  return found;
}

/** What may stand in the result of a toolset's member, and the shape of each. */
export const MEMBER_CONTENT = z.discriminatedUnion('type', [
  TEXT,
  IMAGE,
  z.strictObject({
    type: z.literal('browser_state'),
    tabs: z
      .array(
        z.strictObject({
          tab_id: z.string().min(1),
          title: z.string().max(4096),
          url: z.string().max(4096),
          active: z.boolean().optional(),
        }),
      )
      .max(100),
    state_changes: z
      .array(
        z.looseObject({
          type: z.enum(['tab_opened', 'download_started', 'download_completed', 'download_failed']),
        }),
      )
      .min(1)
      .nullish(),
    cache_control: CACHE,
  }),
]);

/** A reply's content as it looks when it comes back unchanged, to tell it from another one. */
export function asSent(content: unknown): string {
  return JSON.stringify(ASSISTANT.parse({ role: 'assistant', content }).content);
}
