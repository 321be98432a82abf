import type { Operation } from '../../core/operations/operation.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Card, Span } from '../../core/ports/chat.ts';
import type { OperationTypeDefinition } from '../../core/services/service.ts';
import { place, text } from './text.ts';

/** The steps for doing it by hand. */
export function guideCard(operation: Operation): Card {
  const { type, plan } = operation;
  return stepsCard(type, plan.base, { ...plan.values, label: plan.label }, standing(operation));
}

/** The same where nothing else is done: nobody asked for it to be. */
export function guideOnlyCard(type: OperationTypeDefinition, base: string, permissions: readonly string[]): Card {
  const words = 'I only say how it is done here: an admin has chosen that.';
  return stepsCard(type, base, { ...type.values(permissions), label: 'Countersign' }, words);
}

function stepsCard(
  type: OperationTypeDefinition,
  base: string,
  values: Readonly<Record<string, string>>,
  remark: string,
): Card {
  const title = `${type.title} for ${place(base)}, by hand`;
  const steps = type.guide(base, values);
  return {
    summary: title,
    blocks: [
      { kind: 'heading', text: [text(title)] },
      { kind: 'list', isNumbered: true, items: steps.map((step) => ({ text: withLinks(step) })) },
      {
        kind: 'text',
        tone: 'quiet',
        text: [text(`Keep the key out of chat. ${remark}`.trim())],
      },
    ],
  };
}

/** Addresses become links, which not every chat makes of them by itself. */
function withLinks(step: string): Span[] {
  return step
    .split(/(https?:\/\/[^\s)]*[^\s).,;:!?])/)
    .filter((part) => part !== '')
    .map((part) => (/^https?:\/\//.test(part) ? { kind: 'link', text: shortened(part), url: part } : text(part)));
}

/** An address that fills a form in is longer than anybody reads. */
function shortened(address: string): string {
  return address.length > 60 ? `${address.slice(0, 59)}…` : address;
}

/** What becomes of the request that somebody does by hand. */
function standing({ state }: Operation): string {
  if (isEnd(state)) return '';
  return state === 'awaiting_consent'
    ? 'The request above stays open: approve it, deny it, or let it expire.'
    : 'The request above stays open: stop it if you do this by hand, so that no second key is made.';
}
