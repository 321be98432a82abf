// What watches over the program while it runs: wired here, so that bot/main.ts stays a list of what there is.
import type { Router } from 'express';
import { createStream, type LiveStream } from '../adapters/api/stream.ts';
import { fromOwnPages, streamTokens } from '../adapters/api/stream-caller.ts';
import { type ConsoleDeps, consoleCallers } from '../adapters/console/index.ts';
import { createMetrics, type PrometheusMetrics } from '../adapters/metrics/index.ts';
import { createHealth } from '../core/connections/health.ts';
import type { Guesses } from '../core/guesses.ts';
import { measuredChat } from '../core/measured-ports.ts';
import { createMeasures } from '../core/measures.ts';
import type { Chat, Platform } from '../core/ports/chat.ts';
import type { Http } from '../core/ports/http.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { createFeed } from '../core/stream/feed.ts';
import type { PictureLinks } from '../core/vault/picture-links.ts';
import { VERSION } from '../core/version.ts';
import { createDelivery } from '../core/webhooks/delivery.ts';
import { createWebhooks } from '../core/webhooks/webhooks.ts';
import type { Config } from './config.ts';
import type { Foundation } from './foundation.ts';

export function programMetrics({ role }: Config): PrometheusMetrics {
  return createMetrics({ version: VERSION, role });
}

/** `/metrics`, which a process of any role answers. */
export function metricsRoutes(
  metrics: PrometheusMetrics,
  { http: { metricsToken: token } }: Config,
  { database, secrets }: Foundation,
): Router {
  if (token) secrets.add(token);
  return metrics.route({ measures: createMeasures(database), ...(token ? { token } : {}) });
}

/** As long as a one-time link is good for. */
const PICTURE_MS = 15 * 60_000;

export interface LiveStreamDeps {
  readonly foundation: Foundation;
  readonly guesses: Guesses;
  readonly pictureLinks: PictureLinks;
  publicUrl(): string;
  readonly metrics: PrometheusMetrics;
  /** Whose pages are live. */
  readonly console: Pick<ConsoleDeps, 'sessions' | 'desk' | 'publicUrl'>;
}

/** The live stream of the API, for programs with a token and for pages of the console. */
export function liveStream({ http }: Config, deps: LiveStreamDeps): LiveStream {
  const { foundation, guesses, pictureLinks, publicUrl, metrics } = deps;
  const { database, audit, directory, apiTokens: tokens, log } = foundation;
  const feed = createFeed({
    ...{ database, audit, log },
    pictureUrl(customerId, pictureId) {
      const token = pictureLinks.token(customerId, pictureId, new Date(Date.now() + PICTURE_MS));
      return `${publicUrl()}/pictures/${token}`;
    },
  });
  const isBehindProxy = http.publicUrl.startsWith('https:');
  return createStream({
    feed,
    authenticators: [
      streamTokens({ tokens, directory, guesses, isBehindProxy }),
      fromOwnPages(consoleCallers(deps.console), publicUrl),
    ],
    log,
    metrics,
  });
}

/** Messages to the customers' own webhooks: handed over as they go on record, and delivered by the queue. */
export async function startWebhooks(
  { database, directory, sealer, audit, queue, log }: Foundation,
  http: Http,
  metrics: PrometheusMetrics,
  ending: (() => Promise<unknown>)[],
): Promise<void> {
  const webhooks = createWebhooks({ database, sealer, audit });
  const delivery = createDelivery({ database, directory, audit, webhooks, queue, http, log, metrics });
  await queue.workWebhooks(delivery.deliver);
  delivery.start();
  ending.push(() => delivery.stop());
}

const PASS_SECONDS = 60;

/** Connections are looked at as they become due, by one process of all at a time. */
export async function startHealth(
  { connections: { checkHours: everyHours } }: Config,
  { database, directory, audit, vault, operations, mover, repairs, secrets, queue, log }: Foundation,
  http: Http,
  ending: (() => Promise<unknown>)[],
): Promise<void> {
  const health = createHealth({
    ...{ database, directory, audit, vault, operations, mover, secrets, log },
    ...{ http, repair: repairs.consider, everyHours },
  });
  await queue.workConnections(PASS_SECONDS, health.checkDue);
  ending.push(async () => health.drain()); // before the queue waits for the pass that is under way
}

/** Whatever chat is put in here is counted from then on. */
export function countedChats(metrics: Metrics): Map<Platform, Chat> {
  class Counted extends Map<Platform, Chat> {
    override set(platform: Platform, chat: Chat): this {
      return super.set(platform, measuredChat(chat, metrics));
    }
  }
  return new Counted();
}
