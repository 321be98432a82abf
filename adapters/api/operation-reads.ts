import { z } from 'zod';
import { newestPictures } from '../../core/operations/operation.ts';
import { latestQuestion } from '../../core/operations/questions.ts';
import { END_STATES, STATES } from '../../core/operations/states.ts';
import { operationOf, type RouteDeps } from './deps.ts';
import { ok } from './replies.ts';
import { type ApiRoute, NOT_THERE, route } from './route.ts';
import {
  historySchema,
  listedView,
  operationDetail,
  operationDetailSchema,
  operationId,
  operationPaging,
  operationParams,
  operationsSchema,
  questionView,
  response,
  serviceFilter,
  statusSchema,
  statusView,
  success,
  time,
} from './views.ts';

const NEWEST_PICTURES = 3;

/** Everything that is read of operations. */
export function operationReads(deps: RouteDeps): readonly ApiRoute[] {
  const { database, operations, desk, publicUrl } = deps;
  return [
    route({
      ...{ method: 'get', path: '/operations', id: 'listOperations', scope: 'operations:read' },
      summary: 'Operations, newest first.',
      query: z.strictObject({
        status: z.enum(STATES).optional(),
        service: serviceFilter,
        ...operationPaging,
      }),
      answers: { 200: { description: 'A page of them.', schema: operationsSchema } },
      async answer({ caller: { customerId }, query: { status, service, limit, cursor } }) {
        const filter = { states: status && [status], service, limit, after: cursor };
        const { items, next } = await operations.page(customerId, filter);
        const page = items.map(listedView);
        return ok({ success: true, operations: page, count: page.length, ...(next ? { nextCursor: next } : {}) });
      },
    }),
    route({
      ...{ method: 'get', path: '/operations/:id', id: 'getOperation', scope: 'operations:read' },
      summary: 'One operation, with the plan that is shown for consent and its steps.',
      params: operationParams,
      answers: {
        200: {
          description: 'The operation.',
          schema: response('OperationAnswer', z.strictObject({ success, operation: operationDetailSchema })),
        },
      },
      problems: [404],
      async answer({ caller, params: { id } }) {
        const operation = await operationOf(deps, caller, id);
        return operation ? ok({ success: true, operation: operationDetail(operation) }) : NOT_THERE;
      },
    }),
    route({
      ...{ method: 'get', path: '/status/:operationId', id: 'getStatus', scope: 'operations:read' },
      summary: 'How far an operation is.',
      params: z.strictObject({ operationId }),
      answers: { 200: { description: 'Where it stands.', schema: statusSchema } },
      problems: [404],
      async answer({ caller, params }) {
        const { customerId } = caller;
        const operation = await operations.look(customerId, params.operationId);
        if (!operation) return NOT_THERE;
        const newest = newestPictures(operation, NEWEST_PICTURES);
        const urlOf = (pictureId: string) => new URL(desk.pictureUrl(customerId, pictureId), publicUrl()).href;
        const asks =
          operation.state === 'waiting_for_human'
            ? await database.withCustomer(customerId, (tx) => latestQuestion(tx, customerId, operation.id))
            : null;
        const question = asks?.closed === null ? questionView(asks, urlOf) : null;
        return ok(statusView(operation, newest.map(urlOf), question));
      },
    }),
    route({
      ...{ method: 'get', path: '/history', id: 'getHistory', scope: 'operations:read' },
      summary: 'What was done, denied, or ended otherwise, newest first.',
      query: z.strictObject({ service: serviceFilter, from: time, to: time, ...operationPaging }),
      answers: { 200: { description: 'A page of ended operations.', schema: historySchema } },
      async answer({ caller: { customerId }, query: { service, from, to, limit, cursor } }) {
        const filter = { states: END_STATES, service, from, to, limit, after: cursor };
        const { items, next } = await operations.page(customerId, filter);
        const page = items.map(listedView);
        return ok({ success: true, history: page, count: page.length, ...(next ? { nextCursor: next } : {}) });
      },
    }),
  ];
}
