import type Anthropic from '@anthropic-ai/sdk';
import { CountersignError } from '../../core/errors.ts';
import type { ConversationEnd, ModelHands, PageBrief, PageModel } from '../../core/ports/model.ts';
import { type AnthropicModelConfig, withClient } from './client.ts';
import { type Conversation, createConversation } from './conversation.ts';
import { isAboutTool, wasRefused } from './errors.ts';
import { usdFor } from './prices.ts';
import { type Reply, readReply, tokensOf } from './reply.ts';
import { doneResult, haltedResult, refusedResult } from './results.ts';
import { type Deadline, deadlineIn, withRetries } from './retry.ts';
import { type Block, BROWSER, COMPUTER, type Toolset, wishOf } from './toolsets.ts';

export interface PageModelConfig extends AnthropicModelConfig {
  /** How long one request may take before it is sent again; default: a minute. */
  readonly requestTimeoutMs?: number;
}

const REQUEST_TIMEOUT_MS = 60_000;

/** What every turn of one conversation is made with. */
interface Line {
  readonly config: PageModelConfig;
  readonly client: Anthropic;
  readonly deadline: Deadline;
  readonly hands: ModelHands;
}

/**
 * Claude by the Messages API with its toolset for browsers, or the one for computers where the service refuses the first
 * for this model: that is found out once and remembered as long as this page model lives.
 */
export function createAnthropicPageModel(config: PageModelConfig): PageModel {
  let toolset: Toolset = BROWSER;
  return {
    converse: (brief, hands) =>
      withClient(config, async (client) => {
        const line = { config, client, deadline: deadlineIn(brief.timeoutMs, brief.signal), hands };
        const first = await converse(line, brief, toolset);
        if (first !== 'other_toolset') return first;
        toolset = COMPUTER;
        config.log.warn(
          { model: config.model, toolset: COMPUTER.name },
          'the service refuses the browser toolset for this model: the computer toolset is used from now on',
        );
        const second = await converse(line, brief, toolset);
        // Only the browser toolset has another one.
        return second as ConversationEnd;
      }),
  };
}

async function converse(line: Line, brief: PageBrief, toolset: Toolset): Promise<ConversationEnd | 'other_toolset'> {
  const { model } = line.config;
  const conversation = createConversation(model, toolset, brief);
  const { signal } = line.deadline;
  try {
    while (conversation.turns < brief.maxTurns) {
      if (signal.aborted) return conversation.end('out_of_time');
      const reply = await ask(line, conversation);
      const kind = await heed(line, conversation, reply);
      if (kind) return conversation.end(kind);
    }
    return conversation.end('out_of_turns');
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'model_unavailable') throw error;
    if (signal.aborted) return conversation.end('out_of_time');
    // A later request has blocks of this toolset before it, so only the first may change it.
    const isRefused = isAboutTool(error.cause, BROWSER.type) && conversation.turns === 0;
    if (isRefused && toolset === BROWSER) return 'other_toolset';
    throw error;
  }
}

/** One request, again where that helps; each attempt has its own part of the budget. */
function ask({ config, client, deadline, hands }: Line, conversation: Conversation): Promise<Reply> {
  const timeoutMs = config.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  return withRetries(config.log, deadline, async () => {
    const estimateUsd = conversation.estimateUsd();
    const reserved = await hands.reserve(estimateUsd);
    // The SDK's own time-out ends with the headers; the body may hang, too.
    const signal = AbortSignal.any([deadline.signal, AbortSignal.timeout(timeoutMs)]);
    let message: Anthropic.Beta.BetaMessage;
    try {
      message = await client.beta.messages.create(conversation.request(), { signal, timeout: timeoutMs });
    } catch (error) {
      await reserved.settle(wasRefused(error) ? 0 : estimateUsd);
      throw error;
    }
    const tokens = tokensOf(message);
    await reserved.settle(tokens ? usdFor(config.model, tokens) : estimateUsd);
    const reply = readReply(message);
    conversation.hear(message, reply, tokens);
    config.log.debug(
      { turn: conversation.turns, reason: reply.stopReason, messageId: message.id },
      'the model replied',
    );
    return reply;
  });
}

/** Does what the reply asks for. @returns how the conversation ended, or nothing when it goes on. */
async function heed(
  line: Line,
  conversation: Conversation,
  { asked, stopReason }: Reply,
): Promise<ConversationEnd['kind'] | undefined> {
  const results = stopReason === 'tool_use' ? await carryOut(line, conversation, asked) : [];
  if (results === 'out_of_time') return results;
  if (results === 'over' || (await line.hands.isOver())) return 'over';
  switch (stopReason) {
    case 'tool_use':
      if (results.length === 0) return 'gave_up';
      conversation.tell(results);
      return undefined;
    case 'pause_turn':
      // The same conversation, sent again as it is, makes the model go on; nothing in it may be left unanswered.
      return asked.length > 0 ? 'gave_up' : undefined;
    case 'refusal':
      return 'refused';
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'out_of_room';
    default:
      // `end_turn`, `stop_sequence`, and reasons newer than this program.
      return 'gave_up';
  }
}

/** Every block in order; the first that isn't done stops the rest, which are answered all the same. */
async function carryOut(
  { deadline, hands }: Line,
  conversation: Conversation,
  asked: readonly Block[],
): Promise<Anthropic.Beta.BetaToolResultBlockParam[] | 'over' | 'out_of_time'> {
  const { toolset } = conversation;
  const results: Anthropic.Beta.BetaToolResultBlockParam[] = [];
  let isHalted = false;
  for (const block of asked) {
    if (isHalted) {
      results.push(haltedResult(block, toolset));
      continue;
    }
    if (deadline.signal.aborted) return 'out_of_time';
    const wish = wishOf(toolset, block, conversation.view);
    if ('refusal' in wish) {
      isHalted = true;
      results.push(refusedResult(block, wish.refusal));
      continue;
    }
    const result = await hands.perform(wish.action);
    switch (result.kind) {
      case 'over':
        return 'over';
      case 'refused':
        isHalted = true;
        results.push(refusedResult(block, result.text));
        break;
      case 'done': {
        const where = toolset === BROWSER ? await hands.where() : undefined;
        results.push(doneResult(block, wish.action, result, where));
        if (result.picture) conversation.sees(result.picture);
        break;
      }
      default:
        result satisfies never;
    }
  }
  return results;
}
