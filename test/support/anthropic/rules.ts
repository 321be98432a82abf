import type { IncomingHttpHeaders } from 'node:http';
import { BODY, type MessagesBody } from './body.ts';
import {
  checkAnswered,
  checkBrowserState,
  checkCacheMarks,
  checkFirst,
  checkKnown,
  checkPrefill,
  checkResultContent,
  checkResultsFirst,
  checkThinking,
  checkToolsetNames,
  checkUniqueIds,
  type Paused,
} from './history.ts';
import { isNewest } from './models.ts';
import { checkManyPictures, checkPictureBytes, checkPictureSize } from './pictures.ts';
import { invalid, type Refusal, unauthorized } from './refusal.ts';
import { checkBetaTools, checkChoice, checkEntries, checkFamilies, checkNames, checkToolModels } from './tools.ts';

const API_VERSION = '2026-10-21';
/** Sampling parameters were removed with this version of the API. */
const REMOVED = ['temperature', 'top_p', 'top_k'];

/** What a rule may look at beside the body. */
export interface Circumstances {
  readonly betas: readonly string[];
  readonly paused: Paused;
}

/**
 * Everything that the service answers with 400, each rule with a name of its own; the first that is broken is told.
 * Sources: the Messages API of 2026-10-21, its migration notes, and the pages on computer use, browser use and vision.
 */
export const RULES = {
  'the first message is the user’s': checkFirst,
  'no prefill, unless the turn only paused': (body, { paused }) => checkPrefill(body, paused),
  'newest models take no forced tool': ({ model, tool_choice }) =>
    isNewest(model) && (tool_choice?.type === 'any' || tool_choice?.type === 'tool')
      ? invalid(`tool_choice: forced tool use (${tool_choice.type}) is not supported by ${model}`)
      : undefined,
  'newest models always think': ({ model, thinking }) =>
    isNewest(model) && thinking?.type === 'disabled'
      ? invalid(`thinking.type: disabled is not supported by ${model}`)
      : undefined,
  'tools have their shape': checkEntries,
  'one toolset of a family': checkFamilies,
  'names of tools are unique, and a toolset’s are taken': checkNames,
  'the model takes the tool': checkToolModels,
  'a beta tool has its header': (body, { betas }) => checkBetaTools(body, betas),
  'a choice is among the tools, and no member': checkChoice,
  'ids are unique': checkUniqueIds,
  'every tool_use is answered in the next message': checkAnswered,
  'every tool_result answers a tool_use of the message before': checkKnown,
  'results come first': checkResultsFirst,
  'toolset_name is the tool_use’s': checkToolsetNames,
  'a member’s result is text, pictures and browser_state': checkResultContent,
  'browser_state keeps its rules': checkBrowserState,
  'pictures are what they say': checkPictureBytes,
  'pictures are not too large': checkPictureSize,
  'many pictures are small': checkManyPictures,
  'thinking keeps its signature': (body) => checkThinking(body, 'signature'),
  'thinking keeps what stands before it': (body) => checkThinking(body, 'prefix'),
  'at most four cache marks': checkCacheMarks,
} satisfies Record<string, (body: MessagesBody, circumstances: Circumstances) => Refusal | undefined>;
export type RuleName = keyof typeof RULES | 'headers' | 'no sampling parameters' | 'the body has its shape';

/** A refusal, and the rule that was broken. */
export interface Broken {
  readonly rule: RuleName;
  readonly refusal: Refusal;
}

export function checkHeaders(headers: IncomingHttpHeaders, apiKey: string): Broken | undefined {
  const refusal = headersRefusal(headers, apiKey);
  return refusal && { rule: 'headers', refusal };
}

/** @returns the body, or the first rule that it breaks. */
export function checkBody(text: string, circumstances: Circumstances): Broken | { readonly body: MessagesBody } {
  const json = parseJson(text);
  const removed = REMOVED.find((name) => typeof json === 'object' && json !== null && name in json);
  if (removed)
    return { rule: 'no sampling parameters', refusal: invalid(`${removed}: Extra inputs are not permitted`) };
  const parsed = BODY.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const refusal = invalid(`${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`);
    return { rule: 'the body has its shape', refusal };
  }
  // Object.entries widens the names to string; they are RULES' own keys.
  for (const [rule, check] of Object.entries(RULES) as [keyof typeof RULES, (typeof RULES)[keyof typeof RULES]][]) {
    const refusal = check(parsed.data, circumstances);
    if (refusal) return { rule, refusal };
  }
  return { body: parsed.data };
}

export function betasOf(headers: IncomingHttpHeaders): readonly string[] {
  return String(headers['anthropic-beta'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function headersRefusal(headers: IncomingHttpHeaders, apiKey: string): Refusal | undefined {
  if (headers['x-api-key'] !== undefined) return unauthorized('x-api-key is not accepted; use Authorization: Bearer');
  if (headers.authorization !== `Bearer ${apiKey}`) return unauthorized('invalid bearer token');
  if (headers['anthropic-version'] !== API_VERSION) return invalid(`anthropic-version: ${API_VERSION} is required`);
  if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
    return invalid('content-type: application/json is required');
  return undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
