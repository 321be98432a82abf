import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';

/** A way to the run's PostgreSQL that can be cut, for one worker of several. */
export interface PostgresRelay {
  /** The same database and login, by this way. */
  readonly url: string;
  /** From now on nothing passes, and nobody is told: as with a cable that is pulled. */
  cut(): void;
  /** Ends what was cut and lets new connections through; `reset`: by a RST and no goodbye, as a router that has forgotten it. */
  mend(how?: 'end' | 'reset'): void;
  close(): Promise<void>;
}

/** Opens one to a server on a Unix socket; `at`: the address of one that was closed. */
export async function openPostgresRelay(url: string, at?: string): Promise<PostgresRelay> {
  const target = new URL(url);
  const targetPath = join(target.searchParams.get('host') ?? '', `.s.PGSQL.${target.port || '5432'}`);
  const sockets = new Set<Socket>();
  let isCut = false;

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy()); // its other end hears of it by the close
  }

  // At once, as PostgreSQL's own sockets send: Nagle's algorithm would add 40 ms to each of an operation's many answers.
  const server = createServer({ noDelay: true }, (client) => {
    keep(client);
    if (isCut) return void client.pause();
    const upstream = createConnection(targetPath);
    keep(upstream);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('data', (bytes) => {
        if (!isCut) to.write(bytes);
      });
      from.on('close', () => {
        if (!isCut) to.destroy();
      });
    }
  });
  await new Promise<void>((done) => server.listen(at ? Number(new URL(at).port) : 0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo; // of a TCP server that listens
  target.hostname = '127.0.0.1';
  target.port = String(port);
  target.searchParams.delete('host');

  const endAll = (how: 'end' | 'reset' = 'end') => {
    // Only TCP knows a reset: those to the server are Unix sockets.
    for (const socket of sockets) how === 'reset' && socket.remotePort ? socket.resetAndDestroy() : socket.destroy();
  };
  return {
    url: target.href,
    cut() {
      isCut = true;
    },
    mend(how) {
      endAll(how);
      isCut = false;
    },
    async close() {
      endAll();
      await new Promise((done) => server.close(done));
    },
  };
}
