import { setTimeout as delay } from 'node:timers/promises';
import { CountersignError } from '../errors.ts';
import type { Egress } from '../ports/egress.ts';
import type { Http, Origin } from '../ports/http.ts';
import { withoutWww } from './answers.ts';
import type { Service } from './service.ts';

/** Where the target really is, or a sentence for the person: why it can't be worked at, and what to do. */
export type Resolved =
  | { readonly kind: 'target'; readonly origin: Origin; readonly base: string }
  | { readonly kind: 'invalid'; readonly reason: string };

export interface ResolveDeps {
  readonly egress: Pick<Egress, 'check'>;
  readonly http: Http;
}

const MOST_REDIRECTS = 5;
const TIMEOUT_MS = 8_000; // somebody waits for the answer in a thread
/** A name is looked up and a port refuses well within it, so that whoever asks can't tell the two apart by the clock. */
export const UNREACHABLE_MS = 2_000;

/**
 * Follows a customer's own site from the address that was written to the one that it answers at, before anybody is asked
 * for consent: to https, and between the name with and without `www.`. What leads anywhere else is for a person to say.
 */
export async function resolveTarget(
  deps: ResolveDeps,
  service: Pick<Service, 'frontPage' | 'rootPage'>,
  target: Target,
): Promise<Resolved> {
  const began = performance.now();
  const resolved = await follow(deps, service, target);
  if (resolved?.kind === 'target') return { ...resolved, base: await baseOf(deps, service, target, resolved) };
  if (resolved !== undefined) return resolved;
  await delay(Math.max(0, UNREACHABLE_MS - (performance.now() - began)));
  // The same words for private, unresolvable and closed: the bot is no port scanner.
  const host = hostOf(target.origin);
  const reason = `I can't open ${host} from here: it does not exist, does not answer, or is not a public address.`;
  return { kind: 'invalid', reason };
}

interface Target {
  readonly origin: Origin;
  readonly base: string;
  readonly folder?: string;
}

/** The folder that was written if a site of its own is there; otherwise the site that it is a page of. */
async function baseOf(
  { http }: ResolveDeps,
  { rootPage }: Pick<Service, 'rootPage'>,
  { origin, folder }: Target,
  resolved: Pick<Target, 'origin' | 'base'>,
): Promise<string> {
  if (folder === undefined || !rootPage) return resolved.base;
  const inside = resolved.origin + folder.slice(origin.length);
  const { url, shows } = rootPage(inside);
  const answer = await look(http, url, resolved.origin);
  return answer?.status === 200 && answer.body.includes(shows) ? inside : resolved.base;
}

/** @returns `undefined` when it can't be opened, for whatever reason. */
async function follow(
  { egress, http }: ResolveDeps,
  { frontPage }: Pick<Service, 'frontPage'>,
  target: Target,
): Promise<Resolved | undefined> {
  const folder = target.base.slice(target.origin.length);
  let origin = target.origin;
  if (!(await egress.check(origin)).isAllowed) return undefined;
  if (!frontPage) return { kind: 'target', ...target };
  let url = frontPage(target.base);
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const answer = await look(http, url, origin);
    if (!answer) return undefined;
    const next = isRedirect(answer.status) ? URL.parse(answer.headers.location ?? '', url) : null;
    if (!next) return { kind: 'target', origin, base: origin + folder };
    const refusal = refusalOf(target.origin, origin, next);
    if (refusal !== undefined) return { kind: 'invalid', reason: refusal };
    if (next.origin !== origin && !(await egress.check(next.origin)).isAllowed) return undefined;
    origin = next.origin;
    url = next.href;
  }
  return {
    kind: 'invalid',
    reason: `${hostOf(target.origin)} sends its visitors in a circle. Look at its settings for http, https and “www”.`,
  };
}

async function look(http: Http, url: string, origin: Origin) {
  try {
    return await http.request({
      ...{ method: 'GET', url, origins: [origin], timeoutMs: TIMEOUT_MS },
      headers: { accept: 'text/html' },
    });
  } catch (error) {
    if (error instanceof CountersignError && ['network', 'egress_refused'].includes(error.code)) return undefined;
    throw error;
  }
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/** The other name is the site's text and could be anybody's, so it isn't repeated. */
function refusalOf(written: Origin, from: Origin, to: URL): string | undefined {
  const host = hostOf(written);
  if (
    !/^https?:$/.test(to.protocol) ||
    to.username !== '' ||
    to.password !== '' ||
    siteOf(to) !== siteOf(new URL(from))
  )
    return `${host} sends its visitors on to another site. If that one is meant, write its own address.`;
  if (from.startsWith('https:') && to.protocol === 'http:')
    return `${host} sends its visitors from https back to http, where a password could be read on the way. In its settings its own address has to begin with https://.`;
  return undefined;
}

/** The port belongs to a site, but for the change from http's own to https's own. */
function siteOf({ hostname, port }: URL): string {
  return `${withoutWww(hostname)}:${port}`;
}

function hostOf(origin: Origin): string {
  return new URL(origin).host;
}
