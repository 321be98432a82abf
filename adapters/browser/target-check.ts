import { lookup as systemLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { EgressReason } from '../../core/ports/egress.ts';
import { type Authority, isPublicAddress, parseAuthority, writeAuthority } from './authority.ts';

export type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

/** `addresses` are what was checked: connect to these and to nothing else. */
export type TargetVerdict =
  | { readonly isAllowed: true; readonly addresses: readonly string[] }
  | { readonly isAllowed: false; readonly reason: EgressReason };

const LOOKUP_LIMIT_MS = 2_000; // getaddrinfo has no limit of its own

/**
 * Decides by the resolved addresses whether a host may be reached. One address that is not public is enough to refuse,
 * unless `host:port` is configured as a private target; our own proxy ports never are.
 */
export function createTargetCheck(
  privateTargets: readonly string[],
  ownPorts: ReadonlySet<number>,
  lookup: Lookup = (host) => systemLookup(host, { all: true }),
): (target: Authority) => Promise<TargetVerdict> {
  const configured = new Set(privateTargets.map(readPrivateTarget));
  return async (target) => {
    const addresses = await resolve(target.host, lookup);
    if (addresses.length === 0) return { isAllowed: false, reason: 'unresolvable' };
    if (addresses.every(isPublicAddress)) return { isAllowed: true, addresses };
    const isConfigured = configured.has(writeAuthority(target)) && !ownPorts.has(target.port);
    return isConfigured ? { isAllowed: true, addresses } : { isAllowed: false, reason: 'private_address' };
  };
}

/** @throws TypeError for anything but `host:port`. */
function readPrivateTarget(text: string): string {
  const target = /:\d+$/.test(text) ? parseAuthority(text) : undefined;
  if (!target) throw new TypeError('a private target is written host:port');
  return writeAuthority(target);
}

async function resolve(host: string, lookup: Lookup): Promise<readonly string[]> {
  if (isIP(host)) return [host];
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<readonly []>((done) => {
    timer = setTimeout(() => done([]), LOOKUP_LIMIT_MS);
  });
  try {
    return (await Promise.race([lookup(host), limit])).map((found) => found.address);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}
