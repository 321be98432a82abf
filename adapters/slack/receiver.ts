import { type App, HTTPReceiver, type HTTPReceiverOptions, type ReceiverEvent } from '@slack/bolt';
import { SocketModeClient } from '@slack/socket-mode';
import { type RequestHandler, Router } from 'express';
import type { Log } from '../../core/ports/log.ts';
import type { Secret } from '../../core/secret.ts';
import { EVENTS_PATH, INSTALL_PATH, REDIRECT_PATH } from './config.ts';
import { slackLogger } from './logger.ts';

/** Settles once the event is ours; `ack` is then Slack's answer. @throws when it could not be taken: Slack sends it again. */
export type Intake = (body: unknown, ack: (response?: unknown) => Promise<void>) => Promise<void>;

/** Clocks that are a little apart are no attack. */
const AHEAD_SECONDS = 60;
/** Slack's own time, after which Bolt refuses a signature (docs.slack.dev, verifying requests from Slack). */
const SIGNATURE_SECONDS = 300;

/** Events over HTTP, on the one server that there is. Bolt checks signature, age and size, and reads the body. */
export function httpRoutes(options: {
  readonly signingSecret: Secret;
  readonly log: Log;
  readonly intake: Intake;
  readonly now?: () => number;
  /** Many workspaces: what Bolt needs for people to install us. */
  readonly installer?: Omit<HTTPReceiverOptions, 'signingSecret'>;
  /** Stands before whoever comes back from Slack. */
  readonly fewTries?: RequestHandler;
}): Router {
  const { signingSecret, log, intake, now = Date.now, installer, fewTries } = options;
  const receiver = new HTTPReceiver({
    ...installer,
    signingSecret: signingSecret.reveal(),
    endpoints: [EVENTS_PATH],
    logger: slackLogger(log),
  });
  const app = {
    processEvent: ({ body, ack }: ReceiverEvent) => intake(body, ack),
  };
  // A receiver calls nothing of its app but processEvent (bolt 5.1, receivers/HTTPReceiver.js).
  receiver.init(app as unknown as App);
  const routes = Router();
  routes.post(EVENTS_PATH, refuseReplays(now), (request, response) => receiver.requestListener(request, response));
  if (fewTries) routes.get(REDIRECT_PATH, pageHeaders, fewTries);
  if (installer)
    routes.get([INSTALL_PATH, REDIRECT_PATH], pageHeaders, (request, response) => {
      if (request.method === 'HEAD')
        response.end(); // it begins nothing
      else receiver.requestListener(request, response);
    });
  return routes;
}

/** An address with a code of Slack's goes nowhere else, and the page stands in nobody's frame. */
const pageHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'Cache-Control': 'no-store',
    'Content-Security-Policy':
      "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer',
    'X-Frame-Options': 'DENY',
    'X-Robots-Tag': 'noindex',
  });
  next();
};

/** Bolt refuses what is old or not signed; here what is from the future, and what was taken once already. */
function refuseReplays(now: () => number): RequestHandler {
  const taken = new Map<string, number>();
  return (request, response, next) => {
    const seconds = now() / 1000;
    const stamp = Number(request.header('x-slack-request-timestamp') ?? Number.NaN);
    const signature = request.header('x-slack-signature') ?? '';
    if (!Number.isFinite(stamp) || stamp > seconds + AHEAD_SECONDS || taken.has(signature)) {
      response.status(401).end();
      return;
    }
    for (const [old, until] of taken) {
      if (until > seconds) break; // in the order in which they were taken
      taken.delete(old);
    }
    // What was not taken may come again; before this answer it may run beside itself, which its event's id is for.
    response.once('finish', () => {
      if (response.statusCode < 300) taken.set(signature, seconds + SIGNATURE_SECONDS + 2 * AHEAD_SECONDS);
    });
    next();
  };
}

export interface Socket {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Events over a socket that we open: no public address is needed, and Slack knows us by the app-level token. */
export function openSocket(options: { appToken: Secret; apiUrl: string; log: Log; intake: Intake }): Socket {
  const { appToken, apiUrl, log, intake } = options;
  const client = new SocketModeClient({
    appToken: appToken.reveal(),
    logger: slackLogger(log),
    clientOptions: { slackApiUrl: apiUrl, timeout: 10_000, allowAbsoluteUrls: false },
  });
  client.on('slack_event', ({ body, ack }: { body: unknown; ack: (response?: unknown) => Promise<void> }) => {
    // What is not acknowledged comes again.
    intake(body, ack).catch((error: unknown) => log.error({ err: error }, 'slack: an event was not taken'));
  });
  return {
    start: async () => void (await client.start()),
    stop: () => client.disconnect(),
  };
}
