import { z } from 'zod';
import { Prisma } from '../../prisma/generated/client.ts';
import type { Audit } from '../audit/audit.ts';
import type { AuditEntry } from '../audit/entry.ts';
import type { Transaction } from '../database.ts';
import type { CustomerId, OperationId } from '../ids.ts';
import type { Page } from '../page.ts';

export interface EntryFilter {
  readonly operationId?: OperationId | undefined;
  /** A member's id. */
  readonly actor?: string | undefined;
  /** A kind, such as `consent.granted`, or what several begin with, such as `consent`. */
  readonly kind?: string | undefined;
  /** Both ends are included. */
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

const seqRows = z.array(z.object({ seq: z.bigint() }));

/** Entries of the trail, newest first; their words are opened. @param after the `next` of the page before */
export async function listEntries(
  tx: Transaction,
  audit: Pick<Audit, 'read'>,
  customerId: CustomerId,
  { operationId, actor, kind, from: earliest, to: latest }: EntryFilter,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<Page<AuditEntry>> {
  const before = after !== undefined && /^\d{1,18}$/.test(after) ? BigInt(after) : undefined;
  const where = [
    Prisma.sql`customer_id = ${customerId}::uuid`,
    ...(operationId ? [Prisma.sql`operation_id = ${operationId}`] : []),
    // The header is RFC 8785 text: a name and its value stand in it in one way alone, and quotes in values are escaped.
    ...(actor ? [Prisma.sql`strpos(header, ${`"actor":"${actor}"`}) > 0`] : []),
    ...(kind ? [Prisma.sql`(kind = ${kind} OR starts_with(kind, ${`${kind}.`}))`] : []),
    ...(earliest ? [Prisma.sql`at >= ${earliest}::timestamptz`] : []),
    ...(latest ? [Prisma.sql`at <= ${latest}::timestamptz`] : []),
    ...(before === undefined ? [] : [Prisma.sql`seq < ${before}`]),
  ];
  const found = seqRows.parse(
    await tx.$queryRaw`
      SELECT seq FROM autonomous_operations_audit WHERE ${Prisma.join(where, ' AND ')}
      ORDER BY seq DESC LIMIT ${limit + 1}`,
  );
  const shown = found.slice(0, limit).map(({ seq }) => seq);
  const rows = await tx.auditEntry.findMany({ where: { customerId, seq: { in: shown } }, orderBy: { seq: 'desc' } });
  const items: AuditEntry[] = [];
  for (const row of rows) items.push(await audit.read(tx, customerId, row)); // one transaction is one connection
  const last = shown.at(-1);
  return found.length > limit && last !== undefined ? { items, next: String(last) } : { items };
}
