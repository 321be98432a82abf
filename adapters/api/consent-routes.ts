import { z } from 'zod';
import type { ConsentRecord } from '../../core/consent/records.ts';
import { takeEvent } from '../../core/operations/events.ts';
import type { Operation } from '../../core/operations/operation.ts';
import { mayRevoke } from '../../core/operations/revocation.ts';
import { STATES } from '../../core/operations/states.ts';
import type { ApiWish, DecisionWish } from '../../core/ports/api.ts';
import { operationOf, type RouteDeps, wishOf } from './deps.ts';
import { ok, problem } from './replies.ts';
import { ANSWER_LOST, type ApiRoute, NOT_THERE, type Reply, route } from './route.ts';
import {
  consentSchema,
  consentsSchema,
  consentView,
  operationId,
  request,
  response,
  serviceFilter,
  success,
  uuid,
  uuidPaging,
  words,
} from './views.ts';

const decision = request(
  'ConsentDecision',
  z.discriminatedUnion('action', [
    z.strictObject({
      action: z.literal('grant'),
      operationId,
      planHash: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .describe('Of the plan that this person has read.'),
      service: words(50).optional(),
      operation: words(100).optional(),
      permissions: z.array(words(100)).min(1).max(50).optional().describe('If given, exactly those of the plan.'),
    }),
    z.strictObject({ action: z.literal('deny'), operationId, reason: words(500) }),
    z.strictObject({
      action: z.literal('revoke'),
      consentId: uuid.optional(),
      operationId: operationId.optional(),
      service: words(50).optional().describe('Everything that is countersigned for it; approvers and admins.'),
    }),
  ]),
);
const decided = response(
  'ConsentDecided',
  z.strictObject({
    success,
    message: z.string(),
    operationId: operationId.nullable(),
    status: z.enum(STATES).nullable().describe('Of the operation.'),
    consent: consentSchema.nullable().describe('The countersignature, once there are approvals enough.'),
    revoked: z.int().optional(),
  }),
);
type Decision = z.infer<typeof decision>;
type Revocation = Extract<Decision, { action: 'revoke' }>;

/** Consent: read by whoever reads operations, decided by the token's member under the same rules as in chat. */
export function consentRoutes(deps: RouteDeps): readonly ApiRoute[] {
  const { database, consents } = deps;
  return [
    route({
      ...{ method: 'get', path: '/consent', id: 'listConsents', scope: 'operations:read' },
      summary: 'Countersignatures, newest first.',
      query: z.strictObject({ service: serviceFilter, active: z.enum(['true', 'false']).optional(), ...uuidPaging }),
      answers: { 200: { description: 'A page of them.', schema: consentsSchema } },
      async answer({ caller: { customerId }, query: { service, active, limit, cursor } }) {
        const filter = { activeOnly: active === 'true', limit, ...(service ? { service } : {}), after: cursor };
        const { items, next } = await database.withCustomer(customerId, (tx) => consents.page(tx, customerId, filter));
        const page = items.map(consentView);
        return ok({ success: true, consents: page, count: page.length, ...(next ? { nextCursor: next } : {}) });
      },
    }),
    route({
      ...{ method: 'post', path: '/consent', id: 'decideConsent', scope: 'consent:decide', isUnasked: true },
      summary: 'Countersigns exactly one plan, denies it, or takes consent back.',
      description:
        'The token’s member decides. Who may is judged now, by the rules of the chat: nobody approves what they asked for themselves, unless an admin lets them work alone. It is on record as collected by `api`.',
      body: decision,
      answers: {
        200: { description: 'It is decided.', schema: decided },
        202: { description: 'It is approved, and takes the approval of others.', schema: decided },
      },
      problems: [403, 404, 409, 422],
      async answer({ caller, body, event }) {
        const wish = await wishOf(deps, caller, event);
        if (body.action === 'revoke') return revoke(deps, wish, body);
        const operation = await operationOf(deps, caller, body.operationId);
        if (!operation) return NOT_THERE;
        if (body.action === 'grant' && !isAsShown(operation, body))
          return problem(409, 'plan_changed', 'That is not what the plan says. Nothing was decided.', operation);
        return decide(deps, wish, body, operation);
      },
    }),
  ];
}

