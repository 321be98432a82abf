import { clip, withoutTricks } from '../../core/plain-text.ts';
import type { Block, Button, Card, PictureLink, RichText, StepLine, ThreadRef } from '../../core/ports/chat.ts';
import {
  type Action,
  type ActionSet,
  type AdaptiveCard,
  type Element,
  type Execute,
  type Image,
  type Mention,
  type RichTextBlock,
  sizeOf,
  type TextRun,
} from './elements.ts';
import { LEVELS, type Level, LIMITS } from './limits.ts';
import { isMentioned, markdownOf, runsOf, safeUrl, wordsOf } from './text.ts';
import { isFor, refreshedFor } from './views.ts';

/** Where a card stands. */
export interface CardPlace {
  /** The thread that a click belongs to, where the card stands in another one. */
  readonly thread?: ThreadRef;
  /** How such a thread is named in a button, see `nameOfThread`; absent: by its `ref`, which nobody takes back. */
  readonly written?: (thread: ThreadRef) => string;
  /** Where people's browsers reach us: pictures have addresses there. */
  readonly publicUrl: string;
  /** One-time pages that can be filled in in a dialog as well, by their addresses: to the token of each. */
  readonly dialogs?: ReadonlyMap<string, string>;
  /** Who alone sees it so: without the buttons that are for others. */
  readonly viewer?: string;
  /** Whose clients are to ask for a view of their own, by the Connector's ids. */
  readonly askedBy?: readonly string[];
}

interface View extends CardPlace {
  readonly level: Level;
  readonly mentions: Map<string, Mention>;
  /** Of elements that are shown and hidden, each of its own in the card. */
  ids: number;
  buttons: number;
  isCut: boolean;
}

type BlockOf<Kind extends Block['kind']> = Extract<Block, { kind: Kind }>;

const CUT = 'This message is longer than Teams takes. The rest is left out.';
const SCHEMA = 'http://adaptivecards.io/schemas/adaptive-card.json';

/** What a button brings back, beside what was filled in. */
export interface PressedData {
  readonly action: string;
  readonly value: string;
  /** The thread that it belongs to, as `nameOfThread` writes it, where that isn't the one that the card stands in. */
  readonly thread?: string;
}

/** A card within `LIMITS.cardBytes`, whatever it holds: what does not fit is cut, and the message says so. */
export function renderCard(given: Card, place: CardPlace): AdaptiveCard {
  const card = withoutTricks(given);
  for (const level of LEVELS) {
    const rendered = renderAt(card, place, level);
    if (sizeOf(rendered) <= LIMITS.cardBytes) return rendered;
  }
  // Only what decides and what it is about.
  const buttons = card.blocks.flatMap((block) => (block.kind === 'actions' ? block.buttons : []));
  const short: Card = {
    summary: card.summary,
    blocks: [
      sentence(card.summary),
      sentence(CUT),
      { kind: 'actions', buttons: buttons.slice(0, LIMITS.buttonsInRow) },
    ],
  };
  return renderAt(short, place, { text: LIMITS.summary, items: 1 });
}

function renderAt(card: Card, place: CardPlace, level: Level): AdaptiveCard {
  const view: View = { ...place, level, mentions: new Map(), ids: 0, buttons: 0, isCut: false };
  const blocks = card.blocks.length > 0 ? card.blocks : [sentence(card.summary)];
  const body = blocks.flatMap((block) => render(block, view));
  const all = view.isCut ? [...body, paragraph([{ kind: 'text', text: CUT }], view, QUIET)] : body;
  return {
    ...cardOf(all, [...view.mentions.values()], clip(card.summary, LIMITS.summary)),
    ...refreshedFor(place.askedBy ?? []),
  };
}

export function cardOf(body: readonly Element[], mentions: readonly Mention[] = [], speak = ''): AdaptiveCard {
  return {
    ...{ type: 'AdaptiveCard', $schema: SCHEMA, version: '1.5', body },
    ...(speak === '' ? {} : { speak }),
    msteams: { width: 'Full', ...(mentions.length > 0 ? { entities: mentions } : {}) },
  };
}

function sentence(words: string): Block {
  return { kind: 'text', text: [{ kind: 'text', text: words }] };
}

