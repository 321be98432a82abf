import type { Server } from 'node:http';
import { createServer, type Server as NetServer } from 'node:net';

/** A server that takes connections. */
export interface Listening {
  readonly port: number;
  /** Takes no new connection, and waits for those that there are. */
  close(): Promise<void>;
}

const OTHER_PORTS = 20; // how many free ports of the one family to try before one is free in both

/**
 * Opens `server` at this port of 127.0.0.1 and, where there is IPv6, of ::1: browsers take `localhost` for either, and
 * what is left free on a shared computer another account may open. 0 takes any port that is free in both.
 * @throws the error of node:net, such as `EADDRINUSE`, with nothing left open.
 */
export async function listenOnLoopback(server: Server, port: number): Promise<Listening> {
  for (let tries = 1; ; tries++) {
    await listen(server, port, '127.0.0.1');
    const taken = portOf(server);
    // node:http takes connections that are handed to it by this event.
    const sixth = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit('connection', socket));
    try {
      await listen(sixth, taken, '::1');
      return { port: taken, close: async () => void (await Promise.all([close(server), close(sixth)])) };
    } catch (cause) {
      if (hasCode(cause, ['EADDRNOTAVAIL', 'EAFNOSUPPORT'])) return { port: taken, close: () => close(server) };
      await close(server);
      if (port !== 0 || tries === OTHER_PORTS || !hasCode(cause, ['EADDRINUSE'])) throw cause;
    }
  }
}

/** Opens `server` at every address of this computer. @throws the error of node:net. */
export async function listenEverywhere(server: Server, port: number): Promise<Listening> {
  await listen(server, port);
  return { port: portOf(server), close: () => close(server) };
}

/** @throws TypeError before it listens. */
function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server listens at no port');
  return address.port;
}

async function listen(server: NetServer, port: number, host?: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  try {
    await promise;
  } finally {
    server.off('error', reject);
    server.off('listening', resolve);
  }
}

async function close(server: NetServer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await promise;
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}
