import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Button, Card, RichText } from '../../core/ports/chat.ts';
import type { Way } from '../../core/services/service.ts';
import { waysAt } from '../../core/services/ways.ts';
import { stateWords } from './audit-card.ts';
import {
  audience,
  type Deciders,
  decided,
  described,
  granted,
  held,
  lackWords,
  soFar,
  whoMay,
  widening,
  withdraw,
} from './consent-parts.ts';
import { consentValue, wayValue } from './consent-values.ts';
import { repairNote } from './standing-card.ts';
import { clock, code, daytime, person, place, shortHash, text } from './text.ts';

/** The question, and later who answered it, when and how. */
export function consentCard(operation: Operation, people: Deciders): Card {
  const title = `${operation.type.title} for ${place(operation.plan.base)}`;
  return {
    summary: `${title}: ${standing(operation)}`,
    ...waiting(operation),
    blocks: [
      { kind: 'heading', text: [text(title)] },
      ...repairNote(operation),
      { kind: 'text', tone: 'quiet', text: provenance(operation) },
      ...described(operation),
      ...held(operation, people),
      ...(operation.state === 'awaiting_consent' ? question(operation, people) : decided(operation)),
    ],
  };
}

function provenance(operation: Operation): RichText {
  const { requester, id, planHash, request, retryOf, plan } = operation;
  const { repair } = plan;
  const isOpen = operation.state === 'awaiting_consent' && request;
  return [
    text(repair ? 'For ' : 'Asked by '),
    person(requester.person),
    text(' · '),
    code(id),
    text(' · plan '),
    code(shortHash(planHash)),
    ...(retryOf ? [text(' · tries '), code(retryOf), text(' again')] : []),
    ...(isOpen ? [text(' · expires '), repair ? daytime(request.expiresAt) : clock(request.expiresAt)] : []),
  ];
}

/** The two decisions alone, for where the card itself is not: Approve says once more what is agreed to. */
export function decisionButtons(operation: Operation): readonly Button[] {
  const value = consentValue(operation.id, operation.planHash);
  return [
    { label: 'Approve', style: 'primary', action: 'approve', value, confirm: approval(operation) },
    { label: 'Deny', style: 'danger', action: 'deny', value },
  ];
}

export function question(operation: Operation, people: Deciders): readonly Block[] {
  const value = consentValue(operation.id, operation.planHash);
  const to = audience(operation, people);
  const change: Button = {
    ...{ label: 'Choose permissions', style: 'plain', action: 'choose_permissions', value },
    ...to.change,
  };
  const guide: Button = { label: 'How to do it by hand', style: 'plain', action: 'guide', value: operation.id };
  const others = otherWays(operation, people).map(
    (way): Button => ({
      ...{ label: way.label, style: 'plain', action: 'choose_way', value: wayValue(operation, way.id) },
      ...to.change,
    }),
  );
  if (people.lack === 'nobody' || people.lack === 'own')
    return [
      ...widening(operation),
      { kind: 'text', tone: 'warning', text: [text(lackWords(people.lack, operation, people.admins))] },
      {
        kind: 'actions',
        buttons: [
          {
            ...{ label: 'Choose approvers', style: 'primary', action: 'choose_approvers', value: operation.id },
            for: people.admins.map(({ person }) => person),
          },
          // Whoever added too much can take it away again, and then decide.
          ...(operation.widened.length > 0 ? [change] : []),
          ...others,
          guide,
          withdraw(operation),
        ],
      },
    ];
  return [
    ...widening(operation),
    ...soFar(operation, people),
    { kind: 'text', tone: 'quiet', text: [text(whoMay(people))] },
    {
      kind: 'actions',
      buttons: [
        { label: 'Approve', style: 'primary', action: 'approve', value, ...to.approve, confirm: approval(operation) },
        { label: 'Deny', style: 'danger', action: 'deny', value, ...to.deny },
        change,
        ...others,
        guide,
        withdraw(operation),
      ],
    },
  ];
}

/** What is agreed to, once more: on a phone the plan may have scrolled away above the button. */
function approval(operation: Operation): NonNullable<Button['confirm']> {
  const may = granted(operation).map((p) => p.words);
  return {
    title: 'Countersign this plan?',
    text: `${operation.type.title} for ${place(operation.plan.base)}: ${may.join('; ')}. Plan ${shortHash(operation.planHash)}.`,
    yes: 'Approve',
    isSafe: true,
    isExtra: true,
  };
}

function otherWays({ type, way }: Operation, { publicUrl }: Deciders): readonly Way[] {
  return waysAt(type, publicUrl).filter(({ id }) => id !== way.id);
}

/** Later on it is the operation's other messages that say where it stands. */
export function waiting({ state, way }: Operation): Pick<Card, 'status'> {
  if (state === 'awaiting_consent') return { status: { tone: 'waiting', words: 'Waiting for approval' } };
  if (state === 'awaiting_credentials')
    return { status: { tone: 'waiting', words: `Waiting for the ${way.kind !== 'browser' ? 'key' : 'sign-in'}` } };
  return {};
}

export function standing(operation: Operation): string {
  if (operation.state === 'awaiting_consent') return 'waiting for approval';
  if (operation.state === 'awaiting_credentials')
    return `countersigned, waiting for the ${operation.way.kind !== 'browser' ? 'key' : 'sign-in'}`;
  if (operation.grant) return 'countersigned';
  return operation.state === 'failed' ? 'ended' : stateWords(operation.state);
}
