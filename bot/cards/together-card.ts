import type { Operation } from '../../core/operations/operation.ts';
import type { Block, Button, Card, CardStatus, RichText } from '../../core/ports/chat.ts';
import { question, standing, waiting } from './consent-card.ts';
import {
  at,
  audience,
  type Deciders,
  decided,
  described,
  granted,
  held,
  lackWords,
  seenByModel,
  soFar,
  whoMay,
  widening,
} from './consent-parts.ts';
import { togetherValue } from './consent-values.ts';
import { allOf, code, person, place, shortHash, text } from './text.ts';

/** One of the operations that a card asks about, and who could decide on it. */
export interface Asked {
  readonly operation: Operation;
  readonly people: Deciders;
}

/**
 * Several requests that were made in one go, each with its own plan under its own heading. As long as two of them or more
 * wait they are decided together; the last one that waits has its own buttons, and so has each once they are asked apart.
 */
export function togetherCard(all: readonly Asked[], isSplit: boolean): Card {
  const [first] = all;
  const title = `Set up ${allOf(all.map(({ operation }) => operation.service.name))}`;
  if (!first) return { summary: title, blocks: [] };
  if (isSplit) return apart(title);
  const open = all.filter(({ operation }) => operation.state === 'awaiting_consent');
  const isOneQuestion = open.length > 1;
  const sections = all.flatMap((asked, index) => section(asked, index + 1, isOneQuestion));
  return {
    summary: `${title}: ${standings(all)}`,
    ...statusOf(all),
    blocks: [
      { kind: 'heading', text: [text(title)] },
      { kind: 'text', tone: 'quiet', text: provenance(all.map(({ operation }) => operation)) },
      ...sections,
      ...(all.map(({ operation }) => seenByModel(operation)).find(({ length }) => length > 0) ?? []),
      ...held((open[0] ?? first).operation, (open[0] ?? first).people),
      ...(isOneQuestion ? oneQuestion(open, lengthOf(sections) > LONGEST) : []),
    ],
  };
}

/** They stand in cards of their own further down. */
function apart(title: string): Card {
  const words = `${title}: asked one at a time now. Each request has a card of its own below.`;
  return { summary: words, blocks: [{ kind: 'text', tone: 'quiet', text: [text(words)] }] };
}

function provenance(operations: readonly Operation[]): RichText {
  const [first] = operations;
  if (!first) return [];
  const words = ` · ${operations.length} requests, each with a plan of its own`;
  const [soonest] = operations
    .flatMap(({ request }) => (request && request.decision === null ? [request.expiresAt] : []))
    .toSorted((one, other) => one.getTime() - other.getTime());
  const until = soonest ? [text(' · they expire'), ...at(soonest)] : [];
  return [text('Asked by '), person(first.requester.person), text(words), ...until];
}

function section({ operation, people }: Asked, number: number, isOneQuestion: boolean): readonly Block[] {
  const { type, plan, id, planHash, state } = operation;
  const answer = () => {
    if (state !== 'awaiting_consent') return decided(operation, true);
    return isOneQuestion ? [...widening(operation), ...soFar(operation, people)] : question(operation, people);
  };
  return [
    { kind: 'heading', text: [text(`${number}. ${type.title} for ${place(plan.base)}`)] },
    { kind: 'text', tone: 'quiet', text: [code(id), text(' · plan '), code(shortHash(planHash))] },
    ...described(operation, false),
    ...answer(),
  ];
}

/** In characters: a platform cuts what is longer, and nobody approves what was cut off. Slack's own limit is 12,000. */
const LONGEST = 11_000;

/** How much there is to read in it. */
function lengthOf(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0;
  return Object.entries(value).reduce<number>(
    (sum, [key, each]) => sum + (typeof each === 'string' ? (WORDS.has(key) ? each.length : 0) : lengthOf(each)),
    0,
  );
}
const WORDS = new Set(['text', 'detail', 'label', 'summary']);

