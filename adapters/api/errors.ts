import { CountersignError } from '../../core/errors.ts';

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
