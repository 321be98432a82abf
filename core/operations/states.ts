/** Where an operation stands; stored in rows, never renamed. */
export const STATES = [
  'pending',
  'awaiting_consent',
  'awaiting_credentials',
  'queued',
  'in_progress',
  'waiting_for_human',
  'paused',
  'completed',
  'denied',
  'expired',
  'cancelled',
  'failed',
] as const;
export type OperationState = (typeof STATES)[number];

const ENDS = ['denied', 'expired', 'cancelled', 'failed'] as const;

/** Every legal move. A state without moves is an end. */
const MOVES = {
  pending: ['awaiting_consent', ...ENDS],
  awaiting_consent: ['awaiting_credentials', 'queued', ...ENDS],
  awaiting_credentials: ['queued', ...ENDS],
  queued: ['in_progress', 'paused', ...ENDS],
  // To itself: a worker takes over from one that died.
  in_progress: ['in_progress', 'completed', 'waiting_for_human', 'paused', ...ENDS],
  waiting_for_human: ['queued', 'paused', ...ENDS],
  paused: ['queued', ...ENDS],
  completed: [],
  denied: [],
  expired: [],
  cancelled: [],
  failed: [],
} as const satisfies { readonly [S in OperationState]: readonly OperationState[] };

export function isLegalMove(from: OperationState, to: OperationState): boolean {
  const moves: readonly OperationState[] = MOVES[from];
  return moves.includes(to);
}

export function isEnd(state: OperationState): boolean {
  return MOVES[state].length === 0;
}

/** Those that are over, and those that something may still come of. */
export const END_STATES: readonly OperationState[] = STATES.filter(isEnd);
export const OPEN_STATES: readonly OperationState[] = STATES.filter((state) => !isEnd(state));

/** @throws TypeError for a word that is no state. */
export function parseState(text: string): OperationState {
  const state = STATES.find((s) => s === text);
  if (!state) throw new TypeError('not an operation state');
  return state;
}

/** Where it is people's turn: to countersign, to sign in, to answer, to let it go on. */
const PEOPLE: readonly OperationState[] = ['awaiting_consent', 'awaiting_credentials', 'waiting_for_human', 'paused'];

export function isForPeople(state: OperationState): boolean {
  return PEOPLE.includes(state);
}
