import type Anthropic from '@anthropic-ai/sdk';
import { z } from 'zod';
import type { Log } from '../../core/ports/log.ts';
import type { Model, ModelQuestion } from '../../core/ports/model.ts';
import { type AnthropicModelConfig, withClient } from './client.ts';
import { deadlineIn, withRetries } from './retry.ts';

const TOOL = 'answer';
/** Room for the thinking that newer models always do, and a small object. */
const MAX_TOKENS = 2048;

/**
 * Claude by the Messages API. One tool has the answer's shape; newer models take no forced tool choice, so an answer
 * in prose is possible and counts as none.
 */
export function createAnthropicModel(config: AnthropicModelConfig): Model {
  return {
    answer: (question) => {
      const deadline = deadlineIn(question.timeoutMs);
      const { tool, read } = toolFor(question);
      return withClient(config, async (client) => {
        const message = await withRetries(config.log, deadline, () =>
          ask(client, config.model, question, tool, deadline.signal),
        );
        return read(answerOf(message, config.log));
      });
    },
  };
}

/** The tool's input must be an object; any other shape travels in one, as `value`. */
function toolFor<T>(question: ModelQuestion<T>): { tool: Anthropic.Tool; read: (input: unknown) => T | undefined } {
  const { $schema: _, ...shape } = z.toJSONSchema(question.schema, { io: 'input' });
  const isObject = shape.type === 'object';
  const schema = isObject ? { ...shape, type: 'object' as const } : wrapped(shape);
  const tool = { name: TOOL, description: 'Gives the answer. Call it exactly once.', input_schema: schema };
  return {
    tool,
    read: (input) => {
      const parsed = question.schema.safeParse(isObject ? input : VALUE.safeParse(input).data?.value);
      return input !== undefined && parsed.success ? parsed.data : undefined;
    },
  };
}

const VALUE = z.object({ value: z.unknown() });
/** The blocks of a reply as far as they matter here; a reply without any, from whatever stands in between, has none. */
const CONTENT = z
  .array(z.object({ type: z.string(), name: z.string().optional(), input: z.unknown().optional() }))
  .catch([]);

function wrapped(shape: object): Anthropic.Tool.InputSchema {
  return { type: 'object', properties: { value: shape }, required: ['value'], additionalProperties: false };
}

async function ask<T>(
  client: Anthropic,
  model: string,
  question: ModelQuestion<T>,
  tool: Anthropic.Tool,
  signal: AbortSignal,
): Promise<Anthropic.Message> {
  return client.messages.create(
    {
      model,
      max_tokens: MAX_TOKENS,
      system: `${question.instructions}\n\nAnswer only by calling the tool \`${TOOL}\`, once.`,
      messages: [{ role: 'user', content: question.text }],
      tools: [tool],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
    },
    { signal, timeout: question.timeoutMs },
  );
}

/** The tool's one input, whatever it is; `undefined` when the model stopped for another reason. */
function answerOf(message: Anthropic.Message, log: Log): unknown {
  const reason = message.stop_reason;
  switch (reason) {
    case 'tool_use': {
      const calls = CONTENT.parse(message.content).filter(({ type, name }) => type === 'tool_use' && name === TOOL);
      return calls.length === 1 ? calls[0]?.input : undefined;
    }
    case 'end_turn':
    case 'stop_sequence':
    case 'max_tokens':
    case 'model_context_window_exceeded':
    case 'pause_turn':
    case 'refusal':
    case null:
      log.debug({ reason, messageId: message.id }, 'the model gave no answer');
      return undefined;
    default:
      // A reason newer than this program is no answer either.
      reason satisfies never;
      return undefined;
  }
}
