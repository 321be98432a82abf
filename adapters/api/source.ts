import { isIPv6 } from 'node:net';
import type { Request } from 'express';
import type { Limit } from '../../core/limits.ts';

/** Where a request comes from: an IPv4 address, or the network of an IPv6 one, of which one household has 2^64 addresses. */
export function sourceOf(request: { readonly ip?: string | undefined }): string {
  const [address = ''] = (request.ip ?? '').split('%');
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address)?.[1];
  if (mapped) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...groups(tail ?? '')];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

/** So often may somebody come back from a platform with an answer about an installation: each one is asked about there. */
export function installationTries(request: Request): Limit {
  return { name: `installations ${sourceOf(request)}`, quota: 30, windowSeconds: 3600 };
}
