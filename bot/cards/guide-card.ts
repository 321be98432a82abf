import type { Operation } from '../../core/operations/operation.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Card } from '../../core/ports/chat.ts';
import { place, text } from './text.ts';

/** The steps for doing it by hand. */
export function guideCard(operation: Operation): Card {
  const title = `${operation.type.title} for ${place(operation.plan.base)}, by hand`;
  const steps = operation.type.guide(operation.plan.base, { ...operation.plan.values, label: operation.plan.label });
  return {
    summary: title,
    blocks: [
      { kind: 'heading', text: [text(title)] },
      { kind: 'list', isNumbered: true, items: steps.map((step) => ({ text: [text(step)] })) },
      {
        kind: 'text',
        tone: 'quiet',
        text: [text(`Keep the key out of chat. ${standing(operation)}`.trim())],
      },
    ],
  };
}

/** What becomes of the request that somebody does by hand. */
function standing({ state }: Operation): string {
  if (isEnd(state)) return '';
  return state === 'awaiting_consent'
    ? 'The request above stays open: approve it, deny it, or let it expire.'
    : 'The request above stays open: stop it if you do this by hand, so that no second key is made.';
}
