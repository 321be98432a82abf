import type { IncomingMessage } from 'node:http';
import { type ApiTokens, tokenHash } from '../../core/customers/api-tokens.ts';
import type { Directory } from '../../core/directory.ts';
import type { Guesses } from '../../core/guesses.ts';
import type { CustomerId } from '../../core/ids.ts';
import type { Problem } from './problem.ts';
import { sourceOf } from './source.ts';

/** Who follows the live stream. */
export interface StreamCaller {
  readonly customerId: CustomerId;
  /** Under which name its connections are counted, and asked after; nobody else's. */
  readonly key: string;
  /**
   * A page in a browser, which asks for what it shows by itself: it is told that something happened, and not what. Its script
   * sees no ping, and is told now and then that all is well.
   */
  readonly isPage?: true;
  /** The person, see `Member.personId`, of whose operations alone it may hear; absent: of everybody's. */
  readonly requester?: string;
}

/** A way to say who one is. Several may stand side by side: the first that knows anything in a request decides. */
export interface StreamAuthenticator {
  /** `undefined`: there is nothing in it that this one looks at. */
  admit(request: IncomingMessage): Promise<StreamCaller | StreamRefusal | undefined>;
  /** Which of the keys of callers that it admitted are good still: asked about every second, for all of them at once. */
  stillGood(keys: readonly string[]): Promise<ReadonlySet<string>>;
}

export interface StreamRefusal extends Problem {
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the server answers with where a client offers it; offered beside the token by browsers, which can set no header. */
export const STREAM_PROTOCOL = 'countersign.v1';
const BEARER_PROTOCOL = 'bearer.';
const CHALLENGE = 'Bearer realm="countersign"'; // RFC 6750, section 3

export interface StreamTokensDeps {
  readonly tokens: Pick<ApiTokens, 'admit'>;
  readonly directory: Pick<Directory, 'customersOfTokens'>;
  /** Counts wrong tokens; absent: nobody does. */
  readonly guesses?: Guesses;
  /** As in the server's own options. */
  readonly isBehindProxy: boolean;
}

/** Tokens of the API with the scope `operations:read`, in the header `Authorization` or beside the protocol; never in an address. */
export function streamTokens({ tokens, directory, guesses, isBehindProxy }: StreamTokensDeps): StreamAuthenticator {
  return {
    async admit(request) {
      const given = tokenOf(request);
      if (given === undefined) return undefined;
      const source = sourceOf({ ip: addressOf(request, isBehindProxy) });
      const seconds = (await guesses?.wait(source)) ?? 0;
      if (seconds > 0) return limited(seconds, 'Too many unknown tokens came from this address.');
      const admitted = await tokens.admit(given);
      if (!admitted) {
        await guesses?.count(source);
        const detail = 'This token is unknown, has expired or was revoked.';
        const headers = { 'WWW-Authenticate': `${CHALLENGE}, error="invalid_token"` };
        return { status: 401, code: 'token_invalid', detail, headers };
      }
      const { caller, taken } = admitted;
      if (!taken.isAllowed) return limited(taken.retrySeconds, 'This token is used too often.');
      if (!caller.scopes.includes('operations:read')) {
        const headers = { 'WWW-Authenticate': `${CHALLENGE}, error="insufficient_scope", scope="operations:read"` };
        return { status: 403, code: 'scope_missing', detail: 'This token lacks the scope operations:read.', headers };
      }
      // A hash of 256 random bits: it finds the token in the database again, and is of no other use.
      return { customerId: caller.customerId, key: tokenHash(given).toString('hex') };
    },
    async stillGood(keys) {
      const customers = await directory.customersOfTokens(keys.map((key) => Buffer.from(key, 'hex')));
      return new Set(keys.filter((_, at) => customers[at] !== undefined));
    },
  };
}

export const noCaller: StreamRefusal = {
  ...{ status: 401, code: 'token_missing', headers: { 'WWW-Authenticate': CHALLENGE } },
  detail:
    'This address needs a token: Authorization: Bearer and then the token, or the protocol bearer. and the token.',
};

function limited(seconds: number, detail: string): StreamRefusal {
  return { status: 429, code: 'rate_limited', detail, headers: { 'Retry-After': String(seconds) } };
}

function tokenOf({ headers }: IncomingMessage): string | undefined {
  if (headers.authorization !== undefined) return /^bearer +(\S+)$/i.exec(headers.authorization)?.[1] ?? '';
  const offered = protocolsOf(headers['sec-websocket-protocol']);
  return offered.find((each) => each.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length);
}

export function protocolsOf(header: string | undefined): readonly string[] {
  return (header ?? '').split(',').map((each) => each.trim());
}

/** What the proxy before us added last, where there is one; whatever else stands there, the client wrote itself. */
function addressOf({ socket, headers }: IncomingMessage, isBehindProxy: boolean): string | undefined {
  const forwarded = isBehindProxy
    ? String(headers['x-forwarded-for'] ?? '')
        .split(',')
        .at(-1)
        ?.trim()
    : undefined;
  return forwarded || socket.remoteAddress;
}

/**
 * For what a browser sends by itself, such as the cookie of a session: taken from pages of our own origin alone. A WebSocket is
 * bound by no same-origin policy, so that any page could open one with the visitor's cookie (RFC 6455, section 10.2).
 */
export function fromOwnPages(authenticator: StreamAuthenticator, publicUrl: () => string): StreamAuthenticator {
  return {
    async admit(request) {
      const { origin } = request.headers;
      return origin === new URL(publicUrl()).origin ? authenticator.admit(request) : undefined;
    },
    stillGood: (keys) => authenticator.stillGood(keys),
  };
}
