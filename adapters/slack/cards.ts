import type {
  ActionsBlock,
  ContextActionsBlock,
  KnownBlock,
  PlainTextElement,
  RichTextBlock,
  Button as SlackButton,
  TaskCardBlock,
} from '@slack/types';
import { clip, withoutTricks } from '../../core/plain-text.ts';
import type { Block, Button, Card, RichText, StepLine } from '../../core/ports/chat.ts';
import { LIMITS } from './limits.ts';
import { clipEscaped, elementsOf, markupOf, plain, richText, safeUrl, section, wordsOf } from './text.ts';

/** A card as Slack's methods take it. `text` is the notification, the fallback and what a screen reader hears. */
export interface SlackMessage {
  readonly text: string;
  readonly blocks: KnownBlock[];
}

/**
 * How much of Block Kit is used: `full` has plans, folded containers and tables, which a workspace or an old client may not
 * take; `plain` has rich text, context, headers and buttons only.
 */
export type Level = 'full' | 'plain';

interface View {
  readonly level: Level;
  /** The thread that the message stands in; a click comes back with it. */
  readonly thread: string;
  /** A message takes one table. */
  hasTable: boolean;
  actions: number;
}

type BlockOf<Kind extends Block['kind']> = Extract<Block, { kind: Kind }>;

const CUT = 'This message is longer than Slack takes. The rest is left out.';

/** Blocks within every limit of LIMITS, whatever the card holds: what does not fit is cut, and the message says so. */
export function renderCard(given: Card, thread: string, level: Level = 'full'): SlackMessage {
  const card = withoutTricks(given);
  const view: View = { level, thread, hasTable: false, actions: 0 };
  const shown = card.blocks.length > 0 ? card.blocks : [sentence(card.summary)];
  const blocks = withinMessage(shown.flatMap((block) => render(block, view)));
  return { text: clipEscaped(card.summary, LIMITS.messageText) || ' ', blocks };
}

/** The home page's blocks, of which there may be twice as many. */
export function renderBlocks(blocks: readonly Block[], thread: string): KnownBlock[] {
  const view: View = { level: 'plain', thread, hasTable: false, actions: 0 };
  return withinMessage(
    withoutTricks(blocks).flatMap((block) => render(block, view)),
    LIMITS.blocksInView,
  );
}

function sentence(words: string): Block {
  return { kind: 'text', text: [{ kind: 'text', text: words }] };
}

const drawers: { readonly [Kind in Block['kind']]: (block: BlockOf<Kind>, view: View) => KnownBlock[] } = {
  heading: ({ text }) => heading(text),
  text: renderText,
  list: renderList,
  steps: renderSteps,
  facts: ({ rows }) =>
    rows.length === 0
      ? []
      : [
          richText(
            rows.map(({ label, value }) =>
              section([...plain(label, { style: { bold: true } }), ...plain('  '), ...elementsOf(value)]),
            ),
          ),
        ],
  signature: ({ text }) => [richText([{ type: 'rich_text_quote', elements: section(elementsOf(text)).elements }])],
  // Pictures are uploaded into the thread: a card's own addresses lead where Slack's servers may not come.
  pictures: () => [],
  table: renderTable,
  details: renderDetails,
  actions: renderActions,
  feedback: renderFeedback,
};

function render(block: Block, view: View): KnownBlock[] {
  // The registry's type pairs each kind with the function for that kind; TypeScript can't follow the pairing through a union.
  const draw = drawers[block.kind] as (block: Block, view: View) => KnownBlock[];
  return draw(block, view);
}

/** Slack's headers are plain and short; other ones are a bold line. */
function heading(text: RichText): KnownBlock[] {
  const words = wordsOf(text);
  const isPlain = text.every(({ kind }) => kind === 'text' || kind === 'code') && words.length <= LIMITS.header;
  return isPlain && words !== ''
    ? [{ type: 'header', text: plainText(words, LIMITS.header) }]
    : [richText([section(elementsOf(text, true))])];
}

function renderText({ text, tone = 'plain' }: BlockOf<'text'>): KnownBlock[] {
  if (tone === 'quiet') return [quiet(text)];
  const warning = tone === 'warning' ? [{ type: 'emoji', name: 'warning' } as const, ...plain(' ')] : [];
  return [richText([section([...warning, ...elementsOf(text)])])];
}

/** Small and grey. */
function quiet(text: RichText): KnownBlock {
  const markup = markupOf(text);
  return markup === undefined || markup === '' || markup.length > LIMITS.section
    ? richText([section(elementsOf(text))])
    : { type: 'context', elements: [{ type: 'mrkdwn', text: markup, verbatim: true }] };
}

function renderList({ isNumbered = false, items }: BlockOf<'list'>): KnownBlock[] {
  if (items.length === 0) return [];
  const elements = items.map(({ text, detail }) =>
    section([...elementsOf(text), ...(detail ? plain(` · ${detail}`, { style: { italic: true } }) : [])]),
  );
  return [richText([{ type: 'rich_text_list', style: isNumbered ? 'ordered' : 'bullet', elements }])];
}