const drawers: { readonly [Kind in Block['kind']]: (block: BlockOf<Kind>, view: View) => Element[] } = {
  heading: ({ text }, view) => [paragraph(text, view, { size: 'Medium', weight: 'Bolder' })],
  text: renderText,
  list: renderList,
  steps: renderSteps,
  facts: renderFacts,
  signature: renderSignature,
  pictures: renderPictures,
  table: renderTable,
  details: renderDetails,
  actions: renderActions,
  feedback: ({ action, good, bad }, view) =>
    renderActions(
      {
        kind: 'actions',
        buttons: [
          { label: 'This helped', style: 'plain', action, value: good },
          { label: 'It did not', style: 'plain', action, value: bad },
        ],
      },
      view,
    ),
};

function render(block: Block, view: View): Element[] {
  // The registry's type pairs each kind with the function for that kind; TypeScript can't follow the pairing through a union.
  const draw = drawers[block.kind] as (block: Block, view: View) => Element[];
  return draw(block, view);
}

type Style = Pick<TextRun, 'size' | 'weight' | 'color' | 'isSubtle'>;
const QUIET: Style = { size: 'Small', isSubtle: true };

/** Runs wherever nobody is named, since they are no markup; Markdown, escaped, where somebody is. */
function paragraph(text: RichText, view: View, style: Style = {}): Element {
  const most = view.level.text;
  if (lengthOf(text) > most) view.isCut = true;
  if (!text.some(isMentioned)) return { type: 'RichTextBlock', inlines: runsOf(text, most, style) };
  const { text: words, mentions } = markdownOf(text, most);
  for (const mention of mentions) view.mentions.set(`${mention.mentioned.id} ${mention.text}`, mention);
  return { type: 'TextBlock', text: words || ' ', wrap: true, ...style };
}

function lengthOf(text: RichText): number {
  return text.reduce(
    (sum, span) =>
      sum + (span.kind === 'time' ? 20 : span.kind === 'person' ? span.person.name.length : span.text.length),
    0,
  );
}

function plain(words: string, view: View, style: Style = {}): RichTextBlock {
  if (words.length > view.level.text) view.isCut = true;
  return { type: 'RichTextBlock', inlines: runsOf([{ kind: 'text', text: words }], view.level.text, style) };
}

function few<T>(items: readonly T[], view: View): readonly T[] {
  if (items.length > view.level.items) view.isCut = true;
  return items.slice(0, view.level.items);
}

function renderText({ text, tone = 'plain' }: BlockOf<'text'>, view: View): Element[] {
  if (tone === 'quiet') return [paragraph(text, view, QUIET)];
  if (tone === 'plain') return [paragraph(text, view)];
  // In words as well: meaning never rests on a colour.
  return [
    { type: 'Container', style: 'warning', items: [paragraph([{ kind: 'bold', text: 'Warning: ' }, ...text], view)] },
  ];
}

function renderList({ isNumbered = false, items }: BlockOf<'list'>, view: View): Element[] {
  return few(items, view).map(({ text, detail }, index) =>
    row(
      [plain(isNumbered ? `${index + 1}.` : '•', view, { isSubtle: true })],
      [paragraph(text, view)],
      detail === undefined ? [] : [plain(detail, view, QUIET)],
    ),
  );
}

/** A mark, what it is about, and a quiet word at the right. */
function row(mark: readonly Element[], words: readonly Element[], detail: readonly Element[]): Element {
  const column = (width: 'auto' | 'stretch', items: readonly Element[]) => ({ type: 'Column', width, items }) as const;
  return {
    ...{ type: 'ColumnSet', spacing: 'Small' },
    columns: [column('auto', mark), column('stretch', words), ...(detail.length > 0 ? [column('auto', detail)] : [])],
  };
}

const MARKS: {
  readonly [State in StepLine['state']]: {
    readonly mark: string;
    readonly color: 'Default' | 'Good' | 'Attention' | 'Accent';
  };
} = {
  waiting: { mark: '○', color: 'Default' },
  running: { mark: '▸', color: 'Accent' },
  done: { mark: '✓', color: 'Good' },
  failed: { mark: '✗', color: 'Attention' },
  unsure: { mark: '?', color: 'Attention' },
};

function renderSteps({ items }: BlockOf<'steps'>, view: View): Element[] {
  // The latest ones are what people look at; the earlier ones become one line.
  const folded = Math.max(0, items.length - view.level.items);
  if (folded > 0) view.isCut = true;
  return items.slice(folded).map(({ state, text, detail }) => {
    const { mark, color } = MARKS[state];
    const weight = state === 'running' ? ({ weight: 'Bolder' } as const) : {};
    return row(
      [plain(mark, view, { color, weight: 'Bolder' })],
      [plain(text, view, { ...weight, ...(state === 'waiting' ? { isSubtle: true } : {}) })],
      detail === undefined ? [] : [plain(detail, view, QUIET)],
    );
  });
}

