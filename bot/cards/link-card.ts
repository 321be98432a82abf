import type { Operation } from '../../core/operations/operation.ts';
import type { Card, Person, RichText } from '../../core/ports/chat.ts';
import { LINK_MINUTES } from '../../core/vault/links.ts';
import { clock, code, note, person, place, text } from './text.ts';

/** Under which key a person is shown one link, and later what became of it. */
export function linkSlot(linkId: string): string {
  return `link:${linkId}`;
}

/** The way to the one-time page, for whoever asked. */
export function linkCard(operation: Operation, url: string): Card {
  const isKey = operation.way.kind !== 'browser';
  const { name } = operation.service;
  const next = {
    granted: `Your one-time page leads to ${place(operation.plan.base)}, where you approve it in ${name} yourself.`,
    entered: `Your one-time page says how you make the ${name} key, and takes it.`,
    browser: `Enter the ${name} sign-in for ${place(operation.plan.base)} on your one-time page.`,
    stored: 'Nothing has to be entered.',
  };
  return oneTimePageCard(operation, url, `It was approved. ${next[operation.way.kind]}`, [
    text('It is used for '),
    code(operation.id),
    text(isKey ? ', and the key is kept only if it is what was approved.' : ' and deleted afterwards.'),
  ]);
}

/** @param use what becomes of what is entered. */
export function oneTimePageCard(operation: Operation, url: string, words: string, use: RichText): Card {
  return {
    summary: words,
    blocks: [
      { kind: 'text', text: [text(words)] },
      {
        kind: 'actions',
        buttons: [{ label: 'Open the one-time page', style: 'primary', action: 'open', value: operation.id, url }],
      },
      { kind: 'text', tone: 'quiet', text: [text(`For you alone, once, for ${LINK_MINUTES} minutes. `), ...use] },
    ],
  };
}

/** The same message once its link leads nowhere any more. */
export function closedLinkCard({ signIn, way }: Operation): Card {
  return closedCard(way.kind !== 'browser', signIn?.at);
}

/** The same for the sign-in that a standing grant keeps. @param at when it was entered; absent: it is not needed any more */
export function closedKeepLinkCard(at: Date | undefined): Card {
  return closedCard(false, at);
}

function closedCard(isKey: boolean, at: Date | undefined): Card {
  const what = isKey ? 'key' : 'sign-in';
  if (!at) return note(`The one-time page is closed: the ${what} is not needed any more.`, 'quiet');
  return {
    summary: `The ${what} was entered. The one-time page is closed.`,
    blocks: [
      {
        kind: 'text',
        tone: 'quiet',
        text: [
          text(isKey ? 'Key entered at ' : 'Sign-in entered at '),
          clock(at),
          text('. The one-time page is closed.'),
        ],
      },
    ],
  };
}

/** The message with the link to the page for a code, once that is settled. */
export function closedCodeLinkCard(): Card {
  return note('The one-time page for the code is closed.', 'quiet');
}

/** The message with the link to a stored key, once the link was used. */
export function usedRevealCard(by: Person, at: Date): Card {
  return {
    summary: `The one-time page was used by ${by.name}.`,
    blocks: [
      {
        kind: 'text',
        tone: 'quiet',
        text: [
          ...[text('The one-time page was used by '), person(by), text(' at '), clock(at)],
          text(' and is closed. Reveal gives another one.'),
        ],
      },
    ],
  };
}
