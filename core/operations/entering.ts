import type { Audit } from '../audit/audit.ts';
import type { Consents } from '../consent/consent.ts';
import type { Database, Transaction } from '../database.ts';
import type { MemberId } from '../ids.ts';
import type { Queue } from '../queue/queue.ts';
import type { Vault } from '../vault/vault.ts';
import { hasEntered, storeEntered } from './entered.ts';
import { lock } from './locked.ts';
import type { Mover } from './move.ts';
import type { Operation } from './operation.ts';
import { Stopped } from './stopped.ts';

export interface EnteringDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly consents: Consents;
  readonly mover: Mover;
  readonly queue: Queue;
  readonly vault: Vault;
}

export type Entering =
  | { readonly kind: 'entered'; readonly operation: Operation; readonly jobId: string }
  /** A sentence for each field that can't be right, without anything of what was entered. */
  | { readonly kind: 'invalid'; readonly errors: Readonly<Record<string, string>> }
  /** The operation no longer waits for it, or is no longer countersigned, or what permits it was spent: they look alike. */
  | { readonly kind: 'gone' };

/**
 * Takes the sign-in or the key that an operation waits for: vault, audit entry, move to the queue and its job are one
 * transaction. @param spend what permits it, such as a one-time link, under the operation's lock; false: nothing happens.
 */
export async function enterFor(
  deps: EnteringDeps,
  operation: Operation,
  by: MemberId,
  fields: Readonly<Record<string, string>>,
  spend: (tx: Transaction) => Promise<boolean>,
): Promise<Entering> {
  const entered = enteredFields(operation, fields);
  const errors = invalidFields(operation, entered);
  if (Object.keys(errors).length > 0) return { kind: 'invalid', errors };
  const { customerId, id: operationId } = operation;
  const jobId = await deps.database
    .withCustomer(customerId, async (tx) => {
      // The operation's row before its link's, as whoever ends the operation takes them.
      await lock(tx, customerId, operationId);
      if (!(await deps.consents.verify(tx, customerId, operationId)).hasConsent) return undefined;
      if (!(await spend(tx))) return undefined;
      await storeEntered(tx, deps.vault, operation, entered);
      if (!(await hasEntered(tx, deps.vault, operation))) return undefined;
      const sent = await deps.queue.sendOperation(tx, { customerId, operationId });
      const entry = {
        kind: 'credentials.entered',
        actor: by,
        payload: { fields: operation.way.fields.map(({ name }) => name) },
      } as const;
      const fence = await deps.mover.move(tx, customerId, {
        operationId,
        from: ['awaiting_credentials'],
        to: 'queued',
        fence: operation.fence,
        set: { jobId: sent },
        entry,
      });
      if (fence === undefined) throw new Stopped('moved', 'the operation moved while its sign-in was entered'); // rolls everything back
      return sent;
    })
    .catch((error: unknown) => {
      if (error instanceof Stopped) return undefined;
      throw error;
    });
  return jobId === undefined ? { kind: 'gone' } : { kind: 'entered', operation, jobId };
}

/** A key is copied with what stands around it; a password may begin with a space. */
function enteredFields({ way }: Operation, fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const textOf = (text = '') => (way.kind !== 'browser' ? text.trim() : text);
  return Object.fromEntries(way.fields.map(({ name }) => [name, textOf(fields[name])]));
}

function invalidFields(operation: Operation, fields: Readonly<Record<string, string>>): Record<string, string> {
  const errors: Record<string, string> = {};
  for (const field of operation.way.fields) {
    const problem = field.validate(fields[field.name] ?? '', operation.plan.values);
    if (problem) errors[field.name] = problem;
  }
  return errors;
}
