import { z } from 'zod';
import type { Http, HttpResponse, Origin } from '../../ports/http.ts';
import { Secret } from '../../secret.ts';
import { parsed } from '../answers.ts';

/** An app of Shopify's Dev Dashboard, on one store. */
export interface App {
  /** The store: `https://my-shop.myshopify.com`. */
  readonly base: string;
  readonly origin: Origin;
  readonly clientId: Secret;
  readonly clientSecret: Secret;
  readonly http: Http;
}

export type Grant =
  | { readonly kind: 'granted'; readonly token: Secret; readonly expiresInSeconds: number }
  /** `code` is Shopify's, such as `app_not_installed`; absent when it gave none that could be read. */
  | { readonly kind: 'refused'; readonly status: number; readonly code: string | undefined };

export type Answer<T> =
  | { readonly kind: 'answered'; readonly data: T }
  /** `code`: of the first GraphQL error, such as `ACCESS_DENIED`. */
  | { readonly kind: 'refused'; readonly status: number; readonly code: string | undefined };

/** Admin GraphQL, quarterly versions that live for a year: https://shopify.dev/docs/api/usage/versioning */
const API_VERSION = '2026-10';
const TIMEOUT_MS = 20_000;

const grantSchema = z.object({ access_token: z.string().min(16), expires_in: z.number().positive() });
const errorSchema = z.object({ error: z.string().regex(/^[a-z_]{1,60}$/) });
const graphqlErrors = z.object({
  errors: z.array(z.object({ extensions: z.object({ code: z.string().regex(/^[A-Z_]{1,60}$/) }).optional() })).min(1),
});

/**
 * One access token for 24 hours: RFC 6749 section 4.4, form-encoded.
 * https://shopify.dev/docs/apps/build/authentication-authorization/client-secrets — refusals are often HTML pages, whose
 * title alone has the code. @throws CountersignError `network`, `egress_refused`.
 */
export async function grant({ base, origin, clientId, clientSecret, http }: App): Promise<Grant> {
  const answer = await http.request({
    method: 'POST',
    url: `${base}/admin/oauth/access_token`,
    origins: [origin],
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId.reveal(),
      client_secret: clientSecret.reveal(),
    }).toString(),
    timeoutMs: TIMEOUT_MS,
  });
  const found = answer.status === 200 ? grantSchema.safeParse(parsed(answer.body)).data : undefined;
  if (found)
    return { kind: 'granted', token: new Secret(found.access_token), expiresInSeconds: Math.floor(found.expires_in) };
  return { kind: 'refused', status: answer.status, code: oauthCode(answer) };
}

/** One question or change. @throws as `grant`. */
export async function graphql<T>(
  { base, origin, http }: App,
  token: Secret,
  { query, data: schema }: { readonly query: string; readonly data: z.ZodType<T> },
): Promise<Answer<T>> {
  const answer = await http.request({
    method: 'POST',
    url: `${base}/admin/api/${API_VERSION}/graphql.json`,
    origins: [origin],
    headers: { 'content-type': 'application/json', 'x-shopify-access-token': token.reveal() },
    body: JSON.stringify({ query }),
    timeoutMs: TIMEOUT_MS,
  });
  const body = parsed(answer.body);
  const found = answer.status === 200 ? z.object({ data: schema }).safeParse(body) : undefined;
  if (found?.success) return { kind: 'answered', data: found.data.data };
  const code = graphqlErrors.safeParse(body).data?.errors[0]?.extensions?.code;
  return { kind: 'refused', status: answer.status, code };
}

/** Of `{"error": "invalid_client"}`, or of a page whose title is `400 - Oauth error invalid_client: …`. */
function oauthCode({ body }: HttpResponse): string | undefined {
  const inJson = errorSchema.safeParse(parsed(body)).data?.error;
  if (inJson !== undefined) return inJson;
  const title = /<title[^>]{0,200}>([^<]{0,500})<\/title>/i.exec(body)?.[1] ?? '';
  return /\boauth error ([a-z_]{1,60})\b/i.exec(title)?.[1]?.toLowerCase();
}
