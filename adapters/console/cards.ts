import { type Html, html } from '../../core/markup.ts';
import type { Block, Card, RichText, Span, StepLine } from '../../core/ports/chat.ts';
import { time } from './words.ts';

type BlockOf<Kind extends Block['kind']> = Extract<Block, { kind: Kind }>;

/** What a thread shows, drawn for reading: buttons are the console's own. `level`: of its headings. */
export function drawCard(card: Card, level: 2 | 3 = 2): Html {
  if (card.blocks.length === 0) return html`<p>${card.summary}</p>`;
  return html`<div class="shown">${drawBlocks(card.blocks, level)}</div>`;
}

const drawers: { readonly [Kind in Block['kind']]: (block: BlockOf<Kind>, level: 2 | 3) => Html } = {
  heading: ({ text }, level) => (level === 2 ? html`<h2>${spans(text)}</h2>` : html`<h3>${spans(text)}</h3>`),
  text: ({ text, tone = 'plain' }) =>
    html`<p class="${tone}">${tone === 'warning' && html`<span class="unseen">Warning: </span>`}${spans(text)}</p>`,
  list: ({ items, isNumbered = false }) => {
    const rows = items.map(
      ({ text, detail }) =>
        html`<li><span>${spans(text)}</span>${detail !== undefined && html`<span class="detail">${detail}</span>`}</li>`,
    );
    return isNumbered
      ? html`<ol class="list numbered" role="list">${rows}</ol>`
      : html`<ul class="list" role="list">${rows}</ul>`;
  },
  steps: ({ items }) => html`<ol class="list numbered" role="list">${items.map(drawStep)}</ol>`,
  facts: ({ rows }) =>
    html`<dl class="facts">${rows.map(({ label, value }) => html`<div><dt>${label}</dt><dd>${spans(value)}</dd></div>`)}</dl>`,
  signature: ({ tone, text }) => html`<p class="signature ${tone}">${spans(text)}</p>`,
  pictures: ({ items }) => html`<ul>${items.map(({ alt }) => html`<li>${alt}</li>`)}</ul>`,
  table: ({ caption, columns, rows }) =>
    html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table><thead><tr>${columns.map(({ label, align }) => html`<th scope="col" class="${align}">${label}</th>`)}</tr></thead><tbody>${rows.map((row) => html`<tr>${row.map((cell, index) => html`<td class="${columns[index]?.align ?? 'left'}">${spans(cell)}</td>`)}</tr>`)}</tbody></table></div>`,
  details: ({ summary, blocks }, level) =>
    html`<details><summary>${summary}</summary><div class="folded">${drawBlocks(blocks, level)}</div></details>`,
  actions: () => html``,
  feedback: () => html``,
};

function drawBlocks(blocks: readonly Block[], level: 2 | 3): readonly Html[] {
  return blocks.map((block) => {
    // The registry's type pairs each kind with its function; TypeScript can't follow the pairing through a union.
    const draw = drawers[block.kind] as (block: Block, level: 2 | 3) => Html;
    return draw(block, level);
  });
}

const STEP_WORDS: { readonly [State in StepLine['state']]: string } = {
  waiting: 'Waiting',
  running: 'Now',
  done: 'Done',
  failed: 'Failed',
  unsure: 'Not sure',
};

function drawStep({ state, text, detail }: StepLine): Html {
  return html`<li><span>${STEP_WORDS[state]}: ${text}</span>${detail !== undefined && html`<span class="detail">${detail}</span>`}</li>`;
}

function spans(text: RichText): readonly Html[] {
  return text.map(drawSpan);
}

function drawSpan(span: Span): Html {
  switch (span.kind) {
    case 'text':
      return html`${span.text}`;
    case 'bold':
      return html`<b>${span.text}</b>`;
    case 'code':
      return html`<code>${span.text}</code>`;
    case 'time':
      return time(span.at, span.form === 'time' ? 'time' : 'date');
    case 'person':
      return html`<b>${span.person.name}</b>`;
    case 'link':
      return /^https?:\/\//.test(span.url)
        ? html`<a href="${span.url}" target="_blank" rel="noopener noreferrer">${span.text}</a>`
        : html`${span.text}`;
    default:
      return span satisfies never;
  }
}
