import type Anthropic from '@anthropic-ai/sdk';
import { z } from 'zod';
import type { ModelAction, ModelTarget } from '../../core/ports/model.ts';
import { chordOf } from './keys.ts';

/** The size of the last picture that the model was shown, in pixels; absent when there was none. */
export type View = { readonly width: number; readonly height: number } | undefined;

/** What a block asks for, or why it can't be had, in a fixed phrase. */
export type Wish = { readonly action: ModelAction } | { readonly refusal: string };

/** A member's input as it came → what it asks for. */
type Member = (input: unknown, view: View) => Wish;

type BrowserConfigs = Anthropic.Beta.BetaBrowserToolsetConfigs;
type ComputerConfigs = Anthropic.Beta.BetaComputerToolsetConfigs;
const OFF = { enabled: false } as const;

/** One of the two ways in which the model looks at a page and acts on it. */
export interface Toolset {
  readonly name: 'browser' | 'computer';
  /** The entry's type, as an error of the service names it. */
  readonly type: string;
  /** For the request: every member that isn't in `members` is switched off. */
  readonly entry: Anthropic.Beta.BetaToolUnion;
  readonly members: Readonly<Record<string, Member>>;
  /** What the definition of the tools costs, in tokens. Source: platform.claude.com, browser use and computer use. */
  readonly definitionTokens: number;
  /** The exact words for what stood behind a failed block in the same reply. Source: as the SDK's tool runner says it. */
  readonly halted: string;
}

/** The one tab there is, as results name it. */
export const TAB_ID = '1';

const UNFIT = 'Not carried out: the input does not fit this action.';
const OUTSIDE = 'Not carried out: the point is outside of the picture.';
const UNSEEN = 'Not carried out: there is no picture yet that a point could be on.';
const UNKNOWN_KEY = 'Not carried out: one known key or chord at a time.';
const NO_HISTORY = 'Not carried out: there is no going back, forward or reloading; give an address.';
const SIDEWAYS = 'Not carried out: the page scrolls up and down only.';
const UNKNOWN_MEMBER = 'Not carried out: there is no such action.';

/** A notch of a wheel, in CSS pixels, as Chromium counts it. */
const NOTCH = 100;
const MOST_NOTCHES = 10;
const USUAL_NOTCHES = 3;
const LONGEST_WAIT_MS = 5_000;
const MOST_PRESSES = 100;

const TAB = z.enum([TAB_ID, '']).nullish();
const NO_MODIFIERS = z.literal('').nullish();
const REF = z.object({ type: z.literal('ref'), ref: z.string().min(1).max(200) });
const POINT = z.object({ type: z.literal('coordinate'), x: z.number(), y: z.number() });
const EITHER = z.union([REF, POINT]);
const PAIR = z.tuple([z.number(), z.number()]).transform(([x, y]) => ({ type: 'coordinate' as const, x, y }));
const DIRECTION = z.enum(['up', 'down', 'left', 'right']);
const SECONDS = z.number().min(0);
const PRESSES = z.int().min(1).max(MOST_PRESSES).nullish();

const BROWSER_CLICK = member(z.object({ target: EITHER, modifiers: NO_MODIFIERS, tab_id: TAB }), ({ target }, view) =>
  aimed(target, view, (at) => ({ kind: 'click', at })),
);

