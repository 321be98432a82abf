import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LoopbackSite {
  /** `http://localhost:PORT` */
  readonly origin: string;
  /** `localhost:PORT`, as private targets are written. */
  readonly authority: string;
  readonly port: number;
  /** Method and path of every request, oldest first. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

type Answer = string | ((request: IncomingMessage, response: ServerResponse) => void);

/** Serves pages on 127.0.0.1: an HTML text or a function for each path, 404 for every other. */
export async function serveSite(pages: Readonly<Record<string, Answer>>): Promise<LoopbackSite> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site.test');
    requests.push(`${request.method} ${pathname}`);
    const answer = pages[pathname];
    if (typeof answer === 'function') return answer(request, response);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(answer === undefined ? 'nothing here' : `<!doctype html><meta charset="utf-8">${answer}`);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an AddressInfo
  return {
    origin: `http://localhost:${port}`,
    authority: `localhost:${port}`,
    port,
    requests,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
