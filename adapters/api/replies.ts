import type { Operation } from '../../core/operations/operation.ts';
import type { Problem } from './problem.ts';
import { ANSWER_LOST, NOT_THERE, type Reply } from './route.ts';

export function answerRefused(kind: 'unknown' | 'not_allowed' | 'repeated'): Reply {
  switch (kind) {
    case 'unknown':
      return NOT_THERE;
    case 'repeated':
      return ANSWER_LOST;
    case 'not_allowed':
      return problem(403, 'not_allowed', 'Only whoever asked, an approver or an admin may. Nothing was changed.');
    default:
      return kind satisfies never;
  }
}

export function tooSoon(detail: string, at: Date): Reply {
  const retryAfterSeconds = Math.max(1, Math.ceil((at.getTime() - Date.now()) / 1000));
  return { problem: { status: 429, code: 'operations_limited', detail, retryAfterSeconds } };
}

export function problem(status: number, code: Problem['code'], detail: string, about?: Pick<Operation, 'id'>): Reply {
  return { problem: { status, code, detail, ...(about ? { operationId: about.id } : {}) } };
}

/** What is well formed, and can't be: with a sentence for a person. */
export function badField(at: string, detail: string): Problem {
  return { status: 422, code: 'request_invalid', detail, errors: [{ at, detail: 'unusable' }] };
}

export function ok(body: object): Reply {
  return { status: 200, body };
}

export function accepted(body: Readonly<Record<string, unknown>>): Reply {
  return { status: 202, body, ...(typeof body.statusUrl === 'string' ? { location: body.statusUrl } : {}) };
}
