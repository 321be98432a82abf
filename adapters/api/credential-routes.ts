import { z } from 'zod';
import { connectionsOf } from '../../core/connections/records.ts';
import { isSamePerson } from '../../core/customers/customers.ts';
import { type Entering, enterFor } from '../../core/operations/entering.ts';
import { takeEvent } from '../../core/operations/events.ts';
import { deleteCredential } from '../../core/operations/revocation.ts';
import { STATES } from '../../core/operations/states.ts';
import { pageOf } from '../../core/page.ts';
import type { ApiWish } from '../../core/ports/api.ts';
import { Secret } from '../../core/secret.ts';
import { GIVEN_TYPES, storeGiven } from '../../core/vault/given.ts';
import { jobPath, operationOf, placeOf, type RouteDeps, statusPath, wishOf } from './deps.ts';
import { answerRefused, badField, ok, problem } from './replies.ts';
import { ANSWER_LOST, type ApiRoute, NOT_THERE, type Reply, route } from './route.ts';
import {
  credentialSchema,
  credentialsSchema,
  credentialView,
  operationId,
  request,
  response,
  serviceFilter,
  success,
  uuid,
  uuidPaging,
  words,
} from './views.ts';

const MOST_FIELDS = 10;
const fields = z
  .record(words(50), z.string().max(8192))
  .refine((given) => Object.keys(given).length > 0 && Object.keys(given).length <= MOST_FIELDS);
const entered = z.strictObject({ operationId, fields: fields.describe('What the operation’s way asks for, by name.') });
const given = z.strictObject({
  service: words(50),
  type: z.enum(GIVEN_TYPES),
  target: words(2000).optional().describe('The address; not for a service that has one for all.'),
  fields: fields.describe('`value` alone, or the parts of the key by name.'),
  label: words(100).default('Brought along by the API'),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
});
const newCredential = request('NewCredential', z.union([entered, given]));
const storedAnswer = response(
  'CredentialStored',
  z.strictObject({ success, message: z.string(), credential: credentialSchema }),
);
const enteredAnswer = response(
  'CredentialsEntered',
  z.strictObject({
    ...{ success, message: z.string(), operationId, jobId: z.uuid(), status: z.enum(STATES) },
    ...{ statusUrl: z.string(), queueStatusUrl: z.string() },
  }),
);
const deletedAnswer = response(
  'CredentialDeleted',
  z.strictObject({
    ...{ success, message: z.string(), id: z.uuid() },
    endedAtService: z.literal(false).describe('The service still knows the key: ask for credential_revocation first.'),
  }),
);

/** Stored keys, never what they say; that is `GET /credentials/:id/value` alone. */
export function credentialRoutes(deps: RouteDeps): readonly ApiRoute[] {
  const { database, vault } = deps;
  return [
    route({
      ...{ method: 'get', path: '/credentials', id: 'listCredentials', scope: 'credentials:read' },
      summary: 'What lies in the vault, newest first; never a value.',
      query: z.strictObject({ service: serviceFilter, ...uuidPaging }),
      answers: { 200: { description: 'A page of it.', schema: credentialsSchema } },
      async answer({ caller: { customerId }, query: { service, limit, cursor } }) {
        const all = (await vault.list(customerId, service)).toSorted(
          (one, two) => two.createdAt.getTime() - one.createdAt.getTime() || (one.id < two.id ? 1 : -1),
        );
        const rest = cursor
          ? all.filter(({ createdAt, id }) => createdAt < cursor.at || (+createdAt === +cursor.at && id < cursor.id))
          : all;
        const { items, next } = pageOf(rest, { limit }, ({ createdAt: at, id }) => ({ at, id }));
        const known = await database.withCustomer(customerId, (tx) => connectionsOf(tx, customerId));
        const page = items.map((stored) =>
          credentialView(
            stored,
            known.find(({ credential }) => credential.id === stored.id),
          ),
        );
        return ok({ success: true, credentials: page, count: page.length, ...(next ? { nextCursor: next } : {}) });
      },
    }),
    route({
      ...{ method: 'post', path: '/credentials', id: 'storeCredential', scope: 'credentials:write' },
      summary: 'Enters what an operation waits for; or keeps a key that was made elsewhere.',
      description:
        'With `operationId`: the sign-in or the key that a countersigned operation asks for, entered by whoever asked for it; its job is sent with it. Otherwise: a key that nobody has tried, kept by an approver or an admin where none lies yet. No answer holds a value.',
      body: newCredential,
      answers: {
        201: { description: 'The key is kept.', schema: storedAnswer },
        202: { description: 'It was entered, and the job is in the queue.', schema: enteredAnswer },
      },
      problems: [403, 404, 409, 422],
      async answer({ caller, body, event }) {
        const wish = await wishOf(deps, caller, event);
        return 'operationId' in body ? enter(deps, wish, body) : keep(deps, wish, body);
      },
    }),
    route({
      ...{ method: 'delete', path: '/credentials/:id', id: 'deleteCredential', scope: 'credentials:write' },
      summary: 'Deletes a key here, and takes back the consent that made it. The service still knows it.',
      params: z.strictObject({ id: uuid }),
      answers: { 200: { description: 'It is gone.', schema: deletedAnswer } },
      problems: [403, 404],
      async answer({ caller, params: { id }, event }) {
        const { customerId, by } = await wishOf(deps, caller, event);
        const outcome = await database.withCustomer(customerId, (tx) => deleteCredential(tx, deps, customerId, id, by));
        if (outcome !== 'deleted') return answerRefused(outcome);
        const message = 'Deleted here. The service may still take it.';
        return ok({ success: true, message, id, endedAtService: false });
      },
    }),
  ];
}

