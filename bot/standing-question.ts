import type { StandingState } from '../core/connections/repair-offer.ts';
import type { Transaction } from '../core/database.ts';
import type { Operation } from '../core/operations/operation.ts';
import type { Card } from '../core/ports/chat.ts';
import { standingCard } from './cards/standing-card.ts';
import { type ConsentMessagesDeps, decidersOf } from './consent-messages.ts';
import type { Context } from './context.ts';

/** The newest question for repairs of what an operation has made, as its thread shows it. */
export async function standingQuestion(
  tx: Transaction,
  deps: ConsentMessagesDeps & { readonly repairOffers: Pick<Context['repairOffers'], 'state'> },
  operation: Operation,
): Promise<{ readonly card: Card; readonly state: StandingState; readonly operation: Operation } | undefined> {
  const state = operation.state === 'completed' ? await deps.repairOffers.state(tx, operation) : undefined;
  if (!state) return undefined;
  const { request, askedBy } = state;
  const approvals = state.approvals.map((by) => ({ by, at: request.askedAt }));
  // Who may decide follows from who asked for this, and not from who asked for the operation.
  const asked = { ...operation, requester: askedBy ?? operation.requester, request, widened: [], approvals };
  return { card: standingCard(asked, state, await decidersOf(tx, deps, asked)), state, operation: asked };
}
