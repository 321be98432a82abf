import type { StandingState } from '../../core/connections/repair-offer.ts';
import { automaticRepair } from '../../core/connections/repair-plan.ts';
import { REPAIR_PERMISSION } from '../../core/consent/standing.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { RepairCause } from '../../core/operations/plan.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Block, Button, Card, RichText } from '../../core/ports/chat.ts';
import { type Deciders, lackWords, soFar, whoMay } from './consent-parts.ts';
import { consentValue } from './consent-values.ts';
import { allOf, bold, capital, clock, code, daytime, person, place, shortHash, sideOf, text } from './text.ts';

/** On the result: asks for a standing grant. */
export function keepWorking({ id }: Operation): Button {
  return { label: 'Keep it working', style: 'plain', action: 'keep_working', value: id };
}

/**
 * The question for a standing grant, and later what became of it.
 * @param operation as if whoever asked for the grant had asked for it, so that who may decide is said of that
 */
export function standingCard(operation: Operation, state: StandingState, people: Deciders): Card {
  const { service, plan, id } = operation;
  const { terms, request } = state;
  const title = `Keep ${service.name} for ${place(plan.base)} working`;
  const isOpen = request.decision === null;
  const asked: RichText = state.askedBy ? [text('Asked by '), person(state.askedBy.person), text(' · ')] : [];
  return {
    summary: `${title}: ${standingWords(state)}`,
    ...(isOpen ? { status: { tone: 'waiting', words: 'Waiting for approval' } } : {}),
    blocks: [
      { kind: 'heading', text: [text(title)] },
      {
        kind: 'text',
        tone: 'quiet',
        text: [
          ...asked,
          ...[text('for repairs of '), code(id), text(' · terms '), code(shortHash(request.planHash))],
          ...(isOpen ? [text(' · expires '), clock(request.expiresAt)] : []),
        ],
      },
      { kind: 'text', text: [text(whatIsDone(operation))] },
      { kind: 'list', items: permissionsOf(operation, terms.permissions) },
      {
        kind: 'facts',
        rows: [
          { label: 'Until', value: [daytime(new Date(terms.until)), text(', or until somebody revokes it')] },
          { label: 'Kept', value: [text(keptWords(operation, terms.keeps))] },
        ],
      },
      ...stepsOf(state),
      ...(isOpen ? question(operation, state, people) : answered(operation, state)),
    ],
  };
}

function whatIsDone({ service }: Operation): string {
  return `Whenever this key breaks, runs out or is old, I replace it without asking again: a new key is made and proven, takes the old one's place, and the old one is ended in ${sideOf(service)}. Exactly this way and no other; this thread shows each time. At most twice a day.`;
}

/** Folded, as in every question. */
function stepsOf({ steps }: StandingState): readonly Block[] {
  if (steps.length === 0) return [];
  const items = steps.map((step) => ({ text: [text(step)] }));
  return [{ kind: 'details', summary: 'What is done each time', blocks: [{ kind: 'list', isNumbered: true, items }] }];
}

function permissionsOf({ service }: Operation, permissions: readonly string[]) {
  const known = automaticRepair(service)?.type.permissions ?? [];
  return [
    ...known
      .filter(({ id }) => permissions.includes(id))
      .map(({ words, detail }) => ({ text: [text(words)], detail: detailOf(detail) })),
    ...(permissions.includes(REPAIR_PERMISSION)
      ? [{ text: [text('Do so by itself, whenever the key needs it')], detail: 'until that day' }]
      : []),
  ];
}

/** Of one that is done each time, not once; what becomes of the sign-in stands beneath. */
function detailOf(detail: string): string {
  return /password deleted|^once|^one\b/.test(detail) ? 'each time' : detail;
}

function keptWords({ service }: Operation, keeps: readonly string[]): string {
  if (keeps.length === 0) return 'nothing: the stored key does it by its own power';
  const fields = automaticRepair(service)?.way.fields ?? [];
  const labels = fields.filter(({ name }) => keeps.includes(name)).map(({ label }) => lower(label));
  return `${allOf(labels)}, sealed in the vault for these repairs alone, and deleted then`;
}

function lower(label: string): string {
  return label.slice(0, 1).toLowerCase() + label.slice(1);
}

function question(operation: Operation, { request, terms }: StandingState, people: Deciders): readonly Block[] {
  const value = consentValue(operation.id, request.planHash);
  const confirm = {
    title: 'Countersign repairs to come?',
    text: `${operation.service.name} for ${place(operation.plan.base)}: its key is replaced whenever it needs that, until ${terms.until.slice(0, 10)}. Terms ${shortHash(request.planHash)}.`,
    yes: 'Approve',
    isSafe: true,
    isExtra: true,
  };
  const deny: Button = { label: 'Deny', style: 'danger', action: 'deny_standing', value };
  if (people.lack === 'nobody' || people.lack === 'own')
    return [
      { kind: 'text', tone: 'warning', text: [text(lackWords(people.lack, operation, people.admins))] },
      { kind: 'actions', buttons: [deny] },
    ];
  return [
    ...soFar(operation, people),
    { kind: 'text', tone: 'quiet', text: [text(whoMay(people))] },
    {
      kind: 'actions',
      buttons: [{ label: 'Approve', style: 'primary', action: 'approve_standing', value, confirm }, deny],
    },
  ];
}

