import { CountersignError } from '../../core/errors.ts';

/** What the page tells a person in place of an answer; the status is HTTP's. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
  }
}

/** Names the port that is taken and what to do about it; any other failure to listen keeps its cause. */
export function listenError(cause: unknown, port: number): CountersignError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EADDRINUSE') {
    const message = `Port ${port} is already in use: stop the program that uses it, then start again.`;
    return new CountersignError('port_in_use', message, { cause });
  }
  return new CountersignError('chat_unavailable', `Web chat could not listen on port ${port}.`, { cause });
}

/** The reference is nothing that this web chat gave out, so trying again would not help. */
export function unknownReference(what: 'thread' | 'message' | 'person' | 'trigger'): CountersignError {
  return new CountersignError('chat_unavailable', `Web chat knows no such ${what}.`);
}

export function storeError(cause: unknown): CountersignError {
  return new CountersignError('chat_unavailable', 'Web chat could not write its store.', { isRetryable: true, cause });
}

/** Express and its parsers throw errors with a `status`; a person gets words for the ones that they can cause. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const status = error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : 500;
  if (status === 413) return new Refusal(413, 'That is too long to send. Please make it shorter.');
  if (status >= 400 && status < 500) return new Refusal(status, 'The page sent something that could not be read.');
  return new Refusal(500, 'Something went wrong on our side. The thread shows what was done; please try again.');
}