/** By whoever asked, as in chat, where the link to the one-time page is theirs alone. */
async function enter(deps: RouteDeps, wish: ApiWish, body: z.infer<typeof entered>): Promise<Reply> {
  const { customerId, by, event } = wish;
  const operation = await operationOf(deps, wish, body.operationId);
  if (!operation) return NOT_THERE;
  if (!isSamePerson(operation.requester, by))
    return problem(403, 'not_allowed', 'Only whoever asked for it enters this. Nothing was kept.', operation);
  if (operation.state !== 'awaiting_credentials' || operation.way.grant)
    return problem(409, 'not_possible_now', `It is ${operation.state}, and waits for nothing from here.`, operation);
  const known = operation.way.fields.map(({ name }) => name);
  const unknown = Object.keys(body.fields).find((name) => !known.includes(name));
  if (unknown !== undefined) return { problem: badField('fields', `It asks for ${known.join(', ')}.`) };
  const outcome = await enterFor(deps, operation, by.id, body.fields, (tx) => takeEvent(tx, customerId, event));
  return answerEntered(deps, outcome);
}

async function answerEntered({ desk }: RouteDeps, outcome: Entering): Promise<Reply> {
  switch (outcome.kind) {
    case 'invalid': {
      const detail = Object.values(outcome.errors).join(' ');
      const errors = Object.keys(outcome.errors).map((name) => ({ at: `fields.${name}`, detail: 'unusable' }));
      return { problem: { status: 422, code: 'request_invalid', detail, errors } };
    }
    case 'gone':
      return problem(409, 'not_possible_now', 'It does not wait for this any more. Nothing was kept.');
    case 'entered': {
      const { operation, jobId } = outcome;
      await desk.show(operation);
      return {
        status: 202,
        body: {
          ...{ success: true, message: 'It is sealed, and the job is in the queue.', operationId: operation.id, jobId },
          ...{ status: 'queued', statusUrl: statusPath(operation.id), queueStatusUrl: jobPath(jobId) },
        },
        location: statusPath(operation.id),
      };
    }
    default:
      return outcome satisfies never;
  }
}

async function keep(deps: RouteDeps, wish: ApiWish, body: z.infer<typeof given>): Promise<Reply> {
  const { customerId, by, event } = wish;
  const place = placeOf(
    deps.services,
    { service: body.service, address: body.target },
    { field: 'target', unsaid: ({ targetWords }) => `Say at which address: ${targetWords}.` },
  );
  if ('code' in place) return { problem: place };
  const expiresAt = body.expiresAt === undefined ? null : new Date(body.expiresAt);
  if (expiresAt && !(expiresAt.getUTCFullYear() >= 1970 && expiresAt.getUTCFullYear() <= 9998))
    return { problem: badField('expiresAt', 'That is no time for a key to end.') };
  const value = Object.fromEntries(Object.entries(body.fields).map(([name, text]) => [name, new Secret(text)]));
  const { type } = body;
  const label = deps.redact(body.label);
  const secret = { service: place.service.id, type, target: place.base, value, expiresAt, label };
  const outcome = await deps.database.withCustomer(customerId, async (tx) =>
    (await takeEvent(tx, customerId, event)) ? storeGiven(tx, deps, customerId, secret, by) : 'repeated',
  );
  if (outcome === 'repeated') return ANSWER_LOST;
  if (outcome === 'not_allowed')
    return problem(403, 'not_allowed', 'Only an approver or an admin may. Nothing was kept.');
  if (outcome === 'taken')
    return problem(409, 'not_possible_now', 'A key lies there already, and is not replaced. Nothing was kept.');
  const credential = credentialView(outcome);
  return { status: 201, body: { success: true, message: 'It is sealed. Nobody has tried it.', credential } };
}
