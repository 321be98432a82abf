import type { Block, Card, RichText } from '../../core/ports/chat.ts';
import { memberNamed } from './operation.ts';

export const approver = memberNamed('Approver', '3', ['merchant', 'approver']);
export const admin = memberNamed('Admin', '4', ['merchant', 'admin']);
export const nobodyYet = {
  ...{ approvers: [approver], admins: [admin], lack: undefined },
  rules: { approvalsRequired: 1, approverGroup: null },
};

/** What the chain of an operation says of itself. */
export const record = { entries: 12, seq: 412n, hash: `5be0aa${'0'.repeat(58)}`, isIntact: true };

function words(text: RichText): string {
  return text
    .map((span) =>
      span.kind === 'time' ? span.at.toISOString() : span.kind === 'person' ? span.person.name : span.text,
    )
    .join('');
}

/** Everything that a card says, folded parts included. */
export function saidBy(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      switch (block.kind) {
        case 'heading':
        case 'text':
        case 'signature':
          return words(block.text);
        case 'list':
          return block.items.map((item) => `${words(item.text)} ${item.detail ?? ''}`).join('\n');
        case 'facts':
          return block.rows.map((row) => `${row.label} ${words(row.value)}`).join('\n');
        case 'steps':
          return block.items.map((item) => `${item.state} ${item.text}`).join('\n');
        case 'details':
          return `${block.summary}\n${saidBy(block.blocks)}`;
        default:
          return '';
      }
    })
    .join('\n');
}

export const said = (card: Card) => saidBy(card.blocks);
export const buttonsOf = (card: Card | undefined) =>
  (card?.blocks ?? []).flatMap((block) => (block.kind === 'actions' ? block.buttons : []));
export const labels = (card: Card) => buttonsOf(card).map((button) => button.label);
