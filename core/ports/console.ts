import type { Member } from '../customers/customers.ts';
import type { CustomerId } from '../ids.ts';
import type { Operation } from '../operations/operation.ts';
import type { Card, EventBrowser, Person } from './chat.ts';

/** What somebody presses beside an operation. An approval and a denial are of the plan that was shown. */
export type Press =
  | { readonly kind: 'approve'; readonly planHash: string }
  | { readonly kind: 'deny'; readonly planHash: string; readonly reason: string }
  /** The question for repairs to come of what the operation has made; `planHash`: that of its terms. */
  | { readonly kind: 'approve_standing'; readonly planHash: string }
  | { readonly kind: 'deny_standing'; readonly planHash: string; readonly reason: string }
  | { readonly kind: 'stop' | 'pause' | 'resume' | 'retry' }
  /** Begins an operation about the stored key, with a plan and a countersignature of its own. */
  | { readonly kind: 'rotate' | 'revoke' }
  /** Takes a standing grant back. */
  | { readonly kind: 'revoke_repairs'; readonly consentId: string };

export interface Pressed {
  readonly customerId: CustomerId;
  readonly by: Member;
  readonly operation: Operation;
  readonly press: Press;
  /** Of the page that it was pressed on: what is sent twice happens once. */
  readonly once: string;
  readonly browser: EventBrowser;
}

export type Decider = { readonly may: true } | { readonly may: false; readonly why: string };

/** The chat's side of the console: what is pressed there goes the way of a button in the thread. */
export interface ConsoleDesk {
  /** The question of an operation as its thread shows it, without its buttons. */
  question(operation: Operation): Promise<Card>;
  /** The open question for repairs to come, likewise; `undefined`: there is none. */
  repairsQuestion(
    member: Member,
    operation: Operation,
  ): Promise<({ readonly card: Card; readonly planHash: string } & Decider) | undefined>;
  /** Whether this person could approve it or deny it as things stand; else why not, as a sentence. */
  mayDecide(member: Member, operation: Operation): Promise<Decider>;
  /** @returns what was answered, to this person alone or in the thread; nothing: it was done, and the thread’s cards say so. */
  press(pressed: Pressed): Promise<readonly Card[]>;
  /** What the chat platform says of somebody, asked at most once a minute. `away`: it did not answer. */
  standing(person: Person): Promise<'member' | 'gone' | 'away'>;
}
