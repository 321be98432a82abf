import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';

/** Microsoft's side of a bot's two tokens: what the Connector shows us, and what we show it. */
export interface Issuer {
  /** The OpenID document and the keys, by their path; `undefined`: neither. */
  document(path: string, origin: string): object | undefined;
  /** What the Connector shows, signed; `claims` and `header` stand in place of the right ones. */
  token(claims?: object, options?: { header?: object; key?: KeyObject }): string;
  /** Somebody else's key. */
  readonly strangersKey: KeyObject;
}

export interface IssuerOptions {
  readonly appId: string;
  serviceUrl(): string;
  /** The channels that a key may speak for. */
  readonly endorsements?: readonly string[];
}

const pair = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
/** Making them takes a while, and every stand-in may have the same ones. */
let pairs: { readonly ours: ReturnType<typeof pair>; readonly strangers: ReturnType<typeof pair> } | undefined;
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** RS256 as RFC 7515 has it, by Node's own crypto. */
export function signed(header: object, claims: object, key: KeyObject): string {
  const input = `${encoded(header)}.${encoded(claims)}`;
  return `${input}.${sign('RSA-SHA256', Buffer.from(input), key).toString('base64url')}`;
}

export function createIssuer({ appId, serviceUrl, endorsements = ['msteams'] }: IssuerOptions): Issuer {
  pairs ??= { ours: pair(), strangers: pair() };
  const { privateKey, publicKey } = pairs.ours;
  const kid = randomUUID();
  return {
    strangersKey: pairs.strangers.privateKey,
    document(path, origin) {
      if (path === '/openid')
        return {
          issuer: 'https://api.botframework.com',
          jwks_uri: `${origin}/keys`,
          id_token_signing_alg_values_supported: ['RS256'],
        };
      if (path === '/keys')
        return { keys: [{ ...publicKey.export({ format: 'jwk' }), use: 'sig', kid, x5t: kid, endorsements }] };
      return undefined;
    },
    token(claims = {}, { header = {}, key = privateKey } = {}) {
      const now = Math.floor(Date.now() / 1000);
      const right = {
        ...{ iss: 'https://api.botframework.com', aud: appId, serviceurl: serviceUrl() },
        ...{ nbf: now - 5, exp: now + 3_600 },
      };
      return signed({ alg: 'RS256', typ: 'JWT', kid, x5t: kid, ...header }, { ...right, ...claims }, key);
    },
  };
}
