import type { TargetResult } from './service.ts';

const EXAMPLE = 'Send it like this: shop.example.com';

/** RFC 1035, section 2.3.4, without the root's dot and length bytes. */
const HOST_CHARACTERS = 253;
const LABEL_CHARACTERS = 63;
/** What every browser takes. */
const URL_CHARACTERS = 2048;
const PLAIN_PATH = /^(?:\/[A-Za-z0-9._~-]+)*$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?=[:/?#]|$)/i;

/**
 * Reads the address of a WordPress site as people write it. Without a scheme it is https, except for this computer itself,
 * where no certificate exists; an `http://` that was written is kept. Whether the address may be reached is not decided
 * here. @param pages further pages of such sites that are no folder of theirs, such as `cart`.
 */
export function parseSite(text: string, pages: readonly string[] = []): TargetResult {
  const written = unwrapped(text);
  if (written.length > URL_CHARACTERS)
    return invalid(`That address is too long: an address has at most ${URL_CHARACTERS} characters. ${EXAMPLE}`);
  if (written === '') return invalid(`The address of the site is missing. ${EXAMPLE}`);
  if (/[\s\\\p{Cc}\p{Cf}]/u.test(written))
    return invalid(`An address has no spaces and no backslashes in it. ${EXAMPLE}`);
  const scheme = schemeOf(written);
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https')
    return invalid(`A site's address begins with https:// or http://, not with ${scheme}:. ${EXAMPLE}`);
  if (scheme !== undefined && !/^https?:\/\/[^/]/i.test(written))
    return invalid(`That isn't an address that can be opened. ${EXAMPLE}`);
  const rest = scheme === undefined ? written : written.slice(scheme.length + 3);
  const chosen = scheme ?? (LOOPBACK.test(rest) ? 'http' : 'https');
  return parseAuthority(chosen, rest, pages);
}

function parseAuthority(scheme: string, rest: string, pages: readonly string[]): TargetResult {
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  if (authority.includes('@'))
    return invalid(
      'Leave user name and password out of the address: you will be asked for them on a page of their own. If what you sent was real, change that password.',
    );
  const port = /:(\d*)$/.exec(authority)?.[1];
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535))
    return invalid('The number after the colon is no port: those go from 1 to 65535.');
  if (!URL.canParse(`${scheme}://${rest}`)) return invalid(`That isn't an address that can be opened. ${EXAMPLE}`);
  const url = new URL(`${scheme}://${rest}`);
  const problem = hostProblem(port === undefined ? authority : authority.slice(0, -port.length - 1), url.hostname);
  if (problem !== undefined) return invalid(problem);
  url.hostname = url.hostname.replace(/\.$/, '');
  const written = withoutEnd(url.pathname, '/');
  const path = withoutEnd(written.replace(copiedPage(pages), ''), '/');
  if (!PLAIN_PATH.test(path)) return invalid(`Send the address of the site itself, not of a page in it. ${EXAMPLE}`);
  const isPage = pages.includes(written.slice(path.length + 1).toLowerCase());
  return {
    ...{ kind: 'target', origin: url.origin, base: url.origin + path },
    ...(isPage ? { folder: url.origin + written } : {}),
  };
}

/** A page that somebody copied their address from; what comes before is the site. */
function copiedPage(pages: readonly string[]): RegExp {
  const names = ['index\\.php', ...pages].join('|');
  return new RegExp(`/(?:(?:wp-admin|wp-login\\.php|wp-json|wc-auth|wp-content)(?:/.*)?|(?:${names})/?)$`, 'i');
}

/** `written` is the host as it was typed, `host` what a browser makes of it. */
function hostProblem(written: string, host: string): string | undefined {
  const isAddress = host.startsWith('[') || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
  // 0x7f.1, 2130706433 and the like are ways to write an address so that nobody recognises it.
  if (isAddress && written.toLowerCase() !== host)
    return 'Write that address in its usual form, such as 192.0.2.10, or better: send the name of the site.';
  if (written.includes('%')) return `A site's name has no percent sign in it. ${EXAMPLE}`;
  const name = host.replace(/\.$/, '');
  if (name.length > HOST_CHARACTERS || name.split('.').some((label) => label.length > LABEL_CHARACTERS))
    return `That name is too long for a site: a name has at most ${HOST_CHARACTERS} characters, and ${LABEL_CHARACTERS} between two dots. ${EXAMPLE}`;
  const hasDot = name.includes('.') && !name.startsWith('.') && !name.includes('..');
  if (isAddress || name === 'localhost' || hasDot) return undefined;
  return `“${name}” isn't the whole name of a site: there is no dot in it. ${EXAMPLE}`;
}

/** `localhost:4001` has a port, not a scheme. */
function schemeOf(written: string): string | undefined {
  const match = /^([a-z][a-z0-9+.-]*):(?!\d)/i.exec(written);
  return match?.[1]?.toLowerCase();
}

/** Quotes, brackets and the full stop of the sentence are not the address's. Linear, whatever somebody sends. */
export function unwrapped(text: string): string {
  const opened = text.trim().replace(/^[<("'“‘`]+/, '');
  return withoutEnd(opened, '>)"\'”’`.,:;!?');
}

/** Without what of these characters it ends with: a pattern with `+$` is tried anew at each of them. */
export function withoutEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

function invalid(reason: string): TargetResult {
  return { kind: 'invalid', reason };
}
