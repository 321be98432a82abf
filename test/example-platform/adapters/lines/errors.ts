import { CountersignError } from '../../core/errors.ts';

/** Nothing that this adapter gave out, so trying again would not help. */
export function unknownReference(what: 'thread' | 'person'): CountersignError {
  return new CountersignError('chat_unavailable', `Lines knows no such ${what}.`);
}

export function unable(what: string): CountersignError {
  return new CountersignError('chat_unavailable', `Lines has no ${what}.`);
}