const STATUS: { readonly [State in StepLine['state']]: TaskCardBlock['status'] } = {
  waiting: 'pending',
  running: 'in_progress',
  done: 'complete',
  failed: 'error',
  unsure: 'error',
};
const MARKS: { readonly [State in StepLine['state']]: string } = {
  waiting: '·',
  running: '▸',
  done: '✓',
  failed: '✗',
  unsure: '?',
};

function renderSteps({ items }: BlockOf<'steps'>, { level }: View): KnownBlock[] {
  if (items.length === 0) return [];
  const line = ({ text, detail }: StepLine) => (detail === undefined ? text : `${text} · ${detail}`);
  if (level === 'plain')
    return [
      richText(
        items.map((item) =>
          section(
            plain(`${MARKS[item.state]}  ${line(item)}`, item.state === 'running' ? { style: { bold: true } } : {}),
          ),
        ),
      ),
    ];
  const done = items.filter(({ state }) => state === 'done').length;
  // The latest ones are what people look at; the earlier ones become one line.
  const folded = items.length > LIMITS.tasks ? items.length - LIMITS.tasks + 1 : 0;
  const tasks = items.slice(folded).map(
    (item, index): TaskCardBlock => ({
      type: 'task_card',
      task_id: `step-${folded + index + 1}`,
      title: clip(line(item), LIMITS.taskTitle),
      status: STATUS[item.state],
    }),
  );
  const before: TaskCardBlock[] =
    folded === 0
      ? []
      : [
          {
            type: 'task_card',
            task_id: 'earlier',
            title: `Steps 1 to ${folded}`,
            status: worst(items.slice(0, folded)),
          },
        ];
  return [{ type: 'plan', title: `${done} of ${items.length} steps done`, tasks: [...before, ...tasks] }];
}

function worst(items: readonly StepLine[]): TaskCardBlock['status'] {
  const states = items.map(({ state }) => STATUS[state]);
  return (['error', 'in_progress', 'pending'] as const).find((status) => states.includes(status)) ?? 'complete';
}

function renderTable({ caption, columns, rows }: BlockOf<'table'>, view: View): KnownBlock[] {
  const lines = rows.map((row) => row.map(wordsOf));
  const size = [columns.map(({ label }) => label), ...lines].flat().join('').length;
  const fits =
    view.level === 'full' &&
    !view.hasTable &&
    rows.length < LIMITS.tableRows &&
    columns.length <= LIMITS.tableColumns &&
    size <= LIMITS.tableText;
  if (!fits) return [richText([section(plain(caption, { style: { bold: true } })), ...rows.map(rowLine)])];
  view.hasTable = true;
  const cell = (text: RichText, isBold: boolean) => richText([section(elementsOf(text, isBold))]);
  return [
    {
      type: 'table',
      column_settings: columns.map(({ align }) => ({ align, is_wrapped: align === 'left' })),
      rows: [
        columns.map(({ label }) => cell([{ kind: 'text', text: label }], true)),
        ...rows.map((row) => columns.map((_, index) => cell(row[index] ?? [], false))),
      ],
    },
  ];
}

function rowLine(row: readonly RichText[]): RichTextBlock['elements'][number] {
  return section(row.flatMap((cell, index) => [...plain(index === 0 ? '' : ' · '), ...elementsOf(cell)]));
}

function renderDetails({ summary, blocks }: BlockOf<'details'>, view: View): KnownBlock[] {
  const inner = blocks.flatMap((block) => render(block, view));
  const isFoldable =
    view.level === 'full' &&
    inner.length > 0 &&
    inner.length <= LIMITS.containerBlocks &&
    inner.every(({ type }) => FOLDABLE.has(type));
  if (!isFoldable) return [richText([section(plain(summary, { style: { bold: true } }))]), ...inner];
  const child_blocks = inner.filter(isFoldableBlock);
  return [
    {
      type: 'container',
      title: plainText(summary, LIMITS.containerTitle),
      is_collapsible: true,
      default_collapsed: true,
      child_blocks,
    },
  ];
}

const FOLDABLE: ReadonlySet<string> = new Set(['rich_text', 'context', 'header', 'actions']);
type Foldable = Extract<KnownBlock, { type: 'rich_text' | 'context' | 'header' | 'actions' }>;

function isFoldableBlock(block: KnownBlock): block is Foldable {
  return FOLDABLE.has(block.type);
}

/** Between an action and its place among the buttons: Slack wants each id once. */
const NUMBER = '#';
type Actions = Pick<BlockOf<'actions'>, 'buttons'> & { readonly thread?: { readonly ref: string } };
/** Before the id of a button that opens a page: Slack tells of that click too, and nobody waits for it. */
export const OPENS = 'open:';

