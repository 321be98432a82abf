import type { ApiCaller } from '../core/customers/api-tokens.ts';
import type { Person } from '../core/ports/chat.ts';
import type { Context } from './context.ts';

/** `gone`: a guest, or nobody whom the platform knows. `away`: it did not answer. */
export type PresentStanding = 'member' | 'gone' | 'away';

/** A platform takes so many questions a minute: what it said of somebody holds for as long. */
const STANDING_MS = 60_000;
const MOST_KNOWN = 10_000;

/** What the chat platform says of somebody who is not there to be seen, asked at most once a minute. */
export function createStanding(context: Pick<Context, 'chat'>): (person: Person) => Promise<PresentStanding> {
  const known = new Map<string, { readonly at: number; readonly standing: 'member' | 'gone' }>();
  return async (person) => {
    const name = JSON.stringify([person.platform, person.workspaceId, person.userId]);
    const before = known.get(name);
    if (before && performance.now() - before.at < STANDING_MS) return before.standing;
    try {
      const { kind } = await context.chat(person.platform).standing(person);
      const standing = kind === 'member' ? 'member' : 'gone';
      if (known.size >= MOST_KNOWN) known.clear();
      known.set(name, { at: performance.now(), standing });
      return standing;
    } catch {
      return 'away';
    }
  };
}

/** Of the member for whom a token of the API acts; whoever it does not act for is nobody who could have left. */
export function createCallerStanding(
  context: Pick<Context, 'chat' | 'database' | 'customers'>,
): (caller: ApiCaller) => Promise<PresentStanding> {
  const standing = createStanding(context);
  return async ({ customerId, memberId }) => {
    if (memberId === undefined) return 'member';
    const member = await context.database.withCustomer(customerId, (tx) =>
      context.customers.find(tx, customerId, memberId),
    );
    return member ? standing(member.person) : 'gone';
  };
}
