import type { StandingTerms } from '../../core/consent/standing.ts';
import type { Member } from '../../core/customers/customers.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Card } from '../../core/ports/chat.ts';
import { consentValue } from './consent-values.ts';
import { bold, clock, code, person, place, shortHash, text } from './text.ts';

/** A question for a standing consent, as it is asked; and, with `decided`, what became of it. */
export interface StandingQuestionCard {
  readonly operation: Operation;
  readonly terms: StandingTerms;
  readonly planHash: string;
  readonly expiresAt: Date;
  readonly askedBy: Member;
  readonly decided?: { readonly kind: 'granted' | 'denied'; readonly by: Member };
}

/** Exactly the terms: what may be repaired, with which permissions, until when, and which sign-in secrets stay for that. */
export function standingCard({ operation, terms, planHash, expiresAt, askedBy, decided }: StandingQuestionCard): Card {
  const { service, type, way } = operation;
  const title = `Repairs of ${service.name} at ${place(terms.target)}`;
  const value = consentValue(operation.id, planHash);
  const words = type.permissions.filter(({ id }) => terms.permissions.includes(id)).map((each) => each.words);
  const fields = way.kind === 'browser' ? way.fields : [];
  const keeps = fields.filter(({ name }) => terms.keeps.includes(name)).map(({ label }) => label);
  const end: readonly Block[] = decided
    ? [
        {
          kind: 'signature',
          tone: decided.kind === 'granted' ? 'granted' : 'refused',
          text: [text(decided.kind === 'granted' ? 'Countersigned by ' : 'Denied by '), person(decided.by.person)],
        },
      ]
    : [
        {
          kind: 'actions',
          buttons: [
            { label: 'Approve', style: 'primary', action: 'approve_standing', value },
            { label: 'Deny', style: 'danger', action: 'deny_standing', value },
          ],
        },
      ];
  return {
    summary: decided ? `${title}: ${decided.kind}` : `${title}: waits for approval`,
    blocks: [
      { kind: 'heading', text: [text(title)] },
      {
        ...{ kind: 'text', tone: 'quiet' },
        text: [
          text('Asked by '),
          person(askedBy.person),
          text(' · '),
          code(operation.id),
          text(' · terms '),
          code(shortHash(planHash)),
          ...(decided ? [] : [text(' · expires '), clock(expiresAt)]),
        ],
      },
      {
        kind: 'text',
        text: [
          text('When the key stops working, or is about to, a new one is made the way this one was, without asking again, until '),
          { kind: 'time', at: new Date(terms.until), form: 'datetime' },
          text('.'),
        ],
      },
      { kind: 'list', items: words.map((each) => ({ text: [text(each)] })) },
      {
        ...{ kind: 'text', tone: keeps.length > 0 ? 'warning' : 'quiet' },
        text:
          keeps.length > 0
            ? [text('For that these sign-in secrets stay in the vault until then: '), bold(keeps.join(', '))]
            : [text('No sign-in secret is kept for it.')],
      },
      ...end,
    ],
  };
}
