import { createServer } from 'node:http';
import express, { type ErrorRequestHandler, type Router } from 'express';
import { CountersignError } from '../../core/errors.ts';
import { type Listening, listenOnLoopback } from '../../core/http-listen.ts';
import type { Log } from '../../core/ports/log.ts';

export interface LocalListener {
  /** The messaging endpoint, for a client on this computer. */
  readonly url: string;
  close(): Promise<void>;
}

/** A listener of its own for a client without credentials, open to this computer alone. @throws CountersignError `port_in_use`. */
export async function openLocalListener(routes: Router, path: string, port: number, log: Log): Promise<LocalListener> {
  const app = express();
  app.disable('x-powered-by');
  app.use(routes);
  app.use((_request, response) => void response.status(404).end());
  app.use(failed(log));
  const server = createServer(app);
  let listening: Listening;
  try {
    listening = await listenOnLoopback(server, port);
  } catch (cause) {
    const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    if (!isTaken) throw cause;
    const words = `Port ${port}, where Teams' local client is answered, is in use by another program. Stop that one and start again.`;
    throw new CountersignError('port_in_use', words, { cause });
  }
  return {
    url: `http://127.0.0.1:${listening.port}${path}`,
    async close() {
      const closed = listening.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function failed(log: Log): ErrorRequestHandler {
  // Express knows a function for errors by its four parameters.
  return (error: unknown, _request, response, next) => {
    log.error({ err: error }, 'teams: a request of the local client failed');
    if (response.headersSent) return next(error);
    const status = error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : 500;
    response.status(status).end();
  };
}
