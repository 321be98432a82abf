import { rmSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A way to the run's PostgreSQL that can be cut, for one worker of several. */
export interface PostgresRelay {
  /** The same database and login, by this way. */
  readonly url: string;
  /** From now on nothing passes, and nobody is told: as with a cable that is pulled. */
  cut(): void;
  /** Ends what was cut and lets new connections through. */
  mend(): void;
  close(): Promise<void>;
}

/** Opens one to a server on a Unix socket; `at`: the address of one that was closed. */
export async function openPostgresRelay(url: string, at?: string): Promise<PostgresRelay> {
  const target = new URL(url);
  const socketName = `.s.PGSQL.${target.port || '5432'}`;
  const targetPath = join(target.searchParams.get('host') ?? '', socketName);
  const folder = (at && new URL(at).searchParams.get('host')) ?? (await mkdtemp(join(tmpdir(), 'relay-')));
  await mkdir(folder, { recursive: true });
  const sockets = new Set<Socket>();
  let isCut = false;

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy()); // its other end hears of it by the close
  }

  const server = createServer((client) => {
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
  await new Promise<void>((done) => server.listen(join(folder, socketName), done));
  target.searchParams.set('host', folder);

  const endAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: target.href,
    cut() {
      isCut = true;
    },
    mend() {
      endAll();
      isCut = false;
    },
    async close() {
      endAll();
      await new Promise((done) => server.close(done));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
