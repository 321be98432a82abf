import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Database } from '../database.ts';
import type { EventRef } from '../ports/chat.ts';
import type { Sealer } from '../vault/sealer.ts';
import type { ApiCaller } from './api-tokens.ts';

/** A request that says of itself that it is the same one as before, should it come again. */
export interface KeyedRequest {
  readonly caller: Pick<ApiCaller, 'customerId' | 'id'>;
  /** HMAC-SHA256 under the token, which lies nowhere: neither the key nor what was sent can be guessed from it. */
  readonly keyHash: Buffer;
  readonly requestHash: Buffer;
}

export interface KeptAnswer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
  readonly location?: string | undefined;
}

/** Answers to requests with an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07), a day long. */
export interface ApiAnswers {
  /**
   * `new`: it is now the caller's to do, and to `keep` or to `drop`. `known`: it was answered. `other`: the key belongs to
   * another request. `under_way`: somebody is at it.
   */
  begin(
    request: KeyedRequest,
  ): Promise<
    | { readonly kind: 'new' }
    | { readonly kind: 'other' }
    | { readonly kind: 'under_way' }
    | { readonly kind: 'known'; readonly answer: KeptAnswer }
  >;
  keep(request: KeyedRequest, answer: KeptAnswer): Promise<void>;
  /** Nothing was done: whoever asks again has it tried again. */
  drop(request: KeyedRequest): Promise<void>;
}

/** Longer than any request takes: whoever was at it for that long is gone. */
const HELD_SECONDS = 120;

const rows = z
  .array(
    z.object({
      requestHash: z.instanceof(Uint8Array),
      status: z.int().nullable(),
      sealed: z.instanceof(Uint8Array).nullable(),
    }),
  )
  .max(1);
const kept = z.object({ status: z.int(), body: z.string(), location: z.string().optional() });

export function keyedRequest(
  caller: KeyedRequest['caller'],
  token: string,
  key: string,
  request: { readonly method: string; readonly path: string; readonly body: Uint8Array },
): KeyedRequest {
  const { method, path, body } = request;
  const under = (label: string) => createHmac('sha256', token).update(`${label}\n`);
  return {
    caller,
    keyHash: under('key').update(key).digest(),
    requestHash: under('request').update(`${method} ${path}\n`).update(body).digest(),
  };
}

/** What the request's effect is recorded under, in the transaction that has it. */
export function eventOf({ caller, keyHash }: KeyedRequest): EventRef {
  return { platform: 'api', id: `${caller.id}/${keyHash.toString('hex')}` };
}

export function createApiAnswers(deps: { database: Database; sealer: Sealer }): ApiAnswers {
  const { database, sealer } = deps;
  const place = ({ caller, keyHash }: KeyedRequest) => ['api-answer', caller.id, keyHash.toString('hex')];
  return {
    begin: (request) =>
      database.withCustomer(request.caller.customerId, async (tx) => {
        const { customerId, id } = request.caller;
        const [keyHash, requestHash] = [Uint8Array.from(request.keyHash), Uint8Array.from(request.requestHash)];
        const taken = await tx.$executeRaw`
          INSERT INTO api_answers AS a (customer_id, token_id, key_hash, request_hash, taken_at)
          VALUES (${customerId}::uuid, ${id}::uuid, ${keyHash}, ${requestHash}, app.now())
          ON CONFLICT (customer_id, token_id, key_hash) DO UPDATE SET taken_at = app.now()
          WHERE a.status IS NULL AND a.request_hash = ${requestHash}
            AND (a.taken_at IS NULL OR a.taken_at < app.now() - make_interval(secs => ${HELD_SECONDS}))`;
        if (taken === 1) return { kind: 'new' };
        const [row] = rows.parse(
          await tx.$queryRaw`
            SELECT request_hash AS "requestHash", status, sealed FROM api_answers
            WHERE customer_id = ${customerId}::uuid AND token_id = ${id}::uuid AND key_hash = ${keyHash}`,
        );
        if (row && !request.requestHash.equals(row.requestHash)) return { kind: 'other' };
        if (!row?.sealed) return { kind: 'under_way' };
        const bytes = await sealer.open(tx, customerId, place(request), row.sealed);
        return { kind: 'known', answer: kept.parse(JSON.parse(bytes.toString('utf8'))) };
      }),
    keep: (request, answer) =>
      database.withCustomer(request.caller.customerId, async (tx) => {
        const { customerId, id } = request.caller;
        const bytes = Buffer.from(JSON.stringify(answer));
        const { record } = await sealer.seal(tx, customerId, place(request), bytes);
        await tx.$executeRaw`
          UPDATE api_answers SET status = ${answer.status}, sealed = ${Uint8Array.from(record)}, taken_at = NULL
          WHERE customer_id = ${customerId}::uuid AND token_id = ${id}::uuid AND key_hash = ${Uint8Array.from(request.keyHash)}
            AND status IS NULL`;
      }),
    drop: (request) =>
      database.withCustomer(request.caller.customerId, async (tx) => {
        const { customerId, id } = request.caller;
        await tx.$executeRaw`
          UPDATE api_answers SET taken_at = NULL
          WHERE customer_id = ${customerId}::uuid AND token_id = ${id}::uuid AND key_hash = ${Uint8Array.from(request.keyHash)}
            AND status IS NULL`;
      }),
  };
}
