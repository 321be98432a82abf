import express, { Router } from 'express';
import type { Log } from '../../core/ports/log.ts';
import { MESSAGES_PATH } from './config.ts';
import type { Microsoft } from './connector.ts';
import { CARD_TYPE } from './elements.ts';
import type { Answer } from './replies.ts';

/** What became of an activity. */
export type Outcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'answered'; readonly answer: Answer }
  /** As Teams takes it. */
  | { readonly kind: 'dialog'; readonly body: object }
  /** Of an organisation, or a channel, that is not served. */
  | { readonly kind: 'refused' }
  /** It waits for an answer of a kind that nothing here gives. */
  | { readonly kind: 'unknown' };

/** Settles once the activity is ours. @throws when it could not be taken: Teams sends it again. */
export type Intake = (activity: unknown) => Promise<Outcome>;

/** Of an activity, which holds no files: cards come back with what was filled in. */
const MOST = '256kb';

const OWN_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

/** Activities over HTTP, on the one server that there is; only the Connector's own are taken. */
export function httpRoutes(options: {
  readonly microsoft: Microsoft;
  readonly intake: Intake;
  readonly log: Log;
  /** A client on this computer, which shows no credentials: no page of a browser may be one. */
  readonly isLocal: boolean;
}): Router {
  const { microsoft, intake, log, isLocal } = options;
  const routes = Router();
  routes.post(MESSAGES_PATH, express.json({ limit: MOST }), async (request, response) => {
    const activity: unknown = request.body;
    const isObject = typeof activity === 'object' && activity !== null && !Array.isArray(activity);
    if (!isObject) return void response.status(400).type('text/plain').send('This is no activity.\n');
    // A name that somebody pointed here, or a page of another site, is no client on this computer.
    const isForeign = request.get('origin') !== undefined || !OWN_NAMES.has(request.hostname);
    if (isLocal && isForeign) return void response.status(403).end();
    const verdict = await microsoft.verify(activity, request.get('authorization') ?? '');
    if (verdict === 'forged') {
      log.warn({ code: 'teams_forged' }, 'teams: a request that the Connector did not send was refused');
      return void response.status(401).end();
    }
    if (verdict === 'away') {
      log.warn({ code: 'teams_keys' }, 'teams: the keys of the Connector could not be had, so a request was not taken');
      return void response.status(503).set('Retry-After', '5').end();
    }
    const outcome = await intake(activity);
    switch (outcome.kind) {
      case 'refused':
        return void response.status(403).end();
      case 'unknown':
        return void response.status(501).json({}); // the Bot Framework's own answer for these
      case 'taken':
        return void response.status(200).end();
      case 'dialog':
        return void response.status(200).json(outcome.body);
      case 'answered':
        return void response.status(200).json(invokeResponse(outcome.answer));
      default:
        return outcome satisfies never;
    }
  });
  return routes;
}

/** learn.microsoft.com, universal actions: what an `adaptiveCard/action` is answered with, in all three parts. */
function invokeResponse(answer: Answer): object {
  switch (answer.kind) {
    case 'card':
      return { statusCode: 200, type: CARD_TYPE, value: answer.card };
    case 'words':
      return { statusCode: 200, type: 'application/vnd.microsoft.activity.message', value: answer.words };
    case 'none': {
      const value = { code: 'NotFound', message: 'There is no other view of this card.' };
      return { statusCode: 404, type: 'application/vnd.microsoft.error', value };
    }
    default:
      return answer satisfies never;
  }
}