function renderFacts({ rows }: BlockOf<'facts'>, view: View): Element[] {
  return few(rows, view).map(({ label, value }) => ({
    ...{ type: 'ColumnSet', spacing: 'Small' },
    columns: [
      { type: 'Column', width: 1, items: [plain(label, view, { weight: 'Bolder' })] },
      { type: 'Column', width: 2, items: [paragraph(value, view)] },
    ],
  }));
}

const TONES = { granted: 'good', refused: 'attention', neutral: 'emphasis' } as const;

function renderSignature({ tone, text }: BlockOf<'signature'>, view: View): Element[] {
  return [{ type: 'Container', style: TONES[tone], items: [paragraph(text, view)] }];
}

/** The last one large; the earlier ones folded away. */
function renderPictures({ items }: BlockOf<'pictures'>, view: View): Element[] {
  const images = items.flatMap((link) => imageOf(link, view));
  const earlier = few(images.slice(0, -1).reverse(), view).toReversed();
  const last = images.slice(-1);
  if (earlier.length === 0) return last;
  const small = earlier.map((image) => ({ ...image, spacing: 'Small' as const }));
  return [...folded('Earlier pictures', small, view), ...last];
}

function imageOf({ url, alt }: PictureLink, { publicUrl, level }: View): Image[] {
  const address = safeUrl(url, publicUrl);
  if (address === undefined) return [];
  const altText = clip(alt, Math.min(level.text, 500));
  return [{ type: 'Image', url: address, altText, size: 'Stretch', msTeams: { allowExpand: true } }];
}

/** More columns than these leave a phone no room for words. */
const MOST_COLUMNS = 4;
/** Longer ones are of one line a row, which takes half the bytes. */
const MOST_STACKED = 12;

function renderTable(table: BlockOf<'table'>, view: View): Element[] {
  const { caption, columns, rows } = table;
  if (columns.length > MOST_COLUMNS) return renderStacked(table, view);
  const alignments = columns.map(({ align }) => (align === 'right' ? ('Right' as const) : ('Left' as const)));
  const line = (cells: readonly Element[]) =>
    ({ type: 'TableRow', cells: cells.map((cell) => ({ type: 'TableCell', items: [cell] }) as const) }) as const;
  return [
    plain(caption, view, { weight: 'Bolder' }),
    {
      ...{ type: 'Table', firstRowAsHeader: true, showGridLines: false },
      columns: columns.map((_, index) => ({
        width: index === 0 ? 1 : 2,
        horizontalCellContentAlignment: alignments[index] ?? 'Left',
      })),
      rows: [
        line(columns.map(({ label }) => plain(label, view, { weight: 'Bolder' }))),
        ...few(rows, view).map((cells) => line(columns.map((_, index) => paragraph(cells[index] ?? [], view)))),
      ],
    },
  ];
}

/** A wide table as rows of two lines: the column that says most, and quietly beneath it the others. */
function renderStacked({ caption, columns, rows }: BlockOf<'table'>, view: View): Element[] {
  const last = columns.length - 1;
  const hasDetail = columns[last]?.align === 'right';
  const beneath = columns.map((_, index) => index).slice(1, hasDetail ? last : undefined);
  // What says the same in many rows says little.
  const says = columns.map(
    (_, index) => [...new Set(rows.map((cells) => wordsOf(withoutTimes(cells[index] ?? []))))].join('').length,
  );
  const main = beneath.reduce(
    (most, index) => ((says[index] ?? 0) > (says[most] ?? 0) ? index : most),
    beneath[0] ?? 0,
  );
  const others = beneath.filter((index) => index !== main);
  const quiet = (cells: readonly RichText[]): RichText =>
    others.flatMap((index, place) => [
      ...(place === 0 ? [] : [{ kind: 'text', text: ' · ' } as const]),
      ...(cells[index] ?? []),
    ]);
  const { text: most } = view.level;
  const inOneLine = (cells: readonly RichText[]): Element => {
    const detail: RichText = hasDetail ? [{ kind: 'text', text: ' · ' }, ...(cells[last] ?? [])] : [];
    const text = cells[main] ?? [];
    if (lengthOf(text) > most) view.isCut = true;
    const inlines = [
      ...runsOf([...(cells[0] ?? []), { kind: 'text', text: '  ' }], most, { isSubtle: true }),
      ...runsOf([...text, { kind: 'text', text: '  ' }], most),
      ...runsOf([...quiet(cells), ...detail], most, QUIET),
    ];
    return { type: 'RichTextBlock', inlines, spacing: 'Small' };
  };
  const labels = columns.map(({ label }): RichText => [{ kind: 'text', text: label }]);
  return [
    plain(caption, view, { weight: 'Bolder' }),
    paragraph(quiet(labels), view, QUIET),
    ...few(rows, view).map((cells) => {
      if (rows.length > MOST_STACKED) return inOneLine(cells);
      return row(
        [paragraph(cells[0] ?? [], view, { isSubtle: true })],
        [paragraph(cells[main] ?? [], view), { ...paragraph(quiet(cells), view, QUIET), spacing: 'None' }],
        hasDetail ? [paragraph(cells[last] ?? [], view, QUIET)] : [],
      );
    }),
  ];
}

