import Anthropic from '@anthropic-ai/sdk';
import { ProxyAgent, fetch as send } from 'undici';
import { z } from 'zod';
import type { Egress } from '../../core/ports/egress.ts';
import type { Log } from '../../core/ports/log.ts';
import type { Model, ModelQuestion } from '../../core/ports/model.ts';
import type { Secret } from '../../core/secret.ts';
import { askedDelayMs, factsOf, isRetryable, translate } from './errors.ts';

export interface AnthropicModelConfig {
  readonly apiKey: Secret;
  /** Default: the vendor's. */
  readonly baseUrl?: string;
  readonly model: string;
  /** Must let the base URL's host and port pass, also when it is a private one. */
  readonly egress: Egress;
  readonly log: Log;
}

const BASE_URL = 'https://api.anthropic.com';
const TOOL = 'answer';
/** Room for the thinking that newer models always do, and a small object. */
const MAX_TOKENS = 2048;
/** As the SDK would: 0.5 s, doubled, up to 8 s, with up to 25 % less. */
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8000;

/**
 * Claude by the Messages API. One tool has the answer's shape; newer models take no forced tool choice, so an answer
 * in prose is possible and counts as none. Retries are our own, for the SDK's know no deadline.
 */
export function createAnthropicModel(config: AnthropicModelConfig): Model {
  const baseURL = config.baseUrl ?? BASE_URL;
  return {
    answer: async (question) => {
      const deadline = AbortSignal.timeout(question.timeoutMs);
      const endsAt = performance.now() + question.timeoutMs;
      const { tool, read } = toolFor(question);
      const door = await config.egress.open([new URL(baseURL).origin]);
      // An explicit agent: those that read the environment would obey NO_PROXY and go past the door.
      const agent = new ProxyAgent({ uri: door.proxyUrl, proxyTunnel: true });
      try {
        const client = new Anthropic({
          apiKey: config.apiKey.reveal(),
          baseURL,
          fetch: throughDoor(agent),
          maxRetries: 0,
          // Its own logger would print bodies.
          logLevel: 'off',
          openTelemetry: false,
        });
        const message = await withRetries(config.log, deadline, endsAt, () =>
          ask(client, config.model, question, tool, deadline),
        );
        return read(answerOf(message, config.log));
      } finally {
        await agent.destroy();
        await door.close();
      }
    },
  };
}

/** The SDK's way out. A redirect is an answer that is no message: followed, it would carry the question somewhere else. */
function throughDoor(dispatcher: ProxyAgent): typeof fetch {
  const through = (url: Parameters<typeof send>[0], init: Parameters<typeof send>[1] = {}) =>
    send(url, { ...init, dispatcher, redirect: 'manual' });
  // Node's own fetch is undici's, so both take and give the same objects; only their declarations are two.
  return through as unknown as typeof fetch;
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
const CONTENT = z.array(z.object({ type: z.string(), name: z.string().optional(), input: z.unknown() })).catch([]);

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

async function withRetries<T>(log: Log, deadline: AbortSignal, endsAt: number, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const delayMs = askedDelayMs(error, new Date()) ?? backoffMs(attempt);
      const isWorthIt = isRetryable(error) && !deadline.aborted && performance.now() + delayMs < endsAt;
      if (!isWorthIt) throw translate(error);
      log.info({ ...factsOf(error), attempt, delayMs: Math.round(delayMs) }, 'asking the model again');
      await pause(delayMs, deadline);
    }
  }
}

function backoffMs(attempt: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS) * (1 - Math.random() / 4);
}

function pause(delayMs: number, deadline: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const finish = () => {
      clearTimeout(timer);
      deadline.removeEventListener('abort', finish);
      done();
    };
    const timer = setTimeout(finish, delayMs);
    deadline.addEventListener('abort', finish);
  });
}
