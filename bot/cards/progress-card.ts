import { machineMsAt } from '../../core/operations/execution.ts';
import type { OperatorPause } from '../../core/operations/hold.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Question } from '../../core/operations/questions.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Block, Button, Card, CardStatus, PictureLink, Span, StepLine } from '../../core/ports/chat.ts';
import { pauseNote } from './pause-words.ts';
import { repairNote } from './standing-card.ts';
import { clock, place, seconds, text } from './text.ts';

/** What the operation asked a person last. */
type Asked = Pick<Question, 'kind' | 'closed'> | undefined;

/** What the card shows besides the operation itself. */
export interface Beside {
  readonly asked?: Asked;
  /** The operator holds the customer's work back. */
  readonly pause?: OperatorPause | undefined;
}

/** The one live message of a running operation, edited in place. */
export function progressCard(
  operation: Operation,
  pictures: readonly PictureLink[],
  { asked, pause }: Beside = {},
): Card {
  const title = heading(operation, asked, pause);
  const lines = operation.steps.map((step): StepLine => {
    // What failed is not over as long as a person can have it go on; what ran when all was over, nobody saw to its end.
    const isOpen = step.state === (isEnd(operation.state) ? 'running' : 'failed');
    // What a pause broke off begins anew.
    const isBrokenOff = step.state === 'running' && operation.state === 'paused';
    const state = isOpen ? 'unsure' : isBrokenOff ? 'waiting' : step.state;
    const line = { state: state as StepLine['state'], text: step.intent }; // CHECK operation_steps_state_check guarantees the union
    return step.durationMs === null || state === 'waiting' ? line : { ...line, detail: seconds(step.durationMs) };
  });
  const notes = operation.steps.flatMap((step) =>
    step.note && step.state === 'done' ? [`Step ${step.number}: ${step.note}`] : [],
  );
  const search = searchWords(operation);
  return {
    summary: title,
    ...(isEnd(operation.state) ? {} : { status: statusOf(operation) }),
    blocks: [
      { kind: 'heading', text: [text(title)] },
      { kind: 'text', tone: 'quiet', text: [text(`${operation.service.name} at ${place(operation.plan.base)}`)] },
      ...repairNote(operation),
      { kind: 'steps', items: lines },
      ...(search ? [{ kind: 'text', text: [text(search)] } as const] : []),
      ...notes.map((note): Block => ({ kind: 'text', tone: 'quiet', text: [text(note)] })),
      ...(pictures.length > 0 ? [{ kind: 'pictures', items: pictures } as const] : []),
      ...heldWords(operation, pause),
      ...(isEnd(operation.state)
        ? []
        : [{ kind: 'actions', buttons: [...pauseButtons(operation, pause), stopButton(operation)] } satisfies Block]),
    ],
  };
}

function statusOf({ state }: Operation): CardStatus {
  if (state === 'waiting_for_human') return { tone: 'waiting', words: 'Waiting for you' };
  return state === 'paused' ? { tone: 'waiting', words: 'Paused' } : { tone: 'running', words: 'Running' };
}

function heading(operation: Operation, asked: Asked, pause: OperatorPause | undefined): string {
  const total = operation.steps.length;
  const done = operation.steps.filter((step) => step.state === 'done').length;
  switch (operation.state) {
    case 'queued':
      if (pause) return 'Countersigned. It starts when the pause ends';
      return asked?.closed === 'answered' ? 'Answered. Going on…' : 'Countersigned. Starting…';
    case 'waiting_for_human': {
      const what = asked?.kind === 'code' ? 'a one-time code' : 'a look at the page';
      return `Waiting for you: ${what} · step ${operation.currentStep} of ${total}`;
    }
    case 'paused':
      return `Paused${pausedWords(operation, asked)}${operation.currentStep > 0 ? ` · step ${operation.currentStep} of ${total}` : ' before its first step'}`;
    case 'completed':
      return `All ${total} steps done`;
    case 'failed':
      return `Stopped at step ${Math.min(operation.currentStep || 1, total)} of ${total}`;
    case 'cancelled':
    case 'expired':
      return `Stopped after ${done} of ${total} steps`;
    default:
      if (operation.hold !== null)
        return `Pausing as soon as the new key is stored · step ${operation.currentStep} of ${total}`;
      return `Working on it · step ${Math.max(1, operation.currentStep)} of ${total}${elapsed(operation)}`;
  }
}

/** ` by Mona`, ` by the operator`, `: nobody answered` */
function pausedWords({ hold, heldBy }: Operation, asked: Asked): string {
  if (hold === 'operator') return ' by the operator';
  if (heldBy) return ` by ${heldBy.person.name}`;
  return asked?.closed === 'lapsed' ? ': nobody answered' : '';
}

/** Why nothing goes on, and what would have it go on. */
function heldWords({ state, hold, grant }: Operation, pause: OperatorPause | undefined): readonly Block[] {
  if (isEnd(state)) return [];
  const until: readonly Span[] = grant?.expiresAt
    ? [text(' The approval holds until '), clock(grant.expiresAt), text('.')]
    : [];
  const byPerson: readonly Block[] =
    state === 'paused' && hold === 'person'
      ? [
          {
            kind: 'text',
            text: [text('Nothing runs. Resume signs in anew and goes on; nothing is made twice.'), ...until],
          },
        ]
      : [];
  return [
    ...byPerson,
    ...pauseNote(
      pause,
      hold === 'person' ? 'Nothing goes on before that ends.' : 'It goes on by itself when that ends.',
    ),
  ];
}

/** Whoever may press them is judged when they do. An operator's pause nobody in the thread can end. */
function pauseButtons({ id, state, hold }: Operation, pause: OperatorPause | undefined): readonly Button[] {
  if (state === 'paused' && (hold === 'person' || (hold === 'operator' && !pause)))
    return [{ label: 'Resume', style: 'primary', action: 'resume', value: id }];
  const mayPause = (state === 'queued' || state === 'in_progress') && hold === null && !pause;
  return mayPause ? [{ label: 'Pause', style: 'plain', action: 'pause', value: id }] : [];
}

/** What it is doing after an interruption in the middle of making something, which may take a minute without any step. */
function searchWords({ state, intent, fence }: Operation): string | undefined {
  if (state !== 'in_progress' || intent?.state !== 'started' || intent.attempt === fence) return undefined;
  return `The work was interrupted while “${intent.label}” was being made. I look for it, for about a minute, before I make anything.`;
}

/** Machine time to the last finished step: what is on record, so that the same record gives the same card. */
function elapsed({ execution, steps }: Operation): string {
  const last = Math.max(...steps.map((step) => step.finishedAt?.getTime() ?? 0));
  const ms = machineMsAt(execution, new Date(last));
  return ms > 0 ? ` · ${seconds(ms)}` : '';
}

export function stopButton(operation: Operation): Button {
  const confirm = {
    title: 'Stop this operation?',
    text: 'It stops before its next action. What was done already stays, and the thread will say what that was.',
    yes: 'Stop it',
    isSafe: true,
  };
  return {
    label: operation.state === 'paused' && operation.hold !== null ? 'Cancel' : 'Stop',
    style: 'danger',
    action: 'stop',
    value: operation.id,
    confirm,
  };
}