function withoutTimes(text: RichText): RichText {
  return text.filter(({ kind }) => kind !== 'time');
}

function renderDetails({ summary, blocks }: BlockOf<'details'>, view: View): Element[] {
  const inner = blocks.flatMap((block) => render(block, view));
  return inner.length === 0 ? [] : folded(summary, inner, view);
}

/** Hidden until the button beside it is pressed, which asks nobody. */
function folded(title: string, items: readonly Element[], view: View): Element[] {
  const id = `folded-${++view.ids}`;
  const toggle = { type: 'Action.ToggleVisibility', title: clip(title, LIMITS.button), targetElements: [id] } as const;
  return [
    { type: 'ActionSet', actions: [toggle] },
    { type: 'Container', id, isVisible: false, style: 'emphasis', items },
  ];
}

function renderActions({ buttons, thread }: BlockOf<'actions'>, view: View): Element[] {
  const to = thread ?? view.thread;
  const actions = buttons
    .filter((button) => isFor(view.viewer, button))
    .flatMap((button) => renderButton(button, to, view));
  const rows = Math.ceil(actions.length / LIMITS.buttonsInRow);
  return Array.from({ length: rows }, (_, index): ActionSet => {
    const from = index * LIMITS.buttonsInRow;
    return { type: 'ActionSet', actions: actions.slice(from, from + LIMITS.buttonsInRow) };
  });
}

const STYLES = { primary: { style: 'positive' }, danger: { style: 'destructive' }, plain: {} } as const;

function renderButton(
  { label, style, action, value, url, confirm }: Button,
  to: ThreadRef | undefined,
  view: View,
): Action[] {
  const title = clip(label, LIMITS.button) || ' ';
  const address = url === undefined ? undefined : safeUrl(url);
  if (url !== undefined && address === undefined) return [];
  // A value that was cut would be another one: such a button is not shown.
  if (Buffer.byteLength(JSON.stringify(value)) > LIMITS.value || view.buttons >= LIMITS.buttons) {
    view.isCut = true;
    return [];
  }
  view.buttons++;
  if (url !== undefined && address !== undefined) {
    const token = view.dialogs?.get(url);
    const open: Action = { type: 'Action.OpenUrl', title, url: address, ...STYLES[style] };
    const data = { msteams: { type: 'task/fetch' }, connect: token ?? '' } as const;
    return token === undefined ? [open] : [open, { type: 'Action.Submit', title: 'Enter it here', data }];
  }
  const execute = executeOf(title, action, value, to && (view.written?.(to) ?? to.ref));
  if (!confirm || confirm.isExtra) return [{ ...execute, ...STYLES[style] }];
  const yes = { ...execute, title: clip(confirm.yes, LIMITS.button), ...(confirm.isSafe ? {} : STYLES.danger) };
  const asked: readonly Element[] = [
    plain(confirm.title, view, { weight: 'Bolder' }),
    plain(confirm.text, view),
    { type: 'ActionSet', actions: [yes] },
  ];
  // Asked in the card itself: nobody has to be reached for the question.
  return [
    { type: 'Action.ShowCard', title, ...STYLES[style], card: { type: 'AdaptiveCard', version: '1.5', body: asked } },
  ];
}

function executeOf(title: string, action: string, value: string, thread: string | undefined): Execute {
  const data: PressedData = { ...{ action, value }, ...(thread === undefined ? {} : { thread }) };
  return { type: 'Action.Execute', title, verb: action, data };
}
