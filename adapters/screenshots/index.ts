import type { Database, Transaction } from '../../core/database.ts';
import { type CustomerId, newUuid, type OperationId } from '../../core/ids.ts';
import { take } from '../../core/limits.ts';
import type { NewScreenshot, Screenshots } from '../../core/ports/screenshots.ts';
import type { Sealer } from '../../core/vault/sealer.ts';

const MB = 1_000_000;
const MONTH_SECONDS = 30 * 86_400;

/**
 * Pictures as sealed rows beside everything else of the customer: one backup, one retention, one erasure. At most
 * `mbPerMonth` megabytes of one customer in 30 days, and so no more than that at a time where they are kept for a month;
 * absent: any number.
 */
export function createScreenshots(deps: { database: Database; sealer: Sealer; mbPerMonth?: number }): Screenshots {
  const { database, sealer, mbPerMonth } = deps;
  const hasRoom = async (tx: Transaction, customerId: CustomerId, bytes: number): Promise<boolean> => {
    if (mbPerMonth === undefined) return true;
    const limit = { name: 'bytes of pictures', quota: mbPerMonth * MB, windowSeconds: MONTH_SECONDS };
    return bytes <= limit.quota && (await take(tx, customerId, limit, bytes)).isAllowed;
  };
  return {
    put: (customerId, picture) =>
      database.withCustomer(customerId, async (tx) => {
        const id = newUuid();
        const { operationId, step, mediaType, width, height, alt, bytes } = picture;
        if (!(await hasRoom(tx, customerId, bytes.length))) return undefined;
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