const BROWSER_MEMBERS = {
  left_click: BROWSER_CLICK,
  double_click: BROWSER_CLICK,
  triple_click: BROWSER_CLICK,
  hover: member(z.object({ target: EITHER, modifiers: NO_MODIFIERS, tab_id: TAB }), ({ target }, view) =>
    aimed(target, view, (at) => ({ kind: 'hover', at })),
  ),
  mouse_move: member(z.object({ target: POINT, tab_id: TAB }), ({ target }, view) =>
    aimed(target, view, (at) => ({ kind: 'hover', at })),
  ),
  form_input: member(
    z.object({ target: REF, value: z.union([z.string(), z.number(), z.boolean()]), tab_id: TAB }),
    ({ target, value }, view) =>
      aimed(target, view, (at) =>
        typeof value === 'boolean' ? { kind: 'tick', isChecked: value, at } : { kind: 'type', text: String(value), at },
      ),
  ),
  type: member(z.object({ text: z.string(), tab_id: TAB }), ({ text }) => ({ action: { kind: 'type', text } })),
  key: member(z.object({ text: z.string(), repeat: PRESSES, tab_id: TAB }), ({ text, repeat }) =>
    pressed(text, repeat),
  ),
  scroll: member(
    z.object({ target: POINT, scroll_direction: DIRECTION, scroll_amount: z.number().nullish(), tab_id: TAB }),
    ({ target, scroll_direction, scroll_amount }, view) => scrolled(target, scroll_direction, scroll_amount, view),
  ),
  scroll_to: member(z.object({ target: REF, tab_id: TAB }), ({ target }, view) =>
    aimed(target, view, (at) => ({ kind: 'scroll', at, deltaY: 0 })),
  ),
  screenshot: member(z.object({ tab_id: TAB }), () => ({ action: { kind: 'screenshot' } })),
  read_page: member(z.object({ filter: z.enum(['all', 'interactive', '']).nullish(), tab_id: TAB }), ({ filter }) => ({
    action: { kind: 'read', what: filter === 'interactive' ? 'controls' : 'all' },
  })),
  find: member(z.object({ query: z.string().min(1), tab_id: TAB }), ({ query }) => ({
    action: { kind: 'find', query },
  })),
  get_page_text: member(z.object({ tab_id: TAB }), () => ({ action: { kind: 'read', what: 'text' } })),
  navigate: member(z.object({ url: z.string().min(1), tab_id: TAB }), ({ url }) =>
    /^(?:back|forward|reload)$/i.test(url.trim()) ? { refusal: NO_HISTORY } : { action: { kind: 'navigate', url } },
  ),
  wait: member(z.object({ duration: SECONDS, tab_id: TAB }), ({ duration }) => waited(duration)),
} as const satisfies { readonly [K in keyof BrowserConfigs]: Member };

/** Everything else that the toolset has: neither offered nor carried out. A member that is in neither list is a type error. */
const BROWSER_OFF = {
  right_click: OFF,
  middle_click: OFF,
  left_click_drag: OFF,
  left_mouse_down: OFF,
  left_mouse_up: OFF,
  hold_key: OFF,
  zoom: OFF,
  new_tab: OFF,
  list_tabs: OFF,
  switch_tab: OFF,
  close_tab: OFF,
  file_upload: OFF,
  javascript_exec: OFF,
  read_console: OFF,
  read_network: OFF,
} as const satisfies { [K in Exclude<keyof BrowserConfigs, keyof typeof BROWSER_MEMBERS>]: typeof OFF };

const COMPUTER_CLICK = member(z.object({ coordinate: PAIR, text: NO_MODIFIERS }), ({ coordinate }, view) =>
  aimed(coordinate, view, (at) => ({ kind: 'click', at })),
);

const COMPUTER_MEMBERS = {
  left_click: COMPUTER_CLICK,
  double_click: COMPUTER_CLICK,
  triple_click: COMPUTER_CLICK,
  mouse_move: member(z.object({ coordinate: PAIR }), ({ coordinate }, view) =>
    aimed(coordinate, view, (at) => ({ kind: 'hover', at })),
  ),
  type: member(z.object({ text: z.string() }), ({ text }) => ({ action: { kind: 'type', text } })),
  key: member(z.object({ text: z.string(), repeat: PRESSES }), ({ text, repeat }) => pressed(text, repeat)),
  scroll: member(
    z.object({
      coordinate: PAIR.nullish(),
      scroll_direction: DIRECTION,
      scroll_amount: z.number().nullish(),
      text: NO_MODIFIERS,
    }),
    ({ coordinate, scroll_direction, scroll_amount }, view) =>
      scrolled(coordinate, scroll_direction, scroll_amount, view),
  ),
  screenshot: member(z.object({}), () => ({ action: { kind: 'screenshot' } })),
  wait: member(z.object({ duration: SECONDS }), ({ duration }) => waited(duration)),
} as const satisfies { readonly [K in keyof ComputerConfigs]: Member };

