import type { Member } from '../../core/customers/customers.ts';
import type { OperatorPause } from '../../core/operations/hold.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { CODE_SECONDS, type Question } from '../../core/operations/questions.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Block, Button, Card, CardStatus, PictureLink, Span } from '../../core/ports/chat.ts';
import { oneTimePageCard } from './link-card.ts';
import { pauseNote } from './pause-words.ts';
import { stopButton } from './progress-card.ts';
import { bold, clock, code, person, place, sideOf, text } from './text.ts';

/** A question with what its card shows beside it. */
export interface Asked {
  readonly operation: Operation;
  readonly question: Question;
  /** Who answered it. */
  readonly answeredBy: Member | undefined;
  /** Who may answer it, as far as that is known. */
  readonly mayAnswer: readonly Member[];
  /** Of the page that the browser stands on, secrets blackened. */
  readonly picture: PictureLink | undefined;
  /** The operator holds the customer's work back. */
  readonly pause?: OperatorPause | undefined;
}

/** Where a question stands: open, lapsed with its operation still to be taken up, or settled. */
type Standing = 'open' | 'lapsed' | 'settled';

/** What the worker needs a person for, until when, and later what became of it. */
export function questionCard(asked: Asked): Card {
  const { operation, picture } = asked;
  const standing = standingOf(asked);
  const title = titleOf(asked);
  return {
    summary: `${title} ${place(operation.plan.base)}: ${summaryOf(asked, standing)}`,
    status: statusOf(asked, standing),
    blocks: [
      { kind: 'heading', text: [text(title)] },
      { kind: 'text', text: [text(asked.question.words)] },
      ...(standing === 'settled' ? [] : toDo(asked, standing)),
      ...(picture && standing !== 'settled' ? [{ kind: 'pictures', items: [picture] } satisfies Block] : []),
      ...(standing === 'settled' ? [] : pauseNote(asked.pause, thenWords(asked.question))),
      outcome(asked, standing),
      ...(standing === 'settled' ? [] : [buttons(asked, standing)]),
    ],
  };
}

function standingOf({ operation: { state }, question: { closed } }: Asked): Standing {
  // It is read after its operation, which may have been at work still: an open question is open until that has ended.
  if (closed === null) return isEnd(state) ? 'settled' : 'open';
  return closed === 'lapsed' && state === 'paused' ? 'lapsed' : 'settled';
}

function titleOf({ operation, question }: Pick<Asked, 'operation' | 'question'>): string {
  return question.kind === 'code'
    ? 'A one-time code is needed'
    : `Step ${question.step} of ${operation.steps.length} needs a person`;
}

function summaryOf({ operation, question }: Asked, standing: Standing): string {
  if (standing === 'settled') return 'settled';
  if (standing === 'lapsed') return 'paused, nobody answered in time';
  return `${question.words} Asked of ${operation.requester.person.name}.`;
}

/** The thread's newest word of where the request stands: once it goes on, it runs. */
function statusOf({ operation: { state }, question }: Asked, standing: Standing): CardStatus {
  if (standing === 'open') return { tone: 'waiting', words: waitsFor(question) };
  if (standing === 'lapsed') return { tone: 'waiting', words: 'Paused' };
  if (state === 'completed') return { tone: 'done', words: 'Done' };
  return state === 'queued' || state === 'in_progress'
    ? { tone: 'running', words: 'Running' }
    : { tone: 'failed', words: 'Over' };
}

function thenWords({ kind }: Question): string {
  return kind === 'code'
    ? 'Wait with the code until that ends: it would be too old by then.'
    : 'Your answer is kept, and the work goes on when that ends.';
}

/** `Waiting for a code` */
function waitsFor({ kind }: Pick<Question, 'kind'>): string {
  return kind === 'code' ? 'Waiting for a code' : 'Waiting for a person';
}

