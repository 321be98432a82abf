import type Anthropic from '@anthropic-ai/sdk';
import type { Picture } from '../../core/ports/browser.ts';
import type { ActionResult, ModelAction, ModelHands } from '../../core/ports/model.ts';
import { type Block, TAB_ID, type Toolset } from './toolsets.ts';

type ResultParam = Anthropic.Beta.BetaToolResultBlockParam;
type ContentParam = Exclude<NonNullable<ResultParam['content']>, string>[number];
type Where = Awaited<ReturnType<ModelHands['where']>>;

/** What a carried-out action is answered with; a look at the page is answered with what there is to see. */
const DONE: { readonly [K in ModelAction['kind']]: string | undefined } = {
  screenshot: undefined,
  read: undefined,
  find: undefined,
  click: 'Clicked.',
  type: 'Typed.',
  choose: 'Chosen.',
  tick: 'Set.',
  key: 'Pressed.',
  scroll: 'Scrolled.',
  hover: 'Hovered.',
  navigate: 'Navigated.',
  wait: 'Waited.',
};
const NOTHING = '(nothing)';
/** The longest text the service takes for a field of `browser_state`; source: the SDK, sanitize.ts. */
const LONGEST_FIELD = 4096;
/** Line breaks, control characters and those that turn the direction of writing, of which the service takes none there. */
const UNPRINTABLE = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu;

/** @param where for the browser toolset, which is told the page's place with every success. */
export function doneResult(
  block: Block,
  action: ModelAction,
  { text, picture }: Extract<ActionResult, { kind: 'done' }>,
  where: Where | undefined,
): ResultParam {
  const texts = [DONE[action.kind], text].filter((part) => part !== undefined && part !== '');
  if (texts.length === 0 && !picture) texts.push(NOTHING);
  const content = [
    ...texts.map((part) => ({ type: 'text' as const, text: part?.toWellFormed() ?? '' })),
    ...(picture ? [pictureParam(picture)] : []),
    ...(where ? [stateParam(where)] : []),
  ];
  return answer(block, content);
}

export function refusedResult(block: Block, text: string): ResultParam {
  return { ...answer(block, [{ type: 'text', text: text.toWellFormed() }]), is_error: true };
}

/** For what stood behind a failed block in the same reply. */
export function haltedResult(block: Block, toolset: Toolset): ResultParam {
  return refusedResult(block, toolset.halted);
}

export function pictureParam({ bytes, mediaType }: Picture): Anthropic.Beta.BetaImageBlockParam {
  return { type: 'image', source: { type: 'base64', media_type: mediaType, data: bytes.toString('base64') } };
}

/** The result names the toolset exactly when the block did: the service refuses both more and less. */
function answer({ id, toolset_name }: Block, content: ContentParam[]): ResultParam {
  return { type: 'tool_result', tool_use_id: id, ...(toolset_name ? { toolset_name } : {}), content };
}

function stateParam({ url, title }: Where): Anthropic.Beta.BetaBrowserStateBlockParam {
  return {
    type: 'browser_state',
    tabs: [{ tab_id: TAB_ID, title: oneLine(title), url: oneLine(url), active: true }],
  };
}

function oneLine(text: string): string {
  return text.toWellFormed().replace(UNPRINTABLE, ' ').trim().slice(0, LONGEST_FIELD).toWellFormed();
}
