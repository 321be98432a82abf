/**
 * Reads a stored secret in a process of its own, for tests that look into its memory: `node vault-reader.ts JSON`. Says when
 * it has read, writes a heap snapshot where it is told to, and waits to be killed; the buffers that it was given it keeps.
 * `isCareless`: it makes text of the secret and keeps that, as the positive control.
 */
import { writeHeapSnapshot } from 'node:v8';
import { z } from 'zod';
import { createAudit } from '../../core/audit/audit.ts';
import { createDatabase } from '../../core/database.ts';
import { createDirectory } from '../../core/directory.ts';
import { customerId } from '../../core/ids.ts';
import { createSealer } from '../../core/vault/sealer.ts';
import { createVault } from '../../core/vault/vault.ts';
import { testRootKeys } from './root-keys.ts';

const options = z
  .object({ url: z.string(), customer: z.string(), snapshot: z.string(), isCareless: z.boolean() })
  .parse(JSON.parse(process.argv[2] ?? ''));
const database = createDatabase({ url: options.url, rootKeys: testRootKeys, poolSize: 2 });
const sealer = createSealer(testRootKeys);
const audit = createAudit({ database, sealer });
const vault = createVault({ database, directory: createDirectory(database), sealer, audit });
const ref = { customerId: customerId(options.customer), service: 'stripe', type: 'api_key', why: 'test' } as const;

const kept: unknown[] = [];
for (let n = 0; n < 20; n++)
  await vault.open(ref, (fields) => {
    kept.push(options.isCareless ? fields.value?.toString() : fields.value); // which is zeros once this has ended
  });
await vault.verify(ref.customerId, ref.service, ref.type);
await vault.rotate(ref.customerId, ref.service, ref.type);
writeHeapSnapshot(options.snapshot);
console.log(`read ${kept.length}`);
setInterval(() => kept.length, 60_000);
