import { z } from 'zod';
import type { Cancelled, Paused, Resumed, Retried } from '../../core/operations/control.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { isEnd, STATES } from '../../core/operations/states.ts';
import type { ApiWish, Begun } from '../../core/ports/api.ts';
import { jobOf } from '../../core/queue/jobs.ts';
import { jobPath, operationOf, type RouteDeps, statusPath, wishOf } from './deps.ts';
import type { Problem } from './problem.ts';
import { ANSWER_LOST, type ApiRoute, NOT_THERE, type Reply, route } from './route.ts';
import {
  historySchema,
  operationDetail,
  operationDetailSchema,
  operationId,
  operationPaging,
  operationParams,
  operationSchema,
  operationsSchema,
  operationView,
  request,
  response,
  serviceFilter,
  statusSchema,
  statusView,
  success,
  time,
  words,
} from './views.ts';

const ENDED = STATES.filter(isEnd);
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
        const { items, next } = await database.withCustomer(customerId, (tx) =>
          operations.page(tx, customerId, filter),
        );
        const page = items.map(operationView);
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
        const operation = await operationOf(deps, caller, params.operationId);
        if (!operation) return NOT_THERE;
        const { customerId } = operation;
        const ids = operation.steps.flatMap(({ screenshotId }) => (screenshotId ? [screenshotId] : []));
        const kept = await database.withCustomer(customerId, (tx) =>
          tx.screenshot.findMany({ where: { customerId, id: { in: ids } }, select: { id: true } }),
        );
        const newest = ids.filter((id) => kept.some((row) => row.id === id)).toReversed();
        const urls = newest
          .slice(0, NEWEST_PICTURES)
          .map((id) => new URL(desk.pictureUrl(customerId, id), publicUrl()).href);
        return ok(statusView(operation, urls));
      },
    }),
    route({
      ...{ method: 'get', path: '/history', id: 'getHistory', scope: 'operations:read' },
      summary: 'What was done, denied, or ended otherwise, newest first.',
      query: z.strictObject({ service: serviceFilter, from: time, to: time, ...operationPaging }),
      answers: { 200: { description: 'A page of ended operations.', schema: historySchema } },
      async answer({ caller: { customerId }, query: { service, from, to, limit, cursor } }) {
        const filter = { states: ENDED, service, from, to, limit, after: cursor };
        const { items, next } = await database.withCustomer(customerId, (tx) =>
          operations.page(tx, customerId, filter),
        );
        const page = items.map(operationView);
        return ok({ success: true, history: page, count: page.length, ...(next ? { nextCursor: next } : {}) });
      },
    }),
  ];
}

const initiation = request(
  'Initiation',
  z.strictObject({
    service: words(50).describe('Such as woocommerce.'),
    operation: words(100).default('api_key_generation'),
    metadata: z
      .strictObject({
        storeUrl: words(2000).optional().describe('The address; not for a service that has one for all.'),
      })
      .default({}),
    permissions: z.array(words(100)).min(1).max(50).optional().describe('Absent: what is usual.'),
    way: words(50).optional().describe('Absent: the first that is open here.'),
    consent: z.boolean().optional().describe('`false` is refused. `true` is no consent: that is asked for.'),
  }),
);
const initiated = response(
  'Initiated',
  z.strictObject({
    success,
    operationId,
    status: z.enum(STATES),
    message: z.string(),
    planHash: z.string(),
    permissions: z.array(z.string()),
    consentAskedIn: z.enum(['chat', 'api']),
    consentExpiresAt: z.iso.datetime().nullable().describe('Until then the question is open.'),
    statusUrl: z.string(),
  }),
);

/** Accepted so that a program written for it works; without effect: how it is done stands in the plan, and customers take turns. */
const unused = z.unknown().optional().describe('Without effect.');
const submission = request(
  'Submission',
  z.strictObject({
    operationId: operationId.optional(),
    service: words(50).optional(),
    operation: words(100).default('api_key_generation'),
    config: z
      .strictObject({ storeUrl: words(2000).optional(), headless: unused, slowMo: unused, timeout: unused })
      .default({}),
    priority: z.enum(['critical', 'high', 'normal', 'low', 'deferred']).optional().describe('Without effect.'),
  }),
);
const submitted = response(
  'Submitted',
  z.strictObject({
    success,
    operationId,
    jobId: z.uuid(),
    status: z.enum(STATES),
    message: z.string(),
    estimatedDuration: z.string(),
    statusUrl: z.string(),
    queueStatusUrl: z.string(),
  }),
);

