import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** What RFC 8785 can say without loss; `undefined`, Date and BigInt would vanish or throw, so the type forbids them. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * The one spelling of a value (RFC 8785, JSON Canonicalization Scheme).
 * @throws TypeError for what JSON can't say (NaN, infinities, lone surrogates) or would change without a word: `undefined`,
 * Date, BigInt, Map and whatever else is no plain value.
 */
export function canonical(value: Json): string {
  requireJson(value);
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no canonical form');
  return text;
}

function requireJson(value: unknown): void {
  switch (typeof value) {
    case 'boolean':
      return;
    case 'number':
      if (Number.isFinite(value)) return;
      break;
    case 'string':
      if (value.isWellFormed()) return;
      break;
    case 'object':
      if (value === null) return;
      if (Array.isArray(value)) {
        for (const item of value) requireJson(item); // a hole is undefined
        return;
      }
      if (![Object.prototype, null].includes(Object.getPrototypeOf(value))) break;
      for (const [name, field] of Object.entries(value)) {
        requireJson(name);
        requireJson(field);
      }
      return;
  }
  throw new TypeError('value has no canonical form');
}

/** SHA-256 in lower-case hex. */
export function sha256Hex(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
