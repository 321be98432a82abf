import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Card } from '../../core/ports/chat.ts';
import { at, called, type Deciders, lackWords } from './consent-parts.ts';
import { allOf, code, place, text } from './text.ts';

/** An operation whose question was called to mind, and who could decide on it. */
export interface Reminded {
  readonly operation: Operation;
  readonly people: Pick<Deciders, 'approvers' | 'admins' | 'lack'>;
}

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

/** Half of the time is over: those who may approve are named once more, and once where one card asks about several. */
export function reminderCard(all: readonly Reminded[]): Card {
  const open = all.filter(({ operation: { state, request } }) => state === 'awaiting_consent' && request !== null);
  const [first, second] = open;
  if (!first) {
    const ids = allOf(all.map(({ operation }) => operation.id));
    const words = `The reminder about ${ids} is settled: see ${all.length > 1 ? 'their' : 'its'} card above.`;
    return { summary: words, blocks: [{ kind: 'text', tone: 'quiet', text: [text(words)] }] };
  }
  const titles = open.map(({ operation: { type, plan } }) => `${type.title} for ${place(plan.base)}`);
  const named = allOf(titles.map((title) => `“${title}”`));
  const approvers = new Map(open.flatMap(({ people }) => people.approvers.map((member) => [member.id, member])));
  const lacking = open.find(({ people }) => people.lack !== undefined);
  const lack = lacking?.people.lack;
  return {
    summary: `Still waiting for approval: ${allOf(titles)}`,
    blocks: [
      {
        kind: 'text',
        text: [
          ...called([...approvers.values()]),
          text(
            second ? `${named} still wait for approval. They lapse` : `${named} still waits for approval. It lapses`,
          ),
          ...at(first.operation.request?.expiresAt),
          text('. The card above has the buttons.'),
        ],
      },
      ...(lack === undefined || !lacking
        ? []
        : [
            {
              ...{ kind: 'text', tone: 'warning' },
              text: [text(lackWords(lack, lacking.operation, lacking.people.admins))],
            } satisfies Block,
          ]),
    ],
  };
}
