import type { TargetResult } from '../service.ts';
import { unwrapped } from '../site-target.ts';

const EXAMPLE = 'Send it like this: my-shop.myshopify.com';
const WHERE = 'In Shopify, Settings › Domains shows it; it never changes, and may differ from the name of the brand.';

/** What names a store to Shopify, and nothing else does: the label before `.myshopify.com`. RFC 1035: 63 characters. */
export const STORE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const STORE_HOST = /^[a-z0-9][a-z0-9-]*\.myshopify\.com$/;
const ADMIN_PAGE = /^\/store\/([^/?#]+)(?:[/?#]|$)/i;
const URL_CHARACTERS = 2048;

/**
 * Reads a store as people write it: `my-shop`, its myshopify.com address with or without a page, or the address of its
 * admin. The result is always `https://NAME.myshopify.com`: nothing else may ever be sent an app's secret.
 */
export function parseTarget(text: string): TargetResult {
  const written = unwrapped(text);
  if (written === '') return invalid(`The myshopify.com name of the store is missing. ${WHERE} ${EXAMPLE}`);
  if (written.length > URL_CHARACTERS) return invalid(`That is too long for a store's address. ${EXAMPLE}`);
  // Also before anything is put into small letters: the Kelvin sign would become a k.
  if (!/^[\x21-\x7e]+$/.test(written) || written.includes('\\'))
    return invalid(`A store's name has the letters a to z, digits and hyphens in it, nothing else. ${EXAMPLE}`);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(written)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'https')
    return invalid(`Shopify is reached over https:// alone, not ${scheme}://. ${EXAMPLE}`);
  const rest = scheme === undefined ? written : written.slice('https://'.length);
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  if (authority.includes('@'))
    return invalid(
      'Leave user names and passwords out of the address: nothing of the kind is needed in this conversation. If what you sent was real, change that password.',
    );
  if (authority.includes(':')) return invalid(`A store's address has no colon and no port in it. ${EXAMPLE}`);
  return parseHost(authority.toLowerCase().replace(/\.$/, ''), rest.slice(authority.length), scheme !== undefined);
}

function parseHost(host: string, path: string, hasScheme: boolean): TargetResult {
  if (host === 'admin.shopify.com') {
    const name = ADMIN_PAGE.exec(path)?.[1]?.toLowerCase();
    return name === undefined
      ? invalid(`That is Shopify's admin without a store. ${EXAMPLE}`)
      : storeOf(`${name}.myshopify.com`);
  }
  if (host.endsWith('.myshopify.com')) return storeOf(host);
  if (!host.includes('.') && !hasScheme) {
    if (path !== '') return invalid(`Send the name of the store alone. ${EXAMPLE}`);
    return storeOf(`${host}.myshopify.com`);
  }
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) return invalid(`A store has a name, not a number. ${WHERE} ${EXAMPLE}`);
  if (/(?:^|\.)(?:shopify|myshopify)\.(?:com|dev)$/.test(host))
    return invalid(`${host} is one of Shopify's own pages, not a store. ${WHERE} ${EXAMPLE}`);
  return invalid(
    `I need the store's myshopify.com name, which can't be told from a domain of its own such as that one. ${WHERE} ${EXAMPLE}`,
  );
}

function storeOf(host: string): TargetResult {
  const name = host.slice(0, -'.myshopify.com'.length);
  if (!STORE_HOST.test(host) || !STORE_NAME.test(name))
    return invalid(
      `“${name.slice(0, 80)}” can't be a store's name: it has the letters a to z, digits and hyphens in it, at most 63, and no dot. ${EXAMPLE}`,
    );
  const origin = `https://${host}`;
  return { kind: 'target', origin, base: origin };
}

function invalid(reason: string): TargetResult {
  return { kind: 'invalid', reason };
}
