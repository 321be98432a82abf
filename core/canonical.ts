import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** What RFC 8785 can say without loss; `undefined`, Date and BigInt would vanish or throw, so the type forbids them. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** The one spelling of a value (RFC 8785, JSON Canonicalization Scheme). @throws TypeError for NaN, infinities, lone surrogates. */
export function canonical(value: Json): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no canonical form');
  return text;
}

/** SHA-256 in lower-case hex. */
export function sha256Hex(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
