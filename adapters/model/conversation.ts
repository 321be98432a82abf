import type Anthropic from '@anthropic-ai/sdk';
import type { Picture } from '../../core/ports/browser.ts';
import type { ConversationEnd, ModelUsage, PageBrief } from '../../core/ports/model.ts';
import { pictureTokens, type Tokens, usdFor } from './prices.ts';
import { RULES } from './prompt.ts';
import type { Reply } from './reply.ts';
import { pictureParam } from './results.ts';
import type { Toolset, View } from './toolsets.ts';

/** Room for thinking, which newer models always do, and a batch of actions. */
const MAX_TOKENS = 4096;
/** Of what the model says beside its wishes, the part that is kept, in characters. */
const MOST_WORDS = 4_000;
/** About the length of a token in English text, in characters. Source: platform.claude.com, glossary. */
const CHARACTERS_A_TOKEN = 4;

/** What was said so far. It only grows: a changed message would make the thinking behind it invalid for the service. */
export interface Conversation {
  readonly toolset: Toolset;
  readonly turns: number;
  /** The last picture that the model was shown. */
  readonly view: View;
  request(): Anthropic.Beta.Messages.MessageCreateParamsNonStreaming;
  /** The most that the next request is thought to cost, in US dollars. */
  estimateUsd(): number;
  /** Appends the reply as it came. */
  hear(message: Anthropic.Beta.BetaMessage, reply: Reply, tokens: Tokens | undefined): void;
  tell(results: Anthropic.Beta.BetaToolResultBlockParam[]): void;
  sees(picture: Picture): void;
  end(kind: ConversationEnd['kind']): ConversationEnd;
}

export function createConversation(model: string, toolset: Toolset, brief: PageBrief): Conversation {
  const messages: Anthropic.Beta.BetaMessageParam[] = [];
  const words: string[] = [];
  let view: View;
  let turns = 0;
  let seenTokens = 0;
  let usage: ModelUsage = {
    ...{ model, inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
    usd: 0,
  };
  const sees = ({ width, height }: Picture) => {
    view = { width, height };
    seenTokens += pictureTokens(view);
  };

  const { text, picture } = brief;
  messages.push({
    role: 'user',
    content: [{ type: 'text', text: text.toWellFormed() }, ...(picture ? [pictureParam(picture)] : [])],
  });
  if (picture) sees(picture);

  return {
    toolset,
    get turns() {
      return turns;
    },
    get view() {
      return view;
    },
    request: () => ({
      model,
      max_tokens: MAX_TOKENS,
      // Tools come before the system prompt in the cache: one mark holds both for the next turn and the next step.
      system: [{ type: 'text', text: RULES, cache_control: { type: 'ephemeral' } }],
      tools: [toolset.entry],
      messages,
    }),
    estimateUsd: () => {
      const characters = RULES.length + JSON.stringify(messages, withoutPictures).length;
      const cacheWriteTokens = Math.ceil(characters / CHARACTERS_A_TOKEN) + seenTokens + toolset.definitionTokens;
      return usdFor(model, { inputTokens: 0, cacheReadTokens: 0, cacheWriteTokens, outputTokens: MAX_TOKENS });
    },
    hear: (message, reply, tokens) => {
      turns++;
      messages.push({ role: 'assistant', content: message.content });
      if (reply.words) words.push(reply.words);
      if (tokens) usage = added(usage, tokens);
    },
    tell: (results) => void messages.push({ role: 'user', content: results }),
    sees,
    end: (kind) => ({
      kind,
      toolset: toolset.name,
      turns,
      words: words.join('\n').slice(0, MOST_WORDS).toWellFormed(),
      usage,
    }),
  };
}

/** Base64 is no text: a picture is counted by its size. */
function withoutPictures(key: string, value: unknown): unknown {
  return key === 'data' ? '' : value;
}

function added(usage: ModelUsage, tokens: Tokens): ModelUsage {
  return {
    model: usage.model,
    inputTokens: usage.inputTokens + tokens.inputTokens,
    outputTokens: usage.outputTokens + tokens.outputTokens,
    cacheReadTokens: usage.cacheReadTokens + tokens.cacheReadTokens,
    cacheWriteTokens: usage.cacheWriteTokens + tokens.cacheWriteTokens,
    usd: usage.usd + usdFor(usage.model, tokens),
  };
}
