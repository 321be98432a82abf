/** What the service refuses, as it says it. */
export interface Refusal {
  readonly status: 400 | 401;
  readonly type: 'invalid_request_error' | 'authentication_error';
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export function invalid(message: string, details?: Refusal['details']): Refusal {
  return { status: 400, type: 'invalid_request_error', message, ...(details && { details }) };
}

export function unauthorized(message: string): Refusal {
  return { status: 401, type: 'authentication_error', message };
}
