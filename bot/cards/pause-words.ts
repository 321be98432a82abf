import type { OperatorPause } from '../../core/operations/hold.ts';
import type { Block } from '../../core/ports/chat.ts';
import { text } from './text.ts';

/** `Countersign is paused by its operator: “moving to a new server”.` */
export function operatorWords({ reason }: Pick<OperatorPause, 'reason'>): string {
  return `Countersign is paused by its operator${reason === '' ? '' : `: “${reason}”`}.`;
}

/** What a card adds while the operator's pause lasts; `then` says what that means for whoever reads it. */
export function pauseNote(pause: OperatorPause | undefined, then: string): readonly Block[] {
  return pause ? [{ kind: 'text', tone: 'warning', text: [text(`${operatorWords(pause)} ${then}`)] }] : [];
}
