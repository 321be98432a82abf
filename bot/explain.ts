import { CountersignError } from '../core/errors.ts';

/** What an operator reads when something fails: the sentence, and no stack trace for what is no fault of ours. */
export function explain(error: unknown): string {
  if (error instanceof CountersignError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
