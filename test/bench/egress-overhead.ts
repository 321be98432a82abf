import { Agent, request } from 'undici';
import { createEgress } from '../../adapters/browser/index.ts';
import { createHttp } from '../../adapters/http/index.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { silentLog } from '../support/silent-log.ts';
import type { Benchmark } from './benchmark.ts';
import { type Limits, repeat, type Samples, timed } from './samples.ts';

const TIMEOUT_MS = 10_000;

/** What the way through the egress proxy adds to a call: door, look-up, tunnel. Each call has a connection of its own. */
export const egressOverhead: Benchmark = {
  name: 'egress-overhead',
  async run(bench) {
    const start = () => startPracticeShop();
    const { it: shop, close: closeShop } = await bench.open(start, (started) => started.close());
    const http = createHttp({ egress: createEgress({ privateTargets: [new URL(shop.origin).host], log: silentLog }) });
    const url = `${shop.origin}/wp-json/`;
    const origins = [shop.origin];
    const proxied = async () =>
      expectOk((await http.request({ method: 'GET', url, origins, timeoutMs: TIMEOUT_MS })).status);
    const limits = bench.isSlice ? { times: 30, withinMs: 3_000 } : { times: 200, withinMs: 20_000 };
    const straight = await measured(() => direct(url), limits);
    const through = await measured(proxied, limits);
    await closeShop();
    return [
      { what: 'API call, straight', unit: 'ms', values: straight },
      { what: 'API call, through the egress proxy', unit: 'ms', values: through },
    ];
  },
};

/** The first call is not counted. */
async function measured(call: () => Promise<void>, limits: Limits): Promise<Samples> {
  await call();
  return repeat(limits, () => timed(call));
}

async function direct(url: string): Promise<void> {
  const dispatcher = new Agent();
  try {
    const answer = await request(url, { dispatcher, signal: AbortSignal.timeout(TIMEOUT_MS) });
    await answer.body.text();
    expectOk(answer.statusCode);
  } finally {
    await dispatcher.destroy();
  }
}

function expectOk(status: number): void {
  if (status !== 200) throw new Error(`the practice shop answered ${status}`);
}
