import { createServer } from 'node:http';
import { listenOnLoopback } from '../../../core/http-listen.ts';

/** A model that is away, in one of the ways that there are. */
export interface BrokenModel {
  readonly url: string;
  fault: 'down' | 'overloaded' | 'hanging';
  /** How often it was asked. */
  readonly asked: number;
  close(): Promise<void>;
}

export async function openBrokenModel(): Promise<BrokenModel> {
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    if (model.fault === 'down') return void request.socket.destroy();
    if (model.fault === 'hanging') return; // until the caller gives up
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
    response.writeHead(529, { 'Content-Type': 'application/json' }).end(JSON.stringify(error));
  });
  const { port, close } = await listenOnLoopback(server, 0);
  const model: BrokenModel = {
    url: `http://127.0.0.1:${port}`,
    fault: 'overloaded',
    get asked() {
      return asked;
    },
    async close() {
      server.closeAllConnections();
      await close();
    },
  };
  return model;
}
