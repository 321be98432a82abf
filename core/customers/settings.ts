import type { Transaction } from '../database.ts';
import type { CustomerId } from '../ids.ts';

/** What an admin lets the bot do at all, beside who approves it. */
export interface WorkSettings {
  /** It says how something is done by hand, and does nothing itself. */
  readonly isGuideOnly: boolean;
  /** Hosts, and `*.` with the end of hosts; none: every site. */
  readonly allowedTargets: readonly string[];
  /** Ids of the platform's channels; none: everywhere. */
  readonly allowedChannels: readonly string[];
  /** Fewer than the installation's own limit; `null`: that one. */
  readonly operationsPerHour: number | null;
}

/** The summary of each week that admins get. */
export interface DigestSettings {
  readonly hasDigest: boolean;
  /** Whose Monday morning it is, an IANA name; `null`: UTC. */
  readonly timeZone: string | null;
}

export const MOST_ALLOWED = 100;
/** All hosts together, a line each, in characters: as many as the narrowest platform lets a field be filled in with (Slack). */
export const MOST_ALLOWED_TEXT = 3_000;
export const MOST_APPROVALS = 9;
export const MOST_PER_HOUR = 1000;
/** A hundred years. */
export const MOST_RETENTION_DAYS = 36_500;
const HOST = /^(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::\d{1,5})?$/;

/** A site as an admin writes it, as it is compared: `https://Shop.example.com/` is `shop.example.com`. `undefined`: it is none. */
export function parseAllowedTarget(words: string): string | undefined {
  const host = words
    .trim()
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '');
  if (!HOST.test(host)) return undefined;
  const isPlain = words.trim().toLowerCase().startsWith('http:');
  return host.replace(isPlain ? /:80$/ : /:443$/, '');
}

/**
 * Whether the site is one of those that an admin allows. A `*.` stands for one or more parts of a name, and not for none. What
 * listens at another port of the same host is another site.
 */
export function isAllowedTarget(base: string, { allowedTargets }: Pick<WorkSettings, 'allowedTargets'>): boolean {
  if (allowedTargets.length === 0) return true;
  const { host } = new URL(base);
  return allowedTargets.some((allowed) =>
    allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed,
  );
}

/** From now on: what was asked for already goes on. */
export async function setWork(tx: Transaction, customerId: CustomerId, settings: WorkSettings): Promise<void> {
  const { isGuideOnly, operationsPerHour, allowedTargets, allowedChannels } = settings;
  await tx.customer.updateMany({
    where: { customerId },
    data: {
      ...{ isGuideOnly, operationsPerHour },
      ...{ allowedTargets: [...allowedTargets], allowedChannels: [...allowedChannels] },
    },
  });
}

export async function setDigest(
  tx: Transaction,
  customerId: CustomerId,
  { hasDigest, timeZone }: DigestSettings,
): Promise<void> {
  await tx.customer.updateMany({ where: { customerId }, data: { hasDigest, timeZone } });
}
