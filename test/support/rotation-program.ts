/**
 * A rotation of one customer's key in a process of its own, for tests that kill it: `node rotation-program.ts JSON`. Waits for
 * a line that says where to die: `never`, `batch N` (when N batches are committed) or `key N` (in the middle of a
 * transaction, when a key is unwrapped or wrapped for the Nth time).
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { createAudit } from '../../core/audit/audit.ts';
import { createDatabase } from '../../core/database.ts';
import { createDirectory } from '../../core/directory.ts';
import { customerId } from '../../core/ids.ts';
import type { RootKeys } from '../../core/ports/keys.ts';
import { createKeyRotation } from '../../core/vault/rotation.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { testRootKeys } from './root-keys.ts';

const options = z
  .object({ url: z.string(), customer: z.string(), batch: z.int() })
  .parse(JSON.parse(process.argv[2] ?? ''));
const lines = createInterface(process.stdin);
console.log('ready');
const [line] = (await once(lines, 'line')) as [string]; // readline gives a line as a string
const [where, number] = line.split(' ');
let left = Number(number);

function reached(point: 'batch' | 'key'): void {
  if (where === point && --left === 0) process.kill(process.pid, 'SIGKILL');
}

const rootKeys: RootKeys = {
  ...testRootKeys,
  wrap: async (...args) => {
    reached('key');
    return testRootKeys.wrap(...args);
  },
  unwrap: async (...args) => {
    reached('key');
    return testRootKeys.unwrap(...args);
  },
};
const database = createDatabase({ url: options.url, rootKeys, poolSize: 2 });
const audit = createAudit({ database, sealer: createSealer(rootKeys) });
const rotation = createKeyRotation({ database, directory: createDirectory(database), rootKeys, audit });
const customer = customerId(options.customer);
const rewrap = { batch: options.batch, onBatch: () => reached('batch') };
const isBegun = (await rotation.versions(customer)).length > 1;
const report = isBegun ? await rotation.resume(customer, rewrap) : await rotation.rotateCustomerKeys(customer, rewrap);
console.log(JSON.stringify(report));
await database.close();
process.exit(0);