function renderActions({ buttons, thread }: Actions, view: View): KnownBlock[] {
  const ref = thread?.ref ?? view.thread;
  const elements = buttons.flatMap((button, index) => renderButton(button, index));
  const chunks = Array.from({ length: Math.ceil(elements.length / LIMITS.actionsElements) }, (_, chunk) =>
    elements.slice(chunk * LIMITS.actionsElements, (chunk + 1) * LIMITS.actionsElements),
  );
  return chunks.map((chunk) => ({
    type: 'actions',
    block_id: clip(`${view.actions++} ${ref}`, LIMITS.blockId),
    elements: chunk,
  }));
}

/** Slack's own two thumbs; two buttons where a workspace doesn't take them. */
function renderFeedback({ action, good, bad }: BlockOf<'feedback'>, view: View): KnownBlock[] {
  const button = { style: 'plain', action } as const;
  const isTooLong = Math.max(good.length, bad.length) > LIMITS.buttonValue || action.length + 2 > LIMITS.actionId;
  if (isTooLong || good === '' || bad === '') return [];
  if (view.level === 'plain') {
    const buttons: Button[] = [
      { ...button, label: GOOD, value: good },
      { ...button, label: BAD, value: bad },
    ];
    return renderActions({ buttons }, view);
  }
  return [
    {
      type: 'context_actions',
      block_id: clip(`${view.actions++} ${view.thread}`, LIMITS.blockId),
      elements: [
        {
          type: 'feedback_buttons',
          action_id: `${action}${NUMBER}0`,
          positive_button: { text: plainText(GOOD, LIMITS.buttonText), value: good },
          negative_button: { text: plainText(BAD, LIMITS.buttonText), value: bad },
        },
      ],
    },
  ];
}

const [GOOD, BAD] = ['This helped', 'It did not'];

function renderButton(button: Button, index: number): SlackButton[] {
  const { label, style, action, value, confirm } = button;
  const url = button.url === undefined ? undefined : safeUrl(button.url);
  if (button.url !== undefined && url === undefined) return [];
  const id = `${url === undefined ? '' : OPENS}${action}${NUMBER}${index}`;
  // An action or a value that was cut would be another one: such a button is not shown.
  if (value.length > LIMITS.buttonValue || id.length > LIMITS.actionId) return [];
  return [
    {
      type: 'button',
      text: plainText(label, LIMITS.buttonText),
      action_id: id,
      ...(value === '' ? {} : { value }),
      ...(style === 'plain' ? {} : { style }),
      ...(url === undefined ? {} : { url }),
      ...(confirm && {
        confirm: {
          title: plainText(confirm.title, LIMITS.confirmTitle),
          text: plainText(confirm.text, LIMITS.confirmText),
          confirm: plainText(confirm.yes, LIMITS.confirmButton),
          deny: plainText('Cancel', LIMITS.confirmButton),
          ...(confirm.isSafe ? {} : { style: 'danger' as const }),
        },
      }),
    },
  ];
}

/** What `renderActions` wrote, read back from a click. `thread` is empty for a message outside of threads. */
export function readAction(actionId: string, blockId: string): { readonly action: string; readonly thread: string } {
  const end = actionId.lastIndexOf(NUMBER);
  const [, thread = ''] = /^\d+ (.*)$/.exec(blockId) ?? [];
  return { action: end < 0 ? actionId : actionId.slice(0, end), thread };
}

export function plainText(words: string, most: number): PlainTextElement {
  return { type: 'plain_text', text: clip(words, most) || ' ', emoji: false };
}

/** No more blocks and no more words than a message takes; the buttons, which come last, stay. */
function withinMessage(blocks: readonly KnownBlock[], most: number = LIMITS.blocksInMessage): KnownBlock[] {
  const cut: KnownBlock = { type: 'context', elements: [{ type: 'plain_text', text: CUT, emoji: false }] };
  const buttons = blocks.filter(isPressed).slice(-most + 1);
  const room = most - buttons.length - 1;
  const kept: KnownBlock[] = [];
  let others = 0;
  let words = 0;
  let isCut = false;
  for (const block of blocks) {
    if (isPressed(block)) {
      if (buttons.includes(block)) kept.push(block);
      continue;
    }
    words += wordsIn(block);
    if (others >= room || (words > LIMITS.richTextInMessage && others > 0)) {
      if (!isCut) kept.push(cut);
      isCut = true;
      continue;
    }
    others++;
    kept.push(block);
  }
  return kept;
}

function isPressed(block: KnownBlock): block is ActionsBlock | ContextActionsBlock {
  return block.type === 'actions' || block.type === 'context_actions';
}

/** How much there is to read in it, to within a few words. */
function wordsIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + wordsIn(each), 0);
  if (value === null || typeof value !== 'object') return 0;
  return Object.entries(value).reduce(
    (sum, [key, each]) =>
      sum + (typeof each === 'string' && (key === 'text' || key === 'title') ? each.length : wordsIn(each)),
    0,
  );
}
