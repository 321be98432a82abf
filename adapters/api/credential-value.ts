import { finished } from 'node:stream/promises';
import type { Response } from 'express';
import { z } from 'zod';
import { CREDENTIAL_TYPES } from '../../core/vault/credential.ts';
import type { InUse, Tokens } from '../../core/vault/tokens.ts';
import type { StoredCredential, Vault } from '../../core/vault/vault.ts';
import type { ApiRoute } from './api.ts';
import { sendProblem } from './problem.ts';

const params = z.strictObject({ id: z.uuid().toLowerCase() });

/** What the route answers with. */
export const credentialValueSchema = z.strictObject({
  id: z.uuid(),
  service: z.string(),
  /** The shop's base address; null for a service that knows none. */
  target: z.string().nullable(),
  type: z.enum(CREDENTIAL_TYPES),
  /** Counts up with every new secret in this place. */
  version: z.int().positive(),
  expiresAt: z.iso.datetime().nullable(),
  /** `consumer_key` and `consumer_secret`, or `value` alone; `access_token`, too, where the service wants one. */
  fields: z.record(z.string(), z.string()),
});

/**
 * `GET /api/autonomous/credentials/:id/value`: a stored result in clear, for whoever holds a token with a scope of its own.
 * On record with the token's id before it is opened. Absent, expired, a sign-in secret and somebody else's are one answer.
 * Of a service whose API takes a short-lived token alone that token is among the fields, good for another minute at least.
 */
export function credentialValue({ vault, tokens }: { vault: Vault; tokens: Tokens }): ApiRoute<z.infer<typeof params>> {
  return {
    method: 'get',
    path: '/credentials/:id/value',
    scope: 'credentials:value',
    params,
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
      if (isSent) return;
      const detail = 'There is no such credential.';
      sendProblem(response, { status: 404, code: 'not_found', detail });
    },
  };
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
