import pg from 'pg';
import { z } from 'zod';
import { createEgress } from '../../adapters/browser/index.ts';
import { createAnthropicPageModel } from '../../adapters/model/index.ts';
import type { AgentMode } from '../../core/agent/engine.ts';
import { Secret } from '../../core/secret.ts';
import { getService } from '../../core/services/index.ts';
import type { OperationTypeDefinition, Service, Way } from '../../core/services/service.ts';
import { defaultPermissions } from '../../core/services/ways.ts';
import { type Served, servePractice } from '../practice/serve.ts';
import { practiceService } from '../practice/shopify/service.ts';
import type { AnthropicServer } from '../support/anthropic/server.ts';
import { installShop, look, queuedOperation } from '../support/core.ts';
import { silentLog } from '../support/silent-log.ts';
import { openWorker, type Worker } from '../support/worker.ts';
import type { Bench, Benchmark, Measure } from './benchmark.ts';
import type { Rig } from './rig.ts';
import { createSimulatedModel } from './simulated-model.ts';

const MODEL = 'claude-sonnet-5-5';
const MODES = ['replay', 'ladder', 'vision'] as const satisfies readonly AgentMode[];

/** A way in which a worker sets a service up, from the pages that practise it. */
interface Site {
  readonly service: Service;
  readonly type: OperationTypeDefinition;
  readonly way: Way;
  readonly served: Served;
}

/** What one operation took. */
interface Taken {
  readonly ms: number;
  readonly calls: number;
  readonly tokens: number;
  readonly usd: number;
  /** Of its sealed pictures. */
  readonly pictureBytes: number;
}

/**
 * A whole operation at a practice service: from the moment at which the worker takes it to the key that is in the vault and
 * proven, in a browser of its own, with its trail, its pictures and its budget in PostgreSQL. Decided by what is on record
 * (`replay`), by the ladder, and by the model at every step (`vision`); the three in turns. The model is a simulation that
 * answers at once, so what a real one would think comes on top of `vision`.
 */
export function operationAt(service: string): Benchmark {
  return {
    name: `operation-${service}`,
    isLeftOutOfSlice: true,
    async run(bench) {
      const rig = await bench.rig();
      const { it: site, close: closeSite } = await bench.open(
        () => siteOf(service),
        ({ served }) => served.close(),
      );
      const { it: server, close: closeServer } = await bench.open(createSimulatedModel, (made) => made.close());
      const taken = await inTurns(bench, rig, site, server);
      await closeServer();
      await closeSite();
      const completed = MODES.filter((mode) => taken[mode].length > 0);
      return completed.flatMap((mode) => measuresOf(`${site.service.name}, ${mode}`, taken[mode]));
    },
  };
}

function measuresOf(what: string, all: readonly Taken[]): readonly Measure[] {
  const of = (key: keyof Taken, per = 1) => all.map((each) => each[key] / per);
  return [
    { what: `${what}: an operation`, unit: 'ms', values: of('ms') },
    { what: `${what}: model calls`, unit: 'calls', values: of('calls') },
    { what: `${what}: tokens, modelled`, unit: 'tokens', values: of('tokens') },
    { what: `${what}: model cost, modelled`, unit: 'USD', values: of('usd') },
    { what: `${what}: pictures, sealed`, unit: 'kB', values: of('pictureBytes', 1000) },
  ];
}

/** @throws Error when the service can't be practised on this computer. */
async function siteOf(id: string): Promise<Site> {
  const served = await servePractice(id);
  if (!served || 'missing' in served) throw new Error(served?.missing ?? `there are no practice pages for ${id}`);
  const [accounts = '', dashboard = ''] = served.origins ?? [];
  const service = id === 'shopify' ? practiceService({ origin: served.base, accounts, dashboard }) : getService(id);
  const type = service?.operationTypes.api_key_generation;
  const way = type?.ways.find(({ kind }) => kind === 'browser');
  if (!service || !type || !way) throw new Error(`a worker makes no keys at ${id}`);
  return { service, type, way, served };
}

type Mode = (typeof MODES)[number];