/** What to do next, and for whom it is. */
function toDo({ operation, question }: Asked, standing: Standing): readonly Block[] {
  const called: Span = person(operation.requester.person);
  const next =
    standing === 'lapsed'
      ? 'The work is paused, and nothing more was done. Go on takes it up again with the same approval; the sign-in is still there.'
      : question.kind === 'code'
        ? `: get the code where this account gets its codes, such as an app, a text message or an e-mail, and enter it on your one-time page. It is used at once and never shown here.`
        : `: look at the picture. If you can put it right in ${sideOf(operation.service)}, do, and press “I did it, go on”: I look at the page again, and do nothing on a guess.`;
  return [{ kind: 'text', text: standing === 'lapsed' ? [text(next)] : [called, text(next)] }];
}

function outcome({ operation, question, answeredBy }: Asked, standing: Standing): Block {
  const { closedAt } = question;
  const at: readonly Span[] = closedAt ? [text(' at '), clock(closedAt)] : [];
  if (standing === 'open')
    return {
      kind: 'text',
      tone: 'quiet',
      text: [
        ...[text('Open until '), clock(question.expiresAt), text(' · ')],
        text('whoever asked, approvers and admins may answer · '),
        code(operation.id),
      ],
    };
  if (question.closed === 'answered')
    return {
      kind: 'signature',
      tone: 'granted',
      text: [
        text(answeredHow(question)),
        answeredBy ? bold(answeredBy.person.name) : text('somebody'),
        ...at,
        text('. The worker went on.'),
      ],
    };
  const words = question.closed === 'lapsed' ? 'Nobody answered in time' : 'Not needed any more: the request ended';
  return { kind: 'signature', tone: 'neutral', text: [text(words), ...at, text('.')] };
}

/** After its time a question takes “Go on” alone, whatever it was about. */
function answeredHow({ kind, closedAt, expiresAt }: Question): string {
  if (closedAt && closedAt >= expiresAt) return 'Nobody answered in time; taken up again by ';
  return kind === 'code' ? 'Code entered by ' : 'Answered by ';
}

function buttons({ operation, question, mayAnswer }: Asked, standing: Standing): Block {
  const audience = { for: mayAnswer.map((member) => member.person) };
  const value = questionValue(operation.id, question.id);
  const primary = (label: string, action: string): Button => ({
    ...{ label, style: 'primary', action, value },
    ...audience,
  });
  const answer =
    standing === 'lapsed'
      ? primary('Go on', 'go_on')
      : question.kind === 'code'
        ? primary('Enter the code', 'enter_code')
        : primary('I did it, go on', 'go_on');
  const guide: Button = { label: 'How to do it by hand', style: 'plain', action: 'guide', value: operation.id };
  return { kind: 'actions', buttons: [answer, guide, stopButton(operation)] };
}

/** A message of its own, since an edit calls nobody; settled once the question is. */
export function questionReminderCard(asked: Asked): Card {
  const { operation, question } = asked;
  if (standingOf(asked) !== 'open') {
    const words = `The reminder about ${operation.id} is settled: see its question above.`;
    return { summary: words, blocks: [{ kind: 'text', tone: 'quiet', text: [text(words)] }] };
  }
  const title = `${operation.type.title} for ${place(operation.plan.base)}`;
  const what = question.kind === 'code' ? 'a one-time code' : 'a person';
  return {
    summary: `Still waiting for ${what}: ${title}`,
    blocks: [
      {
        kind: 'text',
        text: [
          person(operation.requester.person),
          text(`: “${title}” still waits for ${what}. At `),
          clock(question.expiresAt),
          text(' it is paused. The question above has the buttons.'),
        ],
      },
    ],
  };
}

/** The way to the one-time page for a code, for whoever pressed the button. */
export function codeLinkCard(operation: Operation, url: string): Card {
  const words = `Enter the one-time code for ${place(operation.plan.base)} on your one-time page.`;
  return oneTimePageCard(operation, url, words, [
    text(`The code is used within ${CODE_SECONDS / 60} minutes and then deleted.`),
  ]);
}

/** What a button of the card carries. */
function questionValue(operationId: string, questionId: string): string {
  return `${operationId} ${questionId}`;
}

/** @returns undefined for anything that the card did not write. */
export function readQuestionValue(value: string): { operationId: string; questionId: string } | undefined {
  const [operationId, questionId, ...rest] = value.split(' ');
  return operationId && questionId && rest.length === 0 ? { operationId, questionId } : undefined;
}
