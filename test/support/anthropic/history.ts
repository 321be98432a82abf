import {
  MEMBER_CONTENT,
  type Message,
  type MessagesBody,
  type ToolResult,
  type ToolUse,
  toolResultsOf,
  toolUsesOf,
} from './body.ts';
import { TAB_MEMBERS } from './models.ts';
import { invalid, type Refusal } from './refusal.ts';
import { checkSignature } from './signature.ts';

/** A reply that paused, as text, which may be sent back as the last message. */
export type Paused = ReadonlySet<string>;

export function checkFirst({ messages }: MessagesBody): Refusal | undefined {
  return messages[0]?.role === 'user' ? undefined : invalid('messages: first message must use the "user" role');
}

/** Whoever speaks last must be the user, unless the model's turn only paused. */
export function checkPrefill({ messages }: MessagesBody, paused: Paused): Refusal | undefined {
  const last = messages.at(-1);
  if (last?.role !== 'assistant' || paused.has(JSON.stringify(last.content))) return undefined;
  return invalid(
    'This model does not support assistant message prefill. The conversation must end with a user message.',
  );
}

export function checkAnswered({ messages }: MessagesBody): Refusal | undefined {
  for (const [index, message] of messages.entries()) {
    const ids = toolUsesOf(message).map(({ id }) => id);
    const answered = new Set(resultsAfter(messages, index).map(({ tool_use_id }) => tool_use_id));
    const missing = ids.filter((id) => !answered.has(id));
    if (missing.length > 0)
      return invalid(
        `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
      );
  }
  return undefined;
}

export function checkKnown({ messages }: MessagesBody): Refusal | undefined {
  for (const [index, message] of messages.entries()) {
    const ids = usesBefore(messages, index).map(({ id }) => id);
    const results = toolResultsOf(message).map(({ tool_use_id }) => tool_use_id);
    const unknown = results.find((id) => !ids.includes(id));
    if (unknown !== undefined)
      return invalid(
        `messages.${index}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${unknown}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
      );
    if (new Set(results).size < results.length)
      return invalid(`messages.${index}: each tool_use must have a single result`);
  }
  return undefined;
}

export function checkUniqueIds({ messages }: MessagesBody): Refusal | undefined {
  const ids = messages.flatMap(toolUsesOf).map(({ id }) => id);
  return new Set(ids).size < ids.length ? invalid('messages: `tool_use` ids must be unique') : undefined;
}

/** Results stand before whatever else the user says. */
export function checkResultsFirst({ messages }: MessagesBody): Refusal | undefined {
  const wrong = messages.findIndex(({ content }) => {
    if (typeof content === 'string') return false;
    const types = content.map(({ type }) => type === 'tool_result');
    return types.lastIndexOf(true) > types.indexOf(false) && types.includes(false);
  });
  return wrong < 0 ? undefined : invalid(`messages.${wrong}: tool_result blocks must come before other content`);
}

export function checkToolsetNames({ messages }: MessagesBody): Refusal | undefined {
  return forEachPair(messages, (path, use, result) => {
    const [wanted, given] = [use.toolset_name ?? undefined, result.toolset_name ?? undefined];
    if (wanted === given) return undefined;
    if (given === undefined) return invalid(`${path}.toolset_name: Field required for a result of '${wanted}'`);
    return invalid(`${path}.toolset_name: '${given}' does not match the tool_use (${wanted ?? 'no toolset'})`);
  });
}

export function checkResultContent({ messages }: MessagesBody): Refusal | undefined {
  return forEachPair(messages, (path, use, { content, is_error }) => {
    if (is_error && (content === undefined || content.length === 0))
      return invalid(`${path}.content: content cannot be empty if is_error is true`);
    if (!use.toolset_name || typeof content === 'string' || content === undefined) return undefined;
    for (const [index, block] of content.entries()) {
      const isElsewhere = block.type === 'browser_state' && use.toolset_name !== 'browser';
      const issue = MEMBER_CONTENT.safeParse(block).error?.issues[0];
      if (isElsewhere || issue)
        return invalid(
          `${path}.content.${index}.${block.type}.${issue?.path.join('.')}: ${issue?.message ?? 'not allowed'}`,
        );
    }
    return undefined;
  });
}

export function checkBrowserState({ messages }: MessagesBody): Refusal | undefined {
  return forEachPair(messages, (path, use, { content, is_error }) => {
    if (use.toolset_name !== 'browser') return undefined;
    const blocks = typeof content === 'string' || content === undefined ? [] : content;
    const states = blocks.flatMap((block) => {
      const parsed = MEMBER_CONTENT.safeParse(block);
      return parsed.data?.type === 'browser_state' ? [parsed.data] : [];
    });
    if (states.length > 1) return invalid(`${path}: at most one browser_state is allowed`);
    if (is_error && states.length > 0) return invalid(`${path}: browser_state is not allowed on an error`);
    if (!is_error && TAB_MEMBERS.includes(use.name) && (states.length !== 1 || blocks.length !== 1))
      return invalid(`${path}: a result of ${use.name} must be exactly one browser_state`);
    const [state] = states;
    if (!state) return undefined;
    const ids = state.tabs.map(({ tab_id }) => tab_id);
    if (new Set(ids).size < ids.length) return invalid(`${path}: tab_id must be unique`);
    if (ids.length > 0 && state.tabs.filter(({ active }) => active === true).length !== 1)
      return invalid(`${path}: exactly one tab must be active`);
    const opened = (state.state_changes ?? []).filter(({ type }) => type === 'tab_opened');
    return opened.every(({ tab_id }) => ids.includes(String(tab_id)))
      ? undefined
      : invalid(`${path}: tab_opened names a tab that is not in tabs`);
  });
}

export function checkThinking(body: MessagesBody, wrong: 'signature' | 'prefix'): Refusal | undefined {
  for (const [index, { role, content }] of body.messages.entries()) {
    if (role !== 'assistant' || typeof content === 'string') continue;
    const before = { system: body.system, tools: body.tools, messages: body.messages.slice(0, index) };
    for (const [b, block] of content.entries()) {
      if (block.type !== 'thinking' || checkSignature(block.signature, block.thinking, before) !== wrong) continue;
      const path = `messages.${index}.content.${b}`;
      return wrong === 'signature'
        ? invalid(`${path}: Invalid \`signature\` in \`thinking\` block`)
        : invalid(`${path}: the conversation before this \`thinking\` block was changed`, {
            error_code: 'thinking_prefix_mismatch',
          });
    }
  }
  return undefined;
}

export function checkCacheMarks(body: MessagesBody): Refusal | undefined {
  const marks = JSON.stringify(body).match(/"cache_control":\{/g)?.length ?? 0;
  return marks > 4 ? invalid(`A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`) : undefined;
}

function resultsAfter(messages: readonly Message[], index: number): readonly ToolResult[] {
  const next = messages[index + 1];
  return next ? toolResultsOf(next) : [];
}

function usesBefore(messages: readonly Message[], index: number): readonly ToolUse[] {
  const before = messages[index - 1];
  return before ? toolUsesOf(before) : [];
}

function forEachPair(
  messages: readonly Message[],
  check: (path: string, use: ToolUse, result: ToolResult) => Refusal | undefined,
): Refusal | undefined {
  for (const [index, message] of messages.entries()) {
    const uses = usesBefore(messages, index);
    for (const [r, result] of toolResultsOf(message).entries()) {
      const use = uses.find(({ id }) => id === result.tool_use_id);
      const refusal = use && check(`messages.${index}.content.${r}.tool_result`, use, result);
      if (refusal) return refusal;
    }
  }
  return undefined;
}
