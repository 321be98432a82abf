import { z } from 'zod';
import type { StoredCredential } from '../vault/vault.ts';

/** What people may see of a finished operation; the reference's `{ success, data, error? }` with our fields in `data`. */
export const operationResult = z.object({
  success: z.boolean(),
  data: z.object({
    credentialId: z.string(),
    label: z.string(),
    lastFour: z.string().nullable(),
    checked: z.string(),
    method: z.string(),
    /** Steps that were done, and milliseconds of machine time: without waiting for people. */
    steps: z.int(),
    durationMs: z.int(),
    revokedAt: z.string().optional(),
    /** The operation whose key took this one's place in the vault. */
    replacedBy: z.string().optional(),
    /** The name of the key that this one took the place of. */
    replaced: z.string().optional(),
    /** Of that key, what showed that it has ended at the service, as a sentence; absent: the service still knows it. */
    ended: z.string().optional(),
  }),
});
export type OperationResult = z.infer<typeof operationResult>;

/** What an operation that did not complete has to show for itself: a key in the vault, and no proof of it. */
export function unproven({ id, metadata }: StoredCredential): OperationResult {
  const { label = 'an earlier key', lastFour } = metadata;
  const nothing = { checked: '', method: '', steps: 0, durationMs: 0 };
  return { success: false, data: { credentialId: id, label, lastFour: lastFour ?? null, ...nothing } };
}
