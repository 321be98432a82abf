import { type Html, html } from '../../core/markup.ts';
import type { Block, Button, Card, PictureLink, RichText, Span, StepLine } from '../../core/ports/chat.ts';
import { icons } from './icons.ts';

/** For whom, and as part of which message, a card is drawn. */
export interface CardView {
  readonly userId: string;
  readonly messageId: string;
  /** Of an address's origins, those that are this page: pictures and links there are made relative to it. */
  readonly ownOrigins: ReadonlySet<string>;
}

type BlockOf<Kind extends Block['kind']> = Extract<Block, { kind: Kind }>;

/** Draws a card. A card of sentences alone is drawn like a message; anything else gets a frame. */
export function renderCard(card: Card, view: CardView): Html {
  const isBare = card.blocks.every(({ kind }) => kind === 'text');
  const blocks = card.blocks.length === 0 ? html`<p class="text">${card.summary}</p>` : renderBlocks(card.blocks, view);
  return html`<div class="${isBare ? 'bare' : 'card'}">${blocks}</div>`;
}

const drawers: { readonly [Kind in Block['kind']]: (block: BlockOf<Kind>, view: CardView) => Html } = {
  heading: ({ text }, view) => html`<h2 class="heading">${renderText(text, view)}</h2>`,
  text: renderParagraph,
  list: renderList,
  steps: ({ items }) => html`<ol class="steps" role="list">${items.map(renderStep)}</ol>`,
  facts: ({ rows }, view) =>
    html`<dl class="facts">${rows.map(({ label, value }) => html`<div><dt>${label}</dt><dd>${renderText(value, view)}</dd></div>`)}</dl>`,
  signature: ({ tone, text }, view) => html`<p class="signature ${tone}">${renderText(text, view)}</p>`,
  pictures: renderPictures,
  table: renderTable,
  details: ({ summary, blocks }, view) =>
    html`<details class="fold"><summary>${summary}</summary><div class="folded">${renderBlocks(blocks, view)}</div></details>`,
  actions: ({ buttons }, view) =>
    html`<div class="actions">${buttons.filter(isFor(view)).map((button) => renderButton(button, view))}</div>`,
  feedback: (block, view) =>
    html`<div class="actions">${feedbackButtons(block).map((button) => renderButton(button, view))}</div>`,
};

function feedbackButtons({ action, good, bad }: BlockOf<'feedback'>): readonly Button[] {
  const plain = { style: 'plain', action } as const;
  return [
    { ...plain, label: 'This helped', value: good },
    { ...plain, label: 'It did not', value: bad },
  ];
}

function renderBlocks(blocks: readonly Block[], view: CardView): readonly Html[] {
  return blocks.map((block) => {
    // The registry's type pairs each kind with the function for that kind; TypeScript can't follow the pairing through a union.
    const draw = drawers[block.kind] as (block: Block, view: CardView) => Html;
    return draw(block, view);
  });
}

function renderText(text: RichText, view: CardView): readonly Html[] {
  return text.map((span) => renderSpan(span, view));
}

function renderSpan(span: Span, view: CardView): Html {
  switch (span.kind) {
    case 'text':
      return html`${span.text}`;
    case 'bold':
      return html`<b>${span.text}</b>`;
    case 'code':
      return html`<code>${span.text}</code>`;
    case 'time':
      return renderTime(span.at, span.form);
    case 'person':
      return html`<span class="person">${span.person.name}</span>`;
    case 'link': {
      const url = safeUrl(span.url, view);
      if (url === undefined) return html`${span.text}`;
      return html`<a href="${url}" target="_blank" rel="noopener">${span.text}</a>`;
    }
    default:
      return span satisfies never;
  }
}

/** The page's script writes it again in the reader's own time zone; until then, and without script, it is this computer's. */
export function renderTime(at: Date, form: 'time' | 'datetime' | 'message'): Html {
  if (Number.isNaN(at.getTime())) return html`an unknown time`;
  const time = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  const day = at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  const text = form === 'datetime' ? `${day}, ${time}` : time;
  return html`<time datetime="${at.toISOString()}" data-form="${form}">${text}</time>`;
}

function renderParagraph({ text, tone = 'plain' }: BlockOf<'text'>, view: CardView): Html {
  const warning = tone === 'warning' && html`<span class="unseen">Warning: </span>`;
  return html`<p class="text${tone !== 'plain' && ` ${tone}`}">${warning}${renderText(text, view)}</p>`;
}

function renderList({ isNumbered = false, items }: BlockOf<'list'>, view: CardView): Html {
  const rows = items.map(
    ({ text, detail }) =>
      html`<li><span>${renderText(text, view)}</span>${detail !== undefined && html`<span class="detail">${detail}</span>`}</li>`,
  );
  return isNumbered
    ? html`<ol class="list numbered" role="list">${rows}</ol>`
    : html`<ul class="list" role="list">${rows}</ul>`;
}

const stepWords: { readonly [State in StepLine['state']]: string } = {
  waiting: 'Waiting',
  running: 'Now',
  done: 'Done',
  failed: 'Failed',
  unsure: 'Not sure',
};

function renderStep({ state, text, detail }: StepLine): Html {
  return html`<li class="${state}"><span class="mark">${icons[state]}</span><span><span class="unseen">${stepWords[state]}: </span>${text}</span>${detail !== undefined && html`<span class="detail">${detail}</span>`}</li>`;
}

