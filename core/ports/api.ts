import type { Decision } from '../consent/consent.ts';
import type { Member } from '../customers/customers.ts';
import type { CustomerId } from '../ids.ts';
import type { Retried } from '../operations/control.ts';
import type { Operation } from '../operations/operation.ts';
import type { TooSoon } from '../operations/operations.ts';
import type { EventRef } from './chat.ts';

/** A wish that came by the HTTP API. */
export interface ApiWish {
  readonly customerId: CustomerId;
  /** For whom the token acts, as they are now. */
  readonly by: Member;
  /** On record with what is asked for and decided. */
  readonly tokenId: string;
  /** What it is recorded under, so that the same request does nothing twice. */
  readonly event: EventRef;
}

export interface WantedOperation {
  readonly service: string;
  readonly operation: string;
  /** As people write it; absent for a service with one address. */
  readonly target?: string | undefined;
  /** Absent: what is usual. */
  readonly permissions?: readonly string[] | undefined;
  /** Absent: the first that works here. */
  readonly way?: string | undefined;
}

export type Begun =
  /** `asksIn`: where people are asked for consent; `api`: nowhere else, for no channel is chosen. */
  | { readonly kind: 'asked'; readonly operation: Operation; readonly asksIn: 'chat' | 'api' }
  /** `at`: the field that it is about. */
  | { readonly kind: 'invalid'; readonly at: string; readonly why: string }
  | { readonly kind: 'closed'; readonly why: string }
  | { readonly kind: 'too_soon'; readonly limit: TooSoon; readonly why: string }
  | { readonly kind: 'too_many_tries'; readonly seconds: number; readonly why: string }
  /** This very request had its effect before. */
  | { readonly kind: 'repeated' };

/** As in chat; what comes too soon says why in words, as one that is begun does. */
export type RetriedHere = Exclude<Retried, { kind: 'too_soon' }> | Extract<Begun, { kind: 'too_soon' }>;

export type DecisionWish =
  | { readonly action: 'grant'; readonly operationId: string; readonly planHash: string }
  | { readonly action: 'deny'; readonly operationId: string; readonly reason: string };

/** What people in the chat see of a request that came by the API, and the words for whoever made it. */
export interface ApiDesk {
  /** Asks for an operation, in the customer's channel where an admin has chosen one. */
  begin(wish: ApiWish, wanted: WantedOperation): Promise<Begun>;
  /** `renewed`: its plan no longer said the truth about the key that it replaces, and was made anew. */
  decide(
    wish: ApiWish,
    decision: DecisionWish,
  ): Promise<{ readonly decision: Decision | { readonly kind: 'renewed' }; readonly why: string }>;
  retry(wish: ApiWish, operationId: string): Promise<RetriedHere>;
  /** Shows what has changed where people look. */
  show(operation: Pick<Operation, 'customerId' | 'threadId'>): Promise<void>;
  /** The address of a picture, bound to it alone. */
  pictureUrl(customerId: CustomerId, pictureId: string): string;
}
