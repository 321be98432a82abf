import type { Response } from 'express';
import { z } from 'zod';
import type { ApiCaller, Scope, TOKEN_LIMITS } from '../../core/customers/api-tokens.ts';
import type { EventRef } from '../../core/ports/chat.ts';
import type { Problem } from './problem.ts';

/** A request that was admitted, and is what the route's schemas say. */
export interface Call<Params, Query, Body> {
  readonly caller: ApiCaller;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** What its effect is recorded under. */
  readonly event: EventRef;
}

export type Reply =
  | { readonly status: 200 | 201 | 202; readonly body: object; readonly location?: string }
  | { readonly problem: Problem };

/** What a route answers with a status, for the OpenAPI document. */
export interface Answer {
  readonly description: string;
  readonly schema: z.ZodType;
  /** Media types beside `application/json`, which are text. */
  readonly alsoAs?: readonly string[];
}

/** One route of the API. Who calls, how often and with which scope is seen to before `answer` is asked. */
export interface ApiRoute<Params = unknown, Query = unknown, Body = unknown> {
  readonly method: 'get' | 'post' | 'delete';
  /** Below `/api/autonomous`, with `:name` for each parameter. */
  readonly path: string;
  /** The name of the operation in the OpenAPI document. */
  readonly id: string;
  readonly scope: Scope;
  /**
   * Whether the chat platform knows the token's member still is not asked before: for what stops work, which goes also while it
   * does not answer, and for decisions, of which the core asks by itself.
   */
  readonly isUnasked?: true;
  /** Which of a token's limits it draws from; absent: `other`. */
  readonly limit?: keyof typeof TOKEN_LIMITS;
  readonly summary: string;
  readonly description?: string;
  readonly params: z.ZodType<Params>;
  readonly query: z.ZodType<Query>;
  /** Of a POST; absent: it takes none, or an empty object. */
  readonly body?: z.ZodType<Body>;
  readonly answers: Readonly<Partial<Record<200 | 201 | 202, Answer>>>;
  /** Statuses of its own problems, beside those that every route has. */
  readonly problems?: readonly number[];
  /** @returns `undefined` where it has answered by itself. */
  answer(call: Call<Params, Query, Body>, response: Response): Promise<Reply | undefined>;
}

export const NOTHING = z.strictObject({});
type Nothing = z.infer<typeof NOTHING>;

/** A route, with nothing where it takes nothing. */
export function route<Params = Nothing, Query = Nothing, Body = Nothing>(
  given: Omit<ApiRoute<Params, Query, Body>, 'params' | 'query'> & {
    readonly params?: z.ZodType<Params>;
    readonly query?: z.ZodType<Query>;
  },
): ApiRoute<Params, Query, Body> {
  // Where no schema is given its type is `Nothing`, by the defaults above.
  const nothing = NOTHING as unknown;
  return {
    ...given,
    params: given.params ?? (nothing as z.ZodType<Params>),
    query: given.query ?? (nothing as z.ZodType<Query>),
  };
}

export const NOT_THERE: Reply = {
  problem: { status: 404, code: 'not_found', detail: 'There is no such thing here.' },
};

/** The very request had its effect before, and its answer is not kept any more. */
export const ANSWER_LOST: Reply = {
  problem: {
    status: 409,
    code: 'answer_lost',
    detail: 'This request had its effect before, and what it was answered is not kept. Nothing was done again.',
  },
};