/** The buttons that decide on all of those that wait. */
function oneQuestion(open: readonly Asked[], isTooLong: boolean): readonly Block[] {
  const [first] = open;
  if (!first) return [];
  const operations = open.map(({ operation }) => operation);
  const value = togetherValue(operations);
  const every = open.length === 2 ? 'both' : `all ${open.length}`;
  const audiences = open.map(({ operation, people }) => audience(operation, people));
  const split: Button = {
    ...{ label: 'One at a time', style: 'plain', action: 'split_together', value },
    ...anyOf(audiences.map(({ change }) => change)),
  };
  const withdraw: Button = {
    ...{
      label: `Withdraw ${every}`,
      style: 'danger',
      action: 'stop_together',
      value: operations.map(({ id }) => id).join(' '),
    },
    confirm: {
      title: `Withdraw ${every}?`,
      text: 'Nothing was done yet, and nothing will be.',
      yes: 'Withdraw them',
      isSafe: true,
    },
    for: [first.operation.requester.person],
  };
  const stuck = open.find(({ people: { lack } }) => lack === 'nobody' || lack === 'own');
  if (stuck?.people.lack)
    return [
      {
        kind: 'text',
        tone: 'warning',
        text: [text(lackWords(stuck.people.lack, stuck.operation, stuck.people.admins))],
      },
      {
        kind: 'actions',
        buttons: [
          {
            ...{
              label: 'Choose approvers',
              style: 'primary',
              action: 'choose_approvers',
              value: stuck.operation.id,
            },
            for: stuck.people.admins.map((admin) => admin.person),
          },
          split,
          withdraw,
        ],
      },
    ];
  if (isTooLong) {
    const words = 'Together these plans are too long for one message. Look at each on a card of its own.';
    return [
      { kind: 'text', tone: 'warning', text: [text(words)] },
      { kind: 'actions', buttons: [{ ...split, style: 'primary' }, withdraw] },
    ];
  }
  const approve = anyOf(audiences.map((audience) => audience.approve));
  return [
    { kind: 'text', tone: 'quiet', text: [text(`${whoMay(first.people)} ${apartWords(open.length, first.people)}`)] },
    {
      kind: 'actions',
      buttons: [
        {
          ...{ label: `Approve ${every}`, style: 'primary', action: 'approve_together', value, ...approve },
          confirm: agreement(operations),
        },
        {
          ...{ label: `Deny ${every}`, style: 'danger', action: 'deny_together', value },
          ...anyOf(audiences.map(({ deny }) => deny)),
        },
        split,
        withdraw,
      ],
    },
  ];
}

function apartWords(count: number, { rules: { approvalsRequired } }: Deciders): string {
  const these = count === 2 ? 'both plans' : `all ${count} plans`;
  const each = approvalsRequired > 1 ? `, and each goes on once it has ${approvalsRequired} approvals` : '';
  return `A click countersigns ${these} or none${each}; “One at a time” gives each a card with all its choices.`;
}

/** What is agreed to, once more: on a phone the plans may have scrolled away above the button. */
function agreement(operations: readonly Operation[]): NonNullable<Button['confirm']> {
  const each = operations.map((operation) => {
    const { service, plan, planHash } = operation;
    const count = granted(operation).length;
    const where = place(plan.base);
    return `${service.name} for ${where.length > 40 ? `${where.slice(0, 39)}…` : where}: ${count} ${count === 1 ? 'permission' : 'permissions'}, plan ${shortHash(planHash)}`;
  });
  return {
    title: operations.length === 2 ? 'Countersign both plans?' : `Countersign ${operations.length} plans?`,
    text: `${each.join('; ')}.`,
    yes: operations.length === 2 ? 'Approve both' : 'Approve them all',
    isSafe: true,
    isExtra: true,
  };
}

/** Everybody whom one of the buttons is for; without a list each is for everybody. */
function anyOf(audiences: readonly Pick<Button, 'for'>[]): Pick<Button, 'for'> {
  const lists = audiences.flatMap(({ for: people }) => (people ? [people] : []));
  if (lists.length < audiences.length) return {};
  return { for: [...new Map(lists.flat().map((who) => [who.userId, who])).values()] };
}

function standings(all: readonly Asked[]): string {
  const each = all.map(({ operation }) => ({ name: operation.service.name, words: standing(operation) }));
  const isSame = each.every(({ words }) => words === each[0]?.words);
  return isSame ? (each[0]?.words ?? '') : each.map(({ name, words }) => `${name} ${words}`).join(', ');
}

/** What a person has to do next, for whichever of them. */
function statusOf(all: readonly Asked[]): { readonly status?: CardStatus } {
  const each = all.map(({ operation }) => waiting(operation).status);
  const status = each.find((one) => one !== undefined);
  return status ? { status } : {};
}