const COMPUTER_OFF = {
  right_click: OFF,
  middle_click: OFF,
  left_click_drag: OFF,
  left_mouse_down: OFF,
  left_mouse_up: OFF,
  hold_key: OFF,
  zoom: OFF,
  cursor_position: OFF,
} as const satisfies { [K in Exclude<keyof ComputerConfigs, keyof typeof COMPUTER_MEMBERS>]: typeof OFF };

export const BROWSER: Toolset = {
  name: 'browser',
  type: 'browser_toolset_20260801',
  entry: { type: 'browser_toolset_20260801', configs: BROWSER_OFF },
  members: BROWSER_MEMBERS,
  definitionTokens: 6_600,
  halted: 'Not executed: an earlier action in this turn failed.',
};

export const COMPUTER: Toolset = {
  name: 'computer',
  type: 'computer_toolset_20260801',
  entry: { type: 'computer_toolset_20260801', configs: COMPUTER_OFF },
  members: COMPUTER_MEMBERS,
  definitionTokens: 4_500,
  halted: 'Not executed: an earlier computer action in this turn failed.',
};

/** @returns what a block of a reply asks for, whatever it is. */
export function wishOf(toolset: Toolset, block: Block, view: View): Wish {
  if (block.toolset_name !== toolset.name || !Object.hasOwn(toolset.members, block.name))
    return { refusal: UNKNOWN_MEMBER };
  return toolset.members[block.name]?.(block.input, view) ?? { refusal: UNKNOWN_MEMBER };
}

/** A block of a reply that asks for something, as far as it can be relied on. */
export interface Block {
  readonly id: string;
  readonly name: string;
  readonly toolset_name?: string | null | undefined;
  readonly input?: unknown;
}

function member<S extends z.ZodType>(schema: S, toWish: (input: z.output<S>, view: View) => Wish): Member {
  return (input, view) => {
    const parsed = schema.safeParse(input);
    return parsed.success ? toWish(parsed.data, view) : { refusal: UNFIT };
  };
}

function aimed(target: z.output<typeof EITHER>, view: View, toAction: (at: ModelTarget) => ModelAction): Wish {
  if (target.type === 'ref') return { action: toAction({ by: 'ref', ref: target.ref }) };
  const { x, y } = target;
  if (!view) return { refusal: UNSEEN };
  const isInside = x >= 0 && y >= 0 && x < view.width && y < view.height;
  return isInside ? { action: toAction({ by: 'point', x, y }) } : { refusal: OUTSIDE };
}

function pressed(text: string, times: number | null | undefined): Wish {
  const keys = chordOf(text);
  return keys === undefined ? { refusal: UNKNOWN_KEY } : { action: { kind: 'key', keys, times: times ?? 1 } };
}

function scrolled(
  target: z.output<typeof POINT> | null | undefined,
  direction: z.output<typeof DIRECTION>,
  amount: number | null | undefined,
  view: View,
): Wish {
  if (direction === 'left' || direction === 'right') return { refusal: SIDEWAYS };
  const notches = Math.min(Math.max(amount ?? USUAL_NOTCHES, 1), MOST_NOTCHES);
  const deltaY = (direction === 'up' ? -1 : 1) * notches * NOTCH;
  return target
    ? aimed(target, view, (at) => ({ kind: 'scroll', at, deltaY }))
    : { action: { kind: 'scroll', deltaY } };
}

function waited(seconds: number): Wish {
  return { action: { kind: 'wait', ms: Math.min(seconds * 1000, LONGEST_WAIT_MS) } };
}
