import type { Block, Button, Card, RichText, Span } from '../../core/ports/chat.ts';

export interface Rendered {
  readonly text: string;
  readonly buttons: readonly Pick<Button, 'label' | 'action' | 'value' | 'url'>[];
  readonly pictures: readonly string[];
}

/** A card as plain text, in which no character means anything, with its buttons and the addresses of its pictures. */
export function renderCard(card: Card): Rendered {
  const blocks = card.blocks.flatMap(unfolded);
  return {
    text: blocks.length === 0 ? card.summary : blocks.flatMap(linesOf).join('\n'),
    buttons: blocks
      .flatMap((block) => (block.kind === 'actions' ? block.buttons : []))
      .map(({ label, action, value, url }) => ({ label, action, value, ...(url === undefined ? {} : { url }) })),
    pictures: blocks.flatMap((block) => (block.kind === 'pictures' ? block.items.map(({ url }) => url) : [])),
  };
}

function unfolded(block: Block): readonly Block[] {
  return block.kind === 'details' ? [heading(block.summary), ...block.blocks.flatMap(unfolded)] : [block];
}

function heading(text: string): Block {
  return { kind: 'heading', text: [{ kind: 'text', text }] };
}

function linesOf(block: Block): readonly string[] {
  switch (block.kind) {
    case 'heading':
    case 'text':
    case 'signature':
      return [words(block.text)];
    case 'list':
      return block.items.map(({ text, detail }) => [words(text), detail].filter(Boolean).join(' · '));
    case 'steps':
      return block.items.map(({ state, text, detail }) => [state, text, detail].filter(Boolean).join(' · '));
    case 'facts':
      return block.rows.map(({ label, value }) => `${label}: ${words(value)}`);
    case 'table':
      return [block.caption, ...block.rows.map((row) => row.map(words).join(' | '))];
    case 'pictures':
    case 'details':
    case 'actions':
    case 'feedback':
      return [];
    default:
      return block satisfies never;
  }
}

function words(text: RichText): string {
  return text.map(span).join('');
}

function span(part: Span): string {
  if (part.kind === 'person') return part.person.name;
  if (part.kind === 'time') return part.at.toISOString();
  return part.kind === 'link' ? `${part.text} (${part.url})` : part.text;
}