function renderPictures({ items }: BlockOf<'pictures'>, view: CardView): Html {
  const last = items.at(-1);
  if (!last) return html``;
  const earlier = items.slice(0, -1);
  const strip =
    earlier.length > 0 &&
    html`<ul class="strip" role="list">${earlier.map((picture) => html`<li>${renderPicture(picture, 'small', view)}</li>`)}</ul>`;
  return html`<div class="pictures">${strip}${renderPicture(last, 'large', view)}</div>`;
}

/** A link to the picture itself; the page's script enlarges it in place. */
function renderPicture({ url, alt, width, height }: PictureLink, size: 'small' | 'large', view: CardView): Html {
  const address = safeUrl(url, view);
  if (address === undefined) return html`<p class="text quiet">${alt}</p>`;
  return html`<a class="picture ${size}" href="${address}" target="_blank" rel="noopener" data-picture aria-label="Enlarge: ${alt}"><img src="${address}" alt="${alt}" width="${width}" height="${height}"></a>`;
}

function renderTable({ caption, columns, rows }: BlockOf<'table'>, view: CardView): Html {
  const heads = columns.map(({ label, align }) => html`<th scope="col" class="${align}">${label}</th>`);
  const lines = rows.map(
    (row) =>
      html`<tr>${row.map((cell, index) => html`<td class="${columns[index]?.align ?? 'left'}">${renderText(cell, view)}</td>`)}</tr>`,
  );
  return html`<div class="table" role="region" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption><thead><tr>${heads}</tr></thead><tbody>${lines}</tbody></table></div>`;
}

function isFor({ userId }: CardView): (button: Button) => boolean {
  return (button) => button.for?.some((person) => person.platform === 'web' && person.userId === userId) ?? true;
}

function renderButton(button: Button, view: CardView): Html {
  const url = button.url === undefined ? undefined : safeUrl(button.url, view);
  if (button.url !== undefined) {
    if (url === undefined) return html``;
    return html`<a class="button ${button.style}" href="${url}" target="_blank" rel="noopener">${button.label}<span class="unseen"> (opens a new tab)</span></a>`;
  }
  const { confirm } = button;
  const question =
    confirm &&
    confirm.isExtra !== true &&
    html` data-title="${confirm.title}" data-text="${confirm.text}" data-yes="${confirm.yes}"${confirm.isSafe === true && html` data-safe`}`;
  return html`<form class="act" method="post" action="/messages/${view.messageId}/actions"${question}><input type="hidden" name="as" value="${view.userId}"><input type="hidden" name="action" value="${button.action}"><input type="hidden" name="value" value="${button.value}"><button class="button ${button.style}">${button.label}</button></form>`;
}

/** An address that may stand in a link: a path of this page, or http(s) elsewhere. */
function safeUrl(url: string, view: CardView): string | undefined {
  if (!URL.canParse(url, 'http://same.invalid')) return undefined;
  const parsed = new URL(url, 'http://same.invalid');
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return undefined;
  const isOwn = parsed.origin === 'http://same.invalid' || view.ownOrigins.has(parsed.origin);
  return isOwn ? `${parsed.pathname}${parsed.search}${parsed.hash}` : parsed.href;
}

/** The button with that action and value, if the card shows one that answers with an event. */
export function findButton(card: Card, action: string, value: string): Button | undefined {
  return allBlocks(card.blocks)
    .flatMap((block) =>
      block.kind === 'actions' ? block.buttons : block.kind === 'feedback' ? feedbackButtons(block) : [],
    )
    .find((button) => button.url === undefined && button.action === action && button.value === value);
}

/** The user ids of the people that the card names. */
export function mentionsIn(card: Card): ReadonlySet<string> {
  const spans = allBlocks(card.blocks).flatMap(spansOf);
  return new Set(spans.flatMap((span) => (span.kind === 'person' ? [span.person.userId] : [])));
}

/** What a screen reader hears after an edit: the step that is running now; without steps, a new summary; else nothing. */
export function announcementOf(before: Card | undefined, after: Card): string | undefined {
  const step = currentStep(after);
  if (step !== undefined) return before && currentStep(before) === step ? undefined : step;
  return before?.summary === after.summary ? undefined : after.summary;
}

function currentStep(card: Card): string | undefined {
  const steps = allBlocks(card.blocks).flatMap((block) => (block.kind === 'steps' ? block.items : []));
  const current = steps.find(({ state }) => state === 'running' || state === 'failed' || state === 'unsure');
  return current && `${stepWords[current.state]}: ${current.text}`;
}

function allBlocks(blocks: readonly Block[]): readonly Block[] {
  return blocks.flatMap((block) => (block.kind === 'details' ? [block, ...allBlocks(block.blocks)] : [block]));
}

function spansOf(block: Block): readonly Span[] {
  switch (block.kind) {
    case 'heading':
    case 'text':
    case 'signature':
      return block.text;
    case 'list':
      return block.items.flatMap(({ text }) => text);
    case 'facts':
      return block.rows.flatMap(({ value }) => value);
    case 'table':
      return block.rows.flat(2);
    case 'steps':
    case 'pictures':
    case 'details':
    case 'actions':
    case 'feedback':
      return [];
    default:
      return block satisfies never;
  }
}
