import { finished } from 'node:stream/promises';
import type { Response } from 'express';
import { z } from 'zod';
import { CREDENTIAL_TYPES } from '../../core/vault/credential.ts';
import type { InUse, Tokens } from '../../core/vault/tokens.ts';
import type { StoredCredential, Vault } from '../../core/vault/vault.ts';
import { sendProblem } from './problem.ts';
import { type ApiRoute, NOT_THERE, route } from './route.ts';
import { response as answerSchema } from './views.ts';

const params = z.strictObject({ id: z.uuid().toLowerCase() });

/** What the route answers with. */
export const credentialValueSchema = answerSchema(
  'CredentialValue',
  z.strictObject({
    id: z.uuid(),
    service: z.string(),
    target: z.string().nullable().describe('The shop’s base address; null for a service that knows none.'),
    type: z.enum(CREDENTIAL_TYPES),
    version: z.int().positive().describe('Counts up with every new secret in this place.'),
    expiresAt: z.iso.datetime().nullable(),
    fields: z
      .record(z.string(), z.string())
      .describe('`consumer_key` and `consumer_secret`, or `value`; `access_token`, too, where the service wants one.'),
  }),
);

/**
 * `GET /api/autonomous/credentials/:id/value`: a stored result in clear, for whoever holds a token with a scope of its own.
 * On record with the token's id before it is opened. Absent, expired, a sign-in secret and somebody else's are one answer.
 * Of a service whose API takes a short-lived token alone that token is among the fields, good for another minute at least.
 */
export function credentialValue({ vault, tokens }: { vault: Vault; tokens: Tokens }): ApiRoute {
  return route({
    ...{ method: 'get', path: '/credentials/:id/value', id: 'getCredentialValue', scope: 'credentials:value' },
    limit: 'value',
    summary: 'A stored key in clear. On record, with the token, before it is opened.',
    params,
    answers: { 200: { description: 'The key.', schema: credentialValueSchema } },
    problems: [404, 502],
    async answer({ caller, params: { id } }, response) {
      const { customerId } = caller;
      const found = await vault.byId(customerId, id);
      const place = found && { service: found.service, type: found.credentialType, target: found.target };
      const why = `value route, token ${caller.id}`;
      const isSent =
        place &&
        (await vault.open({ customerId, ...place, why }, async (opened, stored) =>
          // Deleted and stored anew since: that one is not what was asked for.
          stored.id === id ? send(response, await tokens.inUse(stored, opened, why), stored) : null,
        ));
      return isSent ? undefined : NOT_THERE;
    },
  });
}

/** The body is wiped once it is handed over, or the caller is gone; the strings of it can only be let go of. */
async function send(response: Response, inUse: InUse, stored: StoredCredential): Promise<true> {
  if (inUse.refusal !== undefined) {
    sendProblem(response, { status: 502, code: 'vendor_refused', detail: inUse.refusal });
    return true;
  }
  const { id, service, target, credentialType: type, version } = stored;
  const { expiresAt } = inUse;
  const fields = Object.fromEntries(Object.entries(inUse.fields).map(([name, secret]) => [name, secret.reveal()]));
  const answer: z.input<typeof credentialValueSchema> = {
    ...{ id, service, target: target || null, type, version },
    expiresAt: expiresAt?.toISOString() ?? null,
    fields,
  };
  const body = Buffer.from(JSON.stringify(credentialValueSchema.parse(answer)));
  try {
    response.status(200).type('application/json').end(body);
    await finished(response).catch(() => {}); // the caller went away: it is on record all the same
  } finally {
    body.fill(0);
  }
  return true;
}
