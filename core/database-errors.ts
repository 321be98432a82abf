import { isAway } from './database-connection.ts';
import { CountersignError } from './errors.ts';

/** Of each deadlock one side gets through, so that a few more tries are enough. */
const MOST_TRIES = 3;
/** A connection that fails later than this hung before it did: whoever waits has waited for long enough. */
const SOON_MS = 5_000;
/** How far a transaction has come. */
export type Place = 'work' | 'commit';

/**
 * Runs a transaction again, from its beginning, while the database rolls it back for the sake of another one; and once where its
 * connection was lost in the middle of its work, which no commit can have followed. It says how far it has come.
 */
export async function undisturbed<T>(transaction: (at: (place: Place) => void) => Promise<T>): Promise<T> {
  let hasLost = false;
  for (let tries = 1; ; tries++) {
    const startedAt = performance.now();
    let place: 'begin' | Place = 'begin';
    try {
      return await translated(() =>
        transaction((now) => {
          place = now;
        }),
      );
    } catch (error) {
      const isLost = isOutage(error) && !isDisturbed(sqlState(error));
      const isWorthIt = isLost
        ? !hasLost && (place as string) === 'work' && performance.now() - startedAt < SOON_MS // set in the callback
        : isDisturbed(sqlState(error));
      if (tries >= MOST_TRIES || !isWorthIt) throw error;
      hasLost ||= isLost;
    }
  }
}

function isOutage(error: unknown): boolean {
  return error instanceof CountersignError && error.code === 'database_unavailable';
}

/** deadlock_detected, serialization_failure */
function isDisturbed(state: string | undefined): boolean {
  return state === '40P01' || state === '40001';
}

/**
 * What went wrong in the program's own words, as `Database` promises.
 * @throws CountersignError `context_refused`, `database_unavailable` (retryable); what is neither, as it came.
 */
export async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const state = sqlState(error);
    if (state === '42501' && /context refused/.test(String(error)))
      throw new CountersignError(
        'context_refused',
        'The database refused the context: the root key differs from the one it was migrated with, or its clock is wrong.',
        { cause: error },
      );
    if (isDisturbed(state))
      throw new CountersignError(
        'database_unavailable',
        'The database put another change first, time after time. Nothing was changed.',
        { isRetryable: true, cause: error },
      );
    if (isConnectionLoss(state, error))
      throw new CountersignError('database_unavailable', 'The database did not answer. Nothing was changed.', {
        isRetryable: true,
        cause: error,
      });
    throw error;
  }
}

/** What Prisma's adapter makes of an error of the database or of the way to it. */
interface AdapterCause {
  readonly kind?: unknown;
  readonly originalCode?: unknown;
}

/** The adapter's words, however deep they lie: in an error of a query, of a raw statement, or bare where a commit failed. */
function* adapterCauses(error: unknown): Generator<AdapterCause & { readonly code?: unknown }> {
  for (let e = error; e && typeof e === 'object'; e = (e as { cause?: unknown }).cause) {
    const found = e as AdapterCause & { meta?: { driverAdapterError?: { cause?: AdapterCause } } };
    if (found.meta?.driverAdapterError?.cause) yield found.meta.driverAdapterError.cause;
    yield found;
  }
}

/** The SQLSTATE of whatever Prisma made of a database error. */
export function sqlState(error: unknown): string | undefined {
  for (const { originalCode, code } of adapterCauses(error))
    for (const found of [originalCode, code])
      if (typeof found === 'string' && /^[0-9A-Z]{5}$/.test(found)) return found;
  return undefined;
}

/** A row that was there already: 23505. */
export function isUniqueViolation(error: unknown): boolean {
  return sqlState(error) === '23505' || (error as { code?: string } | null)?.code === 'P2002';
}

/** Of a socket that failed; such an error has no SQLSTATE (@prisma/adapter-pg, `mapSocketError`). */
const SOCKET_KINDS: readonly unknown[] = ['ConnectionClosed', 'DatabaseNotReachable', 'SocketTimeout'];

function isConnectionLoss(state: string | undefined, error: unknown): boolean {
  const code = (error as { code?: string } | null)?.code;
  if (isAway(state, error) || ['P1001', 'P1008', 'P1017', 'P2024', 'P2028', 'P2037'].includes(code ?? '')) return true;
  for (const { kind } of adapterCauses(error)) if (SOCKET_KINDS.includes(kind)) return true;
  return false;
}
