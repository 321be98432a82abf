import { CountersignError } from '../core/errors.ts';
import { redact } from '../core/redaction.ts';

/** What an operator reads when something fails: the sentence, and no stack trace for what is no fault of ours; no secret. */
export function explain(error: unknown): string {
  if (error instanceof CountersignError) return redact(error.message, []);
  return redact(error instanceof Error ? (error.stack ?? error.message) : String(error), []);
}
