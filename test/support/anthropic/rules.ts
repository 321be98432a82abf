import type { IncomingHttpHeaders } from 'node:http';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';

/** What the service refuses, as it says it. Sources: the Messages API of 2026-10-21 and its migration notes. */
export interface Refusal {
  readonly status: 400 | 401;
  readonly type: 'invalid_request_error' | 'authentication_error';
  readonly message: string;
}

export const API_VERSION = '2026-10-21';
/** Sampling parameters were removed with this version of the API. */
const REMOVED = ['temperature', 'top_p', 'top_k'];

const TEXT = z.strictObject({ type: z.literal('text'), text: z.string().min(1) });
const CONTENT = z.union([z.string().min(1), z.array(TEXT).min(1)]);
const CUSTOM_TOOL = z.strictObject({
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/),
  description: z.string().optional(),
  input_schema: z.looseObject({ type: z.literal('object') }),
});

/** The requests that the program sends; a new kind of block, tool or parameter is first allowed here. */
const BODY = z.strictObject({
  model: z.string().min(1),
  max_tokens: z.int().positive(),
  system: CONTENT.optional(),
  messages: z.array(z.strictObject({ role: z.enum(['user', 'assistant']), content: CONTENT })).min(1),
  tools: z.array(CUSTOM_TOOL).optional(),
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

export function checkHeaders(headers: IncomingHttpHeaders, apiKey: string): Refusal | undefined {
  if (headers['x-api-key'] !== undefined) return unauthorized('x-api-key is not accepted; use Authorization: Bearer');
  if (headers.authorization !== `Bearer ${apiKey}`) return unauthorized('invalid bearer token');
  if (headers['anthropic-version'] !== API_VERSION) return invalid(`anthropic-version: ${API_VERSION} is required`);
  if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
    return invalid('content-type: application/json is required');
  return undefined;
}

export function checkBody(text: string): { readonly refusal: Refusal } | { readonly body: MessagesBody } {
  const json = parseJson(text);
  const removed = REMOVED.find((name) => typeof json === 'object' && json !== null && name in json);
  if (removed) return { refusal: invalid(`${removed}: Extra inputs are not permitted`) };
  const parsed = BODY.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { refusal: invalid(`${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`) };
  }
  const refusal = RULES.map((rule) => rule(parsed.data)).find((found) => found !== undefined);
  return refusal ? { refusal } : { body: parsed.data };
}

const RULES: readonly ((body: MessagesBody) => Refusal | undefined)[] = [
  ({ messages }) =>
    messages[0]?.role === 'user' ? undefined : invalid('messages: first message must use the "user" role'),
  ({ messages }) =>
    messages.at(-1)?.role === 'user' ? undefined : invalid('This model does not support assistant message prefill.'),
  ({ model, tool_choice }) =>
    isNewest(model) && (tool_choice?.type === 'any' || tool_choice?.type === 'tool')
      ? invalid(`tool_choice: forced tool use (${tool_choice.type}) is not supported by ${model}`)
      : undefined,
  ({ model, thinking }) =>
    isNewest(model) && thinking?.type === 'disabled'
      ? invalid(`thinking.type: disabled is not supported by ${model}`)
      : undefined,
  ({ tool_choice, tools }) =>
    tool_choice && !tools ? invalid('tool_choice: may only be specified while providing tools') : undefined,
  ({ tools = [] }) => {
    const names = tools.map(({ name }) => name);
    if (new Set(names).size < names.length) return invalid('tools: Tool names must be unique.');
    const wrong = tools.findIndex(({ input_schema }) => !isJsonSchema(input_schema));
    return wrong < 0 ? undefined : invalid(`tools.${wrong}.custom.input_schema: JSON schema is invalid`);
  },
];

/** The 5.5 family. */
function isNewest(model: string): boolean {
  return /-5-5\b/.test(model);
}

function isJsonSchema(schema: object): boolean {
  return new Ajv2020({ strict: false, validateFormats: false }).validateSchema(schema) === true;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalid(message: string): Refusal {
  return { status: 400, type: 'invalid_request_error', message };
}

function unauthorized(message: string): Refusal {
  return { status: 401, type: 'authentication_error', message };
}
