import { CountersignError } from '../../core/errors.ts';
import type { Log } from '../../core/ports/log.ts';

/** One sentence for an operator instead of a stack trace. */
export function listenError(error: unknown, port: number): CountersignError {
  const code = (error as { code?: string } | null)?.code;
  if (code === 'EADDRINUSE')
    return new CountersignError(
      'port_in_use',
      `Port ${port} is in use by another program. Stop that one, or choose another port with PORT=….`,
      { cause: error },
    );
  if (code === 'EACCES')
    return new CountersignError(
      'port_in_use',
      `Port ${port} may not be opened by this account. Choose one above 1023 with PORT=….`,
      { cause: error },
    );
  return new CountersignError('network', `The HTTP server could not start on port ${port}.`, { cause: error });
}

/** What a caller is told of an outage: the database is named only where it is that which did not answer. */
export function unansweredWords(error: unknown): string {
  const code = error instanceof CountersignError ? error.code : undefined;
  const what =
    code === 'database_unavailable'
      ? 'The database'
      : code === 'chat_unavailable'
        ? 'The chat'
        : 'Something that this takes';
  return `${what} did not answer. Please try again.`;
}

/** The status of a request that failed; an operator hears of what is our own fault. Nothing of the request is told. */
export function reportFailure(error: unknown, log: Log): number {
  const given = Number((error as { status?: unknown } | null)?.status ?? 500);
  const status = given >= 400 && given < 600 ? given : 500;
  if (status >= 500)
    log.error(
      { code: 'http', cause: error instanceof Error ? (error.stack ?? error.message) : 'unknown' },
      'a request failed',
    );
  return status;
}
