import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import express, { type ErrorRequestHandler, type Router } from 'express';
import { type Listening, listenEverywhere, listenOnLoopback } from '../../core/http-listen.ts';
import type { Log } from '../../core/ports/log.ts';
import { listenError, reportFailure } from './errors.ts';

export interface ApiServer {
  /** @throws CountersignError `port_in_use` */
  start(): Promise<{ readonly port: number }>;
  /** Lets running requests end, for at most a second. */
  stop(): Promise<void>;
}

export interface ApiServerOptions {
  readonly port: number;
  /** To this computer alone; else at every address. */
  readonly isLocal: boolean;
  /** One proxy stands before it, whose word for where a request comes from is taken: this server speaks no TLS. */
  readonly isBehindProxy?: boolean;
  readonly routes: readonly Router[];
  /** Takes every request for a WebSocket; absent: they are answered as any other. */
  upgrade?(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  readonly log: Log;
  /** Whether the database and the queue answer. */
  isReady(): Promise<boolean>;
}

/** The one public HTTP server. It logs no request: addresses here are secrets. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('trust proxy', options.isBehindProxy ? 1 : false);
  app.use((_request, response, next) => {
    response.set({
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
    });
    next();
  });
  app.get('/healthz', (_request, response) => {
    response.type('text/plain').send('ok\n');
  });
  app.get('/readyz', async (_request, response) => {
    const isReady = await options.isReady().catch(() => false);
    response
      .status(isReady ? 200 : 503)
      .type('text/plain')
      .send(isReady ? 'ready\n' : 'not ready\n');
  });
  for (const routes of options.routes) app.use(routes);
  app.use((_request, response) => {
    response.status(404).type('text/plain').send('There is nothing here.\n');
  });
  app.use(failed(options.log));
  // Whoever offers another protocol than WebSocket, such as h2c, is answered as if they had not (RFC 9110, section 7.8).
  const shouldUpgradeCallback = ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket';
  const server = options.upgrade ? createServer({ shouldUpgradeCallback }, app) : createServer(app);
  if (options.upgrade) server.on('upgrade', options.upgrade);
  let opened: Listening | undefined;
  return {
    start: async () => {
      opened = await listen(server, options);
      return opened;
    },
    stop: async () => {
      const closed = opened?.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), 1_000);
      await closed;
      clearTimeout(timer);
    },
  };
}

function failed(log: Log): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    const status = reportFailure(error, log);
    if (response.headersSent) return next(error);
    const words =
      status >= 500
        ? 'Something went wrong on our side. Please try again. If the link is closed now, ask for another one.\n'
        : 'This request could not be read. Nothing was changed.\n';
    response.status(status).type('text/plain').send(words);
  };
}

async function listen(server: Server, { port, isLocal }: ApiServerOptions): Promise<Listening> {
  try {
    return await (isLocal ? listenOnLoopback(server, port) : listenEverywhere(server, port));
  } catch (error) {
    throw listenError(error, port);
  }
}
