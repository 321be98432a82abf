import { once } from 'node:events';
import { WebSocket } from 'ws';
import { createApiTokens } from '../../core/customers/api-tokens.ts';
import { createDirectory } from '../../core/directory.ts';
import { finishStep, openStream, type StreamCore, streamToken } from '../support/stream.ts';
import { makeApprovable } from './approve-to-worker.ts';
import type { Benchmark } from './benchmark.ts';
import type { Rig } from './rig.ts';
import { repeat } from './samples.ts';

const CLIENTS = 200;
/** Each is let in by a commit of its own, one after the other for a token. */
const CLIENTS_OF_SLICE = 40;
/** A token has 60 requests a minute. */
const OF_A_TOKEN = 40;
const WARM_UPS = 3;
const STOP_LIMIT_MS = 5_000;
const TARGET = { of: 'p99', atMost: 200 } as const;

/** From a finished step's commit until the last of 200 clients of the live stream has heard of it, in one process. */
export const liveStream: Benchmark = {
  name: 'live-stream',
  async run(bench) {
    const rig = await bench.rig();
    const customer = await rig.addCustomer();
    // A request sends its deadline to the queue, which an earlier benchmark may have stopped.
    await bench.open(
      () => rig.queue.start(),
      () => rig.queue.stop(STOP_LIMIT_MS),
    );
    const operation = await makeApprovable(rig, customer);
    const core = coreOf(rig);
    const { it: stream, close } = await bench.open(
      () => openStream(core, { limits: { ofCaller: OF_A_TOKEN } }),
      (opened) => opened.close(),
    );
    // Clients that hear and no more: they share this process's time with the server.
    const clients = bench.isSlice ? CLIENTS_OF_SLICE : CLIENTS;
    const sockets: WebSocket[] = [];
    for (let n = 0; n < clients / OF_A_TOKEN; n++) {
      const { token } = await streamToken(core, customer);
      const headers = { authorization: `Bearer ${token}` };
      for (let i = 0; i < OF_A_TOKEN; i++) sockets.push(new WebSocket(stream.url, { headers }));
    }
    const next = () => sockets.map((socket) => once(socket, 'message'));
    await Promise.all(next()); // hello
    const step = async () => {
      const heard = next();
      await finishStep(core, operation);
      const committedAt = performance.now();
      await Promise.all(heard);
      return Math.max(0, performance.now() - committedAt);
    };
    for (let n = 0; n < WARM_UPS; n++) await step();
    const values = await repeat(
      bench.isSlice ? { times: 10, withinMs: 5_000 } : { times: 100, withinMs: 30_000 },
      step,
    );
    await close();
    return [
      { what: `step on record, until the last of ${clients} clients has it`, unit: 'ms', target: TARGET, values },
    ];
  },
};

/** What the stream asks of core. */
function coreOf({ database, audit }: Rig): StreamCore {
  const directory = createDirectory(database);
  return { database, audit, directory, apiTokens: createApiTokens({ database, directory, audit }) };
}
