import { z } from 'zod';
import type { Operation } from '../../core/operations/operation.ts';
import { isEnd, STATES } from '../../core/operations/states.ts';
import type { ApiWish, Begun } from '../../core/ports/api.ts';
import { jobOf } from '../../core/queue/jobs.ts';
import { jobPath, operationOf, placeOf, type RouteDeps, statusPath, wishOf } from './deps.ts';
import type { Problem } from './problem.ts';
import { accepted, badField, problem, tooSoon } from './replies.ts';
import { ANSWER_LOST, type ApiRoute, NOT_THERE, type Reply, route } from './route.ts';
import { operationId, request, response, success, words } from './views.ts';

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
    const place = placeOf(
      services,
      { service: id, address: config.storeUrl },
      { field: 'config.storeUrl', unsaid: () => 'Store URL is required for e-commerce operations' },
    );
    if ('code' in place) return place;
    const open = await database.withCustomer(customerId, (tx) => operations.open(tx, customerId));
    return open.find(
      ({ service: of, type, plan }) =>
        of.id === place.service.id && type.type === operation && hostOf(plan.base) === hostOf(place.base),
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

function hostOf(base: string): string {
  const { host, pathname } = new URL(base);
  return host.replace(/^www\./, '') + pathname.replace(/\/$/, '');
}
