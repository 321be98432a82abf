import type { Operation } from '../../core/operations/operation.ts';
import { isEnd } from '../../core/operations/states.ts';
import type { Block, Card, PictureLink, StepLine } from '../../core/ports/chat.ts';
import { seconds, text } from './text.ts';

/** The one live message of a running operation, edited in place. */
export function progressCard(operation: Operation, pictures: readonly PictureLink[]): Card {
  const title = heading(operation);
  const lines = operation.steps.map((step): StepLine => {
    const state = step.state === 'running' && isEnd(operation.state) ? 'unsure' : step.state;
    const line = { state: state as StepLine['state'], text: step.intent }; // CHECK operation_steps_state_check guarantees the union
    return step.durationMs === null || step.state === 'waiting' ? line : { ...line, detail: seconds(step.durationMs) };
  });
  const notes = operation.steps.flatMap((step) =>
    step.note && step.state === 'done' ? [`Step ${step.number}: ${step.note}`] : [],
  );
  const search = searchWords(operation);
  return {
    summary: title,
    status: { tone: 'running', words: 'Running' },
    blocks: [
      { kind: 'heading', text: [text(title)] },
      { kind: 'steps', items: lines },
      ...(search ? [{ kind: 'text', text: [text(search)] } as const] : []),
      ...notes.map((note): Block => ({ kind: 'text', tone: 'quiet', text: [text(note)] })),
      ...(pictures.length > 0 ? [{ kind: 'pictures', items: pictures } as const] : []),
      ...(isEnd(operation.state) ? [] : [stop(operation)]),
    ],
  };
}

function heading(operation: Operation): string {
  const total = operation.steps.length;
  const done = operation.steps.filter((step) => step.state === 'done').length;
  switch (operation.state) {
    case 'queued':
      return 'Countersigned. Starting…';
    case 'completed':
      return `All ${total} steps done`;
    case 'failed':
      return `Stopped at step ${Math.min(operation.currentStep || 1, total)} of ${total}`;
    case 'cancelled':
    case 'expired':
      return `Stopped after ${done} of ${total} steps`;
    default:
      return `Working on it · step ${Math.max(1, operation.currentStep)} of ${total}${elapsed(operation)}`;
  }
}

/** What it is doing after an interruption in the middle of making something, which may take a minute without any step. */
function searchWords({ state, intent, fence }: Operation): string | undefined {
  if (state !== 'in_progress' || intent?.state !== 'started' || intent.attempt === fence) return undefined;
  return `The work was interrupted while “${intent.label}” was being made. I look for it, for about a minute, before I make anything.`;
}

/** From the start to the last finished step: what is on record, so that the same record gives the same card. */
function elapsed(operation: Operation): string {
  const last = Math.max(...operation.steps.map((step) => step.finishedAt?.getTime() ?? 0));
  const began = operation.startedAt?.getTime();
  return began !== undefined && last > began ? ` · ${seconds(last - began)}` : '';
}

function stop(operation: Operation): Block {
  const confirm = {
    title: 'Stop this operation?',
    text: 'It stops before its next action. What was done already stays, and the thread will say what that was.',
    yes: 'Stop it',
    isSafe: true,
  };
  return {
    kind: 'actions',
    buttons: [{ label: 'Stop', style: 'danger', action: 'stop', value: operation.id, confirm }],
  };
}