/** What begins an operation. */
export function operationBeginnings(deps: RouteDeps): readonly ApiRoute[] {
  const { database, operations, services, desk } = deps;

  /** The newest that is not over, of the same service, type and target. */
  const meant = async (
    customerId: ApiWish['customerId'],
    { service: id, operation, config }: z.infer<typeof submission>,
  ): Promise<Operation | Problem | undefined> => {
    const service = services.find((known) => known.id === id);
    if (!service) return badField('service', `Service not yet supported: ${id ?? 'none was named'}`);
    const written = config.storeUrl ?? service.home;
    if (written === undefined) return badField('config.storeUrl', 'Store URL is required for e-commerce operations');
    const target = service.parseTarget(written);
    if (target.kind === 'invalid') return badField('config.storeUrl', target.reason);
    const open = await database.withCustomer(customerId, (tx) => operations.open(tx, customerId));
    return open.find(
      ({ service: of, type, plan }) =>
        of.id === service.id && type.type === operation && hostOf(plan.base) === hostOf(target.base),
    );
  };

  return [
    route({
      ...{ method: 'post', path: '/initiate', id: 'initiate', scope: 'operations:write' },
      summary: 'Asks for an operation. Nothing runs before somebody else has countersigned its plan.',
      description:
        'People are asked in the channel that an admin chose; where none is, consent is given by `POST /consent`. The token’s member is who asks.',
      body: initiation,
      answers: { 202: { description: 'It is asked for.', schema: initiated } },
      problems: [403, 409, 422, 429],
      async answer({ caller, body: { service, operation, metadata, permissions, way, consent }, event }) {
        if (consent === false)
          return problem(403, 'consent_refused', 'Without consent nothing can be done. Nothing was asked for.');
        const wish = await wishOf(deps, caller, event);
        const wanted = { service, operation, target: metadata.storeUrl, permissions, way };
        return answerBegun(await desk.begin(wish, wanted));
      },
    }),
    route({
      ...{ method: 'post', path: '/operations/submit', id: 'submitOperation', scope: 'operations:write' },
      summary: 'The job of an operation that was countersigned: named by its id, or by service, type and address.',
      description:
        'A countersigned operation goes into the queue by itself. This says which job it has, or what it still waits for.',
      body: submission,
      answers: { 202: { description: 'It is in the queue, or runs.', schema: submitted } },
      problems: [403, 404, 409, 422],
      async answer({ caller, body }) {
        const { customerId } = caller;
        const found = body.operationId
          ? ((await operationOf(deps, caller, body.operationId)) ?? 'none')
          : await meant(customerId, body);
        if (found === 'none') return NOT_THERE;
        if (!found)
          return problem(403, 'consent_required', 'User consent required. Ask for it by POST /initiate first.');
        if ('code' in found) return { problem: found };
        const jobId = await database.withCustomer(customerId, (tx) => jobOf(tx, customerId, found.id));
        if (found.state === 'awaiting_consent')
          return problem(
            403,
            'consent_required',
            'User consent required. It was asked for, and is not given yet.',
            found,
          );
        if (isEnd(found.state) || jobId === null)
          return problem(409, 'not_possible_now', `It is ${found.state}, and has no job.`, found);
        return accepted({
          ...{ success: true, operationId: found.id, jobId, status: found.state },
          message: 'The operation is countersigned, and its job is in the queue or under way.',
          estimatedDuration: `about ${found.way.typicalSeconds} seconds`,
          ...{ statusUrl: statusPath(found.id), queueStatusUrl: jobPath(jobId) },
        });
      },
    }),
  ];
}

function answerBegun(begun: Begun): Reply {
  switch (begun.kind) {
    case 'asked': {
      const { operation, asksIn } = begun;
      const { id, state, planHash, plan, request: asked } = operation;
      return accepted({
        ...{ success: true, operationId: id, status: state, planHash, permissions: plan.permissions },
        message: 'Consent required before operation can proceed',
        ...{ consentAskedIn: asksIn, consentExpiresAt: asked?.expiresAt.toISOString() ?? null },
        statusUrl: statusPath(id),
      });
    }
    case 'invalid':
      return { problem: badField(begun.at === 'storeUrl' ? 'metadata.storeUrl' : begun.at, begun.why) };
    case 'closed':
      return problem(403, 'not_offered', begun.why);
    case 'too_soon':
      return tooSoon(begun.why, begun.limit.at);
    case 'too_many_tries':
      return {
        problem: { status: 429, code: 'operations_limited', detail: begun.why, retryAfterSeconds: begun.seconds },
      };
    case 'repeated':
      return ANSWER_LOST;
    default:
      return begun satisfies never;
  }
}

const changed = response('Changed', z.strictObject({ success, message: z.string(), operation: operationSchema }));
const retried = response(
  'Retried',
  z.strictObject({
    ...{ success, operationId, retryOf: operationId, status: z.enum(STATES), planHash: z.string() },
    ...{ message: z.string(), statusUrl: z.string() },
  }),
);

