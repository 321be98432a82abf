import type { Database } from '../../core/database.ts';
import { newUuid, type OperationId } from '../../core/ids.ts';
import type { NewScreenshot, Screenshots } from '../../core/ports/screenshots.ts';
import type { Sealer } from '../../core/vault/sealer.ts';

/** Pictures as sealed rows beside everything else of the customer: one backup, one retention, one erasure. */
export function createScreenshots(deps: { database: Database; sealer: Sealer }): Screenshots {
  const { database, sealer } = deps;
  return {
    put: (customerId, picture) =>
      database.withCustomer(customerId, async (tx) => {
        const id = newUuid();
        const { operationId, step, mediaType, width, height, alt, bytes } = picture;
        const { record } = await sealer.seal(tx, customerId, placeOf(id, operationId, step), bytes);
        await tx.screenshot.create({
          data: { customerId, id, operationId, step, mediaType, width, height, alt, sealed: Uint8Array.from(record) },
        });
        return id;
      }),
    get: (customerId, id) =>
      database.withCustomer(customerId, async (tx) => {
        const row = await tx.screenshot.findUnique({ where: { customerId_id: { customerId, id } } });
        if (!row) return undefined;
        const bytes = await sealer.open(tx, customerId, placeOf(id, row.operationId, row.step), row.sealed);
        const { step, width, height, alt } = row;
        // Both were written from a NewScreenshot.
        return {
          id,
          operationId: row.operationId as OperationId,
          step,
          width,
          height,
          alt,
          bytes,
          mediaType: row.mediaType as NewScreenshot['mediaType'],
        };
      }),
  };
}

function placeOf(id: string, operationId: string, step: number): readonly string[] {
  return ['screenshot', id, operationId, String(step)];
}
