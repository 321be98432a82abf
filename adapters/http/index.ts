import type { Readable } from 'node:stream';
import { type Dispatcher, ProxyAgent, request as send } from 'undici';
import { CountersignError } from '../../core/errors.ts';
import type { Egress, EgressDoor } from '../../core/ports/egress.ts';
import type { Http, HttpRequest, HttpResponse } from '../../core/ports/http.ts';
import { authorization } from './auth.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;

/** Calls to a service's API, each through an egress door of its own. Redirects are answers, never followed. */
export function createHttp({ egress }: { readonly egress: Egress }): Http {
  return {
    async request(request) {
      const headers = prepare(request);
      const door = await egress.open(request.origins);
      // An explicit agent: those that read the environment would obey NO_PROXY and go past the door. A tunnel for http,
      // too: a refusal is then an error, never a 403 that looks like the service's own.
      const agent = new ProxyAgent({ uri: door.proxyUrl, proxyTunnel: true });
      try {
        return await exchange(request, headers, agent);
      } catch (error) {
        throw translated(error, request, door);
      } finally {
        await agent.destroy();
        await door.close();
      }
    },
  };
}

/** Headers to send. @throws CountersignError `egress_refused` before anything is opened. */
function prepare(request: HttpRequest): Record<string, string> {
  const url = URL.parse(request.url);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:') || !request.origins.includes(url.origin)) {
    throw new CountersignError(
      'egress_refused',
      'This address is not one that the call may go to, so nothing was sent.',
    );
  }
  const headers = { 'user-agent': 'Countersign', accept: 'application/json', ...request.headers };
  return request.auth ? { ...headers, authorization: authorization(request.auth, request) } : headers;
}

async function exchange(
  request: HttpRequest,
  headers: Record<string, string>,
  dispatcher: Dispatcher,
): Promise<HttpResponse> {
  const answer = await send(request.url, {
    method: request.method,
    headers,
    body: request.body ?? null,
    dispatcher,
    signal: AbortSignal.timeout(request.timeoutMs),
  });
  return { status: answer.statusCode, headers: flat(answer.headers), body: await readStart(answer.body) };
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [
    name.toLowerCase(),
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ]);
  return Object.fromEntries(entries);
}

/** The body's first MiB; the rest is not waited for. */
async function readStart(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer); // undici's body streams yield Buffers unless an encoding was set
    sizeBytes += (chunk as Buffer).length; // as above
    if (sizeBytes >= BODY_LIMIT_BYTES) break; // ends the stream
  }
  return Buffer.concat(chunks).subarray(0, BODY_LIMIT_BYTES).toString('utf8');
}

/** The client says the same of a refusal and of an outage; the door knows which it was. Addresses stay out of messages. */
function translated(error: unknown, request: HttpRequest, door: EgressDoor): CountersignError {
  const { host } = new URL(request.url);
  const refusal = door.refusals().at(-1);
  if (refusal && refusal.reason !== 'unresolvable') {
    const why =
      refusal.reason === 'private_address' ? 'its address is a private one' : 'it is not on the list of this call';
    return new CountersignError('egress_refused', `${host} may not be reached (${why}); nothing was sent.`);
  }
  const code = refusal ? 'the name could not be resolved' : networkWords(error, request.timeoutMs);
  return new CountersignError('network', `${host} could not be reached: ${code}.`, { isRetryable: true });
}

/** Words of ours, or error codes and names: messages of the client may quote what was sent. */
function networkWords(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  const { code } = error as NodeJS.ErrnoException; // system and undici errors carry a code, others leave it undefined
  return (code !== undefined && WORDS[code]) || (code ?? error.name);
}

/** Source: nodejs.org/api/tls.html, “X509 certificate error codes”; nodejs.org/api/errors.html, “Common system errors”. */
const WORDS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; one of the two clocks may be wrong',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'nobody known vouches for its certificate, which it has signed itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'nobody known vouches for its certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate comes without the intermediate one, or nobody known vouches for it',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes without the intermediate one, or nobody known vouches for it',
  ECONNREFUSED: 'nothing answers at that port',
  ECONNRESET: 'it ended the connection',
};