/** What is done with an operation that is there: by whoever may do it in chat. */
export function operationControls(deps: RouteDeps): readonly ApiRoute[] {
  const { control, desk } = deps;
  const controlRoute = <T extends Cancelled | Paused | Resumed>(
    verb: 'cancel' | 'pause' | 'resume',
    summary: string,
    change: (wish: ApiWish, operationId: string) => Promise<T>,
  ) =>
    route({
      ...{
        method: 'post',
        path: `/operations/:id/${verb}`,
        id: `${verb}Operation`,
        scope: 'operations:write',
        summary,
      },
      params: operationParams,
      answers: {
        [verb === 'cancel' ? 200 : 202]: { description: 'What became of it.', schema: changed },
      },
      problems: [403, 404, 409],
      async answer({ caller, params: { id }, event }) {
        const wish = await wishOf(deps, caller, event);
        const outcome = await change(wish, id);
        if ('operation' in outcome) await desk.show(outcome.operation);
        return answerChanged(outcome);
      },
    });

  return [
    controlRoute(
      'cancel',
      'Ends it in whatever state. A worker that runs it stops within two seconds.',
      (wish, operationId) => control.cancel(wish.customerId, { ...wish, operationId }),
    ),
    controlRoute('pause', 'Lets it rest at the next safe point.', (wish, operationId) =>
      control.pause(wish.customerId, { ...wish, operationId }),
    ),
    controlRoute('resume', 'Goes on with what was paused.', (wish, operationId) =>
      control.resume(wish.customerId, { ...wish, operationId }),
    ),
    route({
      ...{ method: 'post', path: '/operations/:id/retry', id: 'retryOperation', scope: 'operations:write' },
      summary: 'Asks for the same once more: a new operation, which nobody has countersigned.',
      params: operationParams,
      answers: { 202: { description: 'The new one.', schema: retried } },
      problems: [403, 404, 409, 429],
      async answer({ caller, params: { id }, event }) {
        return answerRetried(await desk.retry(await wishOf(deps, caller, event), id), id);
      },
    }),
  ];
}

function answerChanged(outcome: Cancelled | Paused | Resumed): Reply {
  switch (outcome.kind) {
    case 'cancelled':
      return ok({ success: true, message: 'It was cancelled.', operation: operationView(outcome.operation) });
    case 'paused':
      return accepted({ success: true, message: 'It is paused.', operation: operationView(outcome.operation) });
    case 'pausing':
      return accepted({
        success: true,
        message: 'It pauses as soon as what it makes is kept.',
        operation: operationView(outcome.operation),
      });
    case 'resumed':
      return accepted({
        success: true,
        message: 'It is in the queue again.',
        operation: operationView(outcome.operation),
      });
    case 'not_running':
      return problem(
        409,
        'not_possible_now',
        `It is ${outcome.operation.state}: nothing runs that could pause.`,
        outcome.operation,
      );
    case 'not_paused':
      return problem(409, 'not_possible_now', `It is ${outcome.operation.state}, and not paused.`, outcome.operation);
    case 'lapsed':
      return problem(
        409,
        'not_possible_now',
        'Its countersignature does not hold any more. It can be tried again.',
        outcome.operation,
      );
    case 'held':
      return problem(409, 'not_possible_now', 'The operator holds it back.');
    case 'over':
      return problem(409, 'not_possible_now', 'It is over already. Nothing was changed.');
    default:
      return answerRefused(outcome.kind);
  }
}

function answerRetried(outcome: Retried, of: string): Reply {
  switch (outcome.kind) {
    case 'requested': {
      const { id, state, planHash } = outcome.operation;
      return accepted({
        ...{ success: true, operationId: id, retryOf: of, status: state, planHash },
        ...{ message: 'Consent required before operation can proceed', statusUrl: statusPath(id) },
      });
    }
    case 'already':
      return problem(
        409,
        'not_possible_now',
        `It is tried again already, as ${outcome.operation.id}.`,
        outcome.operation,
      );
    case 'not_retryable':
      return problem(
        409,
        'not_possible_now',
        `It is ${outcome.operation.state}, which is not tried again.`,
        outcome.operation,
      );
    case 'unreachable':
      return problem(409, 'not_possible_now', 'Its address can not be reached from here.', outcome.operation);
    case 'closed':
      return problem(
        403,
        'not_offered',
        'An admin does not let it be done any more, or its key is gone.',
        outcome.operation,
      );
    case 'too_soon':
      return tooSoon(
        'So many requests came within an hour that nothing more is asked for until then.',
        outcome.limit.at,
      );
    default:
      return answerRefused(outcome.kind);
  }
}

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

function tooSoon(detail: string, at: Date): Reply {
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

function accepted(body: Readonly<Record<string, unknown>>): Reply {
  return { status: 202, body, ...(typeof body.statusUrl === 'string' ? { location: body.statusUrl } : {}) };
}

function hostOf(base: string): string {
  const { host, pathname } = new URL(base);
  return host.replace(/^www\./, '') + pathname.replace(/\/$/, '');
}