/** What is said beside the hash has to be true: whoever says it may mean another operation. */
function isAsShown({ service, type, plan }: Operation, said: Extract<Decision, { action: 'grant' }>): boolean {
  const isSame = (one: readonly string[]) => one.toSorted().join() === plan.permissions.toSorted().join();
  return (
    (said.service === undefined || said.service === service.id) &&
    (said.operation === undefined || said.operation === type.type) &&
    (said.permissions === undefined || isSame(said.permissions))
  );
}

async function decide(deps: RouteDeps, wish: ApiWish, wanted: DecisionWish, before: Operation): Promise<Reply> {
  const { decision: outcome, why } = await deps.desk.decide(wish, wanted);
  switch (outcome.kind) {
    case 'granted':
      return said(deps, outcome.operation, why);
    case 'denied':
      return said(deps, outcome.operation, why);
    case 'approved':
      return { status: 202, body: await bodyOf(deps, outcome.operation, why) };
    case 'already_approved':
      return problem(409, 'not_possible_now', why, outcome.operation);
    case 'refused':
      return problem(403, 'not_allowed', why, before);
    case 'renewed':
      return problem(409, 'plan_changed', why, before);
    case 'repeated':
      return ANSWER_LOST;
    case 'stale': {
      if (!outcome.operation) return NOT_THERE;
      if (outcome.operation.state === 'awaiting_consent')
        return problem(
          409,
          'plan_changed',
          'That is an earlier plan. Nothing was decided: read it again.',
          outcome.operation,
        );
      return problem(409, 'not_possible_now', why, outcome.operation);
    }
    default:
      return outcome satisfies never;
  }
}

async function said(deps: RouteDeps, operation: Operation, message: string): Promise<Reply> {
  return ok(await bodyOf(deps, operation, message));
}

async function bodyOf(
  { database, consents }: RouteDeps,
  { customerId, id, state, grant }: Operation,
  message: string,
): Promise<z.infer<typeof decided>> {
  const record = grant && (await database.withCustomer(customerId, (tx) => consents.getById(tx, customerId, grant.id)));
  return { success: true, message, operationId: id, status: state, consent: record ? consentView(record) : null };
}

async function revoke(
  deps: RouteDeps,
  wish: ApiWish,
  { consentId, operationId: named, service }: Revocation,
): Promise<Reply> {
  const { database, consents, operations, desk } = deps;
  const { customerId, by, event } = wish;
  const given = [consentId, named, service].filter((one) => one !== undefined);
  if (given.length !== 1)
    return problem(422, 'request_invalid', 'Say what is taken back: a consentId, an operationId, or a service.');
  const outcome = await database.withCustomer(customerId, async (tx) => {
    const consent = consentId === undefined ? undefined : await consents.getById(tx, customerId, consentId);
    const id = named ?? consent?.operationId;
    const operation = id === undefined ? undefined : await operations.get(tx, customerId, id);
    if (service === undefined && !operation) return 'unknown';
    if (!mayRevoke(operation, by)) return 'not_allowed';
    if (!(await takeEvent(tx, customerId, event))) return 'repeated';
    const count = await (service === undefined
      ? consent
        ? consents.revokeById(tx, customerId, consent.id, by).then(Number)
        : operation && consents.revoke(tx, operation, by).then(Number)
      : consents.revokeAllForService(tx, customerId, service, by));
    return { operation, consent, count: count ?? 0 };
  });
  if (outcome === 'unknown') return NOT_THERE;
  if (outcome === 'repeated') return ANSWER_LOST;
  if (outcome === 'not_allowed')
    return problem(
      403,
      'not_allowed',
      'Only whoever asked, an approver or an admin can revoke it. Nothing was changed.',
    );
  const { operation, consent, count } = outcome;
  if (count === 0) {
    const what = operation ? 'That is not' : 'Nothing of that service is';
    return problem(409, 'not_possible_now', `${what} countersigned any more. Nothing was changed.`, operation);
  }
  if (operation) await desk.show(operation);
  const after = operation && (await operationOf(deps, wish, operation.id));
  return ok({
    success: true,
    message: `Taken back. ${effectOf(consent)}`,
    ...{ operationId: after?.id ?? null, status: after?.state ?? null, consent: null, revoked: count },
  });
}

/** `undefined`: everything that an operation or a service was countersigned for, repairs to come among it. */
function effectOf(consent: ConsentRecord | undefined): string {
  if (consent?.standing) return 'Its key is not repaired by itself any more.';
  const stops = 'What ran under it stops before its next action';
  return consent ? `${stops}.` : `${stops}, and no key is repaired by itself under it any more.`;
}