const ENDED: Readonly<Record<string, string>> = {
  expired: 'Expired: nobody approved it in time',
  cancelled: 'Withdrawn with the key',
};

function answered(operation: Operation, state: StandingState): readonly Block[] {
  const { request, decidedBy, grant, terms, isKept, isRevoked } = state;
  const by: RichText = decidedBy ? [text(' by '), bold(decidedBy.person.name)] : [];
  const at: RichText = request.decidedAt ? [text(' at '), clock(request.decidedAt)] : [];
  if (request.decision !== 'granted')
    return [
      {
        kind: 'signature',
        tone: 'refused',
        text: [text(ENDED[request.decision ?? ''] ?? 'Denied'), ...by, ...at],
      },
    ];
  const signed: Block = { kind: 'signature', tone: 'granted', text: [text('Countersigned'), ...by, ...at] };
  if (!grant) {
    const words = isRevoked ? 'It was revoked: nothing is repaired under it any more.' : 'Its time is over.';
    const kept = terms.keeps.length > 0 ? ' What it kept was deleted.' : '';
    return [signed, { kind: 'text', tone: 'quiet', text: [text(words + kept)] }];
  }
  if (terms.keeps.length === 0 || isKept)
    return [
      signed,
      {
        kind: 'text',
        tone: 'quiet',
        text: [
          text('It is ready. To take it back: /countersign consents. Whoever revokes the key ends its repairs, too.'),
        ],
      },
    ];
  const button: Button = {
    ...{ label: 'Enter the sign-in to keep', style: 'primary', action: 'keep_sign_in', value: operation.id },
    ...(state.askedBy ? { for: [state.askedBy.person] } : {}),
  };
  const who: RichText = state.askedBy ? [person(state.askedBy.person)] : [text('whoever asked')];
  return [
    signed,
    {
      kind: 'text',
      text: [
        text('Waiting for '),
        ...who,
        text(
          ' to enter the sign-in on a one-time page. Never write it here. Until then nothing is repaired by itself.',
        ),
      ],
    },
    { kind: 'actions', buttons: [button] },
  ];
}

function standingWords({ request, grant, isRevoked }: StandingState): string {
  if (request.decision === null) return 'waiting for approval';
  if (request.decision !== 'granted') return request.decision;
  return grant ? 'countersigned' : isRevoked ? 'revoked' : 'over';
}

/** As it is, and, once what was done or asked about it is over, as it was. */
const CAUSES: Readonly<Record<RepairCause, readonly [now: string, then: string]>> = {
  broken: ['its key does not work any more', 'its key did not work any more'],
  expired: ['its key has run out', 'its key had run out'],
  expiring: ['its key runs out soon', 'its key was about to run out'],
  rotation_due: ['its key is old and is to be replaced by a new one', 'its key was old and was to be replaced'],
};

/** Why an operation was begun that nobody asked for, and by whose word; none for the others. */
export function repairNote({ plan, grant, service, state }: Operation): readonly Block[] {
  const { repair } = plan;
  if (!repair) return [];
  const isOver = isEnd(state);
  const [now, then] = CAUSES[repair.cause];
  const at = `${service.name} for ${place(plan.base)}: `;
  const why = `${at}${isOver ? then : now}.`;
  if (repair.consent === undefined) {
    if (isOver) return [{ kind: 'text', tone: 'quiet', text: [text(`${at}${then}, so I asked by myself.`)] }];
    return [
      { kind: 'text', tone: 'warning', text: [text(`${why} I ask by myself; nothing is done unless approved.`)] },
    ];
  }
  const whose = grant ? ` under the standing consent of ${grant.approver.person.name}` : ' under a standing consent';
  return [{ kind: 'text', text: [bold(`Repair${whose}. `), text(why)] }];
}

/** What a repair is for, where it is said by whom something was asked. */
export function byWhom(operation: Operation): string {
  const { plan, grant, requester } = operation;
  if (plan.repair?.consent === undefined) return `Asked by ${requester.person.name}.`;
  return `Repair under the standing consent of ${grant?.approver.person.name ?? requester.person.name}.`;
}

/** Once, when it is not tried any more by itself. */
export function givenUpCard(operation: Operation, tries: number): Card {
  const { service, plan, errorMessage } = operation;
  const at = `${service.name} for ${place(plan.base)}`;
  const title = `${at} needs you: I stopped repairing it`;
  const tried = `${capital(countWords(tries))} within a day I tried to replace its key under the standing consent${operation.state === 'completed' ? ', and each time it broke again' : ''}. Nothing more is tried by itself until something changes.`;
  return {
    summary: title,
    blocks: [
      { kind: 'heading', text: [text(title)] },
      { kind: 'text', text: [text(tried)] },
      ...(errorMessage
        ? [{ kind: 'text', tone: 'quiet', text: [text(`The last time: ${errorMessage}`)] } as const]
        : []),
      {
        kind: 'text',
        text: [
          bold('What to do: '),
          text(
            `see why in ${sideOf(service)} (the sign-in may have changed, or something there removes keys), then write “rotate the ${service.name} key for ${place(plan.base)}”. Once it works, “Keep it working” on that result gives the repairs back.`,
          ),
        ],
      },
      {
        kind: 'actions',
        buttons: [{ label: 'Audit trail', style: 'primary', action: 'audit', value: operation.id }],
      },
    ],
  };
}

function countWords(tries: number): string {
  return tries === 2 ? 'twice' : `${tries} times`;
}
