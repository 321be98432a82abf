import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Card } from '../../core/ports/chat.ts';
import { at, called, type Deciders, lackWords } from './consent-parts.ts';
import { code, place, text } from './text.ts';

/**
 * A message of its own, which calls the admins: a card that is edited in place tells nobody that what it asks can't be had
 * any more. Without a lack it is settled.
 */
export function lackCard(operation: Operation, { lack, admins }: Pick<Deciders, 'lack' | 'admins'>): Card {
  const { id } = operation;
  if (lack === undefined || operation.state !== 'awaiting_consent') {
    const words = `The word about who may approve ${id} is settled: see its card above.`;
    return { summary: words, blocks: [{ kind: 'text', tone: 'quiet', text: [text(words)] }] };
  }
  const words = lackWords(lack, operation, admins);
  return {
    summary: `${id} waits in vain: ${words}`,
    blocks: [
      { kind: 'text', tone: 'warning', text: [...called(admins), code(id), text(` waits in vain. ${words}`)] },
      {
        kind: 'actions',
        buttons: [{ label: 'Choose approvers', style: 'primary', action: 'choose_approvers', value: id }],
      },
    ],
  };
}

/** Half of the time is over: those who may approve are named once more. */
export function reminderCard(operation: Operation, people: Pick<Deciders, 'approvers' | 'admins' | 'lack'>): Card {
  const title = `${operation.type.title} for ${place(operation.plan.base)}`;
  const { request } = operation;
  if (operation.state !== 'awaiting_consent' || !request) {
    const words = `The reminder about ${operation.id} is settled: see its card above.`;
    return { summary: words, blocks: [{ kind: 'text', tone: 'quiet', text: [text(words)] }] };
  }
  const { approvers, admins, lack } = people;
  return {
    summary: `Still waiting for approval: ${title}`,
    blocks: [
      {
        kind: 'text',
        text: [
          ...called(approvers),
          text(`“${title}” still waits for approval. It lapses`),
          ...at(request.expiresAt),
          text('. The card above has the buttons.'),
        ],
      },
      ...(lack === undefined
        ? []
        : [{ kind: 'text', tone: 'warning', text: [text(lackWords(lack, operation, admins))] } satisfies Block]),
    ],
  };
}
