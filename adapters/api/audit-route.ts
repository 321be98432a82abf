import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { csvLine } from '../../core/audit/csv.ts';
import { bundleDocument, exportTrail, TRAIL_COLUMNS, trailRow } from '../../core/audit/export.ts';
import { redactAll } from '../../core/redacted-ports.ts';
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
  const { database, customers, operations, audit, redact } = deps;
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
        const entries = format === 'csv' ? await audit.entriesOf(tx, customerId, operationId) : [];
        const members = await customers.members(tx, customerId);
        const how = { how: 'api', format, token: caller.id };
        const actor = memberId ? { actor: memberId } : {};
        await audit.append(tx, customerId, { kind: 'trail.read', operationId, ...actor, payload: how });
        const people = members.map(({ id, person }) => [id as string, redactAll(person.name, redact)] as const);
        return { operationId, entries, people: new Map(people) };
      });
      if (!read) return NOT_THERE;
      const { operationId, entries, people } = read;
      response.set('Content-Disposition', `attachment; filename="${operationId}.${format}"`);
      if (format === 'csv') {
        const rows = entries.map((entry) => csvLine(trailRow(entry, (id) => people.get(id) ?? id)));
        response.type('text/csv').send([csvLine(TRAIL_COLUMNS), ...rows].join(''));
        return undefined;
      }
      const bundle = await exportTrail(deps, customerId, { operationId });
      response.type('application/json');
      await pipeline(Readable.from(bundleDocument(bundle, { people: Object.fromEntries(people) })), response);
      return undefined;
    },
  });
}
