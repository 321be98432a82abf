import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { TRAIL_FORMATS, takeTrail } from '../../core/audit/export.ts';
import type { RouteDeps } from './deps.ts';
import { type ApiRoute, NOT_THERE, route } from './route.ts';
import { operationParams, response } from './views.ts';

const trail = response(
  'AuditTrail',
  z
    .looseObject({
      people: z.record(z.string(), z.string()).describe('Names by the ids that the entries hold.'),
      format: z.string(),
      customerId: z.string(),
      operationId: z.string(),
      exportedAt: z.string(),
      entries: z.array(z.looseObject({})),
    })
    .describe('A bundle that `audit verify` checks offline.'),
);

/** The trail of one operation, to take away. That it was read is itself on record. */
export function auditRoute(deps: RouteDeps): ApiRoute {
  const { database, operations } = deps;
  return route({
    ...{ method: 'get', path: '/operations/:id/audit', id: 'getAuditTrail', scope: 'audit:read' },
    summary: 'The audit trail of an operation: as a bundle that can be checked offline, or as a table.',
    params: operationParams,
    query: z.strictObject({ format: z.enum(['json', 'csv']).default('json') }),
    answers: { 200: { description: 'The trail.', schema: trail, alsoAs: ['text/csv'] } },
    problems: [404],
    async answer({ caller, params, query: { format } }, response) {
      const { customerId, memberId } = caller;
      const read = await database.withCustomer(customerId, async (tx) => {
        const operation = await operations.get(tx, customerId, params.id);
        if (!operation) return undefined;
        const { id: operationId } = operation;
        const how = { how: 'api', format, token: caller.id };
        const reader = { ...(memberId ? { actor: memberId } : {}), how };
        return { operationId, take: await takeTrail(tx, deps, customerId, { operationId }, reader) };
      });
      if (!read) return NOT_THERE;
      const text = await read.take(format);
      response.set('Content-Disposition', `attachment; filename="${read.operationId}.${format}"`);
      response.type(TRAIL_FORMATS[format]);
      await pipeline(Readable.from(text), response);
      return undefined;
    },
  });
}
