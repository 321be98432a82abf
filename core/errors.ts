/** Every bug or outage that Countersign throws has one of these codes; expected outcomes are return values instead. */
export type ErrorCode =
  | 'already_running'
  | 'audit_chain_broken'
  | 'browser_crashed'
  | 'browser_missing'
  | 'chat_unavailable'
  | 'config_invalid'
  | 'context_refused'
  | 'credential_not_found'
  | 'credential_target_required'
  | 'customer_busy'
  | 'database_unavailable'
  | 'egress_refused'
  | 'element_stale'
  | 'legal_hold'
  | 'migration_refused'
  | 'model_budget_spent'
  | 'model_unavailable'
  | 'network'
  | 'operation_running'
  | 'port_in_use'
  | 'redaction_failed'
  | 'randomness_failed'
  | 'rate_limited'
  | 'vault_authentication_failed'
  | 'vault_format_unknown'
  | 'vault_key_exhausted'
  | 'vault_key_missing'
  | 'workflow_invalid'
  | 'workflow_not_found';

/** A bug or an outage, with what an operator needs. `message` never holds a secret. */
export class CountersignError extends Error {
  readonly code: ErrorCode;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly isRetryable: boolean;

  /** For how long whoever refused asks to wait, in milliseconds, where that is known. */
  readonly retryAfterMs?: number;

  constructor(
    code: ErrorCode,
    message: string,
    options: { isRetryable?: boolean; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CountersignError';
    this.code = code;
    this.isRetryable = options.isRetryable ?? false;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether a chat will not take it, however often it is tried: an archived channel, one that the bot was removed from, a revoked token. */
export function isHopeless(error: unknown): error is CountersignError {
  return error instanceof CountersignError && error.code === 'chat_unavailable' && !error.isRetryable;
}