async function inTurns(
  bench: Bench,
  rig: Rig,
  site: Site,
  server: AnthropicServer,
): Promise<Readonly<Record<Mode, readonly Taken[]>>> {
  const workers = new Map<Mode, Worker>();
  const all: Record<Mode, Taken[]> = { replay: [], ladder: [], vision: [] };
  const once = async (mode: Mode, isCounted: boolean) => {
    const worker = workers.get(mode);
    if (!worker) return;
    const taken = await operate(rig, worker, site, server);
    if (typeof taken === 'string') {
      workers.delete(mode);
      all[mode] = []; // what is measured of some operations alone would say too little
      bench.note(`${site.service.name} in mode ${mode}: ${taken}`);
    } else if (isCounted) all[mode].push(taken);
  };
  const closes: (() => Promise<void>)[] = [];
  for (const mode of MODES) {
    const { it: worker, close } = await bench.open(
      () => openModeWorker(rig, site, server, mode),
      (opened) => opened.close(),
    );
    workers.set(mode, worker);
    closes.push(close);
    if (!bench.isSlice) await once(mode, false); // code that is compiled, and files that are read once
  }
  const [times, withinMs] = bench.isSlice ? [1, 1] : [10, 240_000];
  const began = performance.now();
  for (let n = 0; n < times && (n === 0 || performance.now() - began < withinMs); n++)
    // Who comes first changes, so that what the machine does meanwhile hits all.
    for (const mode of n % 2 === 0 ? MODES : MODES.toReversed()) await once(mode, true);
  for (const close of closes) await close();
  return all;
}

function openModeWorker(
  rig: Rig,
  { service, served }: Site,
  server: AnthropicServer,
  mode: AgentMode,
): Promise<Worker> {
  const hosts = [served.base, ...(served.origins ?? [])].map((origin) => new URL(origin).host);
  const model = createAnthropicPageModel({
    apiKey: new Secret(server.apiKey),
    baseUrl: server.url,
    model: MODEL,
    egress: createEgress({ privateTargets: [new URL(server.url).host], log: silentLog }),
    log: silentLog,
  });
  const serviceOf = (id: string) => (id === service.id ? service : getService(id));
  const options = { target: hosts.join(','), serviceOf, model, mode, rootKeys: rig.rootKeys };
  return openWorker({ programUrl: rig.env.DATABASE_URL ?? '' }, options);
}

/** @returns in words what an operation came to that did not get to its end by itself. */
async function operate(
  rig: Rig,
  worker: Worker,
  { service, type, way, served }: Site,
  server: AnthropicServer,
): Promise<Taken | string> {
  const customer = await installShop(worker.core);
  const { origin } = new URL(served.base);
  const permissions = defaultPermissions(type, way);
  const wanted = { service, type, way, origin, base: served.base, permissions };
  const operation = await queuedOperation(worker.core, customer, wanted, served.secrets);
  const [calls, refusals] = [server.requests.length, server.refusals.length];
  const began = performance.now();
  await worker.run(operation);
  const ms = performance.now() - began;
  const { state, errorMessage, currentStep } = await look(worker.core, operation);
  if (state !== 'completed')
    return `an operation is ${state} at step ${currentStep}${errorMessage ? `: ${errorMessage}` : ''}`;
  const broken = server.refusals[refusals];
  if (broken) throw new Error(`the stand-in for the model's service refused: ${broken.refusal.message}`);
  const asked = server.requests.slice(calls);
  return { ms, calls: asked.length, ...tokensOf(asked), ...(await onRecord(rig, operation.id)) };
}

const usageSchema = z.object({ usage: z.record(z.string(), z.number()) });

function tokensOf(requests: AnthropicServer['requests']): Pick<Taken, 'tokens'> {
  const used = requests.flatMap(({ reply }) => Object.values(usageSchema.parse(reply).usage));
  return { tokens: used.reduce((sum, each) => sum + each, 0) };
}

const recordRows = z.tuple([z.object({ usd: z.coerce.number(), pictureBytes: z.coerce.number() })]);

/** What the budget was charged with, and the room of the pictures. */
async function onRecord({ adminUrl }: Rig, operationId: string): Promise<Pick<Taken, 'usd' | 'pictureBytes'>> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT (SELECT coalesce(sum(spent_micros), 0) / 1e6 FROM model_calls WHERE operation_id = $1) AS usd,
         (SELECT coalesce(sum(octet_length(sealed)), 0) FROM screenshots WHERE operation_id = $1) AS "pictureBytes"`,
      [operationId],
    );
    return recordRows.parse(rows)[0];
  } finally {
    await client.end();
  }
}
