import { z } from 'zod';
import type { Tokens } from './prices.ts';
import type { Block } from './toolsets.ts';

const COUNT = z.int().nonnegative();
const USAGE = z.looseObject({
  input_tokens: COUNT,
  output_tokens: COUNT,
  cache_creation_input_tokens: COUNT.nullish(),
  cache_read_input_tokens: COUNT.nullish(),
});
/** A reply as far as it matters here: whatever stands in between may answer something else. */
const REPLY = z.looseObject({
  content: z.array(
    z.looseObject({
      type: z.string(),
      text: z.string().optional(),
      id: z.string().optional(),
      name: z.string().optional(),
      toolset_name: z.string().nullish(),
      input: z.unknown().optional(),
    }),
  ),
  stop_reason: z.string().nullable(),
});

export interface Reply {
  /** The blocks that ask for something, in order. */
  readonly asked: readonly Block[];
  readonly words: string;
  readonly stopReason: string | null;
}

/** @throws Error when it is no message whose blocks could each be answered once. */
export function readReply(message: unknown): Reply {
  const { content, stop_reason } = REPLY.parse(message);
  const asked = content.flatMap(({ type, id, name, toolset_name, input }) => {
    if (type !== 'tool_use') return [];
    if (id === undefined || name === undefined) throw new Error('a block of the reply cannot be answered');
    return [{ id, name, toolset_name, input }];
  });
  if (new Set(asked.map(({ id }) => id)).size < asked.length) throw new Error('two blocks of the reply have one id');
  const words = content.flatMap(({ type, text }) => (type === 'text' && text ? [text] : [])).join('\n');
  return { asked, words, stopReason: stop_reason };
}

/** What the request used, if the answer says so. */
export function tokensOf(message: unknown): Tokens | undefined {
  const usage = z.looseObject({ usage: USAGE }).safeParse(message).data?.usage;
  return (
    usage && {
      inputTokens: usage.input_tokens,
      outputTokens: usage.output_tokens,
      cacheReadTokens: usage.cache_read_input_tokens ?? 0,
      cacheWriteTokens: usage.cache_creation_input_tokens ?? 0,
    }
  );
}
