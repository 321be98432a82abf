import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Origin } from '../../core/ports/http.ts';

/** A host as `new URL` writes it (lower case, punycode, IPv4 in dotted decimal), without brackets and final dot. */
export interface Authority {
  readonly host: string;
  readonly port: number;
}

const LONGEST_HOST = 253; // RFC 1035 section 2.3.4, written without its final dot

/**
 * Reads `host:port` the way a browser reads addresses, so that `0x7f.1` and `127.0.0.1` are one host.
 * @returns `undefined` for anything else: a path, a sign-in name, an IPv6 zone.
 */
export function parseAuthority(text: string, defaultPort = 80): Authority | undefined {
  if (/[\s/?#@\\]/.test(text)) return undefined;
  const url = URL.parse(`http://${text}`);
  if (!url) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  // `new URL` drops `:80`, the scheme's own port, so an empty port says 80 only where one was written.
  const port = url.port !== '' ? Number(url.port) : /:0*80$/.test(text) ? 80 : defaultPort;
  return host === '' || host.length > LONGEST_HOST || port === 0 ? undefined : { host, port };
}

/** @returns `undefined` unless the text is exactly an http or https origin. */
export function parseOrigin(origin: Origin): Authority | undefined {
  const url = URL.parse(origin);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:') || url.origin !== origin) return undefined;
  return parseAuthority(url.host, url.protocol === 'https:' ? 443 : 80);
}

export function writeAuthority({ host, port }: Authority): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Whether an address belongs to the public internet. `unicast` is the one class of ipaddr.js that does: private,
 * loopback, link-local, carrier-grade NAT, multicast, transition and documentation ranges (IANA special-purpose
 * registries) each have another name there.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  return ipaddr.process(address).range() === 'unicast'; // `process` unwraps IPv4-mapped IPv6 first
}
