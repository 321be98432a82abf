/**
 * `npm run stress:services`: set-ups one after the other, each from the request to the proven key in a real browser: at the
 * practice shop, and at a real WordPress in both of its ways. Prints how many succeeded and how long they took, and ends with 1
 * when one did not succeed, or when a site has another number of keys than were asked for.
 */
import { parseArgs } from 'node:util';
import { prepareRoles } from '../../adapters/postgres/index.ts';
import { getService } from '../../core/services/index.ts';
import { defaultPermissions, wayOf } from '../../core/services/ways.ts';
import { migrate } from '../../prisma/migrate.ts';
import { startPracticeShop } from '../practice/woocommerce/server.ts';
import { wordPressPackages } from '../practice/wordpress/packages.ts';
import { openWordPressHost } from '../practice/wordpress/server.ts';
import { installShop, look, queuedOperation } from '../support/core.ts';
import type { TestDatabase } from '../support/database.ts';
import { testRootKeys } from '../support/root-keys.ts';
import { startRunServer } from '../support/run-postgres.ts';
import { openWorker } from '../support/worker.ts';

const USAGE = `Usage: npm run stress:services [-- OPTIONS]
  --service ID   woocommerce or wordpress; both when absent
  --runs N       of each way (100)
  --slice        two of each`;

/** A site that keys are made at. */
interface Site {
  readonly base: string;
  readonly signIn: { readonly admin_username: string; readonly admin_password: string };
  /** The names of the keys that it has now. */
  names(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface ServiceRuns {
  /** `wordpress profile` */
  readonly what: string;
  readonly runs: number;
  readonly succeeded: number;
  /** Of those that succeeded: from the queue to the end, in order. */
  readonly durationsMs: readonly number[];
  /** What the others ended with. */
  readonly failures: readonly string[];
  /** Every key has the name of its own operation, and there is no other. */
  readonly isOneKeyEach: boolean;
}

/** Sets a service up so many times, each time in every way that a worker can. */
export async function runService(
  database: TestDatabase,
  service: string,
  runs: number,
): Promise<readonly ServiceRuns[]> {
  const definition = getService(service);
  const type = definition?.operationTypes.api_key_generation;
  if (!definition || !type) throw new Error(`there is no service ${service}`);
  const results: ServiceRuns[] = [];
  for (const { id: wayId } of type.ways.filter(({ kind }) => kind === 'browser')) {
    const site = await startSite(service);
    const { origin, host } = new URL(site.base);
    const worker = await openWorker(database, { target: host });
    try {
      const customer = await installShop(worker.core);
      const durationsMs: number[] = [];
      const failures: string[] = [];
      const ids: string[] = [];
      for (let n = 0; n < runs; n++) {
        const way = wayOf(type, wayId);
        const wanted = { service: definition, type, ...(way ? { way } : {}), origin, base: site.base };
        const operation = await queuedOperation(
          worker.core,
          customer,
          { ...wanted, permissions: defaultPermissions(type) },
          site.signIn,
        );
        ids.push(operation.id);
        const began = performance.now();
        await worker.run(operation);
        const end = await look(worker.core, operation);
        if (end.state === 'completed') durationsMs.push(performance.now() - began);
        else failures.push(`${end.id} ${end.state} ${end.errorCode}: ${end.errorMessage}`);
      }
      const names = await site.names();
      const isOneKeyEach =
        names.toSorted().join() ===
        ids
          .map((id) => `Countersign ${id}`)
          .toSorted()
          .join();
      const succeeded = durationsMs.length;
      results.push({ what: `${service} ${wayId}`, runs, succeeded, durationsMs, failures, isOneKeyEach });
    } finally {
      await worker.close();
      await site.close();
    }
  }
  return results;
}

async function startSite(service: string): Promise<Site> {
  if (service === 'woocommerce') {
    const shop = await startPracticeShop();
    return {
      base: shop.origin,
      signIn: { admin_username: shop.username, admin_password: shop.password },
      names: async () => shop.keys().map(({ description }) => description),
      close: () => shop.close(),
    };
  }
  const found = await wordPressPackages();
  if (service !== 'wordpress' || 'missing' in found)
    throw new Error('missing' in found ? found.missing : `there is no site to set ${service} up at`);
  const host = await openWordPressHost(found.packages);
  const site = await host.site();
  return {
    base: site.base,
    signIn: { admin_username: site.admin.username, admin_password: site.admin.password },
    names: async () => (await site.passwords()).map(({ name }) => name),
    close: () => host.close(),
  };
}

/** One line of figures, and one for each that did not succeed. */
export function linesOf({
  what,
  runs,
  succeeded,
  durationsMs,
  failures,
  isOneKeyEach,
}: ServiceRuns): readonly string[] {
  const sorted = durationsMs.toSorted((a, b) => a - b);
  const at = (share: number) =>
    `${((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN) / 1000).toFixed(1)} s`;
  const keys = isOneKeyEach ? 'one key each' : 'NOT one key each';
  return [
    `${what}: ${succeeded} of ${runs} succeeded, median ${at(0.5)}, longest ${at(1)}; ${keys}`,
    ...failures.map((failure) => `  ${failure}`),
  ];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      service: { type: 'string' },
      runs: { type: 'string', default: '100' },
      slice: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const postgres = await startRunServer();
  try {
    const urls = await prepareRoles(postgres, { database: 'services' });
    await migrate({ ownerUrl: urls.ownerUrl, rootKeys: testRootKeys });
    const database = { ...urls, name: 'services', adminUrl: postgres.url('admin', 'services'), drop: async () => {} };
    const all: ServiceRuns[] = [];
    for (const service of values.service ? [values.service] : ['woocommerce', 'wordpress']) {
      const results = await runService(database, service, values.slice ? 2 : Number(values.runs));
      for (const line of results.flatMap(linesOf)) process.stdout.write(`${line}\n`);
      all.push(...results);
    }
    return all.every(({ runs, succeeded, isOneKeyEach }) => succeeded === runs && isOneKeyEach) ? 0 : 1;
  } finally {
    await postgres.remove();
  }
}

if (import.meta.main) process.exitCode = await main();
