import type { z } from 'zod';

/** A language model that answers one question in a given shape. It is given no secret and can do nothing. */
export interface Model {
  /**
   * @returns what the schema accepts, or `undefined` when the model refused, ran out of room or answered in another shape.
   * @throws CountersignError `model_unavailable` (network, rate limit, overload, bad key).
   */
  answer<T>(question: ModelQuestion<T>): Promise<T | undefined>;
}

export interface ModelQuestion<T> {
  readonly instructions: string;
  /** Untrusted words of a person. */
  readonly text: string;
  readonly schema: z.ZodType<T>;
  readonly timeoutMs: number;
}
